/* gcrun: run a command under libgcmalloc, or ask a process that runs under it.
 *
 * What    options become settings in GCMALLOC, LD_PRELOAD gets the library, and the command is executed in gcrun's place:
 *         pid, signals and exit status are the command's own.
 * Status  125 gcrun itself failed, 126 the command cannot be run (so), 127 it was not found; else the
 *         command's own.
 * Options the library's own: names, bounds and help come from its table, which is linked in. A bad value, and an option
 *         that this library does not have, is told here, before the command runs.
 * Not here  the command: gcrun_command.c; the library: gcrun_library.c; --pid: gcrun_control.c;
 *         --analyze: gcrun_analyze.c.
 */
#include "api/gcrun.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/options.h"

#define GCRUN_PROFILE_FILE "heap.%p"

/* How an option of gcrun is written, and which settings it makes. */
enum gcrun_form {
    GCRUN_VALUE, /* --percent N: percent=N */
    GCRUN_FLAG,  /* --doctor: doctor=1 */
    GCRUN_FILE,  /* --trace[=FILE]: trace=1, and trace_file=FILE */
    GCRUN_PATH,  /* --snapshot=FILE: snapshot_file=FILE */
};
struct gcrun_option {
    const char *name;
    const char *key;      /* that tells what it means */
    const char *file_key; /* GCRUN_FILE */
    enum gcrun_form form;
};
static const struct gcrun_option gcrun_options[] = {
    {"trace", "trace", "trace_file", GCRUN_FILE},       {"stats", "stats", "stats_file", GCRUN_FILE},
    {"leaks", "leaks", "leaks_file", GCRUN_FILE},       {"profile", "profile", "profile_file", GCRUN_FILE},
    {"snapshot", "snapshot_file", NULL, GCRUN_PATH},    {"doctor", "doctor", NULL, GCRUN_FLAG},
    {"percent", "percent", NULL, GCRUN_VALUE},          {"limit", "limit", NULL, GCRUN_VALUE},
    {"mode", "mode", NULL, GCRUN_VALUE},                {"stress", "stress", NULL, GCRUN_VALUE},
};

void gcrun_fail(int status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("gcrun: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(status);
}

char *gcrun_format(const char *format, ...)
{
    char *text;
    va_list args;
    va_start(args, format);
    if (vasprintf(&text, format, args) < 0)
        gcrun_fail(STATUS_FAILED, "out of memory");
    va_end(args);
    return text;
}

/* ---- help ---------------------------------------------------------------------------------------------- */

static const struct option_row *gcrun_row(const char *key)
{
    return options_find(key, strlen(key));
}

static void gcrun_print_option(const struct gcrun_option *option)
{
    static const char *const forms[] = {
        [GCRUN_VALUE] = "=VALUE", [GCRUN_FLAG] = "", [GCRUN_FILE] = "[=FILE]", [GCRUN_PATH] = "=FILE"};
    const struct option_row *row = gcrun_row(option->key);
    if (row == NULL)
        return;
    printf("  --%s%s\n      ", option->name, forms[option->form]);
    for (const char *p = row->help; *p; p++) {
        if (*p != '`')
            putchar(*p);
    }
    putchar('\n');
}

static void gcrun_print_help(void)
{
    puts("usage: gcrun [option ...] [--] command [argument ...]\n"
         "       gcrun --pid PID report|stats|snapshot|collect|off [FILE]\n"
         "       gcrun --analyze SNAPSHOT [--why ADDRESS] [--diff OLDER]\n"
         "Run a command with libgcmalloc as its allocator: memory that it leaks is reclaimed. Ask a process that\n"
         "runs so. Say what holds the memory in a snapshot.\n");
    for (size_t i = 0; i < N_ELEMENTS(gcrun_options); i++)
        gcrun_print_option(&gcrun_options[i]);
    puts("  --version\n      print the version\n"
         "  --help\n      print this\n\n"
         "VALUE may be an argument of its own. These and more: GCMALLOC=key=value,... in gcmalloc(3).");
}

static void gcrun_tell(const char *arg)
{
    if (arg[2] == 'h')
        gcrun_print_help();
    else
        puts("gcrun " GCRUN_VERSION);
    exit(fflush(stdout) ? STATUS_FAILED : 0);
}

/* ---- arguments ----------------------------------------------------------------------------------------- */

static void settings_report(const char *line, size_t len, void *ctx)
{
    (void)ctx;
    fprintf(stderr, "gcrun: %.*s", (int)len, line);
}

/* The settings that the options ask for, as text for GCMALLOC, and as the library will read them. */
struct settings {
    char *text;
    struct options parsed;
};

static void settings_add(struct settings *s, const char *key, const char *value)
{
    if (strchr(value, ','))
        gcrun_fail(STATUS_FAILED, "a value cannot hold a comma: %s", value);
    if (!options_set(&s->parsed, key, value, settings_report, NULL))
        exit(STATUS_FAILED);
    char *more = gcrun_format("%s%s%s=%s", s->text, *s->text ? "," : "", key, value);
    free(s->text);
    s->text = more;
}

/* What is said at exit is the command's matter, not that of each process that it starts. */
static void settings_finish(struct settings *s)
{
    if (!s->parsed.stats && !s->parsed.doctor && !s->parsed.snapshot_file[0] && !s->parsed.leaks_file[0] &&
        !s->parsed.profile_file[0])
        return;
    char *pid = gcrun_format("%d", (int)getpid());
    settings_add(s, "report_pid", pid);
    free(pid);
}

/* What "--name" or "--name=value" names; *value is NULL without "=". */
static const struct gcrun_option *option_find(const char *arg, const char **value)
{
    const char *name = arg + strspn(arg, "-");
    size_t len = strcspn(name, "=");
    *value = name[len] ? name + len + 1 : NULL;
    for (size_t i = 0; name == arg + 2 && i < N_ELEMENTS(gcrun_options); i++) {
        const struct gcrun_option *option = &gcrun_options[i];
        if (strlen(option->name) != len || strncmp(option->name, name, len) != 0)
            continue;
        if (gcrun_row(option->key) == NULL || (option->file_key != NULL && gcrun_row(option->file_key) == NULL))
            gcrun_fail(STATUS_FAILED, "option --%s: this library has no %s", option->name, option->key);
        return option;
    }
    gcrun_fail(STATUS_FAILED, "unknown option %s (--help lists them)", arg);
}

static void option_apply_flag(const struct gcrun_option *option, const char *value, struct settings *s)
{
    if (value && option->form == GCRUN_FLAG)
        gcrun_fail(STATUS_FAILED, "option --%s takes no value", option->name);
    bool is_profile = strcmp(option->key, "profile") == 0; /* 1 would sample every allocation */
    settings_add(s, option->key, is_profile ? "on" : "1");
    if (!value && is_profile)
        value = GCRUN_PROFILE_FILE; /* nobody reads one on a terminal */
    if (value)
        settings_add(s, option->file_key, value);
}

static int option_apply(char **argv, int i, struct settings *s)
{
    const char *value;
    const struct gcrun_option *option = option_find(argv[i], &value);
    if (option->form == GCRUN_FLAG || option->form == GCRUN_FILE) {
        option_apply_flag(option, value, s);
        return i + 1;
    }
    if (!value)
        value = argv[++i];
    if (!value)
        gcrun_fail(STATUS_FAILED, "option --%s needs a value", option->name);
    settings_add(s, option->key, value);
    return i + 1;
}

/* What is done instead of running a command. */
static void gcrun_other_duty(char **args)
{
    if (strcmp(args[0], "--help") == 0 || strcmp(args[0], "--version") == 0)
        gcrun_tell(args[0]);
    if (strcmp(args[0], "--pid") == 0)
        exit(control_main(args + 1));
    if (strcmp(args[0], "--analyze") == 0)
        exit(analyze_main(args + 1));
}

/* Index of the command in argv. */
static int gcrun_parse(char **argv, struct settings *settings)
{
    int i = 1;
    while (argv[i] && argv[i][0] == '-') {
        if (strcmp(argv[i], "--") == 0)
            return i + 1;
        gcrun_other_duty(argv + i);
        i = option_apply(argv, i, settings);
    }
    return i;
}

int main(int argc, char **argv)
{
    struct settings settings = {.text = gcrun_format("%s", "")};
    options_init(&settings.parsed);
    int at = argc > 0 ? gcrun_parse(argv, &settings) : 0;
    if (argc == 0 || !argv[at])
        gcrun_fail(STATUS_FAILED, "no command (--help tells how it is used)");
    char *lib = library_find();
    char *path = command_find(argv[at]);
    command_check(path);
    settings_finish(&settings);
    environment_prepare(lib, settings.text);
    execvp(path, argv + at);
    gcrun_fail(STATUS_CANNOT_RUN, "%s: %s", path, strerror(errno));
}
