import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.IntStream;
import java.util.zip.GZIPInputStream;
import java.util.zip.GZIPOutputStream;

/** Work whose output does not depend on timing. */
public class JavaWork {
    static long load(int n) {
        var map = new HashMap<String, List<Integer>>();
        for (int i = 0; i < 50000; i++) map.computeIfAbsent("k" + (i * 7919 + n) % 3001, k -> new ArrayList<>()).add(i);
        return map.values().stream().mapToLong(l -> l.size() * (long) l.get(0)).sum();
    }

    static String zip(int n) throws Exception {
        var out = new ByteArrayOutputStream();
        try (var gz = new GZIPOutputStream(out)) { for (int i = 0; i < 20000; i++) gz.write(("line " + i * n + "\n").getBytes()); }
        byte[] back = new GZIPInputStream(new ByteArrayInputStream(out.toByteArray())).readAllBytes();
        byte[] sum = MessageDigest.getInstance("SHA-1").digest(back);
        return back.length + ":" + (sum[0] & 255);
    }

    static long direct(int n) { // direct buffers are malloc's
        long sum = 0;
        var kept = new ArrayList<ByteBuffer>();
        for (int i = 0; i < 200; i++) {
            var b = ByteBuffer.allocateDirect(20000 + i * n);
            b.putLong(800, i);
            kept.add(b);
            if (kept.size() > 50) kept.clear();
        }
        for (var b : kept) sum += b.getLong(800);
        return sum;
    }

    public static void main(String[] args) throws Exception {
        ExecutorService pool = Executors.newFixedThreadPool(8);
        var futures = new ArrayList<Future<String>>();
        for (int n = 1; n <= 32; n++) {
            final int k = n;
            futures.add(pool.submit((Callable<String>) () -> load(k) + "/" + zip(k) + "/" + direct(k)));
        }
        for (var f : futures) System.out.println(f.get());
        pool.shutdown();
        System.out.println(IntStream.range(0, 1000000).parallel().mapToLong(i -> i % 7).sum());
        var p = new ProcessBuilder("sort", "-r").start();
        p.getOutputStream().write("a\nc\nb\n".getBytes());
        p.getOutputStream().close();
        System.out.println(new String(p.getInputStream().readAllBytes()).replace('\n', ' ') + p.waitFor());
        try { recurse(0); } catch (StackOverflowError e) { System.out.println("overflow caught"); }
        try { Object o = null; o.hashCode(); } catch (NullPointerException e) { System.out.println("null caught"); }
        System.gc();
        var threads = new ArrayList<Thread>();
        for (int i = 0; i < 100; i++) { var t = new Thread(() -> load(3)); t.start(); threads.add(t); }
        for (var t : threads) t.join();
        System.out.println("end");
    }

    static int recurse(int n) { return recurse(n + 1) + 1; }
}
