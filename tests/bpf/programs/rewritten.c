// SPDX-License-Identifier: Apache-2.0
// Two nops of its function are one, once it has written that itself. `rewritten own` does so; `rewritten plain` leaves it as the file has it.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

__attribute__((noinline)) int jitterbuffer_put(int a) {
#if defined(__x86_64__)
  __asm__ volatile("push %%rbx; nop; nop; pop %%rbx" ::: "memory");
#else
  __asm__ volatile("nop; nop" ::: "memory");
#endif
  return a * 3 + ADD;
}

int main(int count, char **words) {
  if (count > 1 && !strcmp(words[1], "own")) {
    unsigned char *code = (unsigned char *)jitterbuffer_put;
    uintptr_t page = (uintptr_t)code & ~(uintptr_t)4095;
    mprotect((void *)page, 8192, PROT_READ | PROT_WRITE | PROT_EXEC);
#if defined(__x86_64__)
    while (code[0] != 0x90 || code[1] != 0x90) code++;
    code[0] = 0x66;  // one nop of two bytes
#else
    while (*(uint32_t *)code != 0xd503201f) code += 4;
    *(uint32_t *)code = 0xd503203f;  // yield
#endif
    mprotect((void *)page, 8192, PROT_READ | PROT_EXEC);
  }
  puts("ready");
  fflush(stdout);
  char line[32];
  while (fgets(line, sizeof(line), stdin)) {
    int sum = 0;
    for (int i = 0; i < atoi(line); i++) sum += jitterbuffer_put(i) == i * 3 + ADD;
    printf("%d\n", sum);
    fflush(stdout);
  }
  return 0;
}
