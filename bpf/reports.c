// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
// What user space is told of single calls: those that were slow, and some of those whose packet came too late.

// Whether the token bucket lets one more event through. The bucket holds its theoretical arrival time. Another thread may move it
// meanwhile; that does not hold this event back.
INLINE u32 let_through(struct series *s, u64 now) {
#pragma clang loop unroll(disable)
  for (int i = 0; i < 16; i++) {
    u64 tat = *(volatile u64 *)&s->event_tat, base = tat > now ? tat : now;
    if (base + s->event_gap_ns - now > s->event_burst_ns) return 0;
    if (__sync_val_compare_and_swap(&s->event_tat, tat, base + s->event_gap_ns) == tat) return 1;
  }
  return 0;
}

// Whether to move the time of the last event on to now, because it is long enough ago. Of several threads one may.
INLINE u32 turn_comes(u64 *last, u64 now, u64 gap) {
  u64 was = *(volatile u64 *)last;
  return (s64)(now - was) > (s64)gap && __sync_val_compare_and_swap(last, was, now) == was;
}

// Whether the call is reported although it was not slow, because its packet was too late. At most one in a while, of its series and of
// all: hundreds of processes that lose packets at once must not cost more than one.
INLINE u32 tells_late(struct series *s, u64 features, u64 outcome, u64 now) {
  u64 reason = outcome - OUTCOME_DROP;
  if (reason >= DROP_REASONS || !(features >> FEATURE_LATE_SHIFT >> (reason & (DROP_REASONS - 1)) & 1)) return 0;
  if ((s64)(now - *(volatile u64 *)&s->late_ns) <= (s64)LATE_GAP_NS) return 0;
  return turn_comes(&hole_control()->late_ns, now, LATE_GAP_ALL_NS) && turn_comes(&s->late_ns, now, LATE_GAP_NS);
}

// Emits one event for a slow call, or for one with a late packet, if the ring buffer has room.
INLINE void report(REGS *ctx, struct series *s, u64 features, u32 index, struct call *c, u64 now, u64 frame, u64 rv, u32 rv_known,
                   u32 outcome, u32 faulted, u32 inside, u32 next, u32 nest_known, struct thread *t, u32 late, u64 *r) {
  struct event *e = events.ringbuf_reserve(sizeof(struct event));
  if (!e) {
    if (!late) ADD(s->events_lost, 1);
    return;
  }
  u64 id = bpf_get_current_pid_tgid();
  e->began.away = 0;
  if (features & FEATURE_SHARE && c->tid == (u32)id) {
    e->began.away = r[REG_AWAY];
    e->began.waited = r[REG_AWAY + 1];
    hole_share(r);
    e->ended.away = r[0];
    e->ended.waited = r[1];
    if (hole_updated(r) != r[2]) e->began.away = 0;
    e->accounted = bpf_ktime_get_ns();
  }
  e->start = c->start;
  e->end = now;
  e->frame = frame;
  e->bytes = features & (FEATURE_ENTERS | FEATURE_RTP) ? c->bytes & CALL_BYTES : c->bytes;
  e->stream = c->stream;
  e->return_value = rv;
  u64 sp = REG_SP(ctx), ip = REG_IP(ctx), fp = REG_FP(ctx), lr = REG_LR(ctx);
  e->sp = sp;
  e->ip = ip;
  e->fp = fp;
  e->lr = lr;
  e->series = index;
  e->tid = id;
  e->tgid = id >> 32;
  e->outcome = outcome;
  e->flags =
      (rv_known ? EVENT_RETURN : 0) | (nest_known ? EVENT_NEST_KNOWN : 0) | (faulted ? EVENT_FAULTED : 0) | (late ? EVENT_LATE : 0);
  e->nested_inside = inside;
  e->nested_next = next;
  bpf_get_current_comm(&e->comm, sizeof(e->comm));
  e->stack_bytes = bpf_get_stack(ctx, e->stack, sizeof(e->stack), 256 /* BPF_F_USER_STACK */);
  // Page by page. A page that cannot be read, because it is beyond the stack's end or was never touched, is a hole.
  u64 at = -sp & (STACK_PAGE - 1);
  u32 holes = 0;
  e->copy_bytes = 0;
  if (!read_user(e->copy, at, (void *)sp)) e->copy_bytes = at;
#pragma clang loop unroll(disable)
  for (int page = 1; page < STACK_COPY / STACK_PAGE; page++) {
    asm volatile("" : "+r"(at));  // keeps check and use on one 64-bit register, for the verifier
    if (at > STACK_COPY - STACK_PAGE) break;
    u64 next = at + STACK_PAGE;
    if (read_user(e->copy + at, STACK_PAGE, (void *)(sp + at)))
      holes |= 1 << page;
    else
      e->copy_bytes = next;
    at = next;
  }
  e->copy_holes = holes;
  if (nest_known && t) {
    // Not memcpy: BCC's clang would call it; the ring is 16 records of four words.
#pragma clang loop unroll(disable)
    for (int i = 0; i < NESTED; i++) e->nested[i] = t->recent[i];
  }
  if (!late) ADD(s->events_emitted, 1);  // which are of slow calls
  events.ringbuf_submit(e, 0);
}
