// SPDX-License-Identifier: Apache-2.0
// Calls that take as long as standard input says: "NS NS ...\n" are the lengths of the calls of one round, which two threads make at the same
// time, one of them in reverse. put(buffer, ns, result): returns result after at least that time. Answers with one line when the calls are done.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static long now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000L + t.tv_nsec;
}
__attribute__((noinline, noclone)) int put(void *buffer, int ns, int result) {
  __asm__ volatile("" ::"r"(buffer) : "memory");
  for (long until = ns ? now_ns() + ns : 0; ns && now_ns() < until;) continue;
  return result;
}
static int lengths[64], number;
static void *run(void *reversed) {
  for (int i = 0; i < number; i++) put(lengths, lengths[reversed ? number - 1 - i : i], 0);
  return 0;
}
int main(void) {
  static char line[1024];
  setvbuf(stdout, 0, _IOLBF, 0);
  puts("ready");
  while (fgets(line, sizeof line, stdin)) {
    pthread_t thread[2];
    number = 0;
    for (char *each = strtok(line, " \n"); each && number < 64; each = strtok(0, " \n")) lengths[number++] = atoi(each);
    for (long i = 0; i < 2; i++) pthread_create(&thread[i], 0, run, i ? line : 0);
    for (int i = 0; i < 2; i++) pthread_join(thread[i], 0);
    puts("done");
  }
  return 0;
}
