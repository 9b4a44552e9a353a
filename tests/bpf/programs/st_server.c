// SPDX-License-Identifier: Apache-2.0
// A server on State Threads: a hundred coroutines on one thread, half of them put packets after a pause, half get them from a pipe.
// Standard input says for how many milliseconds; then the log of every call is written to the file of the first argument: for each
// function its name, the number of calls and each call's nanoseconds by its caller's clock.
#include <st.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { PAIRS = 50, FUNCTIONS = 4 };
#define PROBED __attribute__((noipa))

static struct log {
  const char *name;
  size_t count, room;
  uint64_t *ns;
} logs[FUNCTIONS] = {{"jitterbuffer_put", 0, 0, 0}, {"jitterbuffer_get", 0, 0, 0}, {"st_usleep", 0, 0, 0}, {"st_read", 0, 0, 0}};
static st_netfd_t in[PAIRS], out[PAIRS];
static uint64_t until;

static uint64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}
static void note(int function, uint64_t ns) {
  struct log *log = &logs[function];
  if (log->count == log->room) {
    log->room = log->room ? 2 * log->room : 1 << 16;
    log->ns = realloc(log->ns, log->room * sizeof *log->ns);
  }
  log->ns[log->count++] = ns;
}
// The clock is read as close to the call as can be: nothing is computed between.
#define TIMED(function, result, call)   \
  do {                                  \
    uint64_t start = now();             \
    result = (call);                    \
    note(function, now() - start);      \
  } while (0)

PROBED int jitterbuffer_put(int pair, unsigned pause_us, char *packet) {
  int result;
  TIMED(2, result, st_usleep(pause_us));
  packet[0] = (char)pair;
  return result < 0 ? -1 : (int)st_write(out[pair], packet, 100, ST_UTIME_NO_TIMEOUT);
}
PROBED int jitterbuffer_get(int pair, char *packet) {
  int result;
  TIMED(3, result, (int)st_read(in[pair], packet, 100, ST_UTIME_NO_TIMEOUT));
  return result > 0 && packet[0] != (char)pair ? -1 : result;
}

static void *writer(void *number) {
  int pair = (int)(long)number, result;
  unsigned seed = (unsigned)pair + 1;
  char packet[100] = {0};
  while (now() < until) {
    seed = seed * 1103515245 + 12345;
    unsigned pause = seed >> 8 & 0xff;  // mostly milliseconds, sometimes none at all
    TIMED(0, result, jitterbuffer_put(pair, pause < 16 ? 0 : pause * 150, packet));
    if (result != 100) abort();
  }
  st_netfd_close(out[pair]);
  return 0;
}
static void *reader(void *number) {
  int pair = (int)(long)number, result;
  char packet[100];
  do {
    TIMED(1, result, jitterbuffer_get(pair, packet));
    if (result < 0) abort();
  } while (result > 0);
  st_netfd_close(in[pair]);
  return 0;
}

int main(int count, char **given) {
  long milliseconds;
  setvbuf(stdout, 0, _IOLBF, 0);
  if (count < 2 || st_set_eventsys(ST_EVENTSYS_ALT) || st_init()) return 1;
  puts("ready");
  if (scanf("%ld", &milliseconds) != 1) return 1;
  until = now() + (uint64_t)milliseconds * 1000000;
  st_thread_t threads[2 * PAIRS];
  for (long i = 0; i < PAIRS; i++) {
    int ends[2];
    if (pipe(ends)) return 1;
    in[i] = st_netfd_open(ends[0]);
    out[i] = st_netfd_open(ends[1]);
    threads[2 * i] = st_thread_create(writer, (void *)i, 1, 0);
    threads[2 * i + 1] = st_thread_create(reader, (void *)i, 1, 0);
  }
  for (int i = 0; i < 2 * PAIRS; i++) st_thread_join(threads[i], 0);
  FILE *file = fopen(given[1], "wb");
  for (int i = 0; i < FUNCTIONS; i++) {
    fprintf(file, "%s %zu\n", logs[i].name, logs[i].count);
    fwrite(logs[i].ns, sizeof *logs[i].ns, logs[i].count, file);
  }
  fclose(file);
  puts("done");
  getchar();
  getchar();
  return 7;
}
