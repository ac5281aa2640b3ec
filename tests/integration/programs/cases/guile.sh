# Brings the Boehm collector: two collectors in one process.
needs="guile"
stress=5
case_setup() {
    cat >script.scm <<'T'
(use-modules (ice-9 threads) (srfi srfi-1))
(define h (make-hash-table))
(do ((i 0 (+ i 1))) ((= i 50000)) (hash-set! h (string-append "k" (number->string i)) (iota (modulo i 10))))
(display (hash-fold (lambda (k v a) (+ a (length v))) 0 h)) (newline)
(display (apply + (par-map (lambda (n) (fold + 0 (iota n))) (iota 200)))) (newline)
(gc) (display (string-length (number->string (expt 7 5000)))) (newline)
(define l (map (lambda (i) (make-string 100 #\a)) (iota 20000))) (display (length l)) (newline)
T
}
case_run() { export GUILE_AUTO_COMPILE=0; pre guile -q "$work/script.scm"; }
