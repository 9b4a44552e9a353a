// SPDX-License-Identifier: Apache-2.0
// A media server's thread with four RTP streams, each with a buffer of its own: of so many packets a second, so many take it half a millisecond.
//
// "run SECONDS PACKETS_A_SECOND SLOW_A_SECOND" on standard input; answers as JSON with both counts. It ends at end of file.
#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

enum { STREAMS = 4, SLOW_NS = 500000 };

struct buffer {
  uint32_t ssrc, number, held;
};
static struct buffer buffers[STREAMS];

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

__attribute__((noinline, noclone)) int jitterbuffer_put(struct buffer *buffer, const void *packet, int bytes, int slow) {
  __asm__ volatile("" ::"r"(packet), "r"(bytes) : "memory");
  if (slow) {
    struct timespec pause = {0, SLOW_NS};
    nanosleep(&pause, 0);
  }
  buffer->held = (buffer->held + 1) % 32;
  return 0;
}

int main(void) {
  char line[256];
  double seconds;
  int rate, slow_rate;
  for (int i = 0; i < STREAMS; i++) buffers[i].ssrc = i + 1;
  puts("ready");
  fflush(stdout);
  while (fgets(line, sizeof line, stdin) && sscanf(line, "run %lf %d %d", &seconds, &rate, &slow_rate) == 3) {
    double begin = now();
    long made = 0, slow = 0;
    for (double passed; (passed = now() - begin) < seconds;) {
      for (; made < passed * rate; made++) {
        struct buffer *buffer = &buffers[made % STREAMS];
        uint32_t number = buffer->number++;
        struct {
          uint8_t version, type;
          uint16_t sequence;
          uint32_t time, ssrc;
          char payload[160];
        } packet = {0x80, 8, htons(number), htonl(160 * number), htonl(buffer->ssrc), ""};
        int is_slow = slow * rate < made * slow_rate;
        slow += is_slow;
        jitterbuffer_put(buffer, &packet, sizeof packet, is_slow);
      }
      struct timespec pause = {0, 1000000};
      nanosleep(&pause, 0);
    }
    printf("{\"packets\": %ld, \"slow\": %ld}\n", made, slow);
    fflush(stdout);
  }
  return 0;
}
