// SPDX-License-Identifier: Apache-2.0
// Coroutines that switch in a function of the C library which the program has replaced by its own: the probed function, in a
// library (second argument), takes a lock, and the program's lock yields.
#include "hazard.h"
#include <dlfcn.h>
#include <pthread.h>
#include <ucontext.h>

enum { SIZE = 1 << 16 };
struct tally tallies[4] = {{"jitterbuffer_put", 0, 0}};
static ucontext_t home, coroutine[2];
static int finished[2], running;
static long todo, sum;
static pthread_mutex_t *packets;
static int (*jitterbuffer_put)(long packet);
static char stacks[2][SIZE] __attribute__((aligned(64)));

int pthread_mutex_lock(pthread_mutex_t *mutex) {
  int from = running;
  if (!packets || mutex != packets || finished[!from]) return 0;
  running = !from;
  swapcontext(&coroutine[from], &coroutine[!from]);
  return 0;
}

static void body(int who) {
  for (long i = 0; i < todo; i++) {
    sum += CALL(0, jitterbuffer_put(i));
    pthread_mutex_lock(packets);
  }
  finished[who] = 1;
  running = !who;
  setcontext(finished[!who] ? &home : &coroutine[!who]);
}

__attribute__((constructor)) static void load_first(int count, char **given) {
  if (count < 3) abort();
  void *library = dlopen(given[2], RTLD_NOW);
  jitterbuffer_put = (int (*)(long))dlsym(library, "jitterbuffer_put");
  packets = dlsym(library, "packets");
}

static long play(long rounds) {
  todo = rounds;
  for (int i = 0; i < 2; i++) {
    getcontext(&coroutine[i]);
    finished[i] = 0;
    coroutine[i].uc_stack.ss_sp = stacks[i];
    coroutine[i].uc_stack.ss_size = SIZE;
    coroutine[i].uc_link = &home;
    makecontext(&coroutine[i], (void (*)(void))body, 1, i);
  }
  running = 0;
  swapcontext(&home, &coroutine[0]);
  return sum;
}
