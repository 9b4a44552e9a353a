// SPDX-License-Identifier: Apache-2.0
// Puts packets into buffers and gets them out again as files say, and writes down when.
//
// It prints "ready"; for each line with paths of files on stdin, one a thread, it plays them all at once and prints "done". A file is a
// sequence of steps. Packets are numbers: nothing is kept, so that whatever a server could do can be played.
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct step {
  uint64_t what;  // a letter
  uint64_t buffer;
  uint64_t packet;
  int64_t result;
  uint64_t wait_us;             // before it
  int64_t before_ns, after_ns;  // written by this program
};

volatile uint64_t sink;

__attribute__((noinline)) int put(uint64_t buffer, uint64_t packet, int64_t result) {
  for (int i = 0; i < 3; i++) {
    sink += buffer ^ packet;
  }
  return (int)result;
}

__attribute__((noinline)) uint64_t get(uint64_t buffer, uint64_t packet) {
  for (int i = 0; i < 3; i++) {
    sink += buffer;
  }
  return packet;
}

__attribute__((noinline)) void head(uint64_t buffer, uint64_t packet) { sink += buffer + packet; }

__attribute__((noinline)) void reset(uint64_t buffer) { sink += buffer; }

__attribute__((noinline)) void destroy(uint64_t buffer) { sink -= buffer; }

static int64_t now_ns(void) {
  struct timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

static void *play(void *path) {
  int fd = open(path, O_RDWR);
  struct stat status;
  if (fd < 0 || fstat(fd, &status) || !status.st_size) {
    return NULL;
  }
  struct step *steps = mmap(NULL, (size_t)status.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  size_t count = (size_t)status.st_size / sizeof *steps;
  for (size_t at = 0; at < count; at++) {
    struct step *each = &steps[at];
    if (each->wait_us) {
      struct timespec pause = {(time_t)(each->wait_us / 1000000), (long)(each->wait_us % 1000000) * 1000};
      nanosleep(&pause, NULL);
    }
    each->before_ns = now_ns();
    switch (each->what) {
      case 'p':
        put(each->buffer, each->packet, each->result);
        break;
      case 'g':
        get(each->buffer, each->packet);
        break;
      case 'h':
        head(each->buffer, each->packet);
        break;
      case 'r':
        reset(each->buffer);
        break;
      default:
        destroy(each->buffer);
    }
    each->after_ns = now_ns();
  }
  munmap(steps, (size_t)status.st_size);
  close(fd);
  return NULL;
}

int main(void) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  printf("ready\n");
  static char line[4096];
  while (fgets(line, sizeof line, stdin)) {
    pthread_t threads[8];
    int count = 0;
    for (char *path = strtok(line, " \n"); path && count < 8; path = strtok(NULL, " \n")) {
      pthread_create(&threads[count++], NULL, play, path);
    }
    for (int each = 0; each < count; each++) {
      pthread_join(threads[each], NULL);
    }
    printf("done\n");
  }
  return 0;
}
