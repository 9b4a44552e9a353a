// SPDX-License-Identifier: Apache-2.0
// Calls the probed function on as many threads as the first line says until the next line comes; then tells. What it entered and
// left is also in the file of the first argument, where it survives the program.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

struct account {
  long entered, left;
  char pad[48];
};
static struct account *accounts;
static volatile int stop;

__attribute__((noipa)) int jitterbuffer_put(char *buffer, int packet) {
  memset(buffer, packet, 32);
  return buffer[packet & 31] & 0x7f;
}
static void *run(void *number) {
  struct account *mine = &accounts[(long)number];
  char buffer[32];
  long wrong = 0, since = 0;
  for (int i = 0; !stop; i = (i + 1) & 0x7f) {
    *(volatile long *)&mine->entered += 1;
    wrong += jitterbuffer_put(buffer, i) != i;
    *(volatile long *)&mine->left += 1;
    if (++since == 1000) {  // leaves the processor to others, half the time
      usleep(1000);
      since = 0;
    }
  }
  return (void *)wrong;
}
int main(int count, char **given) {
  int file = open(count > 1 ? given[1] : "/dev/null", O_RDWR | O_CREAT, 0600), threads;
  char line[64];
  pthread_t thread[8];
  if (ftruncate(file, 4096)) return 1;
  accounts = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  setvbuf(stdout, 0, _IOLBF, 0);
  puts("ready");
  while (fgets(line, sizeof line, stdin) && (threads = atoi(line)) > 0) {
    stop = 0;
    for (long i = 0; i < threads; i++) pthread_create(&thread[i], 0, run, (void *)i);
    puts("running");
    if (!fgets(line, sizeof line, stdin)) break;
    stop = 1;
    long wrong = 0, calls = 0;
    for (int i = 0; i < threads; i++) {
      void *value;
      pthread_join(thread[i], &value);
      wrong += (long)value;
      calls += accounts[i].left;
    }
    printf("%ld %ld\n", calls, wrong);
  }
  return 7;
}
