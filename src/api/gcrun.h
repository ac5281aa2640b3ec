/* What the parts of gcrun share. */
#ifndef API_GCRUN_H
#define API_GCRUN_H

#include <stdbool.h>
#include <stddef.h>
#include "base/compiler.h"

enum { STATUS_FAILED = 125, STATUS_CANNOT_RUN = 126, STATUS_NOT_FOUND = 127 };

/* One line to stderr, then exit. */
__attribute__((noreturn, format(printf, 2, 3))) void gcrun_fail(int status, const char *format, ...);
/* Text on the heap; never NULL. */
__attribute__((format(printf, 1, 2))) char *gcrun_format(const char *format, ...);

/* ---- gcrun_command.c ---- */
char *command_find(char *name);        /* its path; ends gcrun where there is none */
void command_check(const char *path);  /* ends gcrun where it cannot be preloaded */

/* ---- gcrun_library.c ---- */
char *library_find(void);
/* LD_PRELOAD with the library, GCMALLOC with the settings behind those that are there. */
void environment_prepare(const char *lib, const char *settings);

/* ---- gcrun_control.c ---- */
/* gcrun --pid PID REQUEST [FILE]: args begins behind --pid, NULL at the end. Exit status. */
int control_main(char **args);

/* ---- gcrun_analyze.c ---- */
/* gcrun --analyze SNAPSHOT ...: args begins behind --analyze. Exit status. */
int analyze_main(char **args);

#endif
