// SPDX-License-Identifier: Apache-2.0
// New processes inside the probed function: "fork" (the child returns from it and calls it again), "vfork", "exec": the function
// replaces the program by itself. "end": the function never returns, it ends the process. "wait": it waits for ever, in a thread.
#include "hazard.h"
#include <pthread.h>
#include <semaphore.h>
#include <sys/wait.h>
#include <unistd.h>

struct tally tallies[4] = {{"jitterbuffer_put", 0, 0}, {"jitterbuffer_reset", 0, 0}};
static int child;
static sem_t inside;

PROBED int jitterbuffer_put(long packet) {
  char copy[64];
  memset(copy, (int)packet, sizeof copy);
  if (packet % 4 != 0 || child) return copy[3] & 0x7f;
  if (!strcmp(mode, "exec")) {
    char before[24], after[24], rounds[24];
    snprintf(before, sizeof before, "%ld", tallies[0].entered);
    snprintf(after, sizeof after, "%ld", tallies[0].returned);
    snprintf(rounds, sizeof rounds, "%ld", packet);
    execl("/proc/self/exe", arguments[0], "again", before, after, (char *)0);
  }
  int status;
  pid_t other = !strcmp(mode, "vfork") ? vfork() : fork();
  if (other == 0 && !strcmp(mode, "vfork")) _exit(3);
  if (other == 0) {
    child = 1;
    return 1;
  }
  waitpid(other, &status, 0);
  return WEXITSTATUS(status);
}

PROBED __attribute__((noreturn)) void jitterbuffer_reset(int for_ever) {
  if (!for_ever) {
    tell(-1);
    exit(5);
  }
  sem_post(&inside);
  for (;;) pause();
}

static void *wait_for_ever(void *unused) {
  (void)unused;
  entering(1);
  jitterbuffer_reset(1);
}

static long play(long rounds) {
  long sum = 0;
  if (!strcmp(mode, "again")) {
    tallies[0].entered += atol(arguments[2]);
    tallies[0].returned += atol(arguments[3]);
    mode = "fork";
    child = 1;
  }
  for (long i = 1; i <= rounds; i++) {
    sum += CALL(0, jitterbuffer_put(i));
    if (child && !arguments[2]) {
      jitterbuffer_put(i + 1);  // not the target's call
      _exit((int)(i & 0x3f));
    }
  }
  if (!strcmp(mode, "wait")) {
    pthread_t thread;
    sem_init(&inside, 0, 0);
    pthread_create(&thread, 0, wait_for_ever, 0);
    sem_wait(&inside);
  }
  if (!strcmp(mode, "end")) {
    entering(1);
    jitterbuffer_reset(0);
  }
  return sum;
}
