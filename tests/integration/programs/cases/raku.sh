# MoarVM compiles at run time from structures at any even address: what only they refer to has to stay.
needs="raku"
stress=100 limit_s=180
case_setup() {
    cat >script.raku <<'T'
my %h;
for ^6000 { %h{"k{$_ % 5003}"} = [$_, $_ * 2] }
say %h.elems;
say (^4).map({ start { [+] (^1000).map(*.chars) } }).map({ await $_ });
my $s = "a" x 10;
for ^100 { $s ~~ s/a/bb/ }
say $s.chars;
say run("echo", "from a child", :out).out.slurp;
T
}
case_run() { MVM_SPESH_BLOCKING=1 pre raku "$work/script.raku"; }
