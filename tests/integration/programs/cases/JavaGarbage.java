import java.lang.ref.SoftReference;
import java.lang.ref.WeakReference;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CyclicBarrier;
import java.util.zip.Deflater;

/** Several threads that make garbage, for Java's own collectors; its output does not depend on timing. */
public class JavaGarbage {
    record Node(Node left, Node right, int n) {
        static Node of(int depth, int n) { return depth == 0 ? null : new Node(of(depth - 1, 2 * n), of(depth - 1, 2 * n + 1), n); }
        int sum() { return n + (left == null ? 0 : left.sum()) + (right == null ? 0 : right.sum()); }
    }

    static final ConcurrentHashMap<Integer, Long> sums = new ConcurrentHashMap<>();

    static void work(int t, CyclicBarrier barrier) {
        try {
            var kept = new ArrayList<Object>();
            long sum = 0;
            for (int round = 0; round < 6; round++) {
                barrier.await();
                for (int i = 0; i < 12; i++) {
                    Node tree = Node.of(11, i);
                    if (i % 4 == 0) kept.add(tree);
                    sum += tree.sum();
                    kept.add(new SoftReference<>(tree));
                    kept.add(new WeakReference<>(tree));
                }
                var direct = ByteBuffer.allocateDirect(100000 + t);
                var deflater = new Deflater(); // memory of malloc, given back by hand or by a cleaner
                deflater.setInput(new byte[50000]);
                deflater.finish();
                sum += deflater.deflate(direct);
                if (round % 2 == 0) deflater.end();
            }
            for (Object o : kept) if (o instanceof Node n) sum += n.sum();
            sums.put(t, sum);
        } catch (Exception e) { throw new RuntimeException(e); }
    }

    public static void main(String[] args) throws Exception {
        var barrier = new CyclicBarrier(6);
        var threads = new ArrayList<Thread>();
        for (int t = 0; t < 6; t++) { int k = t; threads.add(new Thread(() -> work(k, barrier))); }
        threads.forEach(Thread::start);
        for (Thread t : threads) t.join();
        System.gc();
        sums.forEach((t, sum) -> System.out.println(t + " " + sum));
        Runtime.getRuntime().addShutdownHook(new Thread(() -> System.out.println("end")));
        System.exit(3);
    }
}
