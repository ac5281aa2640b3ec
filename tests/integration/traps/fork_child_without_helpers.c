/* Helpers that mark beside the collecting thread exist in the parent. They are not there in its child, which collects the same
 * large heap by itself and waits for none, not where a namespace is to be left either. */
#include <sys/wait.h>
#include "trap.h"
enum { N_BLOCKS = 200000, BYTES = 200 };
struct node {
    struct node *left, *right;
    char rest[BYTES - 2 * sizeof(void *)];
};
static struct node *volatile root;

static struct node *build(int n)
{
    if (n == 0)
        return NULL;
    struct node *node = calloc(1, sizeof(*node));
    TEST_CHECK(node != NULL);
    node->left = build((n - 1) / 2);
    node->right = build(n - 1 - (n - 1) / 2);
    return node;
}

static int count(const struct node *node)
{
    return node == NULL ? 0 : 1 + count(node->left) + count(node->right);
}

static void child(void)
{
    for (int i = 0; i < 3; i++)
        TEST_CHECK(trap_collect() || trap_is_emulated());
    trap_verify();
    unshare(CLONE_NEWUSER); /* whether it may or not: first the helpers have to be gone */
    _exit(count(root) == N_BLOCKS ? 0 : 1);
}

int main(void)
{
    root = build(N_BLOCKS);
    for (int i = 0; i < 1000 && test_proc_status("Threads") < 2 && !trap_is_peer() && !trap_is_emulated(); i++) {
        trap_collect();
        usleep(1000); /* a wrapped wait, which starts what is wanted */
    }
    if (test_proc_status("Threads") < 2 && !trap_is_peer() && !trap_is_emulated())
        TEST_SKIP("no helper was started");
    for (int i = 0; i < 5; i++) {
        int status = 0;
        pid_t pid = fork();
        if (pid == 0)
            child();
        TEST_CHECK(waitpid(pid, &status, 0) == pid);
        if (status != 0)
            TEST_FAIL("child %d: status 0x%x", i, (unsigned)status);
        trap_collect();
    }
    return 0;
}
