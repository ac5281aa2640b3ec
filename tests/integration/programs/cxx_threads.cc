// Threads, exceptions in flight across frames and threads, thread_local objects, standard containers and
// streams.
//
// usage: cxx_threads threads rounds
// The output is a function of the arguments alone.
#include <atomic>
#include <condition_variable>
#include <deque>
#include <exception>
#include <future>
#include <iostream>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

namespace
{
std::atomic<long> locals_destroyed{0};

// Has a destructor, so that each thread registers it with libc on first use.
struct Local {
    std::map<int, std::string> seen;
    std::unique_ptr<std::vector<std::string>> words = std::make_unique<std::vector<std::string>>();
    ~Local()
    {
        size_t n = 0;
        for (auto &s : seen)
            n += s.second.size();
        if (n == seen.size() * 40)
            locals_destroyed++;
    }
};
thread_local Local local;
thread_local std::string name = "thread";

struct Failure : std::runtime_error {
    std::vector<std::string> trail;
    explicit Failure(const std::string &what) : std::runtime_error(what) {}
};

long descend(int depth, std::vector<std::string> path)
{
    path.push_back("level " + std::to_string(depth) + std::string(40, '.'));
    if (depth == 0) {
        Failure f("bottom of " + std::to_string(path.size()));
        f.trail = std::move(path);
        throw f;
    }
    auto guard = std::make_shared<std::string>(path.back());
    try {
        return descend(depth - 1, path) + static_cast<long>(guard->size());
    } catch (Failure &f) {
        f.trail.push_back(*guard); // allocates while an exception is in flight
        if (depth % 5 == 0)
            std::throw_with_nested(std::runtime_error("rethrown at " + std::to_string(depth)));
        throw;
    }
}

size_t nested_length(const std::exception &e)
{
    size_t n = std::string(e.what()).size();
    try {
        std::rethrow_if_nested(e);
    } catch (const std::exception &inner) {
        n += nested_length(inner);
    }
    return n;
}

// A queue of owning pointers: what one thread allocates another deletes.
class Queue
{
    std::mutex mutex;
    std::condition_variable filled;
    std::deque<std::unique_ptr<std::string>> items;

  public:
    void put(std::unique_ptr<std::string> item)
    {
        {
            std::lock_guard<std::mutex> lock(mutex);
            items.push_back(std::move(item));
        }
        filled.notify_one();
    }
    std::unique_ptr<std::string> take()
    {
        std::unique_lock<std::mutex> lock(mutex);
        filled.wait(lock, [this] { return !items.empty(); });
        auto item = std::move(items.front());
        items.pop_front();
        return item;
    }
};

size_t round_of(int thread, int round)
{
    name += std::to_string(thread);
    local.seen[round] = std::string(40, static_cast<char>('a' + round % 26));
    local.words->push_back(name);
    size_t sum = name.size();
    name.resize(6);
    try {
        descend(23, {});
    } catch (const std::exception &e) {
        sum += nested_length(e);
    }
    std::unordered_map<std::string, std::list<int>> table;
    for (int i = 0; i < 300; i++)
        table["key" + std::to_string(i * thread % 61)].push_back(i);
    std::ostringstream out;
    for (auto &entry : table)
        sum += entry.first.size() * entry.second.size();
    out << sum << ' ' << table.size();
    return sum + out.str().size();
}

size_t work(int thread, int rounds, Queue &from, Queue &to)
{
    size_t sum = 0;
    for (int r = 0; r < rounds; r++) {
        sum += round_of(thread, r);
        to.put(std::make_unique<std::string>(static_cast<size_t>(100 + r), 'x'));
        sum += from.take()->size();
    }
    return sum;
}
} // namespace

int main(int argc, char **argv)
{
    const int threads = argc > 1 ? std::stoi(argv[1]) : 4, rounds = argc > 2 ? std::stoi(argv[2]) : 100;
    std::vector<Queue> queues(static_cast<size_t>(threads));
    std::vector<std::thread> pool;
    std::vector<std::promise<size_t>> results(static_cast<size_t>(threads));
    for (int t = 0; t < threads; t++)
        pool.emplace_back([&, t] {
            auto &result = results[static_cast<size_t>(t)];
            try {
                result.set_value(work(t, rounds, queues[static_cast<size_t>(t)],
                                      queues[static_cast<size_t>((t + 1) % threads)]));
                if (t % 3 == 2)
                    throw Failure("thread " + std::to_string(t));
            } catch (const Failure &) {
                // the value is set already: only the unwinding matters
            }
        });
    for (auto &r : results)
        std::cout << r.get_future().get() << '\n';
    for (auto &t : pool)
        t.join();
    auto failing = std::async(std::launch::async, [] { return descend(30, {}); });
    try {
        failing.get();
    } catch (const std::exception &e) {
        std::cout << "async: " << e.what() << ' ' << nested_length(e) << '\n';
    }
    std::cout << "thread locals destroyed: " << locals_destroyed.load() << '\n';
    return 0;
}
