// SPDX-License-Identifier: Apache-2.0
// A server that reads datagrams into a jitter buffer too slowly: each put works for a millisecond of CPU. First line of output: its port.
// It ends when it reads an empty datagram, and says how many others it has read.
#include <arpa/inet.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

__attribute__((noinline, noclone)) int jitterbuffer_put(void *packet, int size) {
  struct timespec begin, now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begin);
  do {
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  } while ((now.tv_sec - begin.tv_sec) * 1000000000L + now.tv_nsec - begin.tv_nsec < 1000000);
  __asm__ volatile("" ::"r"(packet) : "memory");
  return size;
}

int main(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof(address);
  int receiver = socket(AF_INET, SOCK_DGRAM, 0), room = 16384, received = 0;
  char packet[2048];
  setsockopt(receiver, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
  if (bind(receiver, (struct sockaddr *)&address, sizeof(address)) || getsockname(receiver, (struct sockaddr *)&address, &length))
    return 1;
  setvbuf(stdout, 0, _IOLBF, 0);
  printf("%d\n", ntohs(address.sin_port));
  for (;;) {
    int size = recv(receiver, packet, sizeof(packet), 0);
    if (size <= 0) break;
    jitterbuffer_put(packet, size);
    received++;
  }
  printf("%d\n", received);
  getchar();  // its socket stays, for who compares
  return 0;
}
