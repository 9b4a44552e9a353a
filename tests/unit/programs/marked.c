// SPDX-License-Identifier: Apache-2.0
/* A program whose functions log, as media servers do. The names are those of the profile in test_marks.py. */
#include <stdio.h>
#include <stdlib.h>
#define OUT __attribute__((noinline))

struct queue { int length, held[8]; };
static volatile int sink;

OUT static void grow(struct queue *q) { q->length += sink; sink++; }

#ifdef INLINED
static inline __attribute__((always_inline))
#else
OUT static
#endif
int take(struct queue *q) {
  grow(q);
  if (q->length == 0) { puts("the queue is empty, nothing to take"); return -1; }
  return q->held[--q->length & 7];
}

#ifdef COLD
__attribute__((cold)) OUT static void complain(const char *text) { fputs(text, stderr); sink = 2; }
#else
OUT static void complain(const char *text) { puts(text); sink = 2; }
#endif

OUT static int put(struct queue *q, int packet) {
  grow(q);
  if (__builtin_expect(q->length > 7, 0)) { complain("the queue is full, packet dropped"); return -1; }
  if (packet < q->held[0]) { complain("a packet came too late"); return -1; }
  q->held[q->length++ & 7] = packet;
  return take(q);
}

#ifdef MOVED
OUT static int other(int n) { if (n > sink) complain("a packet came too late"); return n * 3; }
#endif

OUT static int fetch(struct queue *q, int n) {
  int sum = 0;
  for (int i = 0; i < n; i++) sum += put(q, i);
  puts("waited too long, fetching");
#ifdef MOVED
  sum += other(sum);
#endif
  return sum;
}

int main(int argc, char **argv) {
  struct queue q = {0};
  (void)argv;
  return fetch(&q, argc) + fetch(&q, 3);
}
