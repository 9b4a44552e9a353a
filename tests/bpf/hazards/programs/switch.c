// SPDX-License-Identifier: Apache-2.0
// Two coroutines that yield inside the probed function by a hand-written switch: called by name ("direct"), through a pointer
// ("pointer"), or in a library that is loaded only when the probes are there already ("dlopen PATH").
#include "hazard.h"
#include <dlfcn.h>
#include <stdint.h>

enum { WORDS = 1 << 13 };
typedef void switching(void **save, void *load);
extern switching stack_switch;
struct tally tallies[4] = {{"jitterbuffer_put", 0, 0}};
static uint64_t stacks[2][WORDS] __attribute__((aligned(64)));
static void *saved[2], *home;
static int finished[2], direct;
static switching *volatile chosen;
static long todo, sum;

static void yield(int from) {
  if (finished[!from]) return;
  if (direct)
    stack_switch(&saved[from], saved[!from]);
  else
    chosen(&saved[from], saved[!from]);
}

#ifdef DIRECT_ONLY
PROBED int jitterbuffer_put(int who, long packet) {
  if (!finished[!who]) stack_switch(&saved[who], saved[!who]);
  return (int)packet & 0x7f;
}
#else
PROBED int jitterbuffer_put(int who, long packet) {
  yield(who);
  return (int)packet & 0x7f;
}
#endif

static void body(int who) {
  for (long i = 0; i < todo; i++) {
    sum += CALL(0, jitterbuffer_put(who, i));
    yield(who);
  }
  finished[who] = 1;
  void *nowhere;
  stack_switch(&nowhere, finished[!who] ? home : saved[!who]);
}
static void body_0(void) { body(0); }
static void body_1(void) { body(1); }

static long play(long rounds) {
  void (*bodies[2])(void) = {body_0, body_1};
  direct = !strcmp(mode, "direct");
  chosen = stack_switch;
  if (!strcmp(mode, "dlopen")) chosen = (switching *)dlsym(dlopen(arguments[2], RTLD_NOW), "stack_switch");
  todo = rounds;
  for (int i = 0; i < 2; i++) {
    finished[i] = 0;
#if defined(__x86_64__)
    uint64_t *top = &stacks[i][WORDS - 16];
    top[-2] = (uintptr_t)bodies[i];
    saved[i] = &top[-8];
#else
    uint64_t *top = &stacks[i][WORDS - 32];
    top[-11] = (uintptr_t)bodies[i];
    saved[i] = &top[-12];
#endif
  }
  stack_switch(&home, saved[0]);
  return sum;
}
