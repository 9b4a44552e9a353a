// SPDX-License-Identifier: Apache-2.0
// Threads that end inside the probed function: "pthread_exit", "cancel" (they wait for it inside), "exit": by the bare system call.
#include "hazard.h"
#include <pthread.h>
#include <semaphore.h>
#include <sys/syscall.h>
#include <unistd.h>

struct tally tallies[4] = {{"jitterbuffer_get", 0, 0}};
static sem_t inside;
static long cleaned;

PROBED int jitterbuffer_get(long packet) {
  char copy[64];
  memset(copy, (int)packet, sizeof copy);
  if (packet % 2 == 0) {
    if (!strcmp(mode, "pthread_exit")) pthread_exit((void *)packet);
    if (!strcmp(mode, "exit")) syscall(SYS_exit, 0);
    sem_post(&inside);
    pause();
  }
  return copy[9] & 0x7f;
}

static void clean_up(void *unused) {
  (void)unused;
  cleaned++;
}

static void *run(void *first) {
  pthread_cleanup_push(clean_up, 0);
  for (long i = (long)first; i < (long)first + 4; i++) CALL(0, jitterbuffer_get(i * 2 + 1));
  CALL(0, jitterbuffer_get((long)first * 2));
  pthread_cleanup_pop(0);
  return 0;
}

static long play(long rounds) {
  long sum = 0;
  sem_init(&inside, 0, 0);
  for (long i = 0; i < rounds; i++) {
    pthread_t thread;
    void *value;
    pthread_create(&thread, 0, run, (void *)i);
    if (!strcmp(mode, "cancel")) {
      sem_wait(&inside);
      pthread_cancel(thread);
    }
    pthread_join(thread, &value);
    sum += (long)value & 0xff;
  }
  return sum + 100000 * cleaned;
}
