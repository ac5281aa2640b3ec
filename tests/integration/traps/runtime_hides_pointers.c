/* In a program of a runtime that is known to hide pointers blocks of malloc stay that are held only by these. */
#include "hidden_pointers.h"

int PL_initialise(int argc, char **argv);

int main(int argc, char **argv)
{
    TEST_CHECK(PL_initialise(argc, argv));
    trap_verify_hidden_pointers();
    return 0;
}
