// SPDX-License-Identifier: Apache-2.0
// Four coroutines that yield inside the probed function and are resumed by the other one of two threads each time.
#include "hazard.h"
#include <pthread.h>
#include <semaphore.h>
#include <ucontext.h>

enum { COROUTINES = 4, SIZE = 1 << 16 };
struct tally tallies[4] = {{"jitterbuffer_get", 0, 0}};
static ucontext_t scheduler[2], coroutine[COROUTINES];
static int owner[COROUTINES], finished[COROUTINES];
static long todo, sum;
static sem_t turn[2];
static char stacks[COROUTINES][SIZE] __attribute__((aligned(64)));

PROBED int jitterbuffer_get(int who, long packet) {
  swapcontext(&coroutine[who], &scheduler[owner[who]]);
  return (int)(packet + who) & 0x7f;
}

static void body(int who) {
  for (long i = 0; i < todo; i++) sum += CALL(0, jitterbuffer_get(who, i));
  finished[who] = 1;
  setcontext(&scheduler[owner[who]]);
}

static void *work(void *number) {
  int me = number != 0, open;
  do {
    sem_wait(&turn[me]);
    open = 0;
    for (int i = 0; i < COROUTINES; i++) {
      if (finished[i]) continue;
      owner[i] = me;
      swapcontext(&scheduler[me], &coroutine[i]);
      open |= !finished[i];
    }
    sem_post(&turn[!me]);
  } while (open);
  return 0;
}

static long play(long rounds) {
  todo = rounds;
  sem_init(&turn[0], 0, 1);
  sem_init(&turn[1], 0, 0);
  for (int i = 0; i < COROUTINES; i++) {
    getcontext(&coroutine[i]);
    finished[i] = 0;
    coroutine[i].uc_stack.ss_sp = stacks[i];
    coroutine[i].uc_stack.ss_size = SIZE;
    coroutine[i].uc_link = 0;
    makecontext(&coroutine[i], (void (*)(void))body, 1, i);
  }
  pthread_t threads[2];
  for (long i = 0; i < 2; i++) pthread_create(&threads[i], 0, work, (void *)i);
  for (int i = 0; i < 2; i++) pthread_join(threads[i], 0);
  return sum;
}
