# A C file of 5,000 lines through the preprocessor, the optimiser, the assembler and the linker; then run.
needs="gcc"
stress=1000
limit_s=180
case_setup() {
    {
        echo '#include <stdio.h>'
        echo '#include <string.h>'
        for i in $(seq 200); do
            cat <<C
struct s$i { int a[$((i % 13 + 1))]; double d; struct s$i *next; };
static int f$i(struct s$i *p, int n)
{
    int sum = $i;
    for (int i = 0; i < n; i++) {
        for (struct s$i *q = p; q != NULL; q = q->next) {
            switch ((q->a[i % $((i % 13 + 1))] + i) % 5) {
            case 0: sum += (int)(q->d * $i); break;
            case 1: sum ^= i << $((i % 7)); break;
            case 2: sum -= q->a[0] * n; break;
            case 3: if (sum & 1) sum = sum * 3 + 1; else sum /= 2; break;
            default: sum = (sum << 3) | (int)((unsigned)sum >> 29);
            }
        }
    }
    return sum;
}
int g$i(int n)
{
    struct s$i a, b;
    memset(&a, 0, sizeof a);
    b = a;
    a.next = &b;
    a.d = n * 0.5;
    b.a[0] = n;
    return f$i(&a, n % 17);
}
C
        done
        echo 'int main(void) { unsigned x = 1;'
        for i in $(seq 200); do echo "    x = x * 31 + (unsigned)g$i((int)(x % 100));"; done
        echo '    printf("%u\n", x); return 0; }'
    } >big.c
    [ "$(wc -l <big.c)" -gt 5000 ]
}
case_run() {
    cp "$work/big.c" . || return
    pre gcc -O2 -Wall -S -o - big.c | cksum
    pre gcc -O1 -g0 -pipe big.c -o big && ./big
    pre gcc -fsyntax-only -Wall -Wextra -x c - <<<'int f(int x) { return y; }'
}
