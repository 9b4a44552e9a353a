// SPDX-License-Identifier: Apache-2.0
// put's return value waits in a callee-saved register while the stack protector's branch, the last one, is crossed.
#include <stdio.h>
#include <stdlib.h>
#define NI __attribute__((noinline, noclone))
static volatile int sink;
NI int keep(char *p, int value) { p[0] = (char)value; sink += p[0]; return value; }
NI int put(void *buffer, int bytes, int result) {
  char copy[64];
  int kept = keep(copy, result);
  keep(copy + 1, bytes);
  sink += buffer != 0;
  return kept;
}
int main(void) {
  char line[64];
  setvbuf(stdout, 0, _IOLBF, 0);
  puts("ready");
  while (fgets(line, sizeof line, stdin)) {
    int count = atoi(line);
    for (int i = 0; i < count; i++) sink += put(line, 100, i % 5 == 0 ? -i - 1 : i);
    puts("done");
  }
  return 0;
}
