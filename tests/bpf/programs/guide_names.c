// SPDX-License-Identifier: Apache-2.0
// Functions of the names that the guide gives them. Standard input: "COUNT\n"; that many puts, each hundredth of which takes
// 20 ms, and half as many gets; answers "done".
#include <stdio.h>
#include <unistd.h>

__attribute__((noinline, noclone)) int jitterbuffer_put(void *buffer, int number) {
  if (number % 100 == 99) usleep(20000);
  __asm__ volatile("" ::"r"(buffer) : "memory");
  return number % 7 ? 0 : -1;
}
__attribute__((noinline, noclone)) int jitterbuffer_get(void *buffer, int number) {
  __asm__ volatile("" ::"r"(buffer) : "memory");
  return number;
}
int main(void) {
  int count;
  setvbuf(stdout, 0, _IOLBF, 0);
  puts("ready");
  while (scanf("%d", &count) == 1) {
    for (int i = 0; i < count; i++) {
      jitterbuffer_put(&count, i);
      if (i & 1) jitterbuffer_get(&count, i);
    }
    puts("done");
  }
  return 0;
}
