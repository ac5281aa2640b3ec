/* What only a collector asks the kernel. Part of the contract of storey os, with its rules (os.h).
 *
 * What    files of /proc by pieces, descriptors by kind, pages by residence. Nothing here changes anything.
 * Results as os_syscall's, unless said otherwise.
 */
#ifndef OS_PROBE_H
#define OS_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int os_probe_open(const char *path); /* to read */
long os_probe_read(int fd, void *buf, size_t len);
void os_probe_close(int fd);
enum { OS_PROBE_NO_FOLDER = -1 }; /* the path is absolute */
long os_probe_readlink(int folder_fd, const char *path, char *buf, size_t size);
/* The names in an open folder that are numbers (threads, descriptors), until fn returns false. -errno; else how many. */
long os_probe_numbers(int folder_fd, bool (*fn)(int number, void *ctx), void *ctx);
bool os_probe_is_uring(int fd); /* pre: fd is open */
bool os_probe_is_plain(int fd); /* a socket, a file or a folder, or only a name (O_PATH). pre: fd is open */
/* Device of memory files and shared anonymous memory of small pages, as in struct os_map; 0 unknown. */
uint64_t os_probe_shmem_device(void);
/* mincore: bit 0 of a byte for each page. For shared memory it knows the page cache, but not what is swapped out. */
int os_probe_resident(uintptr_t lo, size_t n_pages, unsigned char *pages);
bool os_probe_swap_in_use(void); /* anything of the whole system; true where unknown */
int os_probe_altstack(uintptr_t *lo); /* alternate signal stack of the calling thread; 0 none */

#endif
