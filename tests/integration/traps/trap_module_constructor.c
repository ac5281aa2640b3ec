/* A library whose constructor, which runs while the dynamic linker holds its lock, calls the program back. */
void trap_during_load(void);

static __attribute__((constructor)) void load(void)
{
    trap_during_load();
}
