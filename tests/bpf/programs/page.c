// SPDX-License-Identifier: Apache-2.0
// `put` is called from two places, as often as standard input says: "COUNT\n". One of them is returned to at the same place of its
// page as OFFSET, the other is not.
#include <stdio.h>

__attribute__((noinline, noclone, aligned(4096), used)) int put(void *buffer, int bytes, int result) {
  __asm__ volatile("" ::"r"(buffer), "r"(bytes) : "memory");
  return result;
}

int near(void *buffer, int bytes, int result);
#define TEXT(x) #x
#define NUMBER(x) TEXT(x)
#define NEAR(before, code) \
  ".text; .balign 4096; .skip 4096 + " NUMBER(OFFSET) " - " before "; .type near, %function; near: " code "; .size near, . - near"
#if defined __x86_64__
__asm__(NEAR("9", "sub $8, %rsp; call put; add $8, %rsp; ret"));
#else
__asm__(NEAR("8", "stp x29, x30, [sp, -16]!; bl put; ldp x29, x30, [sp], 16; ret"));
#endif

int main(void) {
  long count;
  setvbuf(stdout, 0, _IOLBF, 0);
  puts("ready");
  while (scanf("%ld", &count) == 1) {
    for (long i = 0; i < count; i++) {
      near(&count, 3, 0);
      put(&count, 4, 0);
    }
    puts("done");
  }
  return 0;
}
