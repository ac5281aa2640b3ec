/* Doubly linked list, intrusive, circular, with a head of the same type.
 *
 * Invariants  n->next->prev == n and n->prev->next == n for the head and each
 *             member, at every instant between calls. An unlinked node points at
 *             itself, as an empty head does, so that removing it twice is harmless.
 * Locks       none: the owner of the head guards all its members' links.
 */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include "base/compiler.h"

struct list {
    struct list *next, *prev;
};

/* The node's container, from a pointer to its link. */
#define LIST_ENTRY(node, type, member) CONTAINER_OF(node, type, member)
/* Walk all members; the body must not unlink n. */
#define LIST_FOREACH(n, head) for (struct list *n = (head)->next; n != (head); n = n->next)
/* The same where the body may unlink n (and nothing else). */
#define LIST_FOREACH_SAFE(n, after, head)                                                                    \
    for (struct list *n = (head)->next, *after = n->next; n != (head); n = after, after = n->next)

static inline void list_init(struct list *head)
{
    head->next = head;
    head->prev = head;
}

static inline bool list_is_empty(const struct list *head)
{
    return head->next == head;
}

/* pre: n was initialised or removed. */
static inline bool list_is_linked(const struct list *n)
{
    return n->next != n;
}

/* pre: n is in no list. */
static inline void list_insert_after(struct list *at, struct list *n)
{
    n->next = at->next;
    n->prev = at;
    at->next->prev = n;
    at->next = n;
}

static inline void list_push_front(struct list *head, struct list *n)
{
    list_insert_after(head, n);
}

static inline void list_push_back(struct list *head, struct list *n)
{
    list_insert_after(head->prev, n);
}

/* pre: n is in a list, or was initialised or removed. */
static inline void list_remove(struct list *n)
{
    n->prev->next = n->next;
    n->next->prev = n->prev;
    list_init(n);
}

static inline struct list *list_pop_front(struct list *head) /* NULL: empty */
{
    struct list *n = list_is_empty(head) ? NULL : head->next;
    if (n != NULL) {
        list_remove(n);
    }
    return n;
}

/* Every link has its counterpart. O(n); for ASSERT_SLOW and tests. */
static inline bool list_check(const struct list *head)
{
    const struct list *n = head;
    do {
        if (n->next == NULL || n->next->prev != n) {
            return false;
        }
        n = n->next;
    } while (n != head);
    return true;
}

#endif
