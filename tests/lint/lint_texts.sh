#!/bin/bash
# usage: lint_texts.sh ROOT
# Texts speak of the library and not of how it came to be: no folder of the machine it was written on, no number of a
# ticket, no name of a tool or person that took part, no note to self. A document that a text names exists.
# Patterns hold a class of one letter, so that they do not match themselves.
set -u
cd "$1" || exit 1
n_bad=0
patterns=(
    '(^|[^[:alnum:]_.-])/wor[k](/|[^[:alnum:]_-]|$)'
    'bash_job[s]'
    '/tm[p]/b-'
    '\b(issu[e]|ticke[t]|tas[k]) *#?[0-9]+'
    '\b(anthropi[c]|claud[e]|chatgp[t]|copilo[t]|opena[i])'
    '\b(language mode[l]|LL[M]|A[I] (mode[l]|agen[t]|assistan[t]))'
    '\b(th[e]|thi[s]|m[y]|ou[r]) (brie[f]|sessio[n]|workplac[e])\b'
    '\b(TOD[O]|FIXM[E]|XX[X])\b'
)
# Only the library's own text: build folders may lie beside it.
texts() {
    find CMakeLists.txt README.md LICENSE .gitignore .clang-format CMakePresets.json .github include src tests bench \
        -type f ! -name '*.csv' 2>/dev/null
}

n_files=$(texts | grep -c .)
for pattern in "${patterns[@]}"; do
    while IFS= read -r finding; do
        echo "$finding"
        n_bad=$((n_bad + 1))
    done < <(texts | tr '\n' '\0' | xargs -0 grep -InHiE -- "$pattern")
done

while IFS=: read -r file name; do
    [ -f "$name" ] || [ -f "$(dirname "$file")/$name" ] && continue
    echo "$file: names $name, which does not exist"
    n_bad=$((n_bad + 1))
done < <(texts | grep -vE '^tests/lint/|\.sh$' | tr '\n' '\0' | xargs -0 grep -IHoE '[[:alnum:]_./-]*[[:alnum:]_-]\.md\b' | sort -u)

echo "$n_files files, $n_bad findings"
[ "$n_bad" -eq 0 ] && [ "$n_files" -gt 0 ]
