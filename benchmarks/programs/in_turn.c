// SPDX-License-Identifier: Apache-2.0
// Copies of two functions of `prologues.c`, so that each tool has one to itself and all are called in short turns: push_N ends straight in
// its `ret`, push_edge_N has a branch before its epilogue that every way out crosses.
// Standard input: "KIND COPIES MS\n", the kind being `push` or `push_edge`. For so many milliseconds, the first copies are called in turn, each time
// in another order, in batches that take about as long. Answer: a line for each turn, with the nanoseconds that a call of each copy took, then an empty line.
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#ifdef __CET__
#define ENDBR "endbr64\n"
#else
#define ENDBR ""
#endif
// All copies begin alike within their cache line.
#define BEGIN(name)                                                                                 \
  ".text\n.p2align 6\n.globl " name "\n.type " name ",@function\n" name ":\n.cfi_startproc\n" ENDBR \
  "push %rbx\n.cfi_adjust_cfa_offset 8\nmov %r8d,%eax\n"
#define RETURN "pop %rbx\n.cfi_adjust_cfa_offset -8\nret\n"
#define END(name) ".cfi_endproc\n.size " name ",.-" name "\n"
#define COPY(n)                                                                        \
  __asm__(BEGIN("push_" #n) RETURN END("push_" #n));                                   \
  __asm__(BEGIN("push_edge_" #n) "test %rsp,%rsp\nje 9f\n.cfi_remember_state\n" RETURN \
                                 ".cfi_restore_state\n9: ud2\n" END("push_edge_" #n)); \
  int push_##n(void *, int, const void *, int, int), push_edge_##n(void *, int, const void *, int, int);
COPY(0)
COPY(1)
COPY(2)
COPY(3)
COPY(4)
COPY(5)
COPY(6)
COPY(7)

#define COPIES 8
#define CALLS 300
#define WARM 20
#define BATCH_NS 200e3
#define TURNS 20000
typedef int (*function)(void *, int, const void *, int, int);
static const function straight[COPIES] = {push_0, push_1, push_2, push_3, push_4, push_5, push_6, push_7};
static const function edged[COPIES] = {push_edge_0, push_edge_1, push_edge_2, push_edge_3,
                                       push_edge_4, push_edge_5, push_edge_6, push_edge_7};
static float took[TURNS][COPIES];  // kept until all is measured: nobody is to read meanwhile
static int32_t state[256];
static const uint8_t rtp[12] = {0x80, 8, 0x12, 0x34};
static const void *packet = rtp;

static double now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e9 + t.tv_nsec;
}

static double ns_per_call(volatile function call, long calls) {
  double from = now_ns();
  for (long n = 0; n < calls; n++) call(state, (int)(n & 1023), &packet, (int)(n & 1023), n & 63 ? 0 : -1);
  return (now_ns() - from) / calls;
}

int main(void) {
  char kind[16];
  int copies;
  long ms;
  uint32_t random = 1;
  puts("ready");
  fflush(stdout);
  while (scanf("%15s %d %ld", kind, &copies, &ms) == 3 && copies <= COPIES) {
    const function *all = strcmp(kind, "push") ? edged : straight;
    long calls[COPIES];
    int order[COPIES];
    for (int i = 0; i < copies; i++) {
      ns_per_call(all[i], WARM);
      double fit = BATCH_NS / ns_per_call(all[i], WARM);
      calls[i] = fit > CALLS ? CALLS : fit < WARM ? WARM : (long)fit;
      order[i] = i;
    }
    long turns = 0;
    for (double begin = now_ns(); turns < TURNS && now_ns() - begin < ms * 1e6; turns++) {
      for (int i = copies - 1; i > 0; i--) {
        random = random * 1664525 + 1013904223;
        int j = (random >> 16) % (i + 1), held = order[i];
        order[i] = order[j];
        order[j] = held;
      }
      for (int i = 0; i < copies; i++) {
        ns_per_call(all[order[i]], WARM);
        took[turns][order[i]] = ns_per_call(all[order[i]], calls[order[i]]);
      }
    }
    for (long turn = 0; turn < turns; turn++) {
      for (int i = 0; i < copies; i++) printf("%.2f ", took[turn][i]);
      puts("");
    }
    puts("");
    fflush(stdout);
  }
  return 0;
}
