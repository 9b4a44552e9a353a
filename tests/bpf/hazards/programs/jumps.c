// SPDX-License-Identifier: Apache-2.0
// Jumps out of the probed function: "longjmp"; "handler": siglongjmp out of a signal handler, raised inside; "timer": the same, the
// function being a leaf that a signal interrupts; "alternate": the handler runs on a stack at a higher address than the thread's
// and calls the function itself.
#include "hazard.h"
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>

struct tally tallies[4] = {{"jitterbuffer_put", 0, 0}, {"jitterbuffer_get", 0, 0}};
static sigjmp_buf out;
static volatile int leave, inside;
static long todo, sum;

PROBED int jitterbuffer_put(long packet) {
  char copy[64];
  memset(copy, (int)packet, sizeof copy);
  if (packet % 2 == 0) {
    if (!strcmp(mode, "longjmp")) longjmp(out, 1);
    raise(SIGUSR1);
  }
  return copy[5] & 0x7f;
}

// No call, no throw, no switch: a leaf. It reports that it is inside and returns on request.
PROBED int jitterbuffer_get(volatile int *until, volatile int *said) {
  int turns = 0;
  *said = 1;
  while (!*until) turns = (turns + 1) & 0xffff;
  return 1 + (turns < 0);
}

static void jump(int number) {
  (void)number;
  siglongjmp(out, 1);
}
static void call_again(int number) {
  (void)number;
  int one = 1, unheard;
  CALL(1, jitterbuffer_get(&one, &unheard));
  leave = 1;
}

// Sends the signal whenever the other thread is inside the function.
static void *interrupt(void *thread) {
  for (long i = 0; i < todo; i++) {
    while (!inside) sched_yield();
    inside = 0;
    pthread_kill(*(pthread_t *)thread, SIGUSR1);
  }
  return 0;
}

static void *be_interrupted(void *stack) {
  pthread_t self = pthread_self(), other;
  stack_t above = {.ss_sp = stack, .ss_size = 1 << 16};
  if (stack) sigaltstack(&above, 0);
  inside = 0;
  pthread_create(&other, 0, interrupt, &self);
  for (volatile long i = 0; i < todo; i++) {
    leave = 0;
    if (sigsetjmp(out, 1))
      sum += 3;
    else
      sum += CALL(1, jitterbuffer_get(&leave, &inside));
  }
  pthread_join(other, 0);
  return 0;
}

static long play(long rounds) {
  static char low[1 << 17] __attribute__((aligned(4096)));
  char high[1 << 16];  // the main thread's stack is above everything else
  int timer = !strcmp(mode, "timer"), alternate = !strcmp(mode, "alternate");
  struct sigaction action = {.sa_handler = alternate ? call_again : jump, .sa_flags = alternate ? SA_ONSTACK : 0};
  sigaction(SIGUSR1, &action, 0);
  todo = rounds;
  if (timer) be_interrupted(0);
  if (alternate) {
    pthread_t thread;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstack(&attributes, low, sizeof low);
    pthread_create(&thread, &attributes, be_interrupted, high);
    pthread_join(thread, 0);
  }
  for (volatile long i = 0; !timer && !alternate && i < rounds; i++) {
    if (sigsetjmp(out, 1))
      sum += 1;
    else
      sum += CALL(0, jitterbuffer_put(i));
  }
  return sum;
}
