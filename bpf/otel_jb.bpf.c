// The kernel side: one entry and one end function, which serve every probe.
//
// Compiled by BCC with -DBUCKETS= -DSERIES= -DCELL_BITS= (otel_jb/probes/programs/compiler.py). What differs between probes are constants and
// reads of arguments, which the agent puts into the compiled instructions where the holes below are (otel_jb/probes/programs/template.py):
// the verifier then leaves out what a probe does not need. What is hot lives in arrays that user space maps, so reading
// costs no system call and the agent's CPU does not depend on the call rate. Every update is atomic: uprobe programs are
// preemptible, and plain additions lost 217 of 2.4 million when measured.
#include <uapi/linux/ptrace.h>
#include "abi.h"
#include "arch.h"

#define MMAPABLE 1024  // BPF_F_MMAPABLE
#define INLINE static inline __attribute__((always_inline))

// Of one element: their addresses are constants in the programs. Bytes to BCC, which would make code for every field of every entry.
struct calls {
  u8 bytes[sizeof(struct call) << CALL_BITS];
};
struct cells {
  u8 bytes[sizeof(struct cell) * (64 << CELL_BITS)];
};
struct gates {
  u8 bytes[sizeof(struct gate) * GATES];
};
BPF_F_TABLE("array", u32, struct calls, calls, 1, MMAPABLE);
BPF_F_TABLE("array", u32, struct cells, cells, 1, MMAPABLE);
BPF_TABLE("hash", u64, struct call, overflow, 4096);
BPF_F_TABLE("array", u32, struct series, all_series, SERIES, MMAPABLE);
BPF_F_TABLE("array", u32, struct control, control, 1, MMAPABLE);
BPF_F_TABLE("array", u32, struct gates, gates, 1, MMAPABLE);
BPF_F_TABLE("array", u32, struct buffer, buffers, BUFFER_SLOTS, MMAPABLE);
BPF_F_TABLE("array", u32, struct thread, threads, THREAD_SLOTS, MMAPABLE);
BPF_RINGBUF_OUTPUT(events, RING_PAGES);
BPF_PROG_ARRAY(nowhere, 1);
BPF_PROG_ARRAY(nowhere_in_session, 1);  // put in its place in session programs: an array is for one kind of programs only
// From Linux 6.13 the JIT gives kprobe programs that use 64 bytes of stack or more a stack per CPU (kernel/bpf/verifier.c:
// bpf_enable_priv_stack), trusting in a check for recursion that uprobes do not have. A uprobe program can be preempted by another
// thread that runs it on the same CPU, and both write the one stack: pointers of one call in the other, which is a kernel
// oops in the target (seen on 7.3 with lazy preemption). A program with a tail call in it keeps to the task's own stack; so
// both have one, where it is never run.

// The helper under a name that BCC does not know: where it sees `bpf_probe_read_user` it reads all of /proc/kallsyms once more to
// learn whether the kernel has it (0.2 s of 0.5), and 5.5 and later do.
static long (*read_user)(void *to, u32 size, const void *from) = (void *)BPF_FUNC_probe_read_user;

// Holes: calls of helpers that no kernel has, in whose place the agent puts the probe's cookie and features, each a constant,
// what it reads: instructions over r[REGISTERS], whose result is 0, or 1 + the field whose read faulted; what an end at one site is
// (over r[SITE_WORDS]); and the addresses of maps of one element, which need neither a look-up nor a check.
static u64 (*hole_cookie)(void *ctx) = (void *)HOLE_COOKIE;
static u64 (*hole_features)(void) = (void *)HOLE_FEATURES;
static u64 (*hole_entry_reads)(u64 *r) = (void *)HOLE_ENTRY_READS;
static u64 (*hole_end_reads)(u64 *r) = (void *)HOLE_END_READS;
static u64 (*hole_site)(u64 *r) = (void *)HOLE_SITE;
static struct call *(*hole_calls)(void) = (void *)HOLE_CALLS;
static struct cell *(*hole_cells)(void) = (void *)HOLE_CELLS;
static struct control *(*hole_control)(void) = (void *)HOLE_CONTROL;
static struct gate *(*hole_gates)(void) = (void *)HOLE_GATES;

#define UNLIKELY(x) __builtin_expect(!!(x), 0)
#define ADD(field, n) __sync_fetch_and_add(&(field), (n))

INLINE u32 log2_floor(u64 v) {
  u32 r = 0;
  if (v >> 32) {
    v >>= 32;
    r = 32;
  }
  if (v >> 16) {
    v >>= 16;
    r += 16;
  }
  if (v >> 8) {
    v >>= 8;
    r += 8;
  }
  if (v >> 4) {
    v >>= 4;
    r += 4;
  }
  if (v >> 2) {
    v >>= 2;
    r += 2;
  }
  return r + (v >> 1);
}

INLINE void raise_to(u64 *p, u64 v, struct series *s, int tries) {
  u64 old = *(volatile u64 *)p;
#pragma clang loop unroll(disable)
  for (int i = 0; i < tries; i++) {
    if (!UNLIKELY(v > old)) return;
    u64 seen = __sync_val_compare_and_swap(p, old, v);
    if (seen == old) return;
    old = seen;
  }
  ADD(s->minmax_lost, 1);
}

INLINE struct thread *this_thread(u32 tid) {
  u32 i = tid & (THREAD_SLOTS - 1);
  return threads.lookup(&i);
}

// The slot of a buffer, found or (if `claim`) taken; 0 where there is none.
INLINE struct buffer *buffer_slot(u64 key, int claim) {
  u32 h = (key * 0x9E3779B97F4A7C15ULL) >> 52;
#pragma clang loop unroll(disable)
  for (int i = 0; i < BUFFER_PROBES; i++) {
    u32 at = (h + i) & (BUFFER_SLOTS - 1);
    struct buffer *b = buffers.lookup(&at);
    if (!b) return 0;
    u64 k = *(volatile u64 *)&b->key;
    if (k == key) return b;
  }
  if (!claim) return 0;
#pragma clang loop unroll(disable)
  for (int i = 0; i < BUFFER_PROBES; i++) {
    u32 at = (h + i) & (BUFFER_SLOTS - 1);
    struct buffer *b = buffers.lookup(&at);
    if (!b) return 0;
    u64 k = __sync_val_compare_and_swap(&b->key, 0, key);
    if (k == 0 || k == key) return b;
  }
  return 0;
}

INLINE void note_depth(struct series *s, u64 stream, u64 depth, u64 now) {
  struct buffer *b = buffer_slot(stream << 16 | (s->group & 0xffff), 1);
  if (!b) {
    ADD(s->depth_lost, 1);
    return;
  }
  *(volatile u64 *)&b->depth = depth;
  *(volatile u64 *)&b->seen_ns = now;
  raise_to(&s->depth_max[*(volatile u64 *)&hole_control()->epoch & 1], depth + 1, s, 16);
}

INLINE void forget_buffer(struct series *s, u64 stream) {
  struct buffer *b = buffer_slot(stream << 16 | (s->group & 0xffff), 0);
  if (b) *(volatile u64 *)&b->key = 0;
}

// The value itself, of which the verifier then knows nothing: it walks what follows once, and not once for each constant that it could be.
INLINE u64 any_value(u64 v) {
  volatile u32 half[2] = {v, v >> 32};
  return *(volatile u64 *)half;
}

INLINE u64 frame_of(REGS *ctx, u64 cookie) {
  u64 sp = REG_SP(ctx), fp = REG_FP(ctx);
  // Both loads happen: a choice between two context addresses is refused by the verifier.
  asm volatile("" : "+r"(sp), "+r"(fp));
  s32 offset = (s32)(cookie >> COOKIE_OFFSET_SHIFT);
  if (cookie & COOKIE_SITE) offset >>= COOKIE_SITE_BITS;
  return (cookie & COOKIE_FP ? fp : sp) + (s64)offset;
}

INLINE u32 call_slot(u64 key) { return (key * 0x9E3779B97F4A7C15ULL) >> (64 - CALL_BITS); }

// Sizes and depths that cannot be were not emitted; user space takes such a value off.
INLINE void count_broken(struct series *s, u64 *r) {
  if (UNLIKELY(r[REG_BROKEN])) ADD(s->faults[(r[REG_BROKEN] - 1) & (FIELDS - 1)], 1);
  if (UNLIKELY(r[REG_BROKEN + 1])) ADD(s->faults[(r[REG_BROKEN + 1] - 1) & (FIELDS - 1)], 1);
}

INLINE void enter(REGS *ctx, struct series *s, u32 index, u64 cookie, u64 features) {
  u64 frame = frame_of(ctx, cookie);
  if (cookie & COOKIE_ENTRY_ONLY) {
    ADD(s->untimed, 1);
    return;
  }
  u64 key = (frame >> 3) << SERIES_BITS | index;
  struct call *c = &hole_calls()[call_slot(key)], spilled;
  u64 old = __sync_val_compare_and_swap(&c->key, 0, key);
  u32 taken = old && old != key;
  if (UNLIKELY(taken)) {
    ADD(hole_control()->collided, 1);
    spilled.key = key;
    c = &spilled;
  } else if (UNLIKELY(old)) {
    ADD(s->abandoned, 1);
  }
  u32 tid = bpf_get_current_pid_tgid(), flags = 0;
  c->tid = tid;
  c->bytes = 0;
  c->stream = 0;
  if (features & (FEATURE_ENTRY_READS | FEATURE_END_READS)) {
    c->save[0] = 0;
    c->save[1] = 0;
    c->save[2] = 0;
  }
  if (features & FEATURE_ENTRY_READS) {
    u64 r[REGISTERS];
    r[0] = REG_A1(ctx);
    r[1] = REG_A2(ctx);
    r[2] = REG_A3(ctx);
    r[3] = REG_A4(ctx);
    r[4] = REG_A5(ctx);
    r[5] = REG_A6(ctx);
    r[6] = frame;
    r[REG_BYTES] = 0;
    r[REG_STREAM] = 0;
    r[REG_SAVE] = 0;
    r[REG_SAVE + 1] = 0;
    r[REG_SAVE + 2] = 0;
    r[REG_DEPTH] = DEPTH_NONE;
    r[REG_OUTCOME] = 0;
    r[REG_CLOSE] = 0;
    r[REG_BROKEN] = 0;
    r[REG_BROKEN + 1] = 0;
    u32 fault = hole_entry_reads(r);
    count_broken(s, r);
    if (UNLIKELY(fault)) {
      ADD(s->faults[(fault - 1) & (FIELDS - 1)], 1);
      flags |= CALL_FAULTED;
    } else {
      c->bytes = r[REG_BYTES];
      c->stream = r[REG_STREAM];
      c->save[0] = r[REG_SAVE];
      c->save[1] = r[REG_SAVE + 1];
      c->save[2] = r[REG_SAVE + 2];
      if (features & FEATURE_DEPTH && r[REG_DEPTH] != DEPTH_NONE && r[REG_STREAM])
        note_depth(s, r[REG_STREAM], r[REG_DEPTH], bpf_ktime_get_ns());
      if (features & FEATURE_CLOSE && r[REG_CLOSE]) forget_buffer(s, r[REG_CLOSE]);
      flags |= (u32)(r[REG_OUTCOME] & 0x7f) << 1;
    }
  }
  if (features & FEATURE_NEST) {
    struct thread *t = this_thread(tid);
    if (t) {
      if (*(volatile u64 *)&t->tid != tid) *(volatile u64 *)&t->tid = tid;
      flags |= (u32)t->position << CALL_NEST_SHIFT;
    }
  }
  c->flags = flags;
  *(volatile u64 *)&c->start = bpf_ktime_get_ns();
  if (UNLIKELY(taken)) {
    if (overflow.lookup(&key)) ADD(s->abandoned, 1);
    if (overflow.update(&key, &spilled)) ADD(s->missed, 1);
  }
}

int on_entry(REGS *ctx) {
  u64 cookie = hole_cookie(ctx);
  u32 index = cookie & COOKIE_SERIES;
  struct series *s = all_series.lookup(&index);
  if (s)
    enter(ctx, s, index, cookie, hole_features());
  else
    nowhere.call(ctx, 0);  // see above: for the stack
  return 0;
}

// Whether the token bucket lets one more event through. It holds its theoretical arrival time; another thread may move it meanwhile,
// which is no reason to hold this event back.
INLINE u32 let_through(struct series *s, u64 now) {
#pragma clang loop unroll(disable)
  for (int i = 0; i < 16; i++) {
    u64 tat = *(volatile u64 *)&s->event_tat, base = tat > now ? tat : now;
    if (base + s->event_gap_ns - now > s->event_burst_ns) return 0;
    if (__sync_val_compare_and_swap(&s->event_tat, tat, base + s->event_gap_ns) == tat) return 1;
  }
  return 0;
}

// One event for a slow call, as far as the ring buffer has room.
INLINE void report(REGS *ctx, struct series *s, u32 index, struct call *c, u64 now, u64 frame, u64 rv, u32 rv_known, u32 outcome,
                   u32 inside, u32 next, u32 nest_known, struct thread *t) {
  struct event *e = events.ringbuf_reserve(sizeof(struct event));
  if (!e) {
    ADD(s->lost, 1);
    return;
  }
  u64 id = bpf_get_current_pid_tgid();
  e->start = c->start;
  e->end = now;
  e->frame = frame;
  e->bytes = c->bytes;
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
  e->flags = (rv_known ? EVENT_RETURN : 0) | (nest_known ? EVENT_NEST_KNOWN : 0) | (outcome == OUTCOME_UNKNOWN ? EVENT_FAULTED : 0);
  e->nested_inside = inside;
  e->nested_next = next;
  e->pad = 0;
  bpf_get_current_comm(&e->comm, sizeof(e->comm));
  e->stack_bytes = bpf_get_stack(ctx, e->stack, sizeof(e->stack), 256 /* BPF_F_USER_STACK */);
  // The copy ends where the stack does: at the end of a page.
  u64 n = STACK_COPY;
  if (read_user(e->copy, STACK_COPY, (void *)sp)) {
    n = -sp & (STACK_COPY - 1);
    asm volatile("" : "+r"(n));  // the mask below is for the verifier, which has lost the one above
    n &= STACK_COPY - 1;
    if (read_user(e->copy, n, (void *)sp)) n = 0;
  }
  e->copy_bytes = n;
  if (nest_known && t) {
    // Not memcpy: BCC's clang would call it; the ring is 16 records of four words.
#pragma clang loop unroll(disable)
    for (int i = 0; i < NESTED; i++) e->nested[i] = t->recent[i];
  }
  ADD(s->emitted, 1);
  events.ringbuf_submit(e, 0);
}

INLINE void finish(REGS *ctx, struct series *s, u64 features, u32 index, struct call *c, u64 now, u64 frame, u64 rv, u32 rv_known) {
  u64 d = now - c->start;
  u32 exponent = log2_floor(d | 1);
  u64 at = (exponent << CELL_BITS) | (((d << (63 - exponent)) >> (63 - CELL_BITS)) & ((1 << CELL_BITS) - 1));
  asm volatile("" : "+r"(at));  // else the compiler leaves out the mask below, and Linux 6.1 knows no bound of an "or"
  struct cell *cell = &hole_cells()[at & ((64 << CELL_BITS) - 1)];
  u64 bucket = cell->bucket;
  if (d > cell->above1) bucket++;
  if (d > cell->above2) bucket++;
  asm volatile("" : "+r"(bucket));  // keeps check and use on one 64-bit register, for the verifier
  if (bucket >= BUCKETS) bucket = BUCKETS - 1;
  ADD(s->buckets[bucket], 1);
  ADD(s->sum_ns, d);

  // The loops come before what branches on outcomes: the verifier walks what follows a branch once for each way.
  u32 half = *(volatile u64 *)&hole_control()->epoch & 1;
  raise_to(&s->max[half], d, s, 32);
  raise_to(&s->inv_min[half], ~d, s, 32);
  u32 told = 0;
  if (UNLIKELY(d >= s->slow_ns)) {
    ADD(s->slow, 1);
    if (features & FEATURE_EVENTS) {
      told = let_through(s, now);
      if (!told) ADD(s->suppressed, 1);
    }
  }

  u64 bytes = c->bytes, outcome = c->flags >> 1 & 0x7f;
  if (UNLIKELY(c->flags & CALL_FAULTED)) {
    outcome = OUTCOME_UNKNOWN;
  } else if (features & FEATURE_END_READS) {
    if (rv_known || !(features & FEATURE_RETURN)) {
      u64 r[REGISTERS];
      r[0] = rv;
      r[1] = bytes;
      r[2] = c->stream;
      r[3] = c->save[0];
      r[4] = c->save[1];
      r[5] = c->save[2];
      r[6] = frame;
      r[REG_BYTES] = bytes;
      r[REG_OUTCOME] = outcome;
      r[REG_DEPTH] = DEPTH_NONE;
      r[REG_CLOSE] = 0;
      r[REG_OPEN] = 0;
      r[REG_BROKEN] = 0;
      r[REG_BROKEN + 1] = 0;
      u32 fault = hole_end_reads(r);
      count_broken(s, r);
      if (UNLIKELY(fault)) {
        ADD(s->faults[(fault - 1) & (FIELDS - 1)], 1);
        outcome = OUTCOME_UNKNOWN;
      } else {
        bytes = r[REG_BYTES];
        outcome = r[REG_OUTCOME];
        if (features & (FEATURE_DEPTH | FEATURE_OPEN | FEATURE_CLOSE)) outcome = any_value(outcome);
        u64 stream = c->stream;
        if (features & FEATURE_OPEN && r[REG_OPEN]) note_depth(s, r[REG_OPEN], 0, now);
        if (features & FEATURE_DEPTH && r[REG_DEPTH] != DEPTH_NONE && stream) note_depth(s, stream, r[REG_DEPTH], now);
        if (features & FEATURE_CLOSE && r[REG_CLOSE]) forget_buffer(s, r[REG_CLOSE]);
      }
    } else {
      outcome = OUTCOME_UNKNOWN;
    }
  }
  if (UNLIKELY(outcome == OUTCOME_NO_PACKET)) {
    ADD(s->no_packet, 1);
  } else if (UNLIKELY(outcome == OUTCOME_UNKNOWN)) {
    ADD(s->unknown, 1);
  } else {
    if (bytes) ADD(s->bytes, bytes);
    if (UNLIKELY(outcome == OUTCOME_DUPLICATE)) ADD(s->duplicates, 1);
    if (UNLIKELY(outcome >= OUTCOME_DROP)) ADD(s->drops[(outcome - OUTCOME_DROP) & (DROP_REASONS - 1)], 1);
  }

  u32 inside = 0, next = 0, nest_known = 0;
  struct thread *t = 0;
  if (features & FEATURE_NEST) {
    u32 tid = bpf_get_current_pid_tgid();
    t = this_thread(tid);
    if (t) {
      u64 position = t->position;
      nest_known = c->tid == tid && *(volatile u64 *)&t->tid == tid;
      inside = ((u32)position - (c->flags >> CALL_NEST_SHIFT)) & 0xffffff;
      next = position & (NESTED - 1);
    }
  }
  if (UNLIKELY(told)) report(ctx, s, index, c, now, frame, rv, rv_known, (u32)outcome, inside, next, nest_known, t);
  if (!t) return;
  struct nested *n = &t->recent[next & (NESTED - 1)];
  n->frame = frame;
  n->start = c->start;
  n->end = now;
  n->series = index;
  n->tid = c->tid;
  *(volatile u64 *)&t->position = t->position + 1;
}

// What the code of a site says of an end there: SITE_*, and the return value.
INLINE u32 at_site(REGS *ctx, u64 cookie, u64 frame, u64 *value) {
  u64 r[SITE_WORDS] = {GENERAL_REGISTERS(ctx)};
  r[SITE_FRAME] = frame;
  r[SITE_IP] = REG_IP(ctx);
  r[SITE_NUMBER] = cookie >> COOKIE_OFFSET_SHIFT & ((1 << COOKIE_SITE_BITS) - 1);
  r[SITE_VALUE] = 0;
  u32 verdict = any_value(hole_site(r));
  *value = any_value(r[SITE_VALUE]);
  return verdict;
}

INLINE void leave(REGS *ctx, u64 now, u64 cookie, u64 features) {
  u64 cc = REG_CC(ctx), rv = REG_RV(ctx);
  if (cookie & COOKIE_CONDITIONAL) {
    if (condition_holds(cookie >> COOKIE_CC_SHIFT & 15, cc) != !!(cookie & COOKIE_TAKEN)) return;
  }
  u32 index = cookie & COOKIE_SERIES;
  struct series *s = all_series.lookup(&index);
  if (!s) {
    nowhere.call(ctx, 0);  // see above: for the stack
    return;
  }
  u64 frame = frame_of(ctx, cookie), key = (frame >> 3) << SERIES_BITS | index;
  struct call *c = &hole_calls()[call_slot(key)], *o = 0, v;
  u32 spilled = *(volatile u64 *)&c->key != key, verdict = SITE_KNOWN;
  if (UNLIKELY(spilled)) {
    o = overflow.lookup(&key);
    if (!o) {
      if (!(cookie & COOKIE_OPTIONAL)) ADD(s->orphan_ends, 1);
      return;
    }
  }
  if (cookie & COOKIE_SITE) {
    verdict = at_site(ctx, cookie, frame, &rv);
    if (verdict == SITE_OTHER) return;
  }
  // A copy either way: the verifier would walk all that follows once for each place that a pointer may lead to.
  if (!o) {
    v.start = c->start;
    v.tid = c->tid;
    v.flags = c->flags;
    v.bytes = c->bytes;
    v.stream = c->stream;
    if (features & FEATURE_END_READS) {
      v.save[0] = c->save[0];
      v.save[1] = c->save[1];
      v.save[2] = c->save[2];
    }
    RELEASE_SLOT(&c->key);
  } else {
    v = *o;
    overflow.delete(&key);
  }
  finish(ctx, s, features, index, &v, now, frame, rv, !(cookie & COOKIE_NO_RETURN) && verdict == SITE_KNOWN);
}

int on_end(REGS *ctx) {
  u64 now = bpf_ktime_get_ns();
  leave(ctx, now, hole_cookie(ctx), hole_features());
  return 0;
}

// The gate of the probe's process: open while every library that it has loaded was looked at.
INLINE struct gate *gate_of(u64 features) { return &hole_gates()[features >> FEATURE_GATE_SHIFT & (GATES - 1)]; }

// Whether a session program runs at the end. A caller is told from the entry by its place within its page, without asking the
// kernel, unless it is in the same place (one in 4096).
INLINE int is_end(REGS *ctx, u64 features) {
  u64 ip = REG_IP(ctx);
  if (features & FEATURE_SITE && (ip ^ features >> FEATURE_SITE_SHIFT) & 0xfff) return 1;
  return ip != bpf_get_func_ip(ctx);
}

// Entry and end of a return probe whose entry can leave the end out (session links, Linux 6.13), by answering 1. No return address is
// touched then.
int on_session(REGS *ctx) {
  u64 cookie = hole_cookie(ctx), features = hole_features();
  if (is_end(ctx, features)) {
    leave(ctx, bpf_ktime_get_ns(), cookie, features);
    return 0;
  }
  struct gate *gate = gate_of(features);
  u32 index = cookie & COOKIE_SERIES;
  struct series *s = all_series.lookup(&index);
  if (!s) return 1;
  if (*(volatile u64 *)&gate->loads != *(volatile u64 *)&gate->cleared || *(volatile u32 *)&s->shut) {
    ADD(s->untimed, 1);
    return 1;
  }
  enter(ctx, s, index, cookie & COOKIE_AT_ENTRY, features);  // the stack pointer is at the return address there
  return 0;
}

// The process has loaded or unloaded a library, which has not run yet: its gate closes until user space has looked at it.
int on_load(REGS *ctx) {
  ADD(gate_of(hole_features())->loads, 1);
  return 0;
}
