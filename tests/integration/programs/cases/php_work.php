<?php
// Work for php whose output does not depend on timing.
$h = [];
for ($i = 0; $i < 100000; $i++) $h["k" . ($i * 7919 % 3001)][] = "v$i";
ksort($h);
echo count($h), " ", array_key_first($h), " ", count($h["k17"]), " ", md5(json_encode($h)), "\n";
function gen($n) { $x = ""; for ($i = 0; $i < $n; $i++) { $x .= chr(97 + $i % 26); yield $i => strrev($x); } }
foreach (gen(300) as $i => $s) if ($i % 60 == 0) echo $i, " ", crc32($s), "\n";
class Node { public $other; public $data; function __construct(public int $n) { $this->data = str_repeat("x", $n % 100); } }
for ($i = 0; $i < 20000; $i++) { $a = new Node($i); $b = new Node($i + 1); $a->other = $b; $b->other = $a; }
echo gc_collect_cycles() >= 0 ? "collected\n" : "no\n";
$text = implode(" ", array_map(fn($i) => "item$i=" . ($i * 7919 % 1013), range(1, 20000)));
echo preg_match_all('/item(\d+)=(\d*7)\b/', $text), " ", strlen(preg_replace('/(\w+)=(\d+)/', '$2:$1', $text)), "\n";
function deep($n) { if ($n == 0) throw new RuntimeException("deep"); return deep($n - 1) . "x"; }
try { deep(2000); } catch (RuntimeException $e) { echo $e->getMessage(), " ", count($e->getTrace()), "\n"; }
$list = array_map(fn($i) => $i * 31 % 997, range(1, 50000)); sort($list); echo md5(serialize($list)), "\n";
echo strlen(gzcompress($text, 6)) > 0 ? md5(gzuncompress(gzcompress($text))) : "", "\n";
