// The kernel side: one entry and one end function serve every probe, told apart by the attach cookie.
//
// Compiled by BCC with -DBUCKETS= -DSERIES= -DCELL_BITS= (otel_jb/kernel/loader.py). What is hot lives in arrays that user space maps,
// so reading costs no system call and the agent's CPU does not depend on the call rate. Every update is atomic: uprobe
// programs are preemptible, and plain additions lost 217 of 2.4 million when measured.
#include <uapi/linux/ptrace.h>
#include "abi.h"
#include "arch.h"

#define MMAPABLE 1024  // BPF_F_MMAPABLE
#define INLINE static inline __attribute__((always_inline))

BPF_F_TABLE("array", u32, struct call, calls, 1 << CALL_BITS, MMAPABLE);
BPF_TABLE("hash", u64, struct call, overflow, 4096);
BPF_F_TABLE("array", u32, struct series, all_series, SERIES, MMAPABLE);
BPF_F_TABLE("array", u32, struct cell, cells, 64 << CELL_BITS, MMAPABLE);
BPF_F_TABLE("array", u32, struct program, programs, PROGRAMS, MMAPABLE);
BPF_F_TABLE("array", u32, struct control, control, 1, MMAPABLE);
BPF_F_TABLE("array", u32, struct buffer, buffers, BUFFER_SLOTS, MMAPABLE);
BPF_F_TABLE("array", u32, struct thread, threads, THREAD_SLOTS, MMAPABLE);
BPF_RINGBUF_OUTPUT(events, RING_PAGES);
BPF_PROG_ARRAY(nowhere, 1);
// From Linux 6.13 the JIT gives kprobe programs that use 64 bytes of stack or more a stack per CPU (kernel/bpf/verifier.c:
// bpf_enable_priv_stack), trusting in a check for recursion that uprobes do not have. A uprobe program can be preempted by another
// thread that runs it on the same CPU, and both write the one stack: pointers of one call in the other, which is a kernel
// oops in the target (seen on 7.3 with lazy preemption). A program with a tail call in it keeps to the task's own stack; so
// both have one, where it is never run.

// The helper under a name that BCC does not know: where it sees `bpf_probe_read_user` it reads all of /proc/kallsyms once more to
// learn whether the kernel has it (0.2 s of 0.5), and 5.5 and later do.
static long (*read_user)(void *to, u32 size, const void *from) = (void *)BPF_FUNC_probe_read_user;

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

INLINE void raise_to(u64 *p, u64 v, struct series *s) {
  u64 old = *(volatile u64 *)p;
#pragma clang loop unroll(disable)
  for (int i = 0; i < 64; i++) {
    if (v <= old) return;
    u64 seen = __sync_val_compare_and_swap(p, old, v);
    if (seen == old) return;
    old = seen;
  }
  ADD(s->minmax_lost, 1);
}

// Interprets a read program over r[REGISTERS]; returns 0, or 1 + the field whose read faulted.
// Few kinds of operation, each without branches of its own: the verifier walks every path of every step, and a switch over
// sixteen operations took it 0.3 s a program.
INLINE u32 interpret(u64 *r, u32 index) {
  struct program *p = programs.lookup(&index);
  if (!p) return 0;
  u32 pc = 0;
#pragma clang loop unroll(disable)
  for (int i = 0; i < PROGRAM_OPS; i++) {
    struct op *op = &p->op[pc];
    u32 kind = op->kind, w = op->how;
    u64 *d = &r[op->dst & (REGISTERS - 1)];
    u64 v = *d, x = r[op->src & (REGISTERS - 1)];
    s64 imm = op->imm;
    if (kind == OP_END) return 0;
    u32 jumped = 0, last = op->last;
    if (kind == OP_LINEAR) {
      u64 sign = -(u64)(w >> 2 & 1);
      *d = (v & -(u64)(w & 1)) + (((x ^ sign) - sign) & -(u64)(w >> 1 & 1)) + imm;
    } else if (kind == OP_JUMP) {
      u64 less = 0;
      if ((s64)v < imm) less = 1;
      u64 differs = v ^ imm, equal = ((differs | -differs) >> 63) ^ 1;
      u32 way = (less & w) | (equal & ~w);
      jumped = op->skip & -((way ^ w >> 1) & 1);
    } else {
      if (kind == OP_READ) {
        u32 n = w & 15;
        v = 0;
        if (n == 0 || n > 8) n = 8;
        if (read_user(&v, n, (void *)(x + imm))) return 1 + (op->skip & (FIELDS - 1));
        if (w & WIDTH_BIG_ENDIAN) v = __builtin_bswap64(v);
        imm = -1;
      } else {
        v = x;
      }
      v <<= op->up & 63;
      v = w & WIDTH_SIGNED ? (u64)((s64)v >> (op->down & 63)) : v >> (op->down & 63);
      *d = v & imm;
    }
    if (last) return 0;
    pc = (pc + 1 + jumped) & (PROGRAM_OPS - 1);  // one range on every path, so that the verifier sees one state
  }
  return 0;
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
  u32 zero = 0;
  struct control *c = control.lookup(&zero);
  if (c) raise_to(&s->depth_max[*(volatile u64 *)&c->epoch & 1], depth + 1, s);
}

INLINE void forget_buffer(struct series *s, u64 stream) {
  struct buffer *b = buffer_slot(stream << 16 | (s->group & 0xffff), 0);
  if (b) *(volatile u64 *)&b->key = 0;
}

INLINE u64 frame_of(REGS *ctx, u64 cookie) {
  u64 sp = REG_SP(ctx), fp = REG_FP(ctx);
  // Both loads happen: a choice between two context addresses is refused by the verifier.
  asm volatile("" : "+r"(sp), "+r"(fp));
  s32 offset = (s32)(cookie >> COOKIE_OFFSET_SHIFT);
  if (cookie & COOKIE_RETURN_ELSEWHERE) offset >>= 4;
  return (cookie & COOKIE_FP ? fp : sp) + (s64)offset;
}

INLINE u32 call_slot(u64 key) { return (key * 0x9E3779B97F4A7C15ULL) >> (64 - CALL_BITS); }

int on_entry(REGS *ctx) {
  u64 cookie = bpf_get_attach_cookie(ctx);
  u32 index = cookie & COOKIE_SERIES;
  struct series *s = all_series.lookup(&index);
  if (!s) {
    nowhere.call(ctx, 0);  // see above: for the stack
    return 0;
  }
  u64 frame = frame_of(ctx, cookie);
  if (cookie & COOKIE_ENTRY_ONLY) {
    ADD(s->untimed, 1);
    return 0;
  }
  u32 tid = bpf_get_current_pid_tgid(), flags = 0;
  u64 bytes = 0, stream = 0, save0 = 0, save1 = 0, save2 = 0;
  if (s->entry_program) {
    u64 r[REGISTERS] = {};
    r[0] = REG_A1(ctx);
    r[1] = REG_A2(ctx);
    r[2] = REG_A3(ctx);
    r[3] = REG_A4(ctx);
    r[4] = REG_A5(ctx);
    r[5] = REG_A6(ctx);
    r[6] = frame;
    r[REG_DEPTH] = DEPTH_NONE;
    u32 fault = interpret(r, s->entry_program);
    if (fault) {
      ADD(s->faults[(fault - 1) & (FIELDS - 1)], 1);
      flags |= CALL_FAULTED;
    } else {
      bytes = r[REG_BYTES];
      stream = r[REG_STREAM];
      save0 = r[REG_SAVE];
      save1 = r[REG_SAVE + 1];
      save2 = r[REG_SAVE + 2];
      if (r[REG_DEPTH] != DEPTH_NONE && stream) note_depth(s, stream, r[REG_DEPTH], bpf_ktime_get_ns());
      if (r[REG_CLOSE]) forget_buffer(s, r[REG_CLOSE]);
      flags |= (u32)(r[REG_OUTCOME] & 0x7f) << 1;
    }
  }
  if (s->flags & SERIES_NEST) {
    struct thread *t = this_thread(tid);
    if (t) {
      if (*(volatile u64 *)&t->tid != tid) *(volatile u64 *)&t->tid = tid;
      flags |= (u32)t->position << CALL_NEST_SHIFT;
    }
  }
  u64 key = (frame >> 3) << SERIES_BITS | index;
  u32 at = call_slot(key);
  struct call *c = calls.lookup(&at);
  if (!c) return 0;
  u64 old = __sync_val_compare_and_swap(&c->key, 0, key);
  if (old == 0 || old == key) {
    if (old) ADD(s->abandoned, 1);
    c->tid = tid;
    c->flags = flags;
    c->bytes = bytes;
    c->stream = stream;
    c->save[0] = save0;
    c->save[1] = save1;
    c->save[2] = save2;
    *(volatile u64 *)&c->start = bpf_ktime_get_ns();
    return 0;
  }
  u32 zero = 0;
  struct control *ctl = control.lookup(&zero);
  if (ctl) ADD(ctl->collided, 1);
  struct call v = {.key = key, .tid = tid, .flags = flags, .bytes = bytes, .stream = stream};
  v.save[0] = save0;
  v.save[1] = save1;
  v.save[2] = save2;
  if (overflow.lookup(&key)) ADD(s->abandoned, 1);
  v.start = bpf_ktime_get_ns();
  if (overflow.update(&key, &v)) ADD(s->missed, 1);
  return 0;
}

// One event for a slow call, as far as its token bucket and the ring buffer let it through.
INLINE void report(REGS *ctx, struct series *s, u32 index, struct call *c, u64 now, u64 frame, u64 rv, u32 rv_known, u32 outcome,
                   u32 inside, u32 next, u32 nest_known, struct thread *t) {
  // The bucket holds its theoretical arrival time; another thread may move it meanwhile, which is no reason to hold this one back.
  u32 allowed = 0;
#pragma clang loop unroll(disable)
  for (int i = 0; i < 16; i++) {
    u64 tat = *(volatile u64 *)&s->event_tat, base = tat > now ? tat : now;
    if (base + s->event_gap_ns - now > s->event_burst_ns) break;
    if (__sync_val_compare_and_swap(&s->event_tat, tat, base + s->event_gap_ns) == tat) {
      allowed = 1;
      break;
    }
  }
  if (!allowed) {
    ADD(s->suppressed, 1);
    return;
  }
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

INLINE void finish(REGS *ctx, struct series *s, u32 index, struct call *c, u64 now, u64 frame, u64 rv, u32 rv_known) {
  u64 d = now - c->start;
  u32 exponent = log2_floor(d | 1);
  u32 at = (exponent << CELL_BITS) | (u32)(((d << (63 - exponent)) >> (63 - CELL_BITS)) & ((1 << CELL_BITS) - 1));
  struct cell *cell = cells.lookup(&at);
  if (!cell) return;
  u64 bucket = cell->bucket;
  if (d > cell->above1) bucket++;
  if (d > cell->above2) bucket++;
  asm volatile("" : "+r"(bucket));  // keeps check and use on one 64-bit register, for the verifier
  if (bucket >= BUCKETS) bucket = BUCKETS - 1;
  ADD(s->buckets[bucket], 1);
  ADD(s->sum_ns, d);

  u64 bytes = c->bytes, outcome = c->flags >> 1 & 0x7f;
  if (c->flags & CALL_FAULTED) {
    outcome = OUTCOME_UNKNOWN;
  } else if (s->end_program && (rv_known || !(s->flags & SERIES_RETURN))) {
    u64 r[REGISTERS] = {};
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
    u32 fault = interpret(r, s->end_program);
    if (fault) {
      ADD(s->faults[(fault - 1) & (FIELDS - 1)], 1);
      outcome = OUTCOME_UNKNOWN;
    } else {
      bytes = r[REG_BYTES];
      outcome = r[REG_OUTCOME];
      u64 stream = c->stream;
      if (r[REG_OPEN]) note_depth(s, r[REG_OPEN], 0, now);
      if (r[REG_DEPTH] != DEPTH_NONE && stream) note_depth(s, stream, r[REG_DEPTH], now);
      if (r[REG_CLOSE]) forget_buffer(s, r[REG_CLOSE]);
    }
  } else if (s->end_program) {
    outcome = OUTCOME_UNKNOWN;
  }
  if (outcome == OUTCOME_NO_PACKET) {
    ADD(s->no_packet, 1);
  } else if (outcome == OUTCOME_UNKNOWN) {
    ADD(s->unknown, 1);
  } else {
    if (bytes) ADD(s->bytes, bytes);
    if (outcome == OUTCOME_DUPLICATE) ADD(s->duplicates, 1);
    if (outcome >= OUTCOME_DROP) ADD(s->drops[(outcome - OUTCOME_DROP) & (DROP_REASONS - 1)], 1);
  }

  u32 zero = 0;
  struct control *ctl = control.lookup(&zero);
  if (ctl) {
    u32 half = *(volatile u64 *)&ctl->epoch & 1;
    raise_to(&s->max[half], d, s);
    raise_to(&s->inv_min[half], ~d, s);
  }

  u32 inside = 0, next = 0, nest_known = 0;
  struct thread *t = 0;
  if (s->flags & SERIES_NEST) {
    u32 tid = bpf_get_current_pid_tgid();
    t = this_thread(tid);
    if (t) {
      u64 position = t->position;
      nest_known = c->tid == tid && *(volatile u64 *)&t->tid == tid;
      inside = ((u32)position - (c->flags >> CALL_NEST_SHIFT)) & 0xffffff;
      next = position & (NESTED - 1);
    }
  }
  if (d >= s->slow_ns) {
    ADD(s->slow, 1);
    if (s->flags & SERIES_EVENTS) report(ctx, s, index, c, now, frame, rv, rv_known, (u32)outcome, inside, next, nest_known, t);
  }
  if (!t) return;
  struct nested *n = &t->recent[next & (NESTED - 1)];
  n->frame = frame;
  n->start = c->start;
  n->end = now;
  n->series = index;
  n->tid = c->tid;
  *(volatile u64 *)&t->position = t->position + 1;
}

int on_end(REGS *ctx) {
  u64 now = bpf_ktime_get_ns();
  u64 cookie = bpf_get_attach_cookie(ctx);
  u64 cc = REG_CC(ctx), rv = REG_RV(ctx);
  if (cookie & COOKIE_CONDITIONAL) {
    if (condition_holds(cookie >> COOKIE_CC_SHIFT & 15, cc) != !!(cookie & COOKIE_TAKEN)) return 0;
  }
  if (cookie & COOKIE_RETURN_ELSEWHERE) rv = general_register(ctx, cookie >> COOKIE_OFFSET_SHIFT & 15);
  u32 index = cookie & COOKIE_SERIES;
  struct series *s = all_series.lookup(&index);
  if (!s) {
    nowhere.call(ctx, 0);  // see above: for the stack
    return 0;
  }
  u64 frame = frame_of(ctx, cookie), key = (frame >> 3) << SERIES_BITS | index;
  u32 at = call_slot(key);
  struct call *c = calls.lookup(&at);
  if (!c) return 0;
  struct call v;
  if (*(volatile u64 *)&c->key == key) {
    v = *c;
    RELEASE_SLOT(&c->key);
  } else {
    struct call *o = overflow.lookup(&key);
    if (!o) {
      if (!(cookie & COOKIE_OPTIONAL)) ADD(s->orphan_ends, 1);
      return 0;
    }
    v = *o;
    overflow.delete(&key);
  }
  finish(ctx, s, index, &v, now, frame, rv, !(cookie & COOKIE_NO_RETURN));
  return 0;
}
