# gdb itself preloaded: reads symbols of a program, sets breakpoints, runs it, prints a backtrace; its python where built in.
needs="gdb gcc"
stress=20
limit_s=120
case_setup() {
    cat >prog.c <<'C'
#include <stdio.h>
#include <stdlib.h>
struct list { struct list *next; int value; };
static int total(const struct list *l) { return l == NULL ? 0 : l->value + total(l->next); }
int main(void)
{
    struct list *head = NULL;
    for (int i = 0; i < 10; i++) {
        struct list *n = malloc(sizeof *n);
        n->next = head;
        n->value = i;
        head = n;
    }
    printf("%d\n", total(head));
    return 4;
}
C
    gcc -g -O0 prog.c -o prog
}
case_run() {
    pre gdb -nx -q -batch -ex 'set startup-with-shell off' -ex 'set disable-randomization on' -ex 'set debuginfod enabled off' -ex 'unset environment LD_PRELOAD' \
        -ex 'break total if l && l->value == 3' -ex run -ex 'print *l' -ex 'print l->next->next->value' -ex 'ptype struct list' -ex 'bt 3' -ex 'info breakpoints' -ex delete -ex continue "$work/prog"
    pre gdb -nx -q -batch -ex 'info functions total' -ex 'disassemble main' -ex 'list 1,8' "$work/prog"
    pre gdb -nx -q -batch -ex 'python print(sum(len(str(i)) for i in range(100000)))'
}
case_project() { sed 's/0x[0-9a-f]*/0xN/g; s/process [0-9]*/process N/; /[Ll]ibthread_db/d'; }
