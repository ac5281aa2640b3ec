# A runtime with its own mappings, its own SIGSEGV handler (write barrier) and its own signals to stop threads.
needs="sbcl"
stress=1
case_setup() {
    cat >script.lisp <<'T'
(defvar *h* (make-hash-table :test 'equal))
(dotimes (i 100000) (setf (gethash (format nil "k~d" (mod (* i 7919) 5003)) *h*) (list i (make-string 20))))
(print (hash-table-count *h*))
(sb-ext:gc :full t)
(let ((ts (loop for n below 4 collect (let ((n n)) (sb-thread:make-thread (lambda () (let ((s 0)) (dotimes (i 200000) (setf s (mod (+ s (length (list i n (cons i i)))) 1009))) s)))))))
  (print (mapcar #'sb-thread:join-thread ts)))
(print (length (with-output-to-string (s) (dotimes (i 5000) (format s "~r " i)))))
(print (with-output-to-string (s) (sb-ext:run-program "/bin/echo" '("from a child") :output s)))
(terpri)
T
}
case_run() { pre sbcl --script "$work/script.lisp"; }
