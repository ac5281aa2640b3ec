/* What the files of this storey share about the process. Not part of the contract. */
#ifndef OS_PROCESS_H
#define OS_PROCESS_H

#include <stddef.h>

/* Whole small file of /proc or /sys into buf, NUL-terminated: length, or -errno. A longer file is cut. */
long os_file_read(const char *path, char *buf, size_t buf_size);
void os_process_seen(void);               /* what a filter kept os_process_init from doing */
void os_vm_canary_create(void);           /* vm.c */
void os_vm_canary_rearm(void);            /* vm.c */
void os_stop_record_tls(void);            /* stop_handler.c: where os_tls lies relative to a thread's base */

#endif
