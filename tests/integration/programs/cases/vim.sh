# vim in ex mode: substitution, global commands, macros, undo, its script language, syntax of a real file.
needs=""
stress=200
for vim in vim vim.basic vim.tiny vi; do command -v $vim >/dev/null && break; done
needs=$vim
case_setup() { seq 20000 | sed 's/.*/line & of the text, (&) and "quoted &"/' >text; }
case_run() {
    cp "$work/text" text
    pre "$vim" -u NONE -i NONE -n -e -s text <<'EX'
%s/\v(\d+)$/<\1>/e
%s/\vline (\d+)/\=1 ? 'row ' . submatch(1) : ''/ge
g/7,/m0
g/99/d
v/of/d
1,500!sort -r
%s/quoted/Q/g
undo
w
q
EX
    cksum <text
    pre "$vim" -u NONE -i NONE -n -e -s -c 'let d = {}' -c 'for i in range(20000) | let d["k" . (i % 997)] = get(d, "k" . (i % 997), []) + [i] | endfor' \
        -c 'call writefile(sort(map(items(d), "v:val[0] . len(v:val[1])")), "out")' -c 'qa!'
    [ ! -f out ] || cksum <out
    pre "$vim" -u NONE -i NONE -n -e -s -c 'cquit 3' text
}
