/* What autoconf writes: a declaration that lies about the type, and a call. */
char GC_malloc(void);

int main(void)
{
    return &GC_malloc == 0;
}
