// SPDX-License-Identifier: Apache-2.0
// One call of put() for each of many buffers. Standard input: "FIRST COUNT DEPTH\n"; puts into the buffers FIRST to
// FIRST + COUNT - 1, each of which then holds DEPTH packets; answers "done".
#include <stdio.h>

__attribute__((noinline, noclone)) int put(void *buffer, int bytes, int depth) {
  __asm__ volatile("" ::"r"(buffer), "r"(bytes), "r"(depth) : "memory");
  return 0;
}
int main(void) {
  int first, count, depth;
  setvbuf(stdout, 0, _IOLBF, 0);
  puts("ready");
  while (scanf("%d %d %d", &first, &count, &depth) == 3) {
    for (int i = first; i < first + count; i++) put((void *)(0x10000L + 64L * i), 100, depth);
    puts("done");
  }
  return 0;
}
