/* Finding the library, and the environment that loads it into the command. */
#include "api/gcrun.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* By its soname, not by the file that it points to today: an upgrade must not break running children. */
static char *library_try(const char *dir, const char *more)
{
    char *joined = gcrun_format("%s/%s", dir, more);
    char *real = realpath(joined, NULL);
    char *lib = real ? gcrun_format("%s/" GCRUN_LIB_NAME, real) : NULL;
    free(joined);
    free(real);
    return lib && access(lib, R_OK) == 0 ? lib : NULL;
}

char *library_find(void)
{
    char self[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    char *lib = NULL;
    if (len > 0) {
        self[len] = 0;
        *strrchr(self, '/') = 0;
        lib = library_try(self, "");
        if (!lib)
            lib = library_try(self, GCRUN_LIB_RELATIVE);
    }
    if (!lib)
        lib = library_try(GCRUN_LIB_DIR, "");
    if (!lib)
        gcrun_fail(STATUS_FAILED, GCRUN_LIB_NAME " is neither beside gcrun nor in " GCRUN_LIB_DIR);
    if (strpbrk(lib, " :"))
        gcrun_fail(STATUS_FAILED, "LD_PRELOAD cannot name a path with a space or a colon: %s", lib);
    return lib;
}

static void environment_set(const char *name, const char *value)
{
    if (setenv(name, value, 1) != 0)
        gcrun_fail(STATUS_FAILED, "cannot set %s: %s", name, strerror(errno));
}

static bool preload_names(const char *preload, const char *lib)
{
    size_t len = strlen(lib);
    for (const char *p = preload; *p; p += strcspn(p, " :"), p += strspn(p, " :")) {
        if (strcspn(p, " :") == len && memcmp(p, lib, len) == 0)
            return true;
    }
    return false;
}

void environment_prepare(const char *lib, const char *settings)
{
    const char *preload = getenv("LD_PRELOAD");
    const char *inherited = getenv("GCMALLOC");
    if (!preload || !*preload)
        environment_set("LD_PRELOAD", lib);
    else if (!preload_names(preload, lib))
        environment_set("LD_PRELOAD", gcrun_format("%s:%s", lib, preload));
    if (*settings)
        environment_set("GCMALLOC",
                        inherited && *inherited ? gcrun_format("%s,%s", inherited, settings) : settings);
}
