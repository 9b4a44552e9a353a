// SPDX-License-Identifier: Apache-2.0
// Two coroutines on one thread that yield to each other inside the probed function; by "outside" also between its calls. "down"
// swaps the order of their stacks.
#include "hazard.h"
#include <ucontext.h>

enum { SIZE = 1 << 16 };
struct tally tallies[4] = {{"jitterbuffer_put", 0, 0}};
static ucontext_t home, coroutine[2];
static int finished[2], outside;
static long todo, sum;
static char stacks[2][SIZE] __attribute__((aligned(64)));

static void yield(int from) {
  if (!finished[!from]) swapcontext(&coroutine[from], &coroutine[!from]);
}

PROBED int jitterbuffer_put(int who, long packet) {
  char copy[64];
  memset(copy, (int)packet, sizeof copy);
  yield(who);
  return copy[who] & 0x7f;
}

static void body(int who) {
  for (long i = 0; i < todo; i++) {
    sum += CALL(0, jitterbuffer_put(who, i));
    if (outside) yield(who);
  }
  finished[who] = 1;
  setcontext(finished[!who] ? &home : &coroutine[!who]);
}

static long play(long rounds) {
  int down = strstr(mode, "down") != 0;
  outside = strstr(mode, "outside") != 0;
  todo = rounds;
  for (int i = 0; i < 2; i++) {
    getcontext(&coroutine[i]);
    finished[i] = 0;
    coroutine[i].uc_stack.ss_sp = stacks[i ^ down];
    coroutine[i].uc_stack.ss_size = SIZE;
    coroutine[i].uc_link = &home;
    makecontext(&coroutine[i], (void (*)(void))body, 1, i);
  }
  swapcontext(&home, &coroutine[0]);
  return sum;
}
