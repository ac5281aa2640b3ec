# Hashes, closures, regular expressions, sort, eval and die, fork and pipes, threads where perl has them.
needs="perl"
stress=200
case_run() {
    pre perl "$here/cases/perl_work.pl"
    pre perl -we 'my %h; $h{$_ % 5000} .= "x$_" for 1 .. 200000; print scalar(keys %h), " ", length($h{17}), "\n"; print "$h{nothing}\n"'
    pre perl -MData::Dumper -MList::Util=shuffle,sum -e '$Data::Dumper::Sortkeys = 1; print Dumper({ map { $_ => [ 1 .. $_ % 7 ] } 1 .. 300 })' | cksum
    pre perl -MConfig -e 'exit 0 unless $Config{useithreads}; require threads; my @t = map { my $n = $_; threads->create(sub { my %h = map { $_ => [$n] } 1 .. 3000; return scalar keys %h }) } 1 .. 6; print join(" ", map { $_->join } @t), "\n"'
    pre perl -e 'die "end\n"'
}
