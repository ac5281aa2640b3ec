/* Runs one program once under one allocator and prints one line about it.
 *
 *   timed [-p LIBRARY] [-g OPTIONS] [-c CORES] [-t SECONDS] PROGRAM [ARG...]
 *   -> elapsed_ns,cpu_ns,maxrss_kib,status,checksum,metrics
 *
 * What: LD_PRELOAD and GCMALLOC are set in the child alone, so that the launcher is never measured on the
 *       allocator under test. Elapsed time is from before fork until the child is reaped; cpu and peak memory
 *       are the kernel's (wait4), descendants of the child included.
 * status: ok | exit:N | signal:N | timeout | no-checksum. Metrics are name=value joined by ';'.
 * Not here: rounds, comparing checksums, statistics (run, summary.awk). */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { OUTPUT_MAX_BYTES = 1 << 16, EXIT_USAGE = 2, EXIT_NO_EXEC = 127 };

struct request {
    const char *library;
    const char *options;
    unsigned n_cores; /* 0: all */
    unsigned limit_s;
    char **argv;
};

struct outcome {
    char output[OUTPUT_MAX_BYTES];
    size_t output_bytes;
    bool is_timed_out;
    uint64_t elapsed_ns;
    int status;
    struct rusage usage;
};

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void usage(void)
{
    fputs("usage: timed [-p LIBRARY] [-g OPTIONS] [-c CORES] [-t SECONDS] PROGRAM [ARG...]\n", stderr);
    exit(EXIT_USAGE);
}

static struct request request_parse(int argc, char **argv)
{
    struct request request = {.limit_s = 120};
    int opt = 0;
    while ((opt = getopt(argc, argv, "+p:g:c:t:")) != -1) {
        if (opt == 'p')
            request.library = optarg;
        else if (opt == 'g')
            request.options = optarg;
        else if (opt == 'c')
            request.n_cores = (unsigned)strtoul(optarg, NULL, 10);
        else if (opt == 't')
            request.limit_s = (unsigned)strtoul(optarg, NULL, 10);
        else
            usage();
    }
    if (optind == argc || request.limit_s == 0)
        usage();
    request.argv = argv + optind;
    return request;
}

/* Keeps the first n of the cores that we may use. */
static void cores_limit(unsigned n_cores)
{
    cpu_set_t allowed, chosen;
    CPU_ZERO(&chosen);
    if (n_cores == 0 || sched_getaffinity(0, sizeof allowed, &allowed) != 0)
        return;
    for (int core = 0; core < CPU_SETSIZE && n_cores > 0; core++) {
        if (CPU_ISSET(core, &allowed)) {
            CPU_SET(core, &chosen);
            n_cores--;
        }
    }
    sched_setaffinity(0, sizeof chosen, &chosen);
}

static void environment_set(const char *name, const char *value)
{
    if (value != NULL && *value != '\0')
        setenv(name, value, 1);
    else
        unsetenv(name);
}

/* A group of its own: a timeout must end the descendants too. */
static void child_run(const struct request *request, int output_fd)
{
    setpgid(0, 0);
    dup2(output_fd, STDOUT_FILENO);
    cores_limit(request->n_cores);
    environment_set("LD_PRELOAD", request->library);
    environment_set("GCMALLOC", request->options);
    execv(request->argv[0], request->argv);
    fprintf(stderr, "timed: %s: %s\n", request->argv[0], strerror(errno));
    _exit(EXIT_NO_EXEC);
}

/* Reads until every writer is gone or the time is up. What does not fit is thrown away. */
static void output_read(struct outcome *outcome, int fd, uint64_t deadline_ns)
{
    char rest[4096];
    for (;;) {
        uint64_t now = now_ns();
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        int wait_ms = now < deadline_ns ? (int)((deadline_ns - now) / 1000000) + 1 : 0;
        int n_ready = poll(&ready, 1, wait_ms);
        if (n_ready < 0 && errno == EINTR)
            continue;
        if (n_ready <= 0) {
            outcome->is_timed_out = true;
            return;
        }
        size_t room = sizeof outcome->output - 1 - outcome->output_bytes;
        ssize_t n = read(fd, room > 0 ? outcome->output + outcome->output_bytes : rest,
                         room > 0 ? room : sizeof rest);
        if (n <= 0)
            return;
        if (room > 0)
            outcome->output_bytes += (size_t)n;
    }
}

static void request_run(const struct request *request, struct outcome *outcome)
{
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) != 0)
        exit(EXIT_USAGE);
    uint64_t start_ns = now_ns();
    pid_t child = fork();
    if (child < 0)
        exit(EXIT_USAGE);
    if (child == 0)
        child_run(request, fds[1]);
    close(fds[1]);
    output_read(outcome, fds[0], start_ns + request->limit_s * UINT64_C(1000000000));
    if (outcome->is_timed_out)
        kill(-child, SIGKILL);
    while (wait4(child, &outcome->status, 0, &outcome->usage) < 0 && errno == EINTR)
        continue;
    outcome->elapsed_ns = now_ns() - start_ns;
}

static void status_format(const struct outcome *outcome, const char *checksum, char *text, size_t text_bytes)
{
    if (outcome->is_timed_out)
        snprintf(text, text_bytes, "timeout");
    else if (WIFSIGNALED(outcome->status))
        snprintf(text, text_bytes, "signal:%d", WTERMSIG(outcome->status));
    else if (WEXITSTATUS(outcome->status) != 0)
        snprintf(text, text_bytes, "exit:%d", WEXITSTATUS(outcome->status));
    else
        snprintf(text, text_bytes, checksum[0] == '-' ? "no-checksum" : "ok");
}

/* Picks "checksum X" and "metric N V" lines out of the output; other lines are the program's own affair. */
static void output_parse(char *output, char *checksum, size_t checksum_bytes, char *metrics,
                         size_t metrics_bytes)
{
    size_t used = 0;
    char *save = NULL;
    for (char *line = strtok_r(output, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save)) {
        char name[64], value[64];
        if (sscanf(line, "checksum %63s", value) == 1)
            snprintf(checksum, checksum_bytes, "%s", value);
        else if (sscanf(line, "metric %63s %63s", name, value) == 2 && used < metrics_bytes)
            used += (size_t)snprintf(metrics + used, metrics_bytes - used, "%s%s=%s", used > 0 ? ";" : "",
                                     name, value);
    }
}

static uint64_t timeval_ns(struct timeval time)
{
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_usec * 1000u;
}

int main(int argc, char **argv)
{
    static struct outcome outcome;
    static char metrics[4096] = "-";
    char checksum[64] = "-", status[32];
    struct request request = request_parse(argc, argv);
    request_run(&request, &outcome);
    output_parse(outcome.output, checksum, sizeof checksum, metrics, sizeof metrics);
    status_format(&outcome, checksum, status, sizeof status);
    uint64_t cpu_ns = timeval_ns(outcome.usage.ru_utime) + timeval_ns(outcome.usage.ru_stime);
    printf("%" PRIu64 ",%" PRIu64 ",%ld,%s,%s,%s\n", outcome.elapsed_ns, cpu_ns, outcome.usage.ru_maxrss,
           status, checksum, metrics);
    return 0;
}
