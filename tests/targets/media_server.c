// SPDX-License-Identifier: Apache-2.0
// A server that puts datagrams into a jitter buffer, with one fault of its own, chosen by its argument:
//   well          none
//   lock          another thread holds the buffer's lock for 30 ms of every 100 ms
//   waits         every put waits 4 ms for something else, so the socket overflows
//   computes      every put works for 2 ms by the thread's own clock
//   pauses        it reads nothing for 800 ms of every second, between its puts
// It prints the port that it listens on, and ends with its standard input.
#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int waits, computes, pauses;

__attribute__((noinline, noclone)) int jitterbuffer_put(void *packet, int size) {
  struct timespec begin, now;
  pthread_mutex_lock(&lock);
  if (waits) usleep(4000);
  if (computes) {
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begin);
    do {
      clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    } while ((now.tv_sec - begin.tv_sec) * 1000000000L + now.tv_nsec - begin.tv_nsec < 2000000);
  }
  __asm__ volatile("" ::"r"(packet) : "memory");
  pthread_mutex_unlock(&lock);
  return size;
}

static void *hold(void *unused) {
  for (;;) {
    pthread_mutex_lock(&lock);
    usleep(30000);
    pthread_mutex_unlock(&lock);
    usleep(70000);
  }
  return unused;
}

static void *receive(void *receiver) {
  char packet[2048];
  struct timespec now;
  for (;;) {
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (pauses && now.tv_nsec < 800000000) usleep(800000 - now.tv_nsec / 1000);
    int size = recv(*(int *)receiver, packet, sizeof(packet), 0);
    if (size > 0) jitterbuffer_put(packet, size);
  }
  return 0;
}

int main(int argc, char **argv) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof(address);
  int receiver = socket(AF_INET, SOCK_DGRAM, 0), room = 16384;
  const char *fault = argc > 1 ? argv[1] : "well";
  pthread_t thread;
  waits = !strcmp(fault, "waits");
  computes = !strcmp(fault, "computes");
  pauses = !strcmp(fault, "pauses");
  if (waits) setsockopt(receiver, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
  if (bind(receiver, (struct sockaddr *)&address, sizeof(address)) || getsockname(receiver, (struct sockaddr *)&address, &length))
    return 1;
  if (!strcmp(fault, "lock")) pthread_create(&thread, 0, hold, 0);
  pthread_create(&thread, 0, receive, &receiver);
  setvbuf(stdout, 0, _IOLBF, 0);
  printf("%d\n", ntohs(address.sin_port));
  while (getchar() != EOF) {
  }
  return 0;
}
