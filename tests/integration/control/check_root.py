"""usage: check_root.py SNAPSHOT GROUP ADDRESS: the group of roots of that name refers to the block at ADDRESS."""
import json, sys
path, group, address = sys.argv[1], sys.argv[2], int(sys.argv[3], 16)
with open(path) as f:
    d = json.load(f)
nodes, edges, strings = d['nodes'], d['edges'], d['strings']
wanted = (address - int(d['snapshot']['meta'].get('gcmalloc', d['snapshot'].get('gcmalloc'))['base'], 16)) // 16 + 1000
e = 3 * nodes[4]
for node in range(1, 1 + nodes[4]):
    n = nodes[7 * node + 4]
    if strings[nodes[7 * node + 1]] == group:
        assert wanted in [nodes[edges[e + 3 * i + 2] + 2] for i in range(n)], (group, hex(address))
        sys.exit(0)
    e += 3 * n
sys.exit('no group ' + group)
