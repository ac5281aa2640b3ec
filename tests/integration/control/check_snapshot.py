"""usage: check_snapshot.py SNAPSHOT BYTES RECORDED

The whole file is JSON of the form that Chrome's developer tools read, and says of the heap what the heap says of itself: BYTES
in use. RECORDED: at least so many blocks have a trace, and no fewer than nine in ten of all; 0: none has.
"""
import json
import sys

META = {
    'node_fields': ['type', 'name', 'id', 'self_size', 'edge_count', 'trace_node_id', 'detachedness'],
    'edge_fields': ['type', 'name_or_index', 'to_node'],
    'trace_function_info_fields': ['function_id', 'name', 'script_name', 'script_id', 'line', 'column'],
    'trace_node_fields': ['id', 'function_info_index', 'count', 'size', 'children'],
    'sample_fields': ['timestamp_us', 'last_assigned_id'],
    'location_fields': ['object_index', 'script_id', 'line', 'column'],
}
# In this order the tools look for them, each behind the one before.
ORDER = ['"snapshot"', '"nodes"', '"edges"', '"trace_function_infos"', '"trace_tree"', '"samples"', '"locations"', '"strings"']


def no_duplicates(pairs):
    assert len({k for k, _ in pairs}) == len(pairs), 'a key is there twice'
    return dict(pairs)


def check_order(text):
    places = [text.index(key + ':') for key in ORDER]
    assert places == sorted(places), places


def check_head(d):
    assert set(d) == {key.strip('"') for key in ORDER}, set(d)
    meta = d['snapshot']['meta']
    for key, fields in META.items():
        assert meta[key] == fields, key
    assert len(meta['node_types']) == len(meta['node_fields'])
    assert len(meta['edge_types']) == len(meta['edge_fields'])
    for key in ('nodes', 'edges', 'trace_function_infos', 'samples', 'locations'):
        assert all(type(x) is int and 0 <= x < 2**53 for x in d[key]), key
    assert all(type(s) is str for s in d['strings'])
    assert len(d['nodes']) == 7 * d['snapshot']['node_count']
    assert len(d['edges']) == 3 * d['snapshot']['edge_count']
    assert len(d['trace_function_infos']) == 6 * d['snapshot']['trace_function_count']
    return meta


def check_nodes(d, types, n_bytes):
    n_strings = len(d['strings'])
    nodes = [d['nodes'][i:i + 7] for i in range(0, len(d['nodes']), 7)]
    n_groups = nodes[0][4]
    blocks = nodes[1 + n_groups:]
    assert len({node[2] for node in nodes}) == len(nodes), 'ids'
    assert all(0 < node[2] < 2**32 and node[1] < n_strings and node[6] == 0 for node in nodes)
    assert all(types[node[0]] == 'synthetic' and node[3] == 0 and node[5] == 0 for node in nodes[:1 + n_groups])
    assert all(types[node[0]] in ('object', 'native') and node[3] >= 16 for node in blocks)
    assert all(a[2] < b[2] for a, b in zip(blocks, blocks[1:])), 'blocks by address'
    assert all(16 * (b[2] - a[2]) >= a[3] for a, b in zip(blocks, blocks[1:])), 'blocks overlap'
    names = {node[1] for node in blocks}
    assert len({d['strings'][name] for name in names}) == len(names), 'equal names are one string: the tools take them for one kind'
    total = sum(node[3] for node in blocks)
    assert total == n_bytes, (total, n_bytes)
    return nodes, n_groups


def check_edges(d, nodes, n_groups, types):
    assert sum(node[4] for node in nodes) == d['snapshot']['edge_count']
    reached, at = {0}, 0
    out = []
    for i, node in enumerate(nodes):
        of_node = []
        for _ in range(node[4]):
            kind, name, to = d['edges'][at:at + 3]
            at += 3
            assert to % 7 == 0 and to // 7 < len(nodes)
            assert to != 0 and (i == 0) == (to // 7 <= n_groups), 'the root refers to groups, all others to blocks'
            if i <= n_groups:
                assert types[kind] == 'property' and name < len(d['strings'])
            else:
                assert types[kind] == 'element' and name + 8 <= node[3] and name % 4 == 0
            of_node.append(to // 7)
        if i == 0:
            assert of_node == list(range(1, 1 + n_groups)), 'each group once, in order'
        out.append(of_node)
    open_nodes = [0]
    while open_nodes:
        for to in out[open_nodes.pop()]:
            if to not in reached:
                reached.add(to)
                open_nodes.append(to)
    assert len(reached) == len(nodes), 'what no root reaches is not alive'


def check_traces(d, nodes, n_recorded):
    functions = [d['trace_function_infos'][i:i + 6] for i in range(0, len(d['trace_function_infos']), 6)]
    assert all(f[0] == i and f[1] < len(d['strings']) and f[2] < len(d['strings']) for i, f in enumerate(functions))
    with_trace = [node for node in nodes if node[5] != 0]
    if n_recorded == 0:
        assert not functions and not d['trace_tree'] and not with_trace
        return
    tree = {}

    def walk(children, parent):
        assert len(children) % 5 == 0
        for i in range(0, len(children), 5):
            number, function, count, size, below = children[i:i + 5]
            assert number not in tree and function < len(functions)
            tree[number] = [count, size]
            walk(below, number)

    assert len(d['trace_tree']) == 5 and d['trace_tree'][0] == 1, 'one root'
    walk(d['trace_tree'], 0)
    for node in with_trace:
        tree[node[5]][0] -= 1
        tree[node[5]][1] -= node[3]
    assert all(left == [0, 0] for left in tree.values()), 'counts of traces are those of their blocks'
    n_blocks = sum(node[3] != 0 for node in nodes)
    assert n_recorded <= len(with_trace) <= n_blocks and 10 * len(with_trace) >= 9 * n_blocks, (len(with_trace), n_blocks)


def main():
    with open(sys.argv[1], encoding='ascii') as f:
        text = f.read()
    check_order(text)
    d = json.loads(text, object_pairs_hook=no_duplicates)
    meta = check_head(d)
    nodes, n_groups = check_nodes(d, meta['node_types'][0], int(sys.argv[2]))
    check_edges(d, nodes, n_groups, meta['edge_types'][0])
    check_traces(d, nodes, int(sys.argv[3]))


main()
