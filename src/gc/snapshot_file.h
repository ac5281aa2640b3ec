/* The file of a snapshot as it is written, piece by piece, and the numbers of its strings. For snapshot_*.c, in the clone. */
#ifndef GC_SNAPSHOT_FILE_H
#define GC_SNAPSHOT_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "gc/snapshot_int.h"

/* ---- snapshot_file.c: JSON ---- */
struct snapshot_file {
    struct fmt f;
    int fd;
    uint64_t n_written; /* before what is in f */
    bool is_failed;
    bool is_first; /* of an array */
};
extern struct snapshot_file file;

void file_begin(int fd);
void file_flush(void);
uint64_t file_position(void);
void file_text(const char *text);
void file_number(uint64_t value); /* in an array */
void file_string(const char *text); /* in an array */
void file_end_row(void);
void file_begin_array(const char *head);

/* ---- snapshot_strings.c: all strings, and which is which ---- */
uint32_t string_of_group(size_t group);
uint32_t string_of_block(const struct span *s, uint32_t idx);
uint32_t string_of_site(const struct site *site); /* of its blocks */
uint32_t string_of_call(size_t rank); /* the function's; where the call lies comes next */
uint32_t string_of_root(size_t rank);
/* Roots in the order of their groups; fn gets the rank as well. */
void file_each_root(size_t group, size_t *rank, void (*fn)(const struct snapshot_root *r, size_t rank));
void file_strings(void);

#endif
