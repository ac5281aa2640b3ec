/* Text for people, line by line to a descriptor: no stdio, no allocation, async-signal-safe. Longer texts, with addresses in
 * words: findings_out.h. */
#ifndef API_OUT_H
#define API_OUT_H

#include <stdint.h>
#include "base/fmt.h"

enum { OUT_LINE_MAX = 1200 };

struct out {
    int fd;
    struct fmt f;
    char line[OUT_LINE_MAX];
};
void out_init(struct out *o, int fd);
void out_end_line(struct out *o); /* writes it; what could not be written is lost */
void out_line(struct out *o, const char *text);
/* LABEL, padded to the column where the text beside it begins. */
void out_label(struct out *o, const char *label);
void out_right(struct out *o, uint64_t value, unsigned width);
void out_ms(struct out *o, uint64_t ns); /* with two decimals */

#endif
