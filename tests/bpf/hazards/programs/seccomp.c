// SPDX-License-Identifier: Apache-2.0
// A leaf in a process whose seccomp filter kills it for any system call but the few that it needs. Linux 6.11 and later make one of their own
// where a return probe is, of which a filter knows nothing.
#include "hazard.h"
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

struct tally tallies[4] = {{"jitterbuffer_put", 0, 0}};
PROBED int jitterbuffer_put(const unsigned char *packet, int size) {
  int sum = 0;
  for (int i = 0; i < size; i++) sum = sum * 31 + packet[i];
  return sum & 0x7f;
}

static void allow_few(void) {
#define ALLOW(name) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##name, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
  static struct sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      ALLOW(read), ALLOW(write), ALLOW(exit_group), ALLOW(brk), ALLOW(mmap), ALLOW(munmap), ALLOW(rt_sigreturn),
      ALLOW(fstat), ALLOW(newfstatat), ALLOW(getrandom), ALLOW(futex), ALLOW(lseek),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
  };
  struct sock_fprog program = {sizeof code / sizeof *code, code};
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) abort();
}
// Before the probes: what the process is decides how it is measured.
__attribute__((constructor)) static void begin(void) {
  setvbuf(stdout, 0, _IOLBF, 0);
  allow_few();
}

static long play(long rounds) {
  unsigned char packet[64];
  long sum = 0;
  for (long i = 0; i < rounds; i++) {
    memset(packet, (int)i, sizeof packet);
    sum += CALL(0, jitterbuffer_put(packet, 63));
  }
  return sum;
}
