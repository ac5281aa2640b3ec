"""Work for the interpreter whose output does not depend on timing."""
import ctypes
import gc
import hashlib
import json
import os
import random
import re
import subprocess
import sys
import threading
import zlib
from collections import OrderedDict, defaultdict, deque
from concurrent.futures import ThreadPoolExecutor


def threads():
    totals, lock = defaultdict(int), threading.Lock()

    def work(n):
        rng = random.Random(n)
        d = {}
        for i in range(4000):
            d[rng.randrange(1000)] = [str(i)] * rng.randrange(20)
        with lock:
            totals[n] += sum(len(v) for v in d.values())

    for _ in range(5):
        ts = [threading.Thread(target=work, args=(n,)) for n in range(8)]
        [t.start() for t in ts]
        [t.join() for t in ts]
    with ThreadPoolExecutor(6) as pool:
        shas = list(pool.map(lambda n: hashlib.sha256(b"x" * n * 1000).hexdigest(), range(100)))
    print("threads", sorted(totals.items()), hashlib.md5("".join(shas).encode()).hexdigest())


def forks():
    for n in range(10):
        r, w = os.pipe()
        pid = os.fork()
        if pid == 0:
            data = json.dumps({str(i): list(range(i % 50)) for i in range(2000)}, sort_keys=True)
            os.write(w, hashlib.md5(data.encode()).hexdigest().encode())
            os._exit(n)
        os.close(w)
        text = os.read(r, 100)
        os.close(r)
        print("fork", n, text.decode(), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


def database():
    try:
        import sqlite3
    except ImportError:
        return print("no sqlite3")
    db = sqlite3.connect(":memory:")
    db.execute("create table t (a integer primary key, b text, c real)")
    db.executemany("insert into t values (?, ?, ?)", ((i, "t%d" % (i % 997), i / 7) for i in range(50000)))
    db.create_function("twist", 1, lambda x: x[::-1])
    rows = db.execute("select twist(b), count(*), round(sum(c), 3) from t group by b order by 1 limit 5").fetchall()
    print("sqlite3", rows, db.execute("select count(*) from t where b like 't9%'").fetchone())


def foreign():
    libc = ctypes.CDLL(None)
    # Pointers as objects of ctypes, and as Python integers, of 30 bits a digit.
    libc.malloc.restype = libc.realloc.restype = libc.strdup.restype = ctypes.POINTER(ctypes.c_char)
    kept = []
    for i in range(2000):
        p = libc.malloc(ctypes.c_size_t(i))
        p = libc.realloc(p, ctypes.c_size_t(i * 2 + 1))
        p[i] = b"x"
        kept.append(p)
    for i, p in enumerate(kept):
        assert p[i] == b"x"
    libc.strdup.restype = ctypes.c_void_p
    numbers = [libc.strdup(b"text %d" % i) for i in range(3000)]
    assert all(ctypes.string_at(p) == b"text %d" % i for i, p in enumerate(numbers))
        libc.free(p)
    compare = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int))
    values = (ctypes.c_int * 1000)(*[i * 7919 % 1009 for i in range(1000)])
    libc.qsort(values, 1000, ctypes.sizeof(ctypes.c_int), compare(lambda a, b: a[0] - b[0]))
    s = libc.strdup(b"a string of libc")
    print("ctypes", list(values)[:5], list(values)[-5:], ctypes.string_at(s))
    libc.free(s)


def text():
    data = {"k%d" % i: [i, i / 3, None, {"x": "y" * (i % 30)}] for i in range(20000)}
    s = json.dumps(data)
    assert json.loads(s) == data
    print("json", len(s), zlib.crc32(s.encode()), len(zlib.decompress(zlib.compress(s.encode() * 3, 6))))
    print("re", len(re.findall(r'"k(\d*7)": \[(\d+), ([\d.e-]+)', s)), re.sub(r"(\d)(\d)", r"\2\1", s[:60]))


def processes():
    for cmd in (["sh", "-c", "echo out; echo err >&2; exit 5"], ["cat"], ["sort", "-n"]):
        r = subprocess.run(cmd, input=b"3\n1\n2\n", capture_output=True)
        print("subprocess", cmd[0], r.returncode, r.stdout, r.stderr)
    many = [subprocess.Popen(["true"]) for _ in range(20)]
    print("subprocess", [p.wait() for p in many])


def cycles():
    class Node:
        pass

    dead = []

    class Tail(Node):
        def __del__(self):
            dead.append(self.n)

    for n in range(3000):
        a, b = Tail(), Node()
        a.n, a.other, b.other = n, b, a
    gc.collect()
    print("gc", len(dead), sum(dead))
    q, o = deque(maxlen=1000), OrderedDict()
    for i in range(100000):
        q.append((i, str(i)))
        o[i % 5000] = q[0]
    print("containers", q[0], q[-1], len(o), next(iter(o.items())))


for step in (threads, forks, database, foreign, text, processes, cycles):
    step()
    sys.stdout.flush()
