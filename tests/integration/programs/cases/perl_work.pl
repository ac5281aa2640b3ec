# Work for perl whose output does not depend on hash order or timing.
use strict;
use warnings;
$| = 1;

my (%count, @subs);
for my $i (1 .. 60_000) {
    my $word = join '', map { chr(97 + ($i * $_ * 31) % 26) } 1 .. 3 + $i % 5;
    push @{$count{$word}}, $i;
}
my @top = (sort { @{$count{$b}} <=> @{$count{$a}} || $a cmp $b } keys %count)[0 .. 9];
print "$_ ", scalar @{$count{$_}}, "\n" for @top;

push @subs, do { my $n = $_; sub { $n += shift // 0; $n } } for 1 .. 2000;
$_->(5) for @subs;
my $sum = 0;
$sum += $_->() for @subs;
print "closures $sum\n";

my $text = join ' ', map { "item$_=" . ($_ * 7919 % 1013) } 1 .. 20_000;
my $n = () = $text =~ /item(\d+)=(\d*7)\b/g;
(my $swapped = $text) =~ s/(\w+)=(\d+)/$2:$1/g;
print "regex $n ", length($swapped), " ", substr($swapped, 0, 40), "\n";
print "tr ", ($text =~ tr/0-9//), "\n";

for my $i (1 .. 5) {
    my $pid = open(my $from, '-|') // die "fork: $!";
    if (!$pid) { my %h = map { $_ => "v$_" } 1 .. 5000; print scalar(keys %h), " child $i\n"; exit $i }
    print <$from>;
    close $from;
    print "status ", $? >> 8, "\n";
}
eval { my @a = map { { name => "x" x $_ } } 1 .. 500; die { code => 42, list => \@a } };
print "died $@->{code} ", scalar @{$@->{list}}, "\n";
my ($a1, $b1) = ({}, {});
for (1 .. 3000) { my $x = { n => [1 .. 10] }; my $y = { x => $x }; $x->{y} = $y }    # cycles that perl itself leaks
print sprintf("%s\n", join ',', map { sprintf '%05.2f', sqrt } 1 .. 20);
print `echo from a shell`;
