// SPDX-License-Identifier: Apache-2.0
// Functions that differ only in how they begin, called in a tight loop. Standard input: "NAME CALLS ROUNDS\n"; answer: the best
// round's nanoseconds per call. Each is put(state, bytes, packet, length, result): it returns `result`. FFmpeg's
// ff_rtp_parse_packet has its arguments in the same places, so that its profile's read program works here as it does there.
// NAME_edge has a branch before its epilogue that every way out crosses (what a stack protector leaves behind); the others end
// straight in their `ret`, so that a return probe or the `ret` itself is the only end.
// Built with -fcf-protection every function starts with `endbr64`, as it does in what compilers make that default to it.
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#ifdef __CET__
#define ENDBR "endbr64\n"
#else
#define ENDBR ""
#endif
#define FUNCTION(name, begin, end)                                                                        \
  __asm__(".text\n.p2align 4\n.globl " #name "\n.type " #name ",@function\n" #name ":\n.cfi_startproc\n" \
          ENDBR begin "mov %r8d,%eax\n" end "ret\n.cfi_endproc\n.size " #name ",.-" #name "\n");          \
  int name(void *, int, const void *, int, int);

// `je` is never taken, as the one to __stack_chk_fail.
#define EDGE(name, begin, end)                                                                            \
  __asm__(".text\n.p2align 4\n.globl " #name "\n.type " #name ",@function\n" #name ":\n.cfi_startproc\n" \
          ENDBR begin "mov %r8d,%eax\n" "test %rsp,%rsp\nje 9f\n.cfi_remember_state\n" end                \
          "ret\n.cfi_restore_state\n9: ud2\n.cfi_endproc\n.size " #name ",.-" #name "\n");                \
  int name(void *, int, const void *, int, int);

#define PUSH "push %rbx\n.cfi_adjust_cfa_offset 8\n"
#define POP "pop %rbx\n.cfi_adjust_cfa_offset -8\n"
#define SUB "sub $8,%rsp\n.cfi_adjust_cfa_offset 8\n"
#define ADD "add $8,%rsp\n.cfi_adjust_cfa_offset -8\n"
FUNCTION(push, PUSH, POP)
FUNCTION(mov, "", "")
FUNCTION(sub, SUB, ADD)
EDGE(push_edge, PUSH, POP)
EDGE(mov_edge, "", "")
EDGE(sub_edge, SUB, ADD)

typedef int (*function)(void *, int, const void *, int, int);
static const struct {
  const char *name;
  function call;
} all[] = {{"push", push},           {"mov", mov},           {"sub", sub},
           {"push_edge", push_edge}, {"mov_edge", mov_edge}, {"sub_edge", sub_edge}};

static const uint8_t rtp[12] = {0x80, 8, 0x12, 0x34};
static const void *packet = rtp;
static int32_t state[256];  // FFmpeg's queue length is at byte 552, its room at 556

static double now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e9 + t.tv_nsec;
}
int main(void) {
  char name[64];
  long calls;
  int rounds;
  setvbuf(stdout, 0, _IOLBF, 0);
  state[552 / 4] = 3;
  state[556 / 4] = 500;
  puts("ready");
  while (scanf("%63s %ld %d", name, &calls, &rounds) == 3) {
    double best = 1e18;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
      if (strcmp(all[i].name, name)) continue;
      volatile function call = all[i].call;
      for (int r = 0; r < rounds; r++) {
        double from = now_ns();
        for (long n = 0; n < calls; n++) call(state, (int)(n & 1023), &packet, (int)(n & 1023), n & 63 ? 0 : -1);
        double each = (now_ns() - from) / calls;
        if (each < best) best = each;
      }
    }
    printf("%.2f\n", best);
  }
  return 0;
}
