/* So they do where the library of SWI-Prolog (here one of its name) comes by dlopen, as a plugin or from Python. */
#include <dlfcn.h>
#include "hidden_pointers.h"

int main(int argc, char **argv)
{
    TEST_CHECK(argc == 2 && dlopen(argv[1], RTLD_NOW) != NULL);
    trap_verify_hidden_pointers();
    return 0;
}
