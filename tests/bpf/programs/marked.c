// SPDX-License-Identifier: Apache-2.0
// A USDT probe with arguments wherever the compiler puts them: constants, registers, memory, narrow and signed ones. The same mark is at two places,
// each with its arguments elsewhere. Answers "ROUNDS" by "PACKETS BYTES LATE DUPLICATES LEAF": what an account of its own says.
#include <stdio.h>
#include <stdlib.h>

#ifndef NOP
#define NOP "nop"
#endif
#define OPERAND(n) "%n[S" #n "]@%[A" #n "] "
// `%n` prints a constant negated, and the size of a signed value is negative.
#define SIZE(x) ((((__typeof__(x))-1 < 1) ? 1 : -1) * (int)sizeof(x))
#define VALUE(n, x) [S##n] "n"(SIZE(x)), [A##n] "nor"(x)
#define MARK(name, ...) \
  __asm__ volatile("990: " NOP                                                                               \
                   "\n"                                                                                      \
                   ".pushsection .note.stapsdt, \"\", \"note\"\n"                                            \
                   ".balign 4\n.4byte 992f-991f, 994f-993f, 3\n"                                             \
                   "991: .asciz \"stapsdt\"\n992: .balign 4\n"                                               \
                   "993: .8byte 990b, _.stapsdt.base, 0\n.asciz \"server\"\n.asciz \"" name "\"\n"           \
                   ".asciz \"" OPERAND(1) OPERAND(2) OPERAND(3) OPERAND(4) "\"\n"                            \
                   "994: .balign 4\n.popsection\n"                                                           \
                   ".ifndef _.stapsdt.base\n"                                                                \
                   ".pushsection .stapsdt.base, \"aG\", \"progbits\", .stapsdt.base, comdat\n"               \
                   ".weak _.stapsdt.base\n.hidden _.stapsdt.base\n_.stapsdt.base: .space 1\n"                \
                   ".size _.stapsdt.base, 1\n.popsection\n.endif\n" ::__VA_ARGS__)

struct packet {
  int sequence;
  unsigned short size;
  signed char state;
};

// A leaf keeps its values below the stack pointer, where a call at the mark would write.
__attribute__((noinline)) static long leaf(long seed) {
  volatile long kept[8];
  for (int i = 0; i < 8; i++) kept[i] = seed + i;
  MARK("leaf", VALUE(1, seed), VALUE(2, 7), VALUE(3, (short)-3), VALUE(4, kept[3]));
  long sum = 0;
  for (int i = 0; i < 8; i++) sum += kept[i] - seed;
  return sum;
}

__attribute__((noinline)) static void handle(struct packet *packet, void *buffer, int held) {
  // Half of them at another place, with a constant.
  if (packet->sequence % 2) {
    MARK("packet", VALUE(1, (unsigned long)buffer), VALUE(2, packet->size), VALUE(3, packet->state), VALUE(4, held));
  } else {
    MARK("packet", VALUE(1, (unsigned long)buffer), VALUE(2, packet->size), VALUE(3, (signed char)0), VALUE(4, held));
  }
}

int main(void) {
  char line[64];
  long buffer;
  setvbuf(stdout, NULL, _IOLBF, 0);
  puts("ready");
  while (fgets(line, sizeof(line), stdin)) {
    long packets = 0, bytes = 0, late = 0, duplicates = 0, sum = 0;
    int rounds = atoi(line);
    for (int n = 0; n < rounds; n++) {
      struct packet packet = {n, 100 + n % 1000, n % 2 ? (n % 5 == 0 ? -1 : n % 7 == 0 ? -2 : 1) : 0};
      handle(&packet, &buffer, n % 13);
      packets++;
      bytes += packet.size;
      late += packet.state == -1;
      duplicates += packet.state == -2;
      sum += leaf(n);
    }
    printf("%ld %ld %ld %ld %ld\n", packets, bytes, late, duplicates, sum);
  }
  return 0;
}
