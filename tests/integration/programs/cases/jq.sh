# Filters over an array of 20000 objects, groups, sorts, an error.
needs="jq"
stress=100
case_setup() { seq 20000 | awk 'BEGIN{print "["} {printf "%s{\"id\":%d,\"name\":\"n%d\",\"tags\":[%d,%d]}\n",(NR>1?",":""),$1,$1*7%1009,$1%3,$1%7} END{print "]"}' >in.json; }
case_run() { pre jq -c '[group_by(.name)[] | {n: .[0].name, c: length, s: (map(.id) | add)}] | sort_by(-.s) | .[0:5]' "$work/in.json"; pre jq 'map(select(.tags[0] == 1) | .id) | length' "$work/in.json"; pre jq -r '.[] | [.id, .name] | @csv' "$work/in.json" | cksum; pre jq '.[0] | error("x")' "$work/in.json"; }
