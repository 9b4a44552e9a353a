// SPDX-License-Identifier: Apache-2.0
// fleet idle | fleet live MILLISECONDS | fleet hot | fleet exec TIMES: one binary, many processes. `live` calls for that long, then prints its PID
// and its calls. `exec` calls three times, then executes itself so often.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct buffer {
  int bytes;
};

__attribute__((noinline)) int jitterbuffer_put(struct buffer *b, int bytes) {
  __asm__ volatile("push %%rbx; pop %%rbx" ::: "memory");
  b->bytes += bytes;
  return b->bytes;
}

static double now(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return t.tv_sec * 1e9 + t.tv_nsec;
}

int main(int count, char **words) {
  struct buffer b = {0};
  const char *what = count > 1 ? words[1] : "idle";
  if (!strcmp(what, "idle"))
    for (;;) {
      jitterbuffer_put(&b, 1);
      usleep(500000);
    }
  if (!strcmp(what, "hot"))
    for (;;) {
      double began = now(CLOCK_PROCESS_CPUTIME_ID);
      for (int i = 0; i < 20000; i++) jitterbuffer_put(&b, 1);
      printf("%.1f\n", (now(CLOCK_PROCESS_CPUTIME_ID) - began) / 20000);
      fflush(stdout);
      usleep(50000);
    }
  if (!strcmp(what, "exec")) {
    char left[16];
    for (int i = 0; i < 3; i++) jitterbuffer_put(&b, 1);
    snprintf(left, sizeof left, "%d", atoi(words[2]) - 1);
    return atoi(words[2]) <= 0 ? 0 : execl("/proc/self/exe", words[0], "exec", left, (char *)0);
  }
  double end = now(CLOCK_MONOTONIC) + atof(count > 2 ? words[2] : "50") * 1e6;
  long calls = 0;
  do {
    jitterbuffer_put(&b, 1);
    calls++;
    usleep(1000);
  } while (now(CLOCK_MONOTONIC) < end);
  printf("%d %ld\n", getpid(), calls);
  return 0;
}
