// SPDX-License-Identifier: Apache-2.0
// Does to its own text what some programs do: the first argument says what at start, each line what then. Answers `calls wrong`.
//   start: plain | writable (stays so) | touched (writes a byte as it was, and makes the page read-only again) | remapped (as below)
//   line:  call N | checksum N (before each call it sums up its function's bytes) | copy N (calls a copy of its function)
//          | remap (puts a copy in the place of its page) | open (makes its page writable) | shut (and back)
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE 4096

// On a page of its own, of which nothing else runs while that is exchanged.
__attribute__((noinline, aligned(PAGE), section(".own"))) int jitterbuffer_put(int a) {
#if defined(__x86_64__)
  __asm__ volatile("push %%rbx; pop %%rbx" ::: "memory");
#else
  __asm__ volatile("nop; nop" ::: "memory");
#endif
  return a * 3 + 1;
}
__attribute__((noinline, aligned(PAGE), section(".own"))) int after(int a) { return a; }

static unsigned checksum(void) {
  const volatile unsigned char *code = (const unsigned char *)jitterbuffer_put;
  unsigned sum = 0;
  for (int i = 0; i < 24; i++) sum = sum * 31 + code[i];
  return sum;
}

static void protect(int how) { mprotect((void *)jitterbuffer_put, PAGE, how); }

static void remap(void) {
  void *copy = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  memcpy(copy, (void *)jitterbuffer_put, PAGE);
  mprotect(copy, PAGE, PROT_READ | PROT_EXEC);
  mremap(copy, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, (void *)jitterbuffer_put);
}

int main(int count, char **words) {
  const char *mode = count > 1 ? words[1] : "plain";
  const unsigned before = checksum();
  if (!strcmp(mode, "writable")) protect(PROT_READ | PROT_WRITE | PROT_EXEC);
  if (!strcmp(mode, "touched")) {
    protect(PROT_READ | PROT_WRITE | PROT_EXEC);
    *(volatile unsigned char *)jitterbuffer_put = *(volatile unsigned char *)jitterbuffer_put;
    protect(PROT_READ | PROT_EXEC);
  }
  if (!strcmp(mode, "remapped")) remap();
  void *area = mmap(NULL, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  puts("ready");
  fflush(stdout);
  char line[64], what[16];
  int number = 0;
  while (fgets(line, sizeof(line), stdin)) {
    int calls = 0, wrong = 0;
    if (sscanf(line, "%15s %d", what, &number) < 1) continue;
    if (!strcmp(what, "remap")) remap();
    if (!strcmp(what, "open")) protect(PROT_READ | PROT_WRITE | PROT_EXEC);
    if (!strcmp(what, "shut")) protect(PROT_READ | PROT_EXEC);
    int (*function)(int) = jitterbuffer_put;
    if (!strcmp(what, "copy")) {
      memcpy(area, (void *)jitterbuffer_put, 64);
      __builtin___clear_cache((char *)area, (char *)area + 64);
      function = (int (*)(int))area;
    }
    if (!strcmp(what, "call") || !strcmp(what, "copy") || !strcmp(what, "checksum"))
      for (int i = 0; i < number; i++, calls++) {
        if (!strcmp(what, "checksum")) wrong += checksum() != before;
        wrong += function(i) != i * 3 + 1;
      }
    printf("%d %d\n", calls, wrong);
    fflush(stdout);
  }
  return after(0);
}
