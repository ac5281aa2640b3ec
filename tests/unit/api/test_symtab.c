/* Names that are looked up without ld.so, compared with what ld.so says of the same library. */
#include "api/symtab.h"

#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>

#include <cmocka.h>

static const struct link_map *map_of(const char *part_of_name)
{
    for (const struct link_map *map = _r_debug.r_map; map != NULL; map = map->l_next)
        if (strstr(map->l_name, part_of_name) != NULL)
            return map;
    fail_msg("%s is not loaded", part_of_name);
    return NULL;
}

/* Symbols have no number but in the old form of the table: the names are taken until their texts lie elsewhere. */
static size_t n_symbols(const struct symtab *tab)
{
    return (size_t)((const ElfW(Sym) *)tab->texts - tab->symbols); /* every linker of ours puts the texts behind the symbols */
}

static bool is_plain_function(const struct symtab *tab, size_t i)
{
    return tab->symbols[i].st_shndx != SHN_UNDEF && (tab->symbols[i].st_info & 15) == STT_FUNC && tab->symbols[i].st_value != 0 &&
           (tab->versions == NULL || (tab->versions[i] & 0x8000) == 0);
}

/* Each function that the library defines is found where dlsym finds it. The number of them. */
static size_t compare_all(const char *library)
{
    const struct link_map *map = map_of(library);
    struct symtab tab = symtab_of(map);
    void *handle = dlopen(map->l_name, RTLD_LAZY | RTLD_NOLOAD);
    size_t n_compared = 0;

    assert_non_null(handle);
    assert_non_null(tab.names);
    for (size_t i = 1; i < n_symbols(&tab); i++) {
        const char *name = tab.texts + tab.symbols[i].st_name;
        uint32_t hash = symtab_hash(name);
        if (!is_plain_function(&tab, i))
            continue;
        assert_true(symtab_may_have(tab.names, hash));
        void *found = symtab_function(&tab, name, hash);
        if (found != dlsym(handle, name))
            fail_msg("%s of %s: %p, and by ld.so %p", name, library, found, dlsym(handle, name));
        n_compared++;
    }
    dlclose(handle);
    return n_compared;
}

static void test_each_function_of_a_library_is_where_ld_so_finds_it(void **state)
{
    (void)state;
    assert_true(compare_all("libc.so") > 1000);
    assert_true(compare_all("libm.so") > 100);
    assert_true(compare_all("libcmocka") > 20);
}

static void *find(const char *library, const char *name)
{
    struct symtab tab = symtab_of(map_of(library));
    return symtab_function(&tab, name, symtab_hash(name));
}

static void test_a_name_that_a_library_lacks_is_not_found(void **state)
{
    (void)state;
    assert_null(find("libc.so", "there_is_no_such_function"));
    assert_null(find("libc.so", ""));
    assert_null(find("libm.so", "malloc"));
    assert_null(find("libcmocka", "malloc")); /* it names it, and does not define it */
}

/* Most names that are not there are told by the filter: it is there to spare the search. */
static void test_the_filter_tells_most_names_that_are_not_there(void **state)
{
    const struct symtab_names *names = symtab_of(map_of("libc.so")).names;
    unsigned n_possible = 0;

    (void)state;
    for (unsigned i = 0; i < 1000; i++) {
        char name[32];
        snprintf(name, sizeof name, "no_function_%u", i);
        n_possible += symtab_may_have(names, symtab_hash(name));
    }
    assert_true(n_possible < 500);
}

static void test_what_is_no_plain_function_is_left_to_ld_so(void **state)
{
    (void)state;
    assert_null(find("libc.so", "environ"));    /* a variable */
    assert_null(find("libc.so", "GLIBC_2.17")); /* a version's name */
#if defined(__x86_64__)
    assert_non_null(dlsym(RTLD_DEFAULT, "memcpy"));
    assert_null(find("libc.so", "memcpy")); /* chosen by a function when it is loaded, and in an older version beside the one in force */
#endif
}

/* A library whose table is in another form may have any name, and no function of it is known. */
static void test_without_a_table_of_names_nothing_is_known(void **state)
{
    ElfW(Dyn) list[] = {{.d_tag = DT_SYMTAB}, {.d_tag = DT_STRTAB}, {.d_tag = DT_NULL}};
    struct link_map map = {.l_ld = list};

    (void)state;
    list[0].d_un.d_ptr = list[1].d_un.d_ptr = (uintptr_t)list;
    struct symtab tab = symtab_of(&map);
    assert_null(tab.names);
    assert_true(symtab_may_have(tab.names, symtab_hash("malloc")));
    assert_null(symtab_function(&tab, "malloc", symtab_hash("malloc")));
}

/* A table that would have to be divided by zero to be searched is none. */
static void test_an_empty_table_is_none(void **state)
{
    _Alignas(8) uint32_t names[8] = {0}; /* no bucket, no word of a filter */
    ElfW(Dyn) list[] = {{.d_tag = DT_GNU_HASH}, {.d_tag = DT_SYMTAB}, {.d_tag = DT_STRTAB}, {.d_tag = DT_NULL}};
    struct link_map map = {.l_ld = list, .l_addr = (uintptr_t)list - 65536};

    (void)state;
    list[0].d_un.d_ptr = (uintptr_t)names;
    list[1].d_un.d_ptr = list[2].d_un.d_ptr = (uintptr_t)list;
    assert_null(symtab_of(&map).names);
    names[0] = 1; /* a bucket, and still no filter */
    assert_null(symtab_of(&map).names);
    names[2] = 1;
    assert_ptr_equal(symtab_of(&map).names, names);
    names[0] = 0; /* a filter, and no bucket */
    assert_null(symtab_of(&map).names);
}

/* ld.so has added where the module lies to most addresses; where it has not, they are distances. */
static void expect_places(uintptr_t base)
{
    ElfW(Dyn) list[] = {{.d_tag = DT_SYMTAB}, {.d_tag = DT_STRTAB}, {.d_tag = DT_NULL}};
    struct link_map map = {.l_ld = list, .l_addr = base};

    list[0].d_un.d_ptr = base + 0x3a0; /* an address */
    list[1].d_un.d_ptr = 0x7060;       /* a distance */
    struct symtab tab = symtab_of(&map);
    assert_int_equal((uintptr_t)tab.symbols, base + 0x3a0);
    assert_int_equal((uintptr_t)tab.texts, base + 0x7060);
    assert_int_equal(tab.base, base);
}

/* valgrind puts programs at 0x108000, lower than a large one's size. */
static void test_places_are_found_whether_or_not_ld_so_has_moved_them(void **state)
{
    (void)state;
    expect_places(0x7f0123456000);
    expect_places(0x555555554000);
    expect_places(0x108000);
}

static void test_the_places_of_a_program_at_a_fixed_address_are_addresses(void **state)
{
    ElfW(Dyn) list[] = {{.d_tag = DT_SYMTAB}, {.d_tag = DT_STRTAB}, {.d_tag = DT_NULL}};
    struct link_map map = {.l_ld = list, .l_addr = 0};

    (void)state;
    list[0].d_un.d_ptr = 0x4003a0;
    list[1].d_un.d_ptr = 0x407060;
    struct symtab tab = symtab_of(&map);
    assert_int_equal((uintptr_t)tab.symbols, 0x4003a0);
    assert_int_equal((uintptr_t)tab.texts, 0x407060);
}

static void test_this_program_s_own_list_is_told(void **state)
{
    (void)state;
    assert_true(symtab_is_own(_r_debug.r_map)); /* the first is the program, which holds the file under test */
    assert_false(symtab_is_own(map_of("libc.so")));
}

/* The program, which holds the file under test, comes first: nobody is before it. */
static void test_the_only_library_that_has_a_name_is_found_among_all(void **state)
{
    static struct symtab_list list;

    (void)state;
    symtab_list_all(&list);
    assert_true(list.is_whole && list.own == 0 && list.n >= 4);
    for (size_t i = 0; i < list.n; i++)
        if (list.libraries[i].base == map_of("libc.so")->l_addr)
            list.own += i; /* so that the first one counts, too, and libc does not */
    assert_null(symtab_only_function(&list, "poll"));
    assert_true(symtab_others_may_have(&list, "_cmocka_run_group_tests", false));
    list.own = 0;
    assert_ptr_equal(symtab_only_function(&list, "poll"), dlsym(RTLD_DEFAULT, "poll"));
    assert_ptr_equal(symtab_only_function(&list, "_cmocka_run_group_tests"), dlsym(RTLD_DEFAULT, "_cmocka_run_group_tests"));
    assert_null(symtab_only_function(&list, "frexp")); /* libc's and libm's */
    assert_null(symtab_only_function(&list, "there_is_no_such_function"));
    assert_true(symtab_others_may_have(&list, "poll", false));
    assert_false(symtab_others_may_have(&list, "poll", true));
    list.is_whole = false; /* who is not listed may have any name, and comes behind */
    assert_true(symtab_others_may_have(&list, "there_is_no_such_function", false));
    assert_false(symtab_others_may_have(&list, "poll", true));
}

/* No name is looked up there. */
static void test_the_kernel_s_library_is_not_among_them(void **state)
{
    static struct symtab_list list;
    const uintptr_t kernels = getauxval(AT_SYSINFO_EHDR);
    size_t n_maps = 0;

    (void)state;
    for (const struct link_map *map = _r_debug.r_map; map != NULL; map = map->l_next)
        n_maps += kernels == 0 || map->l_addr != kernels;
    symtab_list_all(&list);
    assert_int_equal(list.n, n_maps);
    for (size_t i = 0; i < list.n; i++)
        assert_true(kernels == 0 || list.libraries[i].base != kernels);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_function_of_a_library_is_where_ld_so_finds_it),
        cmocka_unit_test(test_a_name_that_a_library_lacks_is_not_found),
        cmocka_unit_test(test_the_filter_tells_most_names_that_are_not_there),
        cmocka_unit_test(test_what_is_no_plain_function_is_left_to_ld_so),
        cmocka_unit_test(test_without_a_table_of_names_nothing_is_known),
        cmocka_unit_test(test_an_empty_table_is_none),
        cmocka_unit_test(test_places_are_found_whether_or_not_ld_so_has_moved_them),
        cmocka_unit_test(test_the_places_of_a_program_at_a_fixed_address_are_addresses),
        cmocka_unit_test(test_this_program_s_own_list_is_told),
        cmocka_unit_test(test_the_kernel_s_library_is_not_among_them),
        cmocka_unit_test(test_the_only_library_that_has_a_name_is_found_among_all),
    };
    if (dlopen("libm.so.6", RTLD_NOW) == NULL)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
