// SPDX-License-Identifier: Apache-2.0
// Two streams whose names lie in memory of their own, and a put for their packets. It prints "ready" and takes commands by line:
//   name STREAM HEX          the stream's name becomes these bytes, in a new page
//   pad STREAM HEX TIMES     the same, so many times in a row
//   swap                     the two streams change names
//   free STREAM              its name's memory goes back to the kernel; the stream still points to it
//   put STREAM FIRST COUNT   packets of this stream, whose SSRC is 1 + STREAM, numbered from FIRST on
// and answers each with the number of packets that it has put of each stream. It ends at end of file.
#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { STREAMS = 2, ROOM = 1 << 16 };

struct stream {
  char *name;
  uint64_t length;
};
static struct stream streams[STREAMS];
static long made[STREAMS];

__attribute__((noinline, noclone)) int put(struct stream *stream, const void *packet, int bytes) {
  __asm__ volatile("" ::"r"(stream), "r"(packet), "r"(bytes) : "memory");
  return 0;
}

static void rename_to(struct stream *stream, const char *hex, int times) {
  size_t bytes = strlen(hex) / 2;
  char *name = mmap(0, ROOM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  for (int turn = 0; turn < times; turn++) {
    for (size_t at = 0; at < bytes; at++) {
      unsigned value;
      sscanf(hex + 2 * at, "%2x", &value);
      name[turn * bytes + at] = (char)value;
    }
  }
  stream->name = name;
  stream->length = bytes * times;
}

int main(void) {
  static char line[4096], hex[2048];
  int which, first, count, times;
  setvbuf(stdout, 0, _IOLBF, 0);
  puts("ready");
  while (fgets(line, sizeof line, stdin)) {
    if (sscanf(line, "name %d %2047s", &which, hex) == 2) {
      rename_to(&streams[which], hex, 1);
    } else if (sscanf(line, "pad %d %2047s %d", &which, hex, &times) == 3) {
      rename_to(&streams[which], hex, times);
    } else if (!strcmp(line, "swap\n")) {
      struct stream kept = streams[0];
      streams[0] = streams[1];
      streams[1] = kept;
    } else if (sscanf(line, "free %d", &which) == 1) {
      munmap(streams[which].name, ROOM);
    } else if (sscanf(line, "put %d %d %d", &which, &first, &count) == 3) {
      for (int each = first; each < first + count; each++) {
        struct {
          uint8_t version, type;
          uint16_t sequence;
          uint32_t time, ssrc;
          char payload[8];
        } packet = {0x80, 8, htons(each), htonl(160 * each), htonl(1 + which), ""};
        put(&streams[which], &packet, sizeof packet);
        made[which]++;
      }
    } else {
      return 2;
    }
    printf("[%ld, %ld]\n", made[0], made[1]);
  }
  return 0;
}
