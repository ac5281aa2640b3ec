# Lists, dictionaries, regular expressions, coroutines, an event loop with timers, threads of the notifier.
needs="tclsh"
stress=200
case_setup() {
    cat >script <<'T'
set l {}; for {set i 0} {$i < 20000} {incr i} { lappend l [expr {$i * 7919 % 10007}] }
puts [lrange [lsort -integer -unique $l] 0 9]; set d [dict create]
foreach x $l { dict incr d [expr {$x % 97}] }
puts [dict get $d 13]; puts [string length [join $l ,]]
proc gen {n} { yield; for {set i 0} {$i < $n} {incr i} { yield [string repeat $i 20] } }
coroutine c gen 3000; set t 0; for {set i 0} {$i < 2999} {incr i} { incr t [string length [c]] }; puts $t
set n 0; proc tick {} { global n; if {[incr n] < 50} { after 1 tick } else { set ::done 1 } }; after 1 tick; vwait done; puts $n
puts [regexp -all -inline {(\d)(\d)\1\2} [join $l {}]]
set f [open out.txt w]; foreach x $l { puts $f $x }; close $f; set f [open "|sort -n out.txt | uniq -c | sort -rn | head -5"]; puts [read $f]; close $f
no_such_command
T
}
case_run() { pre tclsh "$work/script"; }
