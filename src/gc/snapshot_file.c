/* The output of a snapshot: JSON through a buffer; see snapshot_file.h. */
#include "gc/snapshot_file.h"

#include "os/os.h"

enum { FILE_ROOM = 512 };

struct snapshot_file file;

void file_begin(int fd)
{
    file = (struct snapshot_file){.f = fmt_init(snapshot.out, SNAPSHOT_OUT_BYTES), .fd = fd};
}

uint64_t file_position(void)
{
    return file.n_written + file.f.len;
}

void file_flush(void)
{
    if (!file.is_failed && os_write_all(file.fd, file.f.buf, file.f.len) != 0)
        file.is_failed = true;
    file.n_written += file.f.len;
    file.f.len = 0;
}

static void file_room(void)
{
    if (file.f.cap - file.f.len < FILE_ROOM)
        file_flush();
}

void file_text(const char *text)
{
    file_room();
    fmt_str(&file.f, text);
}

void file_number(uint64_t value)
{
    file_room();
    if (!file.is_first)
        fmt_char(&file.f, ',');
    file.is_first = false;
    fmt_u64(&file.f, value);
}

void file_end_row(void)
{
    fmt_char(&file.f, '\n');
}

/* What JSON cannot hold as it is becomes a question mark. */
void file_string(const char *text)
{
    file_text(file.is_first ? "\"" : ",\n\"");
    file.is_first = false;
    for (; *text != '\0'; text++) {
        file_room();
        bool is_plain = *text >= ' ' && *text < 127 && *text != '"' && *text != '\\';
        fmt_char(&file.f, is_plain ? *text : '?');
    }
    fmt_char(&file.f, '"');
}

void file_begin_array(const char *head)
{
    file_text(head);
    file.is_first = true;
}
