#!/bin/bash
# Programs that people run, doing what people do with them: group `real` of `run`. build/bench/real/NAME is a link to this file for each
# NAME whose program is installed; work grows linearly with the only argument, and the checksum is one of all that the program writes.
# What:  single programs whose time is spent in their own code and in malloc: compilers, interpreters, databases. The shell and the tools
#        that write the input run under the same library, for a percent or two of the time.
# Not here: programs that bring an allocator of their own (php, tclsh, node, rustc), or are linked with one of the peers (redis).
# To add one: a function real_NAME that writes to stdout, and its name and program in CMakeLists.txt.
set -euo pipefail
shopt -s inherit_errexit
export LC_ALL=C PATH=/usr/bin:/bin
[[ $# -eq 1 && $1 =~ ^[1-9][0-9]{0,4}$ ]] || { echo 'bench: usage: PROGRAM SCALE (1..99999)' >&2; exit 2; }
scale=$1

c_source() { # c_source N: functions with loops, branches and calls
    awk -v n="$1" 'BEGIN {
        print "struct item { int key; double weight; struct item *next; char name[24]; };"
        for (i = 0; i < n; i++) {
            print "static int f" i "(struct item *p, int n) { int sum = " i "; for (int i = 0; i < n; i++) {"
            for (j = 0; j < 6; j++)
                print "if (p[i].key % " i + j + 3 " == " j ") sum += p[i].key * " j + i "; else p[i].weight *= 1." j ";"
            print "switch (p[i].name[0]) { case 1: sum ^= i; break; case 7: sum -= p->key; break; default: sum += n; }"
            print "} return sum" (i > 0 ? " + f" i - 1 "(p, n / 2)" : "") "; }"
        }
        print "int run(struct item *p, int n) { return f" n - 1 "(p, n); }"
    }'
}

cxx_source() { # cxx_source N: containers of N types, each used
    awk -v n="$1" 'BEGIN {
        print "#include <algorithm>\n#include <functional>\n#include <map>\n#include <string>\n#include <vector>\n"
        for (i = 0; i < n; i++) {
            print "struct T" i " { int key; std::string text; bool operator<(const T" i " &o) const { return key < o.key; } };"
            print "int use" i "(std::vector<T" i "> v, std::map<T" i ", std::vector<std::string>> m) {"
            print "std::sort(v.begin(), v.end()); for (auto &x : v) m[x].push_back(x.text + std::to_string(x.key));"
            print "std::function<int(int)> f = [&](int k) { return k + (int)m.size(); };"
            print "return f((int)v.size()) + (int)std::count_if(v.begin(), v.end(), [](const T" i " &x) { return x.key > " i "; }); }"
        }
    }'
}

real_gcc() { c_source $((scale * 8)) | gcc -O2 -S -x c -o - -; }
real_gxx() { cxx_source "$scale" | g++ -S -x c++ -o - -; }
real_clang() { cxx_source "$scale" | clang -S -x c++ -o - -; }

real_python() { # its own allocator of small objects left out
    PYTHONMALLOC=malloc PYTHONHASHSEED=0 python3 -S - "$scale" <<'TEXT'
import json, re, sys

class Node:
    def __init__(self, key):
        self.key, self.left, self.right = key, None, None

def insert(root, key):
    while root.key != key:
        side = "left" if key < root.key else "right"
        child = getattr(root, side)
        if child is None:
            setattr(root, side, Node(key))
            return
        root = child

for turn in range(int(sys.argv[1])):
    words = ["w%d" % (i * 7919 % 4001) for i in range(12000)]
    counts = {}
    for word in words:
        counts[word] = counts.get(word, 0) + 1
    text = json.dumps([{"name": w, "count": n, "tags": [w[:2], w[1:]]} for w, n in sorted(counts.items())])
    again = json.loads(text)
    root = Node(2000)
    for item in again:
        insert(root, int(item["name"][1:]) * 31 % 4001)
    print(len(text), sum(len(m) for m in re.findall(r"w\d+", text)), sum(item["count"] for item in again))
TEXT
}

real_perl() {
    perl - "$scale" <<'TEXT'
for my $turn (1 .. $ARGV[0]) {
    my (%lists, @rows);
    for my $i (0 .. 14999) {
        my $key = "k" . ($i * 7919 % 3001);
        push @{$lists{$key}}, {id => $i, text => "text of $i" x (1 + $i % 3)};
    }
    for my $key (sort keys %lists) {
        push @rows, join ",", map { $_->{id} . ":" . length $_->{text} } @{$lists{$key}};
    }
    my $all = join "\n", @rows;
    (my $other = $all) =~ s/(\d+):(\d+)/$2-$1/g;
    print length($all), " ", length($other), " ", scalar(my @found = $other =~ /-\d*7\b/g), "\n";
}
TEXT
}

real_sqlite() {
    awk -v n=$((scale * 5000)) 'BEGIN {
        print "create table t(id integer primary key, grp integer, name text); create table u(t_id integer, body text); begin;"
        for (i = 0; i < n; i++) {
            printf "insert into t values(%d, %d, \"name %d\");\n", i, i * 7919 % 997, i * 31 % 10007
            if (i % 3 == 0)
                printf "insert into u values(%d, \"a body of some length for %d\");\n", i * 13 % n, i
        }
        print "commit; create index t_grp on t(grp, name); create index u_t on u(t_id);"
        print "select grp, count(*), max(name) from t group by grp order by 2 desc, 1;"
        print "select t.name, u.body from t join u on u.t_id = t.id where t.grp < 50 order by u.body limit 500;"
        print "update t set name = name || id where grp % 7 = 3; delete from u where t_id % 5 = 0; select sum(length(name)) from t;"
    }' | sqlite3 :memory:
}

real_gawk() {
    gawk -v n=$((scale * 25000)) 'BEGIN {
        for (i = 0; i < n; i++) {
            word = "w" (i * 7919 % 20011)
            seen[word]++
            last[word, i % 5] = substr(word, 2) "-" i
        }
        for (word in seen)
            line[++m] = word " " seen[word] " " last[word, 3]
        asort(line)
        for (i = 1; i <= m; i++) {
            split(line[i], part, " ")
            total += part[2] + length(gensub(/[0-9]+/, "<&>", "g", line[i]))
        }
        print m, total
    }'
}

real_jq() {
    jq -n -c "[range($((scale * 6000))) | {id: ., name: \"n\(. * 7919 % 5003)\", tags: [tostring, (. % 7 | tostring)]}]
        | group_by(.name) | map({name: .[0].name, ids: map(.id), tags: (map(.tags) | add | unique | join(\"+\"))}) | sort_by(.ids | length)"
}

real_xmllint() {
    awk -v n=$((scale * 6000)) 'BEGIN {
        print "<list>"
        for (i = 0; i < n; i++)
            printf "<item id=\"%d\" kind=\"k%d\"><name>item %d</name><text>some <b>bold</b> words of %d</text></item>\n", i, i % 17, i, i * 31
        print "</list>"
    }' | xmllint --format -
}

real_git() {
    local dir
    dir=$(mktemp -d)
    # shellcheck disable=SC2064
    trap "rm -rf '$dir'" EXIT
    export HOME=$dir GIT_CONFIG_NOSYSTEM=1
    git init -q --bare "$dir/r"
    awk -v n=$((scale * 40)) 'BEGIN {
        for (i = 1; i <= n; i++) {
            printf "commit refs/heads/main\ncommitter a <a@b> %d +0000\ndata 10\nchange %03d\n", 1600000000 + i, i % 1000
            text = ""
            for (j = 0; j < 60; j++)
                text = text "line " j " of " (j % 9 == i % 9 ? i : 0) "\n"
            printf "M 100644 inline dir%d/file%d\ndata %d\n%s\n", i % 5, i % 37, length(text), text
        }
    }' | git -C "$dir/r" fast-import --quiet
    git -C "$dir/r" log -p --stat main
    git -C "$dir/r" rev-list --objects main | git -C "$dir/r" pack-objects --stdout --threads=2 -q >/dev/null
    git -C "$dir/r" blame -s main -- dir1/file1
}

sum=$("real_${0##*/}" | cksum)
printf 'checksum %016x\n' "${sum%% *}"
