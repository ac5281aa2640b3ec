/* A word that is planted anywhere in the memory of the process is found, unless it lies where nothing of the process
 * can be. */
#include "roots_harness.h"

#include <sched.h>
#include <sys/mount.h>

/* ---- private memory ------------------------------------------------------------------------------------------ */

static uintptr_t in_data = 1;
static uintptr_t in_bss;
static __thread uintptr_t in_tls;

static void test_private_memory(void **state)
{
    char *p = map_private(8 * PAGE);
    volatile uintptr_t on_stack;
    char path[] = "/tmp/gcm-roots-XXXXXX";
    char page[PAGE];

    (void)state;
    plant(&in_data, 0);
    plant(&in_bss, 1);
    plant(&in_tls, 2);
    plant(&on_stack, 3);
    plant(p, 4);
    plant(p + 2 * PAGE - 8, 5);
    plant(p + 3 * PAGE, 6);
    plant(p + 5 * PAGE + 64, 7);
    assert_int_equal(mprotect(p + 3 * PAGE, PAGE, PROT_READ), 0);
    assert_int_equal(mprotect(p + 5 * PAGE, PAGE, PROT_NONE), 0);
    /* a file: what it holds is no root, what was written to a private copy is */
    int fd = mkstemp(path);
    memset(page, 0, sizeof(page));
    plant(page, 8);
    assert_int_equal(write(fd, page, PAGE), PAGE);
    assert_int_equal(write(fd, page, PAGE), PAGE);
    wipe(page, sizeof(page));
    char *file = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    assert_ptr_not_equal(file, MAP_FAILED);
    volatile char touched = file[0];
    (void)touched;
    memset(file + PAGE, 0, 64);
    plant(file + PAGE + 8, 9);
    assert_int_equal(scan(), SKIP_NONE);
    for (unsigned i = 0; i < 8; i++)
        assert_true(found[i] != 0);
    assert_true((found[3] & FOUND_BY_STACK) != 0);
    assert_int_equal(found[4] & FOUND_BY_STACK, 0);
    assert_int_equal(found[8], 0);
    assert_true(found[9] != 0);
    assert_true(roots_scanned_bytes() > 0);
    in_data = in_bss = in_tls = 0;
    munmap(p, 8 * PAGE);
    munmap(file, 2 * PAGE);
    close(fd);
    unlink(path);
}

/* A data segment of a file's page and zeroed ones, as a program has it that gave parts of it other permissions. */
static char *map_data(size_t n_pages)
{
    int fd = open("/proc/self/exe", O_RDONLY);
    char *p = mmap(NULL, n_pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    assert_ptr_not_equal(p, MAP_FAILED);
    assert_ptr_equal(mmap(p, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, fd, 0), p);
    close(fd);
    memset(p, 0, n_pages * PAGE);
    return p;
}

static void check_packed(char *p, size_t at, int protection, size_t protected_page, size_t n_pages)
{
    seed_complement -= 0x10000;
    plant(p + at, 0);
    assert_int_equal(mprotect(p + protected_page * PAGE, PAGE, protection), 0);
    assert_int_equal(scan(), SKIP_NONE);
    assert_true(found[0] != 0);
    assert_int_equal(mprotect(p, n_pages * PAGE, PROT_READ | PROT_WRITE), 0);
    wipe(p + at, sizeof(uintptr_t));
}

/* A packed structure may lie across any border: of the file's part and the zeroed one, of pages with other permissions. */
static void test_packed_words_in_data(void **state)
{
    enum { N_PAGES = 6 };
    static const int protections[] = {PROT_READ | PROT_WRITE, PROT_READ, PROT_NONE};
    char *p = map_data(N_PAGES);

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(protections); i++)
        for (size_t page = 1; page < 4; page++) {
            check_packed(p, page * PAGE + 4, protections[i], page, N_PAGES);
            check_packed(p, page * PAGE - 4, protections[i], page, N_PAGES);
            check_packed(p, (page + 1) * PAGE - 4, protections[i], page, N_PAGES);
        }
    munmap(p, N_PAGES * PAGE);
}

/* Read in pieces where it may not be read. */
static void test_packed_words_across_pieces(void **state)
{
    enum { N_PAGES = 40, PIECE_PAGES = 16 };
    char *p = map_data(N_PAGES);

    (void)state;
    for (unsigned i = 0; i < 2; i++)
        plant(p + (1 + (i + 1) * PIECE_PAGES) * PAGE - 4, i);
    assert_int_equal(mprotect(p + PAGE, (N_PAGES - 1) * PAGE, PROT_NONE), 0);
    assert_int_equal(scan(), SKIP_NONE);
    assert_true(found[0] != 0 && found[1] != 0);
    munmap(p, N_PAGES * PAGE);
}

static void test_sparse_reservations_are_cheap(void **state)
{
    const size_t size = (size_t)4 << 40;
    char *p = map_private(size);
    char *none = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    (void)state;
    plant(p + size / 2, 0);
    plant(p + size - 8, 1);
    assert_int_equal(scan(), SKIP_NONE);
    assert_true(found[0] != 0 && found[1] != 0);
    printf("scan beside 8 TiB of nothing: %llu us\n", (unsigned long long)last_ns / 1000);
    assert_true(last_ns < 500000000);
    munmap(p, size);
    munmap(none, size);
}

static void test_guard_pages(void **state)
{
    const int guard_install = 102;
    char *p = map_private(4 * PAGE);

    (void)state;
    plant(p, 0);
    plant(p + 3 * PAGE, 1);
    if (madvise(p + PAGE, PAGE, guard_install) != 0)
        skip();
    assert_int_equal(scan(), SKIP_NONE);
    assert_true(found[0] != 0 && found[1] != 0);
    munmap(p, 4 * PAGE);
}

/* A page that the processor does not let this thread read: its key is closed. The kernel reads it for us. */
static void test_page_closed_by_key(void **state)
{
    char *p = map_private(2 * PAGE);
    int key = pkey_alloc(0, PKEY_DISABLE_ACCESS);

    (void)state;
    if (key < 0)
        skip();
    plant(p, 0);
    plant(p + PAGE, 1);
    assert_int_equal(pkey_mprotect(p, PAGE, PROT_READ | PROT_WRITE, key), 0);
    assert_int_equal(scan(), SKIP_NONE);
    assert_true(found[0] != 0 && found[1] != 0);
    munmap(p, 2 * PAGE);
    pkey_free(key);
}

/* ---- shared memory ------------------------------------------------------------------------------------------- */

static void test_shared_memory(void **state)
{
    char deleted[] = "/tmp/gcm-roots-XXXXXX", named[] = "/tmp/gcm-roots-XXXXXX", shm[] = "/dev/shm/gcm-roots-XXXXXX";
    int memfd = memfd_create("roots", MFD_CLOEXEC), deleted_fd = mkstemp(deleted), named_fd = mkstemp(named);
    int shm_fd = mkstemp(shm);
    char *p[5] = {map_shared(-1, 4 * PAGE)};

    (void)state;
    int fds[] = {-1, memfd, deleted_fd, shm_fd, named_fd};
    for (size_t i = 1; i < 5; i++) {
        if (fds[i] < 0)
            skip();
        assert_int_equal(ftruncate(fds[i], 2 * PAGE), 0);
        p[i] = map_shared(fds[i], 4 * PAGE); /* half of it behind the end of the file */
    }
    unlink(deleted);
    for (unsigned i = 0; i < 5; i++)
        plant(p[i] + PAGE + 16, i);
    char *unreadable = map_shared(-1, 2 * PAGE);
    plant(unreadable + PAGE, 5);
    assert_int_equal(mprotect(unreadable, 2 * PAGE, PROT_NONE), 0);
    assert_int_equal(scan(), SKIP_NONE);
    for (unsigned i = 0; i < 4; i++)
        assert_true((found[i] & FOUND_BY_WORDS) != 0);
    assert_int_equal(found[4], 0);
    assert_true((found[5] & FOUND_BY_WORDS) != 0);
    for (size_t i = 0; i < 5; i++) {
        munmap(p[i], 4 * PAGE);
        if (fds[i] >= 0)
            close(fds[i]);
    }
    munmap(unreadable, 2 * PAGE);
    unlink(named);
    unlink(shm);
}

/* A failure to read says nothing of a page, but that there is none: where the kernel says so, and would not say so of any
 * page that is protected. Refused here by a filter: this process may read itself. */
static int refusal;

static bool scan_while_reading_is_refused(void)
{
    deny(SYS_pread64, (unsigned)refusal);
    return scan() == SKIP_FAULT;
}

static void check_while_reading_is_refused(void)
{
    static const int refusals[] = {EIO, EACCES, 0};

    for (size_t i = 0; i < N_ELEMENTS(refusals); i++) {
        refusal = refusals[i];
        in_child(scan_while_reading_is_refused);
    }
}

/* The first of all: that the kernel reads what is protected is asked once. */
static void test_shared_memory_that_nobody_may_read(void **state)
{
    char *p = map_shared(-1, PAGE);

    (void)state;
    plant(p + 8, 0);
    assert_int_equal(mprotect(p, PAGE, PROT_NONE), 0);
    check_while_reading_is_refused();
    assert_int_equal(scan(), SKIP_NONE);
    assert_true(found[0] != 0);
    munmap(p, PAGE);
    p = map_device(PAGE);
    plant(p + 8, 1);
    refusal = EACCES;
    in_child(scan_while_reading_is_refused);
    munmap(p, PAGE);
}

/* A full file system has no page for a hole, as there is none behind the end, but what lies between two holes is there. */
static bool scan_beside_holes(void)
{
    char path[] = "/tmp/gcm-roots-XXXXXX/full", *slash = strrchr(path, '/');
    char page[PAGE] = {0};
    int fds[2];

    *slash = '\0';
    if (mkdtemp(path) == NULL || unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("none", path, "tmpfs", 0, "size=64k") != 0)
        return rmdir(path) == 0; /* not root: nothing to be seen */
    *slash = '/';
    for (int i = 0; i < 2; i++) {
        fds[i] = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
        unlink(path);
    }
    if (ftruncate(fds[0], 3 * PAGE) != 0)
        return false;
    char *p = map_shared(fds[0], 4 * PAGE);
    plant(p + PAGE + 8, 0);
    while (write(fds[1], page, PAGE) == PAGE)
        continue;
    bool is_found = scan() == SKIP_NONE && found[0] != 0;
    mprotect(p, 4 * PAGE, PROT_NONE);
    is_found = is_found && scan() == SKIP_NONE && found[0] != 0;
    *slash = '\0';
    return umount2(path, MNT_DETACH) == 0 && rmdir(path) == 0 && is_found;
}

static void test_holes_are_not_the_end(void **state)
{
    (void)state;
    in_child(scan_beside_holes);
}

/* Who has one may be asked for pages of shared memory: nothing of it may be touched while that thread stands still. */
static void test_userfaultfd(void **state)
{
    const int user_mode_only = 1;
    int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | user_mode_only);

    (void)state;
    if (fd < 0)
        skip();
    assert_int_equal(scan(), SKIP_NONE);
    char *p = map_shared(-1, PAGE);
    assert_int_equal(scan(), SKIP_FAULT);
    munmap(p, PAGE);
    close(fd);
    assert_int_equal(scan(), SKIP_NONE);
}

/* Where the end of the file lies inside a chunk, what lies before it is found all the same. */
static void test_end_of_file_inside_a_chunk(void **state)
{
    char path[] = "/tmp/gcm-roots-XXXXXX";
    int fd = mkstemp(path);

    (void)state;
    unlink(path);
    assert_int_equal(ftruncate(fd, 2 * PAGE), 0);
    char *p = map_shared(fd, 4 * PAGE);
    plant(p + 64, 0);
    plant(p + PAGE + 64, 1);
    assert_int_equal(roots_exclude(p, 24), 0);
    assert_int_equal(scan(), SKIP_NONE);
    assert_true(found[0] != 0 && found[1] != 0);
    assert_int_equal(roots_remove(p, 24), 0);
    munmap(p, 4 * PAGE);
    close(fd);
}

/* Pages of a memory file belong to the file even where they are seen through a private mapping only. */
static void test_private_mapping_of_a_memory_file(void **state)
{
    int fd = memfd_create("roots", MFD_CLOEXEC);
    uintptr_t word;

    (void)state;
    plant(&word, 0);
    assert_int_equal(pwrite(fd, &word, sizeof(word), PAGE), sizeof(word));
    wipe(&word, sizeof(word));
    char *p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    assert_ptr_not_equal(p, MAP_FAILED);
    plant(p, 2);
    assert_int_equal(scan(), SKIP_NONE);
    assert_true(found[0] != 0 && found[2] != 0);
    munmap(p, 2 * PAGE);
    close(fd);
}

static char *inherited;

static bool finds_inherited(void)
{
    return scan() == SKIP_NONE && found[0] != 0;
}

/* What may be a device's registers is asked of the kernel, which refuses those: reading one may have effects. Here is a
 * file among the devices, which it does not refuse. */
static void test_private_mapping_among_devices(void **state)
{
    char path[] = "/dev/gcm-roots-XXXXXX";
    int fd = mkstemp(path);

    (void)state;
    if (fd < 0)
        skip();
    unlink(path);
    assert_int_equal(ftruncate(fd, 2 * PAGE), 0);
    char *p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    assert_ptr_not_equal(p, MAP_FAILED);
    plant(p + PAGE + 8, 0);
    assert_int_equal(scan(), SKIP_NONE);
    assert_true(found[0] != 0);
    assert_false(found_at[0] >= (uintptr_t)p && found_at[0] < (uintptr_t)p + 2 * PAGE);
    munmap(p, 2 * PAGE);
    close(fd);
}

/* The child's page tables say nothing about it. */
static void test_shared_memory_in_a_fork_child(void **state)
{
    (void)state;
    inherited = map_shared(-1, 2 * PAGE);
    plant(inherited, 0);
    in_child(finds_inherited);
    madvise(inherited, 2 * PAGE, MADV_DONTNEED);
    assert_true(finds_inherited());
    munmap(inherited, 2 * PAGE);
}

static void test_sparse_shared_memory_stays_sparse(void **state)
{
    const size_t size = (size_t)4 << 30;
    int fd = memfd_create("sparse", MFD_CLOEXEC);
    struct stat st;

    (void)state;
    assert_int_equal(ftruncate(fd, (off_t)size), 0);
    char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
    plant(p + size / 2, 0);
    assert_int_equal(scan(), SKIP_NONE);
    printf("scan beside 4 GiB of sparse shared memory: %llu us\n", (unsigned long long)last_ns / 1000);
    assert_true((found[0] & FOUND_BY_WORDS) != 0);
    fstat(fd, &st);
    assert_true(st.st_blocks * 512 < (1 << 20));
    munmap(p, size);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_shared_memory_that_nobody_may_read, next_seeds),
        cmocka_unit_test_setup(test_private_memory, next_seeds),
        cmocka_unit_test_setup(test_packed_words_in_data, next_seeds),
        cmocka_unit_test_setup(test_packed_words_across_pieces, next_seeds),
        cmocka_unit_test_setup(test_sparse_reservations_are_cheap, next_seeds),
        cmocka_unit_test_setup(test_guard_pages, next_seeds),
        cmocka_unit_test_setup(test_page_closed_by_key, next_seeds),
        cmocka_unit_test_setup(test_shared_memory, next_seeds),
        cmocka_unit_test_setup(test_holes_are_not_the_end, next_seeds),
        cmocka_unit_test_setup(test_userfaultfd, next_seeds),
        cmocka_unit_test_setup(test_end_of_file_inside_a_chunk, next_seeds),
        cmocka_unit_test_setup(test_private_mapping_of_a_memory_file, next_seeds),
        cmocka_unit_test_setup(test_private_mapping_among_devices, next_seeds),
        cmocka_unit_test_setup(test_shared_memory_in_a_fork_child, next_seeds),
        cmocka_unit_test_setup(test_sparse_shared_memory_stays_sparse, next_seeds),
    };

    return cmocka_run_group_tests(tests, setup_all, NULL);
}
