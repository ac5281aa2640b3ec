package main

/*
#include <stdlib.h>
#include <string.h>
struct item { struct item *next; char text[40]; };
static struct item *push(struct item *head, const char *text)
{
    struct item *i = malloc(sizeof *i);
    i->next = head;
    strncpy(i->text, text, sizeof i->text - 1);
    i->text[sizeof i->text - 1] = 0;
    return i;
}
static unsigned long length(const struct item *i)
{
    unsigned long n = 0;
    for (; i != NULL; i = i->next)
        n += strlen(i->text);
    return n;
}
static void drop(struct item *i)
{
    while (i != NULL) {
        struct item *next = i->next;
        free(i);
        i = next;
    }
}
extern int goCompare(void *, void *);
static int compare(const void *a, const void *b) { return goCompare((void *)a, (void *)b); }
static void sort(int *v, size_t n) { qsort(v, n, sizeof *v, compare); }
*/
import "C"

import (
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"sort"
	"strings"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

//export goCompare
func goCompare(a, b unsafe.Pointer) C.int { return *(*C.int)(a) - *(*C.int)(b) }

// A list of C, held by Go alone: on the goroutine's stack, then in Go's heap.
type list struct{ head *C.struct_item }

func build(seed, n int) *list {
	l := &list{}
	for i := 0; i < n; i++ {
		text := C.CString(strings.Repeat("x", (seed*7+i)%39))
		l.head = C.push(l.head, text)
		C.free(unsafe.Pointer(text))
	}
	return l
}

func main() {
	if len(os.Args) > 1 {
		var p *list
		fmt.Println(p.head) // a fault that Go makes a panic of
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	lines := map[int]string{}
	held := make(chan *list, 1000)
	for g := 0; g < 40; g++ {
		wg.Add(1)
		go func(g int) {
			defer wg.Done()
			var sum C.ulong
			for r := 0; r < 10; r++ {
				l := build(g+r, 100)
				runtime.Gosched()
				sum += C.length(l.head)
				if r%5 == 0 {
					held <- l // freed by another thread
				} else {
					C.drop(l.head) // or by this
				}
			}
			if g%4 == 0 { // a thread of its own, which ends with it
				runtime.LockOSThread()
			}
			v := make([]C.int, 300)
			for i := range v {
				v[i] = C.int((i * 7919) % 1009)
			}
			C.sort(&v[0], C.size_t(len(v)))
			mu.Lock()
			lines[g] = fmt.Sprint(g, sum, v[:5], sort.SliceIsSorted(v, func(i, j int) bool { return v[i] < v[j] }))
			mu.Unlock()
		}(g)
	}
	wg.Wait()
	close(held)
	runtime.GC()
	var rest C.ulong
	for l := range held {
		rest += C.length(l.head)
		C.drop(l.head)
	}
	for g := 0; g < 40; g++ {
		fmt.Println(lines[g])
	}
	fmt.Println(rest)
	got := make(chan os.Signal, 1)
	signal.Notify(got, syscall.SIGUSR1)
	syscall.Kill(os.Getpid(), syscall.SIGUSR1)
	select {
	case s := <-got:
		fmt.Println(s)
	case <-time.After(time.Minute):
		fmt.Println("no signal")
	}
	os.Exit(6)
}
