// A probed function that calls through a pointer. Nothing in the process switches stacks at first (first line); with the second line a
// library that does is loaded, and two coroutines yield inside the function at once.
// The macros make of it a program that cannot load libraries, one that could switch stacks, and one that could unwind a thread.
#include "hazard.h"
#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <ucontext.h>

enum { WORDS = 1 << 13 };
typedef void switching(void **save, void *load);
struct tally tallies[4] = {{"jitterbuffer_put", 0, 0}};
static uint64_t stacks[2][WORDS] __attribute__((aligned(64)));
static void *saved[2], *home;
static int finished[2], turn;
static long todo, sum;

static void stay(void **save, void *load) { sum += save == load; }
static switching *volatile chosen = stay;

PROBED int jitterbuffer_put(int who, long packet) {
  if (!finished[!who]) chosen(&saved[who], saved[!who]);
  return (int)packet & 0x7f;
}

static void body(int who) {
  for (long i = 0; i < todo; i++) {
    sum += CALL(0, jitterbuffer_put(who, i));
    if (!finished[!who]) chosen(&saved[who], saved[!who]);
  }
  finished[who] = 1;
  void *nowhere;
  chosen(&nowhere, finished[!who] ? home : saved[!who]);
}
static void body_0(void) { body(0); }
static void body_1(void) { body(1); }

static long play(long rounds) {
  void (*bodies[2])(void) = {body_0, body_1};
  todo = rounds;
  if (turn++ == 0) {
    for (long i = 0; i < rounds; i++) sum += CALL(0, jitterbuffer_put(0, i));
    return sum;
  }
#ifdef SWITCHES
  ucontext_t context;
  if (turn == 99) setcontext(&context);
#endif
#ifdef ENDS_THREADS
  if (turn == 99) pthread_exit(0);
#endif
#ifdef CANNOT_LOAD
  return sum;
#else
  chosen = (switching *)dlsym(dlopen(arguments[2], RTLD_NOW), "stack_switch");
#endif
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
  chosen(&home, saved[0]);
  return sum;
}
