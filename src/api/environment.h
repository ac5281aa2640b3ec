/* The environment as the process was given it; libc's own copy may not be set up yet. */
#ifndef API_ENVIRONMENT_H
#define API_ENVIRONMENT_H

/* The value of a variable, or NULL. */
const char *environment_get(char **envp, const char *name);
/* Take our settings, and our library out of LD_PRELOAD, so that children run without us. */
void environment_disinherit(char **envp);

#endif
