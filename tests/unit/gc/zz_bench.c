#include "world_harness.h"
#include "gc/roots.h"
#include "gc/mark.h"
static uint64_t t[8];
static int unal;
static void uw(uintptr_t a, uintptr_t b){ mark_words_unaligned(a,b);} 
static const struct roots_sink plain={mark_words,mark_stack_words,mark_addr_block}, un={uw,uw,mark_addr_block};
static void fn(void*a,uintptr_t sp){(void)a; roots_set_caller(sp); t[2]=os_clock_ns(); if(world_stop()) _exit(3); t[3]=os_clock_ns(); os_fault_guard_begin(); mark_begin(); int s=roots_scan_into(unal?&un:&plain); if(s) {dprintf(2,"skip %d\n",s);_exit(4);} t[4]=os_clock_ns(); mark_drain(); mark_clear_all(); os_fault_guard_end(); world_start(); t[5]=os_clock_ns(); }
int main(int c,char**v){ harness_init(); unal=c>1; if(c>2){ size_t n=atol(v[2])<<20; char*p=mmap(0,n,3,34,-1,0); for(size_t i=0;i<n;i+=8) *(uint64_t*)(p+i)=i*0x9e3779b97f4a7c15; }
 uint64_t best[5]={-1ul,-1ul,-1ul,-1ul,-1ul};
 for(int i=0;i<50;i++){ os_critical_enter(); char*st=meta_scratch_reserve(SCRATCH_GC_STACK,262144); mark_prepare(); t[0]=os_clock_ns(); world_prepare(); t[1]=os_clock_ns(); roots_prepare(); os_call_on_stack(fn,0,st+262144); roots_finish(); os_critical_leave(); for(int k=0;k<5;k++) if(t[k+1]-t[k]<best[k]) best[k]=t[k+1]-t[k]; }
 printf("wprep %lu rprep %lu stop %lu scan %lu rest %lu us; bytes %lu\n",best[0]/1000,best[1]/1000,best[2]/1000,best[3]/1000,best[4]/1000,roots_scanned_bytes()); }
