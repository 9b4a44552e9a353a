// SPDX-License-Identifier: Apache-2.0
// Calls put(buffer, packet, bytes) for packets out of files, one thread for each file. Standard input: "FILE...\n", a line of files; answers
// "done NANOSECONDS_OF_CPU_PER_PUT". A file is a list of: u32 bytes, u32 microseconds to wait before it, u64 buffer, then the bytes, which the
// clock's time when it was put overwrites (8 bytes behind the header of 12; packets have 20 at least). put answers with the last byte, so a
// test says what becomes of each packet. A packet of 0 bytes is get(buffer, number), whose number stands in the place of the microseconds.
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

__attribute__((noinline, noclone)) int put(void *buffer, const uint8_t *packet, int bytes) {
  __asm__ volatile("" ::"r"(buffer), "r"(packet), "r"(bytes) : "memory");
  return (int8_t)packet[bytes - 1];
}
__attribute__((noinline, noclone)) uint32_t get(void *buffer, uint32_t number) {
  __asm__ volatile("" ::"r"(buffer), "r"(number) : "memory");
  return number;
}
static int64_t now(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}
static pthread_barrier_t begin;
static volatile int64_t spent, puts_made;
static void *play(void *name) {
  int file = open(name, O_RDWR);
  struct stat s;
  fstat(file, &s);
  uint8_t *data = mmap(0, s.st_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, file, 0), *end = data + s.st_size;
  int64_t made = 0;
  pthread_barrier_wait(&begin);
  int64_t since = now(CLOCK_THREAD_CPUTIME_ID);
  for (uint8_t *at = data; at < end; made++) {
    uint32_t bytes, wait;
    uint64_t buffer;
    memcpy(&bytes, at, 4);
    memcpy(&wait, at + 4, 4);
    memcpy(&buffer, at + 8, 8);
    at += 16;
    if (!bytes) {
      get((void *)buffer, wait);
      continue;
    }
    if (wait) {
      usleep(wait);
      int64_t t = now(CLOCK_MONOTONIC);
      memcpy(at + 12, &t, 8);
    }
    put((void *)buffer, at, bytes);
    at += bytes;
  }
  __sync_fetch_and_add(&spent, now(CLOCK_THREAD_CPUTIME_ID) - since);
  __sync_fetch_and_add(&puts_made, made);
  munmap(data, s.st_size);
  close(file);
  return 0;
}
int main(void) {
  char line[4096];
  setvbuf(stdout, 0, _IOLBF, 0);
  puts("ready");
  while (fgets(line, sizeof line, stdin)) {
    char *names[16];
    pthread_t threads[16];
    int n = 0;
    for (char *name = strtok(line, " \n"); name && n < 16; name = strtok(0, " \n")) names[n++] = name;
    spent = puts_made = 0;
    pthread_barrier_init(&begin, 0, n);
    for (int i = 0; i < n; i++) pthread_create(&threads[i], 0, play, names[i]);
    for (int i = 0; i < n; i++) pthread_join(threads[i], 0);
    printf("done %lld\n", (long long)(spent / (puts_made ? puts_made : 1)));
  }
  return 0;
}
