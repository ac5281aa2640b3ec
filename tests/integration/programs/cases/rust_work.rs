// Work whose output does not depend on timing.
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::mpsc::{channel, sync_channel};
use std::sync::{Arc, Condvar, Mutex, RwLock};
use std::thread;
use std::time::Duration;

struct Node {
    key: u64,
    children: Vec<Box<Node>>,
}

fn tree(depth: u32, key: u64) -> Box<Node> {
    let children = if depth == 0 { Vec::new() } else { (1..4).map(|i| tree(depth - 1, key * 3 + i)).collect() };
    Box::new(Node { key, children })
}

fn sum(n: &Node) -> u64 {
    n.children.iter().fold(n.key, |s, c| s.wrapping_add(sum(c)))
}

fn words(seed: u64, n: usize) -> (usize, u64) {
    let mut x = seed;
    let mut map: HashMap<String, Vec<u32>> = HashMap::new();
    for i in 0..n {
        x = x.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        map.entry(format!("word{}", (x >> 33) % 997)).or_default().push(i as u32);
    }
    let sorted: BTreeMap<_, _> = map.iter().map(|(k, v)| (k.as_str(), v.len() as u64 * v[0] as u64)).collect();
    (sorted.len(), sorted.values().sum())
}

fn main() {
    // Messages through several threads; each owns what it got.
    let (out, results) = channel();
    let mut feeds = Vec::new();
    let mut threads = Vec::new();
    for t in 0..6u64 {
        let (feed, inbox) = sync_channel::<Box<Node>>(4);
        let out = out.clone();
        feeds.push(feed);
        threads.push(thread::Builder::new().name(format!("worker{}", t)).spawn(move || {
            for n in inbox {
                out.send((n.key, sum(&n), words(n.key + 1, 3000))).unwrap();
            }
            t
        }).unwrap());
    }
    drop(out);
    for i in 0..60u64 {
        feeds[(i % 6) as usize].send(tree(5, i)).unwrap();
    }
    drop(feeds);
    let mut all: Vec<_> = results.iter().collect();
    all.sort();
    println!("{} {:?} {:?}", all.len(), all[7], all[59]);
    println!("{}", threads.into_iter().map(|t| t.join().unwrap()).sum::<u64>());

    // Waiting for a while on a condition that comes late, beside threads that come and go.
    let pair = Arc::new((Mutex::new(0u32), Condvar::new()));
    let waiters: Vec<_> = (0..4).map(|_| {
        let pair = Arc::clone(&pair);
        thread::spawn(move || {
            let (lock, changed) = &*pair;
            let mut n = lock.lock().unwrap();
            while *n < 200 {
                n = changed.wait_timeout(n, Duration::from_secs(60)).unwrap().0;
            }
            *n
        })
    }).collect();
    let shared = Arc::new(RwLock::new(HashMap::new()));
    for i in 0..200u32 {
        let (shared, pair) = (Arc::clone(&shared), Arc::clone(&pair));
        thread::spawn(move || {
            shared.write().unwrap().insert(i, vec![i.to_string(); 50]);
            *pair.0.lock().unwrap() += 1;
            pair.1.notify_all();
        }).join().unwrap();
    }
    println!("{:?}", waiters.into_iter().map(|t| t.join().unwrap()).collect::<Vec<_>>());
    println!("{}", shared.read().unwrap().values().map(|v| v.iter().map(String::len).sum::<usize>()).sum::<usize>());

    // A panic in a thread, caught by join; one that unwinds through frames that own blocks.
    std::panic::set_hook(Box::new(|info| println!("panic at line {}", info.location().map_or(0, |l| l.line()))));
    let broken = thread::spawn(|| { let v: Vec<u32> = words(3, 10).1.to_string().bytes().map(u32::from).collect(); v[1000] });
    println!("{}", broken.join().is_err());
    println!("{}", std::panic::catch_unwind(|| { let _held = tree(4, 1); "x".parse::<u32>().unwrap() }).is_err());

    // Buffers that grow and shrink.
    let mut queue: VecDeque<Vec<u8>> = VecDeque::new();
    let mut total = 0usize;
    for i in 0..20000usize {
        let mut v = Vec::new();
        v.extend((0..i % 300).map(|b| b as u8));
        v.shrink_to_fit();
        queue.push_back(v);
        if queue.len() > 500 {
            total += queue.pop_front().unwrap().iter().map(|&b| b as usize).sum::<usize>();
        }
    }
    println!("{}", total);
    std::process::exit(5);
}
