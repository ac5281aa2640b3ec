/* Wrapped calls on sockets, pipes and files; see block.h.
 *
 * With a timeout set on the socket the kernel does not restart them after a signal handler; and a write to a
 * pipe or socket that had already moved some bytes would come back short, which few programs expect where
 * nothing else interrupts them.
 */
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
#include "api/block.h"

/* What programs call that were compiled with _FORTIFY_SOURCE. */
EXPORT ssize_t __read_chk(int fd, void *buf, size_t n, size_t buf_bytes);
EXPORT ssize_t __recv_chk(int fd, void *buf, size_t n, size_t buf_bytes, int flags);
EXPORT ssize_t __recvfrom_chk(int fd, void *buf, size_t n, size_t buf_bytes, int flags, __SOCKADDR_ARG from,
                              socklen_t *from_len);

BLOCK_CALL(int, accept, (int fd, __SOCKADDR_ARG peer, socklen_t *peer_len), (fd, peer, peer_len))
BLOCK_CALL(int, accept4, (int fd, __SOCKADDR_ARG peer, socklen_t *peer_len, int flags),
           (fd, peer, peer_len, flags))
/* Called again it would say EALREADY. The kernel restarts it by itself, unless the socket has a time-out. */
BLOCK(int, connect, (int fd, __CONST_SOCKADDR_ARG peer, socklen_t peer_len), (fd, peer, peer_len),
      block_missing(), false)

BLOCK_CALL(ssize_t, recv, (int fd, void *buf, size_t n, int flags), (fd, buf, n, flags))
BLOCK_CALL(ssize_t, __recv_chk, (int fd, void *buf, size_t n, size_t buf_bytes, int flags),
           (fd, buf, n, buf_bytes, flags))
BLOCK_CALL(ssize_t, recvfrom, (int fd, void *buf, size_t n, int flags, __SOCKADDR_ARG from,
            socklen_t *from_len),
           (fd, buf, n, flags, from, from_len))
BLOCK_CALL(ssize_t, __recvfrom_chk,
           (int fd, void *buf, size_t n, size_t buf_bytes, int flags, __SOCKADDR_ARG from,
            socklen_t *from_len),
           (fd, buf, n, buf_bytes, flags, from, from_len))
BLOCK_CALL(ssize_t, recvmsg, (int fd, struct msghdr *msg, int flags), (fd, msg, flags))
BLOCK_CALL(int, recvmmsg, (int fd, struct mmsghdr *msgs, unsigned n, int flags, struct timespec *timeout),
           (fd, msgs, n, flags, timeout))

BLOCK_CALL(ssize_t, send, (int fd, const void *buf, size_t n, int flags), (fd, buf, n, flags))
BLOCK_CALL(ssize_t, sendto,
           (int fd, const void *buf, size_t n, int flags, __CONST_SOCKADDR_ARG to, socklen_t to_len),
           (fd, buf, n, flags, to, to_len))
BLOCK_CALL(ssize_t, sendmsg, (int fd, const struct msghdr *msg, int flags), (fd, msg, flags))
BLOCK_CALL(int, sendmmsg, (int fd, struct mmsghdr *msgs, unsigned n, int flags), (fd, msgs, n, flags))

BLOCK_CALL(ssize_t, read, (int fd, void *buf, size_t n), (fd, buf, n))
BLOCK_CALL(ssize_t, __read_chk, (int fd, void *buf, size_t n, size_t buf_bytes), (fd, buf, n, buf_bytes))
BLOCK_CALL(ssize_t, readv, (int fd, const struct iovec *parts, int n), (fd, parts, n))
BLOCK_CALL(ssize_t, write, (int fd, const void *buf, size_t n), (fd, buf, n))
BLOCK_CALL(ssize_t, writev, (int fd, const struct iovec *parts, int n), (fd, parts, n))
