/* Locale data, converters and the directory stream of libc, held by libc or through one opaque handle. */
#include <dirent.h>
#include <iconv.h>
#include <locale.h>
#include <wchar.h>
#include "trap.h"

static void churn(void)
{
    for (size_t size = 32; size < 40000; size = size * 3 / 2) {
        void *blocks[60];
        for (int i = 0; i < 60; i++)
            memset(blocks[i] = malloc(size), 0xee, size);
        for (int i = 0; i < 60; i++)
            free(blocks[i]);
    }
}

int main(void)
{
    TEST_CHECK(setlocale(LC_ALL, "C.UTF-8") != NULL || setlocale(LC_ALL, "C") != NULL);
    locale_t locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    iconv_t converter = iconv_open("UTF-16LE", "ISO-8859-15");
    DIR *dir = opendir("/proc/self/fd");
    TEST_CHECK(locale != (locale_t)0 && converter != (iconv_t)-1 && dir != NULL);
    static void *volatile other;
    other = trap_reveal(trap_new());
    for (int round = 0; round < 5; round++) {
        trap_verify();
        churn();
        char in[] = "text \xa4", out[100], *from = in, *to = out;
        size_t n_in = sizeof(in) - 1, n_out = sizeof(out);
        TEST_CHECK(iconv(converter, &from, &n_in, &to, &n_out) == 0 && to - out == 12 &&
                   memcmp(out + 10, "\xac\x20", 2) == 0);
        locale_t old = uselocale(locale);
        char text[32];
        snprintf(text, sizeof(text), "%.2f", 1.5);
        TEST_CHECK(strcmp(text, "1.50") == 0);
        uselocale(old);
        rewinddir(dir);
        TEST_CHECK(readdir(dir) != NULL);
        wchar_t wide[20];
        TEST_CHECK(mbstowcs(wide, "wide", 20) == 4);
    }
    TEST_CHECK(other != NULL);
    iconv_close(converter);
    closedir(dir);
    freelocale(locale);
    return 0;
}
