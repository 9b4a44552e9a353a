// SPDX-License-Identifier: Apache-2.0
// A thousand RTP streams through one server, and its own account of them. Four threads put the packets of 250 streams each; five of each
// thread's streams are ten times as busy as the others. Of the packets 2 % are lost, 2 % come twice and 2 % behind the next one.
//
// "run SECONDS PACKETS_A_SECOND" on standard input; answers a line for each stream, "SSRC RECEIVED BYTES LOST REORDERED DUPLICATED", then
// "done SECONDS". It ends at end of file.
#include <arpa/inet.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { THREADS = 4, STREAMS = 250, BUSY = 5, TIMES = 10, TURN = BUSY * TIMES + STREAMS - BUSY };

struct stream {
  uint32_t ssrc, number, held, is_held;
  long received, bytes, lost, reordered, duplicated;
};
static struct stream streams[THREADS][STREAMS];
static double seconds;
static int rate;

__attribute__((noinline, noclone)) int jitterbuffer_put(const void *packet, int bytes) {
  __asm__ volatile("" ::"r"(packet), "r"(bytes) : "memory");
  return 0;
}

static void put(struct stream *s, uint32_t number) {
  struct {
    uint8_t version, type;
    uint16_t sequence;
    uint32_t time, ssrc;
    char payload[160];
  } packet = {0x80, 8, htons(65500 + number), htonl(160 * number), htonl(s->ssrc), ""};
  int bytes = 13 + number % 160;
  jitterbuffer_put(&packet, bytes);
  s->received++;
  s->bytes += bytes;
}

// The next packet of a stream, and what happens to it. `plain`: nothing does.
static int next(struct stream *s, int plain) {
  uint32_t number = s->number++, luck = (number * 2654435761u ^ s->ssrc) % 50, made = 0;
  if (s->is_held) {
    put(s, number);
    put(s, s->held);
    s->reordered++;
    s->is_held = 0;
    return 2;
  }
  if (plain || luck > 2) {
    put(s, number);
    return 1;
  }
  if (luck == 0) {
    s->lost++;
  } else if (luck == 1) {
    put(s, number);
    put(s, number);
    s->duplicated++;
    made = 2;
  } else {
    s->held = number;
    s->is_held = 1;
  }
  return made;
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

static void *serve(void *mine) {
  struct stream *s = mine;
  double begin = now();
  long made = 0, turn = 0;
  for (int i = 0; i < STREAMS; i++) made += next(&s[i], 1);
  for (;;) {
    double passed = now() - begin;
    if (passed > seconds) break;
    for (long due = passed * rate / THREADS; made < due; turn++) {
      int at = turn % TURN;
      made += next(&s[at < BUSY * TIMES ? at % BUSY : at - BUSY * TIMES + BUSY], 0);
    }
    struct timespec pause = {0, 1000000};
    nanosleep(&pause, 0);
  }
  for (int i = 0; i < STREAMS; i++) next(&s[i], 1);
  return 0;
}

int main(void) {
  char line[256];
  setvbuf(stdout, 0, _IOFBF, 1 << 20);
  for (int i = 0; i < THREADS; i++)
    for (int j = 0; j < STREAMS; j++) streams[i][j].ssrc = i * STREAMS + j + 1;
  puts("ready");
  fflush(stdout);
  while (fgets(line, sizeof line, stdin) && sscanf(line, "run %lf %d", &seconds, &rate) == 2) {
    pthread_t threads[THREADS];
    double begin = now();
    for (int i = 0; i < THREADS; i++) pthread_create(&threads[i], 0, serve, streams[i]);
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], 0);
    double took = now() - begin;
    for (int i = 0; i < THREADS; i++)
      for (int j = 0; j < STREAMS; j++) {
        struct stream *s = &streams[i][j];
        printf("%u %ld %ld %ld %ld %ld\n", s->ssrc, s->received, s->bytes, s->lost, s->reordered, s->duplicated);
      }
    printf("done %f\n", took);
    fflush(stdout);
  }
  return 0;
}
