/* A module for traps to dlopen: data, thread-local data (beyond what fits the static reserve), and calls into
 * libc. */
#include <stdlib.h>
#include <string.h>

static __thread void *local_slot;
static __thread char local_bulk[20000];
static void *bss_slot;
static void *data_slot = &bss_slot;

void module_store_local(void *block);
void *module_load_local(void);
void module_store_data(void *in_bss, void *in_data);
void *module_load_data(int in_data);
char *module_duplicate(const char *text);
void module_free(void *block);
void **module_new_cell(void);

void module_store_local(void *block)
{
    local_bulk[sizeof(local_bulk) - 1] = 1;
    local_slot = block;
}

void *module_load_local(void)
{
    return local_slot;
}

void module_store_data(void *in_bss, void *in_data)
{
    bss_slot = in_bss;
    data_slot = in_data;
}

void *module_load_data(int in_data)
{
    return in_data ? data_slot : bss_slot;
}

char *module_duplicate(const char *text)
{
    return strdup(text);
}

void module_free(void *block)
{
    free(block);
}

/* A block of whatever malloc the module finds. */
void **module_new_cell(void)
{
    return calloc(4, sizeof(void *));
}
