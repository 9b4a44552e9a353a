// SPDX-License-Identifier: Apache-2.0
// Work that begins in one function and ends in another, often in another thread. Answers a line "ROUNDS" by "done".
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define OPEN 16  // pieces of work that are open at once, in each thread

// Every second one is one byte away from the one before.
static uintptr_t piece(int thread, int n) { return 0x7f0012345000 + thread * 0x100000 + n / 2 * 64 + n % 2; }

__attribute__((noinline)) void enqueue(uintptr_t what, int how) { asm volatile("" ::"r"(what), "r"(how) : "memory"); }
__attribute__((noinline)) void dequeue(int how, uintptr_t what) { asm volatile("" ::"r"(what), "r"(how) : "memory"); }
__attribute__((noinline)) void begin_turn(void) { asm volatile("" ::: "memory"); }
__attribute__((noinline)) void end_turn(void) { asm volatile("" ::: "memory"); }

static int rounds;

static void *first(void *number) {
  int thread = (intptr_t)number;
  for (int round = 0; round < rounds; round++) {
    begin_turn();
    end_turn();
    end_turn();  // of nothing
    for (int n = 0; n < OPEN; n++) enqueue(piece(thread, n), round);
    for (int n = 0; n < OPEN; n++) dequeue(round, piece(thread, n));
  }
  for (int n = 0; n < OPEN; n++) enqueue(piece(thread, n), 0);  // is ended by another thread, once this one is gone
  enqueue(piece(thread, OPEN), 0);
  enqueue(piece(thread, OPEN), 0);  // begins once more what has not ended
  return NULL;
}

static void *second(void *number) {
  for (int n = 0; n <= OPEN; n++) dequeue(0, piece((intptr_t)number, n));
  return NULL;
}

static void in_threads(void *(*work)(void *), int threads) {
  pthread_t all[8];
  for (intptr_t n = 0; n < threads; n++) pthread_create(&all[n], NULL, work, (void *)n);
  for (int n = 0; n < threads; n++) pthread_join(all[n], NULL);
}

int main(void) {
  char line[64];
  setvbuf(stdout, NULL, _IOLBF, 0);
  puts("ready");
  while (fgets(line, sizeof(line), stdin)) {
    rounds = atoi(line);
    in_threads(first, 4);
    in_threads(second, 4);
    puts("done");
  }
  return 0;
}
