// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
// Processes that end, and what user space asks for.

struct arguments {
  u64 command, first, second, third;
};

// The process has ended: its blocks are free, and its PID may be reused.
INLINE void end_process(u32 tgid, u64 state) {
  u64 id = tgid;
  struct process *p = processes.lookup(&id);
  if (!p) return;
  u64 ended = any_value(0);  // or the verifier walks the loop once for each possible value
#pragma clang loop unroll(disable)
  for (u32 i = 0; i < PROCESS_SETS; i++) {
    if (i >= p->count) break;
    u32 set = p->sets[i & (PROCESS_SETS - 1)];
    u64 owner = tgid | (u64)set << 32, *known = owners.lookup(&owner);
    if (!known) continue;
    u32 base = *known;
    owners.delete(&owner);
    recall(tgid, set, ~0ULL);
    struct series *s = all_series.lookup(&base);
    if (!s) continue;
    *(volatile u64 *)&s->state = state;
    ended = any_value(1);
  }
  processes.delete(&id);
  if (!ended) return;
  ADD(hole_control()->ended, 1);
  wake_reader(tgid);
}

// The process runs another program from here on. Its other threads are gone.
int on_exec(struct arguments *ctx) {
  end_process(bpf_get_current_pid_tgid() >> 32, BLOCK_EXECUTED);
  return 0;
}

// A thread ends, and with the last one the process. Where the kernel's structures are unknown, user space finds out.
int on_exit(struct arguments *ctx) {
  struct control *k = hole_control();
  if (!k->signal) return 0;
  u64 task = bpf_get_current_task(), signal = 0;
  u32 live = 1;
  if (read_kernel(&signal, sizeof(signal), (void *)(task + k->signal))) return 0;
  if (read_kernel(&live, sizeof(live), (void *)(signal + k->live)) || live) return 0;
  end_process(bpf_get_current_pid_tgid() >> 32, BLOCK_ENDED);
  return 0;
}

// Never attached. User space runs it (BPF_PROG_TEST_RUN) for what only the kernel can do in one step.
int on_command(struct arguments *ctx) {
  u64 command = ctx->command, first = ctx->first, second = ctx->second, third = ctx->third;
  if (command == COMMAND_CLAIM) {
    u32 base = claim(first, second, 0, third);
    return base >= BASE_IGNORED ? 0 : base + 1;
  }
  if (command == COMMAND_IGNORE) {
    u64 owner = (u32)first | second << 32, *known = owners.lookup(&owner);
    if (!known) return 0;
    *(volatile u64 *)known = BASE_IGNORED;
    recall(first, second, BASE_IGNORED);
    return 1;
  }
  if (command == COMMAND_FORGET) {
    u64 owner = (u32)first | second << 32;
    owners.delete(&owner);
    recall(first, second, ~0ULL);
    return 1;
  }
  if (command == COMMAND_END) {
    end_process(first, BLOCK_ENDED);
    return 1;
  }
  if (command == COMMAND_SUBTRACT) {
    u32 index = first;
    struct series *s = all_series.lookup(&index);
    asm volatile("" : "+r"(second));  // keeps check and use on one 64-bit register, for the verifier
    if (!s || second >= BUCKETS) return 0;
    ADD(s->buckets[second], -third);
    return 1;
  }
  if (command == COMMAND_SETTLE || command == COMMAND_UNSEEN) {
    struct call *c = &hole_calls()[first & ((1 << CALL_BITS) - 1)];
    if (*(volatile u64 *)&c->key != second) return 0;
    u32 index = second & ((1 << SERIES_BITS) - 1);
    struct series *s = all_series.lookup(&index);
    // The one that takes the start counts the call: this program, or a call that begins at the same place.
    if (!s || __sync_val_compare_and_swap(&c->start, third, 0) != third) return 0;
    if (command == COMMAND_UNSEEN)
      ADD(s->untimed, 1);
    else
      ADD(s->abandoned, 1);
    return 1;
  }
  return 0;
}
