/* Text of any length to a file descriptor, through a buffer; addresses in words.
 *
 * Callers  outside malloc and critical sections.
 * Not here  lines for people, which handlers may write too: out.h.
 */
#ifndef API_FINDINGS_OUT_H
#define API_FINDINGS_OUT_H

#include <stddef.h>
#include <stdint.h>
#include "base/fmt.h"
#include "os/symbols.h"

enum {
    FINDINGS_BUFFER = 8192,
    FINDINGS_ROOM = 5120, /* for one place: a path, a symbol, and what is between them */
    FINDINGS_SYMBOL_MAX = 512,
};

/* In a handler of ours nothing may lock or call the program's libraries; and this struct is too large for its stack. */
enum findings_where { FINDINGS_AT_EASE, FINDINGS_IN_HANDLER };

struct findings_out {
    int fd;
    int error; /* of the first write that failed, 0 none */
    enum findings_where where;
    struct os_symbols symbols;
    struct fmt f;
    char buffer[FINDINGS_BUFFER];
    char symbol[FINDINGS_SYMBOL_MAX]; /* of the last place, where it had to be made, or cut */
};
void findings_out_init(struct findings_out *out, int fd, enum findings_where where);
/* The text to append to; at least FINDINGS_ROOM bytes fit. */
struct fmt *findings_out_text(struct findings_out *out);
int findings_out_finish(struct findings_out *out); /* 0, or the error as a positive errno value. Not to be left out */

/* The program's path: in the constructor where findings are wanted, in case it cannot be read later; else when they are. */
void findings_init(void);

/* What an address is called. */
struct findings_place {
    const char *module; /* path; "" unknown */
    uintptr_t offset;   /* in the module, for addr2line; the address itself where the module is unknown */
    const char *symbol; /* "" unknown */
};
/* pc: a return address: the place is that of the call. The symbol comes from the module's file, static functions included, C++
 * names readable where that can be done; valid until the next call. */
struct findings_place findings_place(struct findings_out *out, uintptr_t pc);
/* The same without the symbol: also inside malloc. */
struct findings_place findings_place_nolock(uintptr_t pc);

#endif
