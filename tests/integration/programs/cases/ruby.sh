# Objects, strings, hashes, threads, fibers (stacks of ruby's own), fork, and ruby's own conservative collector beside ours.
needs="ruby"
stress=200
limit_s=120
case_run() {
    pre ruby --disable=gems "$here/cases/ruby_work.rb"
    pre ruby -e 'GC.stress = true; a = (1..200).map { |i| "s#{i}" * 3 }; GC.stress = false; puts a.join.size'
    pre ruby --disable=gems -e 'raise "end"'
}
