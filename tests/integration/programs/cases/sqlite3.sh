# A million rows in a file, a fifth of it in memory: insert, index, group, join, delete, vacuum, integrity check.
needs="sqlite3"
stress=100
limit_s=120
case_run() {
    local db rows=1000000
    for db in rows.db :memory:; do
        pre sqlite3 "$db" <<SQL
PRAGMA journal_mode=MEMORY; PRAGMA synchronous=OFF; PRAGMA cache_size=-20000;
CREATE TABLE t (id INTEGER PRIMARY KEY, k TEXT, v REAL, b BLOB);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $rows)
INSERT INTO t SELECT i, 'k' || (i * 7919 % 10007), i / 7.0, CAST(printf('%.*c', i % 20, 'x') AS BLOB) FROM n;
CREATE INDEX t_k ON t(k);
SELECT count(*), count(DISTINCT k), round(sum(v), 2), sum(length(b)) FROM t;
SELECT k, count(*), group_concat(id) FROM t WHERE k GLOB 'k99*' GROUP BY k ORDER BY 1 LIMIT 5;
SELECT count(*) FROM t a JOIN t b ON a.k = b.k WHERE a.id < 200 AND b.v > 1000;
DELETE FROM t WHERE id % 3 = 0;
SELECT json_group_array(id) FROM (SELECT id FROM t ORDER BY k DESC, id LIMIT 20);
PRAGMA integrity_check; VACUUM; SELECT count(*) FROM t;
SQL
        rows=200000
    done
    pre sqlite3 rows.db 'SELECT nothing FROM nowhere'
    pre sqlite3 rows.db .dump | cksum
}
