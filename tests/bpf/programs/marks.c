// SPDX-License-Identifier: Apache-2.0
// USDT probes as <sys/sdt.h> writes them: a nop and a note. One has a semaphore and two places. Answers "ROUNDS" by "done SEMAPHORE".
#include <stdio.h>
#include <stdlib.h>

#ifndef SECTION
#define SECTION ".probes"
#endif
unsigned short server_packet_semaphore __attribute__((section(SECTION), used));

#if defined(__x86_64__)
#define VALUE "8@%rax"
#else
#define VALUE "8@x0"
#endif
#define MARK(provider, name, semaphore)                                                                                \
  __asm__ volatile(                                                                                                    \
      "990: nop\n"                                                                                                     \
      ".pushsection .note.stapsdt, \"\", \"note\"\n"                                                                   \
      ".balign 4\n.4byte 992f-991f, 994f-993f, 3\n"                                                                    \
      "991: .asciz \"stapsdt\"\n992: .balign 4\n"                                                                      \
      "993: .8byte 990b, _.stapsdt.base, " semaphore "\n.asciz \"" provider "\"\n.asciz \"" name "\"\n.asciz \"" VALUE \
      "\"\n"                                                                                                           \
      "994: .balign 4\n.popsection\n"                                                                                  \
      ".ifndef _.stapsdt.base\n"                                                                                       \
      ".pushsection .stapsdt.base, \"aG\", \"progbits\", .stapsdt.base, comdat\n"                                      \
      ".weak _.stapsdt.base\n.hidden _.stapsdt.base\n_.stapsdt.base: .space 1\n"                                       \
      ".size _.stapsdt.base, 1\n.popsection\n.endif\n")

int main(void) {
  char line[64];
  setvbuf(stdout, NULL, _IOLBF, 0);
  puts("ready");
  while (fgets(line, sizeof(line), stdin)) {
    for (int n = atoi(line); n > 0; n--) {
      MARK("server", "packet", "server_packet_semaphore");
      if (n % 2) MARK("server", "packet", "server_packet_semaphore");
      if (n % 4) MARK("server", "lost", "0");
    }
    printf("done %d\n", *(volatile unsigned short *)&server_packet_semaphore);
  }
  return 0;
}
