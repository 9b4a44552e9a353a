// SPDX-License-Identifier: Apache-2.0
// A function that is called as often as standard input says: "COUNT\n". "0\n": the program executes itself, under the same PID.
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

__attribute__((noinline, noclone)) int put(void *buffer, int bytes, int result) {
  __asm__ volatile("" ::"r"(buffer), "r"(bytes) : "memory");
  return result;
}
int main(int count, char **words) {
  char line[16];
  (void)count;
  setvbuf(stdin, 0, _IONBF, 0);  // what was not read yet is the next program's
  puts("ready");
  fflush(stdout);
  while (fgets(line, sizeof line, stdin)) {
    long calls = atol(line);
    if (!calls) execl("/proc/self/exe", words[0], (char *)0);
    for (long i = 0; i < calls; i++) put(&calls, (int)i, 0);
    puts("done");
    fflush(stdout);
  }
  return 0;
}
