/* Reads, writes, sockets without a time-out, files that cannot be opened yet and their locks, which the kernel restarts
 * after a handler with SA_RESTART; see eintr.h.
 *
 * With eintr.c, eintr_others.c and eintr_waits.c this is signal(7)'s list, both halves of it, but for getrandom and
 * io_getevents: see the limits in tests/README.md.
 */
#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include "eintr.h"

static int ends[2]; /* a pipe or a pair of sockets of the case's own */
static char byte;
static struct iovec one_byte = {&byte, 1};
static struct msghdr one_message = {.msg_iov = &one_byte, .msg_iovlen = 1};
static char bulk[1 << 20];
static struct iovec much = {bulk, sizeof(bulk)};

static void give_byte(void)
{
    TEST_CHECK(write(ends[1], "x", 1) == 1);
}

/* As much as is asked for: what was there before and all that the call writes. */
static void drain(void)
{
    static char text[65536];
    for (size_t n = sizeof(bulk); n > 0;) {
        ssize_t got = read(ends[0], text, sizeof(text));
        TEST_CHECK(got > 0);
        n -= (size_t)got < n ? (size_t)got : n;
    }
}

static void close_ends(void)
{
    int error = errno;
    close(ends[0]);
    close(ends[1]);
    errno = error;
}

static int on_pipe(void (*how)(void), int (*call)(void))
{
    TEST_CHECK(pipe(ends) == 0);
    int result = released_by(how, call);
    close_ends();
    return result;
}

static int on_sockets(void (*how)(void), int (*call)(void))
{
    TEST_CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    int result = released_by(how, call);
    close_ends();
    return result;
}

static int call_read(void)
{
    return expect(read(ends[0], &byte, 1), 1);
}

static int call_readv(void)
{
    return expect(readv(ends[0], &one_byte, 1), 1);
}

static int call_recv(void)
{
    return expect(recv(ends[0], &byte, 1, 0), 1);
}

static int call_recvfrom(void)
{
    return expect(recvfrom(ends[0], &byte, 1, 0, NULL, NULL), 1);
}

static int call_recvmsg(void)
{
    return expect(recvmsg(ends[0], &one_message, 0), 1);
}

/* With a time of its own, which the kernel looks at when something was received. */
static int call_recvmmsg(void)
{
    struct mmsghdr m = {.msg_hdr = one_message};
    struct timespec t = {.tv_sec = 60};
    return expect(recvmmsg(ends[0], &m, 1, 0, &t), 1);
}

static int call_write(void)
{
    return expect(write(ends[1], bulk, sizeof(bulk)), sizeof(bulk));
}

static int call_writev(void)
{
    return expect(writev(ends[1], &much, 1), sizeof(bulk));
}

static int call_send(void)
{
    return expect(send(ends[1], bulk, sizeof(bulk), 0), sizeof(bulk));
}

static int call_sendto(void)
{
    return expect(sendto(ends[1], bulk, sizeof(bulk), 0, NULL, 0), sizeof(bulk));
}

static int call_sendmsg(void)
{
    struct msghdr m = {.msg_iov = &much, .msg_iovlen = 1};
    return expect(sendmsg(ends[1], &m, 0), sizeof(bulk));
}

static int wait_read(void)
{
    return on_pipe(give_byte, call_read);
}

static int wait_readv(void)
{
    return on_pipe(give_byte, call_readv);
}

static int wait_recv(void)
{
    return on_sockets(give_byte, call_recv);
}

static int wait_recvfrom(void)
{
    return on_sockets(give_byte, call_recvfrom);
}

static int wait_recvmsg(void)
{
    return on_sockets(give_byte, call_recvmsg);
}

static int wait_recvmmsg(void)
{
    return on_sockets(give_byte, call_recvmmsg);
}

static int wait_write(void)
{
    return on_pipe(drain, call_write);
}

static int wait_writev(void)
{
    return on_pipe(drain, call_writev);
}

static int wait_send(void)
{
    return on_sockets(drain, call_send);
}

static int wait_sendto(void)
{
    return on_sockets(drain, call_sendto);
}

static int wait_sendmsg(void)
{
    return on_sockets(drain, call_sendmsg);
}

/* An address that the kernel chose: a family, NUL and five digits. */
static struct sockaddr_un address;
static const socklen_t address_len = sizeof(sa_family_t) + 6;
static int listener, client, taken;

static void listen_to_one(void)
{
    socklen_t len = sizeof(address);
    address = (struct sockaddr_un){.sun_family = AF_UNIX};
    listener = socket(AF_UNIX, SOCK_STREAM, 0);
    TEST_CHECK(listener >= 0 && bind(listener, (struct sockaddr *)&address, sizeof(sa_family_t)) == 0 &&
               listen(listener, 0) == 0 && getsockname(listener, (struct sockaddr *)&address, &len) == 0 &&
               len == address_len);
    client = socket(AF_UNIX, SOCK_STREAM, 0);
    taken = -1;
}

static void close_sockets(void)
{
    int error = errno;
    close(listener);
    close(client);
    close(taken);
    errno = error;
}

static void connect_client(void)
{
    TEST_CHECK(connect(client, (struct sockaddr *)&address, address_len) == 0);
}

static int call_accept(void)
{
    return (taken = accept(listener, NULL, NULL)) >= 0 ? 0 : -1;
}

static int call_accept4(void)
{
    return (taken = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0 ? 0 : -1;
}

static int wait_accept(void)
{
    listen_to_one();
    int result = released_by(connect_client, call_accept);
    close_sockets();
    return result;
}

static int wait_accept4(void)
{
    listen_to_one();
    int result = released_by(connect_client, call_accept4);
    close_sockets();
    return result;
}

/* The queue of the listener is full until somebody accepts. */
static void accept_first(void)
{
    TEST_CHECK(call_accept() == 0);
}

static int call_connect(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    int result = connect(fd, (struct sockaddr *)&address, address_len), error = errno;
    close(fd);
    errno = error;
    return result;
}

static int wait_connect(void)
{
    listen_to_one();
    connect_client();
    int result = released_by(accept_first, call_connect);
    close_sockets();
    return result;
}

static char path[256];

static void name_path(const char *what)
{
    const char *dir = getenv("TMPDIR");
    snprintf(path, sizeof(path), "%s/trap-eintr-%s-%d", dir != NULL ? dir : "/tmp", what, (int)getpid());
}

static int fifo_writer;

static void open_writer(void)
{
    fifo_writer = open(path, O_WRONLY);
}

static int call_open(void)
{
    int fd = open(path, O_RDONLY), error = errno;
    close(fd);
    errno = error;
    return fd >= 0 ? 0 : -1;
}

static int wait_open(void)
{
    name_path("fifo");
    TEST_CHECK(mkfifo(path, 0600) == 0);
    int result = released_by(open_writer, call_open), error = errno;
    close(fifo_writer);
    unlink(path);
    errno = error;
    return result;
}

static int inotify_fd;

static void make_file(void)
{
    int fd = open(path, O_CREAT | O_WRONLY, 0600);
    TEST_CHECK(fd >= 0);
    close(fd);
}

static int call_read_inotify(void)
{
    static char events[4096];
    return read(inotify_fd, events, sizeof(events)) > 0 ? 0 : -1;
}

static int wait_inotify(void)
{
    char dir[sizeof(path)];
    name_path("dir");
    TEST_CHECK(mkdir(path, 0700) == 0);
    memcpy(dir, path, sizeof(dir));
    TEST_CHECK(strlen(path) + 3 < sizeof(path));
    strcat(path, "/f");
    inotify_fd = inotify_init1(0);
    if (inotify_fd < 0)
        TEST_SKIP("no inotify");
    TEST_CHECK(inotify_add_watch(inotify_fd, dir, IN_CREATE) >= 0);
    int result = released_by(make_file, call_read_inotify), error = errno;
    close(inotify_fd);
    unlink(path);
    rmdir(dir);
    errno = error;
    return result;
}

/* ---- locks of files: another open file has them, or another process ---- */

static struct flock whole_file(short type)
{
    return (struct flock){.l_type = type, .l_whence = SEEK_SET};
}

static int lock_fd, lock_other_fd;

static void unlock_ofd(void)
{
    struct flock l = whole_file(F_UNLCK);
    TEST_CHECK(fcntl(lock_fd, F_OFD_SETLK, &l) == 0);
}

static int call_lock_ofd(void)
{
    struct flock l = whole_file(F_WRLCK);
    return fcntl(lock_other_fd, F_OFD_SETLKW, &l);
}

static void open_twice(void)
{
    name_path("lock");
    lock_fd = open(path, O_CREAT | O_RDWR, 0600);
    lock_other_fd = open(path, O_RDWR);
    TEST_CHECK(lock_fd >= 0 && lock_other_fd >= 0);
    unlink(path);
}

static void close_both(void)
{
    int error = errno;
    close(lock_fd);
    close(lock_other_fd);
    errno = error;
}

static int wait_fcntl_ofd(void)
{
    struct flock l = whole_file(F_WRLCK);
    open_twice();
    TEST_CHECK(fcntl(lock_fd, F_OFD_SETLK, &l) == 0);
    int result = released_by(unlock_ofd, call_lock_ofd);
    close_both();
    return result;
}

/* Waits for a child that has the lock, which it takes before it says so. */
static int wait_fcntl(void)
{
    struct flock l = whole_file(F_WRLCK);
    open_twice();
    TEST_CHECK(pipe(ends) == 0);
    pid_t child = fork();
    TEST_CHECK(child >= 0);
    if (child == 0) {
        struct timespec t = wait_time;
        if (fcntl(lock_fd, F_SETLK, &l) == 0 && write(ends[1], "x", 1) == 1)
            while (nanosleep(&t, &t) != 0)
                continue;
        _exit(0);
    }
    TEST_CHECK(read(ends[0], &byte, 1) == 1);
    int result = fcntl(lock_fd, F_SETLKW, &l), error = errno;
    TEST_CHECK(waitpid(child, NULL, 0) == child);
    errno = error;
    close_ends();
    close_both();
    return result;
}

static const struct eintr_case cases[] = {
    {"read", wait_read},
    {"readv", wait_readv},
    {"write", wait_write},
    {"writev", wait_writev},
    {"open", wait_open},
    {"accept", wait_accept},
    {"accept_four", wait_accept4},
    {"connect", wait_connect},
    {"recv", wait_recv},
    {"recvfrom", wait_recvfrom},
    {"recvmsg", wait_recvmsg},
    {"recvmmsg", wait_recvmmsg},
    {"send", wait_send},
    {"sendto", wait_sendto},
    {"sendmsg", wait_sendmsg},
    {"fcntl", wait_fcntl},
    {"fcntl_ofd", wait_fcntl_ofd},
    {"inotify", wait_inotify},
};

EINTR_MAIN(cases)
