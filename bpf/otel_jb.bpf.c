// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
// The kernel side: one entry and one end function, which serve every probe.
//
// Compiled by BCC with -DBUCKETS= -DSERIES= -DCELL_BITS= and the counters of a series, which otel_jb/model/counters.py lists
// (otel_jb/probes/programs/compiler.py). Probes differ in constants and in the arguments they read. The agent puts both into the
// compiled instructions, where the holes below are (otel_jb/probes/programs/template.py), and the verifier leaves out what a probe
// does not need. Hot data lives in arrays that user space maps, so reading
// costs no system call and the agent's CPU does not depend on the call rate. Every update is atomic: uprobe programs are
// preemptible, and plain additions lost 217 of 2.4 million when measured.
#include <uapi/linux/ptrace.h>
#include "abi.h"
#include "arch.h"

#define MMAPABLE 1024  // BPF_F_MMAPABLE
#define INLINE static inline __attribute__((always_inline))

// Maps of one element, whose addresses are constants in the programs. To BCC they are bytes: it would make code for every field of every entry.
struct calls {
  u8 bytes[sizeof(struct call) << CALL_BITS];
};
struct cells {
  u8 bytes[sizeof(struct cell) * (64 << CELL_BITS)];
};
struct cache {
  u8 bytes[sizeof(u64) << CACHE_BITS];
};
struct sets {
  u8 bytes[sizeof(struct set) << SET_BITS];
};
struct users {
  u8 bytes[sizeof(struct user) * USERS];
};
struct shares {
  u8 bytes[sizeof(struct share) << CALL_BITS];
};
struct waitings {
  u8 bytes[sizeof(struct waiting) << WAITING_BITS];
};
BPF_F_TABLE("array", u32, struct calls, calls, 1, MMAPABLE);
BPF_F_TABLE("array", u32, struct shares, shares, 1, 0);
BPF_F_TABLE("array", u32, struct cells, cells, 1, MMAPABLE);
BPF_TABLE("hash", u64, struct call, overflow, 4096);
BPF_F_TABLE("array", u32, struct series, all_series, SERIES, MMAPABLE);
BPF_F_TABLE("array", u32, struct control, control, 1, MMAPABLE);
BPF_F_TABLE("array", u32, struct cache, cache, 1, MMAPABLE);
BPF_F_TABLE("array", u32, struct sets, sets, 1, MMAPABLE);
BPF_F_TABLE("array", u32, struct users, users, 1, MMAPABLE);
BPF_TABLE("hash", u64, u64, owners, 16384);
BPF_TABLE("hash", u64, struct process, processes, 8192);
BPF_F_TABLE("array", u32, struct buffer, buffers, BUFFER_SLOTS, MMAPABLE);
BPF_F_TABLE("array", u32, struct thread, threads, THREAD_SLOTS, MMAPABLE);
BPF_F_TABLE("array", u32, struct rtp_stream, rtp_streams, RTP_STREAMS, MMAPABLE);
BPF_F_TABLE("array", u32, u64, rtp_clocks, 128,
            MMAPABLE);  // length of one step of RTP time in 2^-16 ns, by payload type; 0: unknown
BPF_F_TABLE("array", u32, u64, rtp_gap_buckets, BUCKETS, MMAPABLE);  // the bucket of the time between packets that each belongs to
BPF_F_TABLE("array", u32, struct rtp_unplaced, rtp_unplaced, SERIES, MMAPABLE);  // by series
BPF_F_TABLE("array", u32, struct flight, flights, 1, MMAPABLE);                  // user space chooses the size
BPF_F_TABLE("array", u32, struct flow, flows, FLOWS, MMAPABLE);
BPF_F_TABLE("array", u32, struct waitings, waiting, 1, MMAPABLE);
BPF_F_TABLE("array", u32, struct residence, residences, RESIDENCES, MMAPABLE);  // by group of buffers
BPF_RINGBUF_OUTPUT(events, RING_PAGES);
BPF_F_TABLE("array", u32, u64, settling, SETTLERS, 0);  // by thread: thread id << 32 | the stream that it is about to settle
BPF_PROG_ARRAY(onward, 3);
BPF_PROG_ARRAY(onward_in_session, 3);  // replaces it in session programs: an array takes one kind of program only
#define ONWARD_NOWHERE 0               // no program is ever there
#define ONWARD_SETTLE 1                // on_settle
#define ONWARD_SETTLE_UNSEEN 2         // on_settle_unseen
// From Linux 6.13 the JIT gives kprobe programs that use 64 bytes of stack or more a stack per CPU (kernel/bpf/verifier.c:
// bpf_enable_priv_stack), trusting in a check for recursion that uprobes do not have. A uprobe program can be preempted by another
// thread that runs it on the same CPU, and both write the one stack: pointers of one call in the other, which is a kernel
// oops in the target (seen on 7.3 with lazy preemption). A program that contains a tail call keeps to the task's own stack, so
// all contain one that never runs.

// The helper, under a name that BCC does not know. Where BCC sees `bpf_probe_read_user`, it reads all of /proc/kallsyms to learn
// whether the kernel has it (0.2 s of 0.5). Linux 5.5 and later do.
static long (*read_user)(void *to, u32 size, const void *from) = (void *)BPF_FUNC_probe_read_user;
static long (*read_kernel)(void *to, u32 size, const void *from) = (void *)BPF_FUNC_probe_read_kernel;

// Holes are calls of helpers that no kernel has. The agent replaces them by: the probe's cookie and features, each a constant; its
// reads, instructions over r[REGISTERS] that return 0, or 1 + the field whose read faulted, and that add to s->added; the meaning of an
// end at one site (over r[SITE_WORDS]); loads from the scheduler's account of this thread, whose places only the running kernel tells;
// and the addresses of maps of one element, which need neither a look-up nor a check.
static u64 (*hole_cookie)(void *ctx) = (void *)HOLE_COOKIE;
static u64 (*hole_features)(void) = (void *)HOLE_FEATURES;
static u64 (*hole_entry_reads)(u64 *r, struct series *s) = (void *)HOLE_ENTRY_READS;
static u64 (*hole_end_reads)(u64 *r, struct series *s) = (void *)HOLE_END_READS;
static u64 (*hole_site)(u64 *r) = (void *)HOLE_SITE;
static u64 (*hole_arguments)(void *ctx, u64 *r) = (void *)HOLE_ARGUMENTS;
static u64 (*hole_share)(u64 *r) = (void *)HOLE_SHARE;
static u64 (*hole_updated)(u64 *r) = (void *)HOLE_UPDATED;
static struct share *(*hole_shares)(void) = (void *)HOLE_SHARES;
static struct call *(*hole_calls)(void) = (void *)HOLE_CALLS;
static struct cell *(*hole_cells)(void) = (void *)HOLE_CELLS;
static struct control *(*hole_control)(void) = (void *)HOLE_CONTROL;
static u64 *(*hole_cache)(void) = (void *)HOLE_CACHE;
static struct set *(*hole_sets)(void) = (void *)HOLE_SETS;
static struct user *(*hole_users)(void) = (void *)HOLE_USERS;
static struct waiting *(*hole_waiting)(void) = (void *)HOLE_WAITING;

#define UNLIKELY(x) __builtin_expect(!!(x), 0)
#define ADD(field, n) __sync_fetch_and_add(&(field), (n))

// Without branches: the verifier would follow all 32 paths through them to the end of the program.
INLINE u32 log2_floor(u64 v) {
  u64 r = v >> 32 ? 32 : 0, more;
  v >>= r;
#define HALVE(bits)                                   \
  more = (((1ULL << (bits)) - 1 - v) >> 63) * (bits); \
  v >>= more;                                         \
  r |= more
  HALVE(16);
  HALVE(8);
  HALVE(4);
  HALVE(2);
#undef HALVE
  return r | v >> 1;
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
  if (v > *(volatile u64 *)p) ADD(s->minmax_lost, 1);
}

// The half of an interval's words that is being written.
INLINE u32 this_half(void) { return *(volatile u64 *)&hole_control()->epoch & 1; }

// The interval's highest value plus one, and the complement of its lowest. 0 means that there was none.
INLINE void note_highest(struct series *s, u64 *halves, u32 half, u64 v, int tries) { raise_to(&halves[half], v + 1, s, tries); }

INLINE void note_lowest(struct series *s, u64 *halves, u32 half, u64 v, int tries) { raise_to(&halves[half], ~v, s, tries); }

INLINE struct thread *this_thread(u32 tid) {
  u32 i = tid & (THREAD_SLOTS - 1);
  return threads.lookup(&i);
}

// A buffer's first slot, or 0.
INLINE struct buffer *buffer_of(u64 key) {
  u32 h = (key * 0x9E3779B97F4A7C15ULL) >> 52;
#pragma clang loop unroll(disable)
  for (int i = 0; i < BUFFER_PROBES; i++) {
    u32 at = (h + i) & (BUFFER_SLOTS - 1);
    struct buffer *b = buffers.lookup(&at);
    if (!b) return 0;
    if (*(volatile u64 *)&b->key == key) return b;
  }
  return 0;
}

// A buffer's slot; takes one if the buffer has none. If an earlier slot is freed meanwhile, two threads may take one each: the
// thread that sees the other's slot before its own gives its own back, and the reader counts no key twice.
INLINE struct buffer *buffer_slot(u64 key) {
  struct buffer *b = buffer_of(key);
  if (b) return b;
  u32 h = (key * 0x9E3779B97F4A7C15ULL) >> 52;
  struct buffer *mine = 0;
#pragma clang loop unroll(disable)
  for (int i = 0; i < BUFFER_PROBES; i++) {
    u32 at = (h + i) & (BUFFER_SLOTS - 1);
    b = buffers.lookup(&at);
    if (!b) return 0;
    u64 k = __sync_val_compare_and_swap(&b->key, 0, key);
    if (k == key) return b;
    if (k == 0) {
      mine = b;
      break;
    }
  }
  if (!mine) return 0;
  b = buffer_of(key);
  if (!b || b == mine) return mine;
  __sync_val_compare_and_swap(&mine->key, key, 0);
  return b;
}

INLINE void note_depth(struct series *s, u64 stream, u64 depth, u64 now) {
  u64 key = stream << 16 | (s->group & 0xffff);
  struct buffer *b = buffer_slot(key);
  if (!b) {
    ADD(s->depth_lost, 1);
    return;
  }
  // The slot may pass to another buffer between these lines. The mark then shows that the depth is not that buffer's.
  *(volatile u64 *)&b->depth = depth | ((key * 0x9E3779B97F4A7C15ULL) >> DEPTH_MARK_SHIFT) << DEPTH_MARK_SHIFT;
  *(volatile u64 *)&b->seen_ns = now;
  note_highest(s, s->depth_max, this_half(), depth, 16);
}

INLINE void forget_buffer(struct series *s, u64 stream) {
  u64 key = stream << 16 | (s->group & 0xffff);
  u32 h = (key * 0x9E3779B97F4A7C15ULL) >> 52;
#pragma clang loop unroll(disable)
  for (int i = 0; i < BUFFER_PROBES; i++) {
    u32 at = (h + i) & (BUFFER_SLOTS - 1);
    struct buffer *b = buffers.lookup(&at);
    if (!b) return;
    __sync_val_compare_and_swap(&b->key, key, 0);
  }
}

// Returns the value and hides it from the verifier, which then walks the following code once, not once for each possible constant.
INLINE u64 any_value(u64 v) {
  volatile u32 half[2] = {v, v >> 32};
  return *(volatile u64 *)half;
}

// BCC turns look-ups into calls in this file only.
INLINE struct rtp_stream *rtp_stream_at(u32 slot) { return rtp_streams.lookup(&slot); }
INLINE struct rtp_unplaced *rtp_unplaced_of(u32 series) { return rtp_unplaced.lookup(&series); }
INLINE u64 rtp_tick(u32 payload_type) {
  u64 *tick = rtp_clocks.lookup(&payload_type);
  return tick ? *tick : 0;
}
INLINE u64 rtp_gap_bucket(u32 bucket) {
  u64 *place = rtp_gap_buckets.lookup(&bucket);
  return place ? *place : 0;
}

// The histogram bucket of a duration.
INLINE u64 bucket_of(u64 ns) {
  u32 exponent = log2_floor(ns | 1);
  u64 at = (exponent << CELL_BITS) | (((ns << (63 - exponent)) >> (63 - CELL_BITS)) & ((1 << CELL_BITS) - 1));
  asm volatile("" : "+r"(at));  // or the compiler drops the mask below, and Linux 6.1 knows no bound for an "or"
  struct cell *cell = &hole_cells()[at & ((64 << CELL_BITS) - 1)];
  u64 bucket = cell->bucket;
  if (ns > cell->above1) bucket++;
  if (ns > cell->above2) bucket++;
  asm volatile("" : "+r"(bucket));  // keeps check and use on one 64-bit register, for the verifier
  return bucket >= BUCKETS ? BUCKETS - 1 : bucket;
}

INLINE struct flight *flight_at(u32 at) { return flights.lookup(&at); }

INLINE u64 *settling_of(u32 tid) {
  u32 at = tid & (SETTLERS - 1);
  return settling.lookup(&at);
}

#include "flight.h"
#include "bursts.h"
#include "rtp.h"

INLINE struct flow *flow_at(u32 slot) { return flows.lookup(&slot); }
INLINE struct residence *residence_of(u32 group) { return residences.lookup(&group); }

#include "residence.h"

INLINE u64 frame_of(REGS *ctx, u64 cookie) {
  u64 sp = REG_SP(ctx), fp = REG_FP(ctx);
  // Both loads happen: the verifier refuses a choice between two context addresses.
  asm volatile("" : "+r"(sp), "+r"(fp));
  s32 offset = (s32)(cookie >> COOKIE_OFFSET_SHIFT);
  if (cookie & COOKIE_SITE) offset >>= COOKIE_SITE_BITS;
  return (cookie & COOKIE_FP ? fp : sp) + (s64)offset;
}

// A frame's depth in its goroutine's stack, in words. It stays the same when the stack grows and is copied. The stack's
// high end is the second word of `runtime.g`.
INLINE u32 go_depth(REGS *ctx, u64 frame) {
  u64 high = 0, owner = REG_GO(ctx);
  if (read_user(&high, sizeof(high), (void *)(owner + 8))) return 0;
  return (high - frame) >> 3 & NEST_MASK;
}

// Loads of registers that the compiler must not merge into one load from a chosen address: the verifier refuses that.
#define TAKE(n, c_register, go_register)                      \
  if ((features & FEATURE_KEY) == n << FEATURE_KEY_SHIFT) {   \
    u64 c = c_register(ctx), go = go_register(ctx);           \
    asm volatile("" : "+r"(c), "+r"(go));                     \
    *(volatile u64 *)&value = features & FEATURE_GO ? go : c; \
  }

// The value that the two functions of a pair share.
INLINE u64 pair_value(REGS *ctx, u64 features) {
  u64 value = 0;
  TAKE(1u, REG_A1, GO_A1)
  TAKE(2u, REG_A2, GO_A2)
  TAKE(3u, REG_A3, GO_A3)
  TAKE(4u, REG_A4, GO_A4)
  TAKE(5u, REG_A5, GO_A5)
  TAKE(6u, REG_A6, GO_A6)
  if ((features & FEATURE_KEY) == KEY_THREAD << FEATURE_KEY_SHIFT) {
    u64 go = REG_GO(ctx);
    asm volatile("" : "+r"(go));
    value = features & FEATURE_GO ? go : (u32)bpf_get_current_pid_tgid();
  }
  return value;
}

// The key of a call in flight: its frame; in Go, its goroutine and the frame's depth; for a pair of functions, the value that they
// share. Part of the key, the mark, is kept with the call: equal keys with equal marks belong to one owner.
struct owner {
  u64 rest;
  u32 mark;
};

INLINE struct owner owner_of(REGS *ctx, u64 features, u64 frame) {
  struct owner o = {frame >> 3, 0};
  if (features & FEATURE_KEY) {
    u64 value = pair_value(ctx, features);
    o.rest = value >> 22;
    o.mark = value & NEST_MASK;
  } else if (features & FEATURE_GO) {
    u64 go = REG_GO(ctx);
    asm volatile("" : "+r"(go));
    o.rest = go >> 3;
    o.mark = go_depth(ctx, frame);
  }
  return o;
}

INLINE u64 key_of(struct owner o, u32 index) {
  if (o.mark) o.rest ^= o.mark * 0x9E3779B97F4A7C15ULL >> SERIES_BITS;
  return o.rest << SERIES_BITS | index;
}

// -- the block of series that a process's calls belong to ------------------------------------------------------------------------

// The hash `owners` holds the truth. A process's calls find a word in `cache`, a copy that needs no helper.
INLINE u32 cache_place(u32 tgid, u32 set) {
  return ((tgid ^ set << 16) * 0x9E3779B1u) >> (32 - CACHE_BITS) & ((1 << CACHE_BITS) - 1);
}

INLINE u64 cache_tag(u32 tgid, u32 set) { return tgid | (u64)set << CACHE_TGID_BITS | CACHE_VALID; }

INLINE void remember(u32 tgid, u32 set, u64 base) {
  u32 at = cache_place(tgid, set);
  u64 *cache = hole_cache(), word = cache_tag(tgid, set) | base << CACHE_BASE_SHIFT;
  if (__sync_val_compare_and_swap(&cache[at], 0, word)) __sync_val_compare_and_swap(&cache[at ^ 1], 0, word);
}

// Forget a process's cached base, or replace it if `base` is not ~0.
INLINE void recall(u32 tgid, u32 set, u64 base) {
  u64 tag = cache_tag(tgid, set), word = base == ~0ULL ? 0 : tag | base << CACHE_BASE_SHIFT, *cache = hole_cache();
  u32 at = cache_place(tgid, set);
  u64 old = *(volatile u64 *)&cache[at];
  if ((old & CACHE_MATCH) == tag) __sync_val_compare_and_swap(&cache[at], old, word);
  old = *(volatile u64 *)&cache[at ^ 1];
  if ((old & CACHE_MATCH) == tag) __sync_val_compare_and_swap(&cache[at ^ 1], old, word);
}

INLINE void wake_reader(u32 tgid) {
  struct wake w = {tgid};
  events.ringbuf_output(&w, sizeof(w), 0);
}

// When the process of this thread started, in nanoseconds since boot; 0 where the kernel's structures are not known.
INLINE u64 started_ns(void) {
  struct control *k = hole_control();
  u64 task = bpf_get_current_task(), leader = 0, at = 0;
  if (!k->group_leader || read_kernel(&leader, sizeof(leader), (void *)(task + k->group_leader))) return 0;
  if (read_kernel(&at, sizeof(at), (void *)(leader + k->start_boottime))) return 0;
  return at;
}

INLINE struct user *user_of(u32 uid) {
  u64 id = (u64)uid + 1;
  u32 h = uid * 0x9E3779B1u >> 22;
#pragma clang loop unroll(disable)
  for (u32 i = 0; i < 16; i++) {
    struct user *u = &hole_users()[(h + i) & (USERS - 1)];
    u64 was = __sync_val_compare_and_swap(&u->id, 0, id);
    if (!was || was == id) return u;
  }
  return 0;
}

// Note that a process belongs to a set, for when it ends. Returns 0 if it belongs to too many sets, or there are too many processes.
INLINE int join_set(u32 tgid, u32 set) {
  u64 id = tgid;
  struct process *p = processes.lookup(&id);
  if (!p) {
    struct process none = {};
    processes.insert(&id, &none);
    p = processes.lookup(&id);
    if (!p) return 0;
  }
  u64 bit = 1ULL << (set & 63), *word = &p->member[set >> 6 & ((1 << SET_BITS) / 64 - 1)];
  if (*(volatile u64 *)word & bit) return 1;
  if (*(volatile u64 *)&p->count >= PROCESS_SETS) return 0;
  if (__sync_fetch_and_or(word, bit) & bit) return 1;
  u32 at = ADD(p->count, 1);
  if (at >= PROCESS_SETS) {
    __sync_fetch_and_and(word, ~bit);
    return 0;
  }
  p->sets[at & (PROCESS_SETS - 1)] = set;
  return 1;
}

// A process's block; takes one from the set's grant if the process has none. `of_current`: it is the running process.
// `whose`: 1 + the id of the user whose quota it counts against, or 0.
INLINE u32 claim(u32 tgid, u32 set, int of_current, u64 whose) {
  u64 owner = tgid | (u64)set << 32, base;
  u64 *known = owners.lookup(&owner);
  if (known) {
    base = *known;
    remember(tgid, set, base);
    return base;
  }
  struct set *f = &hole_sets()[set & ((1 << SET_BITS) - 1)];
  u32 functions = f->functions, found = 0;
  struct user *u = 0;
  if (whose) {
    u = user_of(whose - 1);
    if (u && *(volatile u64 *)&u->taken - *(volatile u64 *)&u->freed + functions > hole_control()->user_quota) {
      ADD(u->refused, 1);
      if (of_current) ADD(f->no_room, 1);
      return BASE_IGNORED;
    }
  }
  u64 turn = 0;
#pragma clang loop unroll(disable)
  for (int i = 0; i < 64; i++) {
    turn = *(volatile u64 *)&f->taken;
    if (turn >= *(volatile u64 *)&f->given) break;
    if (__sync_val_compare_and_swap(&f->taken, turn, turn + 1) == turn) {
      found = 1;
      break;
    }
  }
  if (!found) {
    if (of_current) ADD(f->no_room, 1);  // user space makes no call here, and tries again
    return BASE_IGNORED;
  }
  u32 at = f->grants[turn & (GRANTS - 1)];
  struct series *s = all_series.lookup(&at);
  if (!s) return BASE_IGNORED;
  base = at;
  if (of_current) {
    s->started_ns = started_ns();
    s->cgroup = bpf_get_current_cgroup_id();
    bpf_get_current_comm(&s->comm, sizeof(s->comm));
  }
  s->whose = whose;
  *(volatile u64 *)&s->owner = owner;
  if (!join_set(tgid, set) || owners.insert(&owner, &base)) {
    // Another thread of the process came first, or there are too many processes.
    __sync_val_compare_and_swap(&s->state, BLOCK_FREE, BLOCK_VOID);
    known = owners.lookup(&owner);
    if (!known) {
      if (of_current) ADD(f->no_room, 1);
      return BASE_IGNORED;
    }
    base = *known;
  } else {
    if (u) ADD(u->taken, functions);
    __sync_val_compare_and_swap(&s->state, BLOCK_FREE, BLOCK_TAKEN);
    if (of_current) wake_reader(tgid);
  }
  remember(tgid, set, base);
  return base;
}

INLINE u64 cached(u32 tgid, u32 set) {
  u64 tag = cache_tag(tgid, set), *cache = hole_cache();
  u32 at = cache_place(tgid, set);
  u64 word = *(volatile u64 *)&cache[at];
  if (UNLIKELY((word & CACHE_MATCH) != tag)) {
    word = *(volatile u64 *)&cache[at ^ 1];
    if ((word & CACHE_MATCH) != tag) return ~0ULL;
  }
  return word >> CACHE_BASE_SHIFT;
}

// The process's first series, at an entry; BASE_IGNORED if the process is not measured or has no room.
INLINE u32 base_of(u64 cookie, u32 tgid) {
  u32 set = cookie >> NUMBER_BITS & ((1 << SET_BITS) - 1);
  u64 base = cached(tgid, set);
  if (UNLIKELY(base == ~0ULL)) base = claim(tgid, set, 1, 1 + (u64)(u32)bpf_get_current_uid_gid());
  return base;
}

// The same at an end. A process whose first call began before the probe has none.
INLINE u32 known_base(u64 cookie, u32 tgid) {
  u32 set = cookie >> NUMBER_BITS & ((1 << SET_BITS) - 1);
  u64 base = cached(tgid, set);
  if (UNLIKELY(base == ~0ULL)) {
    u64 owner = tgid | (u64)set << 32, *known = owners.lookup(&owner);
    base = known ? *known : BASE_IGNORED;
  }
  return base;
}

INLINE u32 call_slot(u64 key) { return (key * 0x9E3779B97F4A7C15ULL) >> (64 - CALL_BITS); }

// While a function's links are being exchanged, both forms see each call, the new one first (the kernel puts it at the head of the
// list). Returns whether the new form has seen it: the call is in flight there, or the new form left a mark, which this removes.
INLINE u32 seen_by_new_form(u64 key, u32 of_new) {
  struct call *c = &hole_calls()[call_slot(key)];
  u32 flags;
  if (*(volatile u64 *)&c->key == key) {
    flags = c->flags;
    if (!!(flags & CALL_FORM) != of_new) return 0;
    if (flags & CALL_MARK) RELEASE_SLOT(&c->key);
    return 1;
  }
  struct call *o = overflow.lookup(&key);
  if (!o) return 0;
  flags = o->flags;
  if (!!(flags & CALL_FORM) != of_new) return 0;
  if (flags & CALL_MARK && !overflow.delete(&key)) ADD(hole_control()->spilled, -1);
  return 1;
}

// A key that begins again in the array may be in the overflow table too. The call that began there will never end.
INLINE void forget_spilled(struct series *s, u64 key) {
  struct call *o = overflow.lookup(&key);
  if (!o) return;
  u32 mark = o->flags & CALL_MARK;
  if (overflow.delete(&key)) return;
  ADD(hole_control()->spilled, -1);
  if (!mark) ADD(s->abandoned, 1);
}

// Impossible sizes and depths were not emitted. User space stops reading such a value.
INLINE void count_broken(struct series *s, u64 *r) {
  if (UNLIKELY(r[REG_BROKEN])) ADD(s->faults[(r[REG_BROKEN] - 1) & (FIELDS - 1)], 1);
  if (UNLIKELY(r[REG_BROKEN + 1])) ADD(s->faults[(r[REG_BROKEN + 1] - 1) & (FIELDS - 1)], 1);
}

// At an entry: a packet goes into a buffer, or comes out of one. Returns where it waits, as packet_enters does.
INLINE u32 packet_moves(struct series *s, u64 features, u64 *r, u64 now) {
  u64 stream = r[REG_STREAM], packet = r[REG_PACKET];
  if (packet == PACKET_NONE) return 0;
  if (features & FEATURE_ENTERS)
    return any_value(packet_enters(s, stream, packet, now, features & FEATURE_RTP ? r[REG_RTP + 1] : 0));
  packet_leaves(s, stream, packet, now, r[REG_OUTCOME]);
  return 0;
}

// At an end: notes in its record what became of the packet that the call was given.
INLINE void flight_lands(u64 reference, u64 since, u64 now, u64 outcome, u32 passed) {
  u64 end = passed                                  ? FLIGHT_PLAYED
            : outcome == OUTCOME_DUPLICATE          ? FLIGHT_DOUBLE
            : outcome - OUTCOME_DROP < DROP_REASONS ? outcome
                                                    : 0;
  if (UNLIKELY(end)) flight_ends(reference, FLIGHT_CALL_LAPS, since, now, end);
}

// Counts an entry and, if its end will be seen (`timed`), opens the call. Returns 1 if no end is wanted.
INLINE int enter(REGS *ctx, struct series *s, u32 index, u64 cookie, u64 features, u32 timed, u64 *r) {
  u64 frame = frame_of(ctx, cookie);
  struct owner owner = owner_of(ctx, features, frame);
  u64 key = key_of(owner, index);
  u32 form = features & FEATURE_FORM ? CALL_FORM : 0, held = *(volatile u32 *)&s->flags, mark = 0;
  if (UNLIKELY(held & (FLAG_SHUT | FLAG_EXCHANGE))) {
    if (held & FLAG_SHUT) return 1;
    if (!!form != !!(held & FLAG_NEW)) {
      if (seen_by_new_form(key, !!(held & FLAG_NEW))) return 1;
    } else if (!timed) {
      mark = CALL_MARK;
    }
  }
  ADD(s->entered, 1);
  u64 id = bpf_get_current_pid_tgid();
  // A goroutine outlives the thread it began in, and an object outlives the thread that it was handed to.
  u32 owned = features & (FEATURE_GO | FEATURE_KEY), of_thread = !owned || owned == KEY_THREAD << FEATURE_KEY_SHIFT;
  u32 tid = of_thread ? id : id >> 32, flags = form | mark;
  r[REG_BYTES] = 0;
  r[REG_STREAM] = 0;
  r[REG_SAVE] = 0;
  r[REG_SAVE + 1] = 0;
  r[REG_SAVE + 2] = 0;
  if (features & FEATURE_ENTRY_READS) {
    r[0] = REG_A1(ctx);
    r[1] = REG_A2(ctx);
    r[2] = REG_A3(ctx);
    r[3] = REG_A4(ctx);
    r[4] = REG_A5(ctx);
    r[5] = REG_A6(ctx);
    r[6] = frame;
    if (features & FEATURE_GO) {
      // Repeated, because the verifier refuses a choice between two context addresses.
      *(volatile u64 *)&r[0] = GO_A1(ctx);
      *(volatile u64 *)&r[1] = GO_A2(ctx);
      *(volatile u64 *)&r[2] = GO_A3(ctx);
      *(volatile u64 *)&r[3] = GO_A4(ctx);
      *(volatile u64 *)&r[4] = GO_A5(ctx);
      *(volatile u64 *)&r[5] = GO_A6(ctx);
    }
    r[REG_DEPTH] = DEPTH_NONE;
    r[REG_OUTCOME] = 0;
    r[REG_CLOSE] = 0;
    r[REG_BROKEN] = 0;
    r[REG_BROKEN + 1] = 0;
    if (features & FEATURE_RTP) {
      r[REG_RTP] = 0;
      r[REG_RTP + 1] = 0;
    }
    if (features & FEATURE_PACKET) r[REG_PACKET] = PACKET_NONE;
    u32 fault = 0;
    if (features & FEATURE_ARGUMENTS) fault = hole_arguments(ctx, r);
    if (!fault) fault = hole_entry_reads(r, s);
    count_broken(s, r);
    if (UNLIKELY(fault)) {
      ADD(s->faults[(fault - 1) & (FIELDS - 1)], 1);
      flags |= CALL_FAULTED;
      r[REG_BYTES] = 0;
      r[REG_STREAM] = 0;
      r[REG_SAVE] = 0;
      r[REG_SAVE + 1] = 0;
      r[REG_SAVE + 2] = 0;
      if (features & FEATURE_PACKET) r[REG_PACKET] = PACKET_NONE;
      if (features & FEATURE_RTP) {
        r[REG_RTP] = 0;
        r[REG_RTP + 1] = 0;
      }
    } else {
      if (features & FEATURE_DEPTH && r[REG_DEPTH] != DEPTH_NONE && r[REG_STREAM])
        note_depth(s, r[REG_STREAM], r[REG_DEPTH], bpf_ktime_get_ns());
      if (features & FEATURE_CLOSE && r[REG_CLOSE]) forget_buffer(s, r[REG_CLOSE]);
      if (features & FEATURE_CLOSE && r[REG_CLOSE]) flow_ends(s, r[REG_CLOSE]);
      if (features & FEATURE_EMPTIES && r[REG_PACKET] != PACKET_NONE) flow_ends(s, r[REG_PACKET]);
      flags |= (u32)(r[REG_OUTCOME] & 0x7f) << 1;
      if (features & FEATURE_RTP && r[REG_RTP])
        note_rtp(s, index, r[REG_RTP], r[REG_BYTES], r[REG_STREAM], r[REG_RTP + 1], features, r);
      else if (features & FEATURE_RTP)
        r[REG_RTP + 1] = 0;
    }
  }
  if (!timed) {
    u32 outcome = flags >> 1 & 0x7f;
    u32 told_packet = features & FEATURE_TOLD && !(flags & CALL_FAULTED);
    if (told_packet && outcome == OUTCOME_UNDERRUN) ADD(s->underruns, 1);
    if (told_packet && !HANDLED_NONE(outcome)) {
      if (r[REG_BYTES]) ADD(s->bytes, r[REG_BYTES]);
      if (outcome == OUTCOME_DUPLICATE) ADD(s->duplicates, 1);
      if (outcome >= OUTCOME_DROP) ADD(s->drops[(outcome - OUTCOME_DROP) & (DROP_REASONS - 1)], 1);
      ADD(s->packets, 1);
    }
    ADD(s->untimed, 1);
    if (!mark) {
      if (features & (FEATURE_ENTERS | FEATURE_LEFT)) packet_moves(s, features, r, bpf_ktime_get_ns());
      return 1;
    }
  } else if (features & (FEATURE_GO | FEATURE_KEY)) {
    flags |= owner.mark << CALL_NEST_SHIFT;
  } else if (features & FEATURE_NEST) {
    struct thread *t = this_thread(tid);
    if (t) {
      if (*(volatile u64 *)&t->tid != tid) {
        *(volatile u64 *)&t->tid = tid;
        *(volatile u64 *)&t->position = t->position + 1;  // so that no call of the other thread lies behind `since`
        *(volatile u64 *)&t->since = t->position;
      }
      flags |= ((u32)t->position & NEST_MASK) << CALL_NEST_SHIFT;
    }
  }
  struct call *c = &hole_calls()[call_slot(key)], spilled;
  u64 old = __sync_val_compare_and_swap(&c->key, 0, key);
  u32 taken = old && old != key;
  if (UNLIKELY(taken)) {
    spilled.key = key;
    spilled.save[0] = 0;
    spilled.save[1] = 0;
    spilled.save[2] = 0;
    c = &spilled;
  } else if (UNLIKELY(old)) {
    // The one that takes its start counts the call that was there: this program, or the reader if its thread is gone.
    if (__sync_lock_test_and_set(&c->start, 1) && !(c->flags & CALL_MARK)) ADD(s->abandoned, 1);
  } else if (UNLIKELY(*(volatile u64 *)&hole_control()->spilled)) {
    forget_spilled(s, key);
  }
  c->tid = tid;
  c->bytes = features & (FEATURE_ENTERS | FEATURE_RTP) ? r[REG_BYTES] & CALL_BYTES : r[REG_BYTES];
  if (features & FEATURE_RTP) c->bytes |= r[REG_RTP + 1] << CALL_FLIGHT_SHIFT;
  c->stream = r[REG_STREAM];
  if (features & (FEATURE_ENTRY_READS | FEATURE_END_READS)) {
    c->save[0] = r[REG_SAVE];
    c->save[1] = r[REG_SAVE + 1];
    c->save[2] = r[REG_SAVE + 2];
  }
  c->flags = flags;
  if (features & FEATURE_SHARE) hole_share(r);
  u64 now = bpf_ktime_get_ns();
  if (features & FEATURE_SHARE && c != &spilled) {
    // It is the account at `now`, unless it was written meanwhile: the thread was preempted, or the tick came.
    struct share *share = &hole_shares()[call_slot(key)];
    share->away = hole_updated(r) == r[2] ? r[0] : 0;
    share->waited = r[1];
  }
  *(volatile u64 *)&c->start = now;
  if (UNLIKELY(taken)) {
    struct call *o = overflow.lookup(&key);
    if (o) {
      if (!(o->flags & CALL_MARK)) ADD(s->abandoned, 1);
    } else {
      ADD(hole_control()->spilled, 1);
    }
    if (overflow.update(&key, &spilled)) {
      ADD(hole_control()->spilled, -1);
      if (!mark) ADD(s->missed, 1);
      return 1;
    }
  }
  if (features & (FEATURE_ENTERS | FEATURE_LEFT)) {
    u64 place = packet_moves(s, features, r, now);
    if (place && !taken) c->bytes |= (place & CALL_PLACE) << CALL_PLACE_SHIFT;
  }
  return !timed;
}

int on_entry(REGS *ctx) {
  u64 r[REGISTERS];
  u64 cookie = hole_cookie(ctx), features = hole_features();
  u32 index = base_of(cookie, bpf_get_current_pid_tgid() >> 32);
  if (index >= BASE_IGNORED) return 0;
  index += cookie & COOKIE_NUMBER;
  struct series *s = all_series.lookup(&index);
  if (features & FEATURE_RTP) r[REG_RTP] = 0;
  if (s)
    enter(ctx, s, index, cookie, features, !(cookie & COOKIE_ENTRY_ONLY), r);
  else
    onward.call(ctx, ONWARD_NOWHERE);  // for the stack, see above
  if (features & FEATURE_RTP && UNLIKELY(*(volatile u64 *)&r[REG_RTP])) onward.call(ctx, ONWARD_SETTLE);
  return 0;
}

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

// At an end: the call put or got a packet. Reads again what it needs, because the stack is full.
INLINE void packet_ends(struct series *s, u64 features, struct call *c, u64 now, u64 *r) {
  u64 outcome = *(volatile u64 *)&r[REG_OUTCOME], packet = *(volatile u64 *)&r[REG_PACKET];
  if (features & FEATURE_LEAVES) {
    if (!HANDLED_NONE(outcome) && outcome != OUTCOME_UNKNOWN) packet_leaves(s, c->stream, packet, now, outcome);
    return;
  }
  u32 where = c->bytes >> CALL_PLACE_SHIFT & CALL_PLACE;
  u32 passed = features & FEATURE_ENTERS && packet == PACKET_PASSED && outcome == OUTCOME_PACKET;
  if (features & FEATURE_RTP) flight_lands(c->bytes >> CALL_FLIGHT_SHIFT, c->start, now, outcome, passed);
  if (!(features & FEATURE_ENTERS)) return;
  if (where && (passed || outcome != OUTCOME_PACKET)) packet_stays_out(where, c->start);
  if (passed) count_residence(s->group & 0xffff, 0);
}

INLINE void finish(REGS *ctx, struct series *s, u64 features, u32 index, struct call *c, u64 now, u64 frame, u64 rv, u32 rv_known,
                   u64 *r) {
  u64 d = now - c->start;
  u64 bucket = bucket_of(d);
  // The loops come before the branches on outcomes: the verifier walks the code after a branch once for each path.
  u32 half = this_half();
  ADD(s->sum_ns[half], d);
  ADD(s->count[half], 1);
  note_highest(s, s->duration_max, half, d, 16);
  note_lowest(s, s->duration_min, half, d, 16);
  ADD(s->buckets[bucket], 1);
  u32 told = 0;
  if (UNLIKELY(d >= s->slow_ns)) {
    ADD(s->slow, 1);
    if (features & FEATURE_EVENTS) {
      told = let_through(s, now);
      if (!told) ADD(s->events_suppressed, 1);
    }
  }

  u64 bytes = c->bytes, outcome = c->flags >> 1 & 0x7f;
  if (features & (FEATURE_ENTERS | FEATURE_RTP)) bytes &= CALL_BYTES;
  if (features & (FEATURE_ENTERS | FEATURE_LEAVES)) *(volatile u64 *)&r[REG_PACKET] = PACKET_NONE;
  u32 faulted = c->flags & CALL_FAULTED;
  if (UNLIKELY(faulted)) {
    outcome = OUTCOME_UNKNOWN;
  } else if (features & FEATURE_END_READS) {
    if (rv_known || !(features & FEATURE_RETURN)) {
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
      if (!(features & (FEATURE_ENTERS | FEATURE_LEAVES))) r[REG_OPEN] = 0;
      r[REG_BROKEN] = 0;
      r[REG_BROKEN + 1] = 0;
      u32 fault = hole_end_reads(r, s);
      count_broken(s, r);
      if (UNLIKELY(fault)) {
        ADD(s->faults[(fault - 1) & (FIELDS - 1)], 1);
        outcome = OUTCOME_UNKNOWN;
        faulted = 1;
      } else {
        bytes = r[REG_BYTES];
        outcome = r[REG_OUTCOME];
        if (features & (FEATURE_DEPTH | FEATURE_OPEN | FEATURE_CLOSE)) outcome = any_value(outcome);
        u64 stream = c->stream;
        if (features & FEATURE_OPEN && r[REG_OPEN]) note_depth(s, r[REG_OPEN], 0, now);
        if (features & FEATURE_DEPTH && r[REG_DEPTH] != DEPTH_NONE && stream) note_depth(s, stream, r[REG_DEPTH], now);
        if (features & FEATURE_CLOSE && r[REG_CLOSE]) forget_buffer(s, r[REG_CLOSE]);
        if (features & FEATURE_OPEN && r[REG_OPEN]) flow_ends(s, r[REG_OPEN]);
        if (features & FEATURE_CLOSE && r[REG_CLOSE]) flow_ends(s, r[REG_CLOSE]);
      }
    } else {
      outcome = OUTCOME_UNKNOWN;
    }
  }
  if (features & (FEATURE_ENTERS | FEATURE_LEAVES | FEATURE_RTP)) *(volatile u64 *)&r[REG_OUTCOME] = outcome;
  if (UNLIKELY(HANDLED_NONE(outcome))) {
    ADD(s->no_packet, 1);
    if (outcome == OUTCOME_UNDERRUN) ADD(s->underruns, 1);
  } else if (UNLIKELY(outcome == OUTCOME_UNKNOWN)) {
    ADD(s->unknown, 1);
  } else {
    if (features & (FEATURE_ENTRY_READS | FEATURE_END_READS)) ADD(s->packets, 1);
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
      // These may include another thread's calls if it had the slot since this call began.
      u64 position = t->position;
      u32 began = c->flags >> CALL_NEST_SHIFT, held = (u32)position - (u32)t->since;
      inside = ((u32)position - began) & NEST_MASK;
      nest_known = c->tid == tid && *(volatile u64 *)&t->tid == tid && inside <= held;
      next = position & (NESTED - 1);
    }
  }
  u32 late = 0;
  if (features & FEATURE_EVENTS && features >> FEATURE_LATE_SHIFT && !told) late = any_value(tells_late(s, features, outcome, now));
  if (UNLIKELY(told | late))
    report(ctx, s, features, index, c, now, frame, rv, rv_known, (u32)outcome, faulted, inside, next, nest_known, t, late, r);
  if (t) {
    struct nested *n = &t->recent[next & (NESTED - 1)];
    n->frame = frame;
    n->start = c->start;
    n->end = now;
    n->series = index;
    n->tid = c->tid;
    *(volatile u64 *)&t->position = t->position + 1;
  }
  if (features & (FEATURE_ENTERS | FEATURE_LEAVES | FEATURE_RTP)) packet_ends(s, features, c, now, r);
}

// The end of a call that is not open. A missed call ends too.
INLINE void note_orphan(struct series *s, u64 cookie) {
  if (cookie & COOKIE_OPTIONAL || *(volatile u32 *)&s->flags & (FLAG_SHUT | FLAG_EXCHANGE)) return;
  u64 ends = *(volatile u64 *)&s->missed_ends;
  if (ends < *(volatile u64 *)&s->missed && __sync_val_compare_and_swap(&s->missed_ends, ends, ends + 1) == ends) return;
  ADD(s->orphan_ends, 1);
}

// What a site's code says about an end there: SITE_*, and the return value.
INLINE u32 at_site(REGS *ctx, u64 cookie, u64 frame, u64 *value, u64 *r) {
  u64 general[SITE_FRAME] = {GENERAL_REGISTERS(ctx)};
#pragma clang loop unroll(full)
  for (int i = 0; i < SITE_FRAME; i++) r[i] = general[i];
  r[SITE_FRAME] = frame;
  r[SITE_IP] = REG_IP(ctx);
  r[SITE_NUMBER] = cookie >> COOKIE_OFFSET_SHIFT & ((1 << COOKIE_SITE_BITS) - 1);
  r[SITE_VALUE] = 0;
  u32 verdict = any_value(hole_site(r));
  *value = any_value(r[SITE_VALUE]);
  return verdict;
}

INLINE void leave(REGS *ctx, u64 now, u64 cookie, u64 features, u64 *r) {
  u64 cc = REG_CC(ctx), rv = REG_RV(ctx);
  if (cookie & COOKIE_CONDITIONAL) {
    if (condition_holds(cookie >> COOKIE_CC_SHIFT & 15, cc) != !!(cookie & COOKIE_TAKEN)) return;
  }
  u32 index = known_base(cookie, bpf_get_current_pid_tgid() >> 32);
  if (index >= BASE_IGNORED) return;
  index += cookie & COOKIE_NUMBER;
  struct series *s = all_series.lookup(&index);
  if (!s) {
    onward.call(ctx, ONWARD_NOWHERE);  // for the stack, see above
    return;
  }
  u64 frame = frame_of(ctx, cookie);
  struct owner owner = owner_of(ctx, features, frame);
  u64 key = key_of(owner, index);
  struct call *c = &hole_calls()[call_slot(key)], *o = 0, v;
  u32 spilled = *(volatile u64 *)&c->key != key, verdict = SITE_KNOWN;
  if (UNLIKELY(spilled)) {
    o = overflow.lookup(&key);
    if (!o) {
      note_orphan(s, cookie);
      return;
    }
  }
  if (features & (FEATURE_GO | FEATURE_KEY)) {
    u32 flags = o ? o->flags : c->flags;
    if (!(flags & CALL_MARK) && UNLIKELY((flags >> CALL_NEST_SHIFT & NEST_MASK) != owner.mark)) {
      note_orphan(s, cookie);
      return;
    }
  }
  if (cookie & COOKIE_SITE) {
    verdict = at_site(ctx, cookie, frame, &rv, r);
    if (verdict == SITE_OTHER) return;
  }
  // A copy in both cases: the verifier would walk the rest once for each place that a pointer may lead to.
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
    if (UNLIKELY(v.flags & CALL_MARK)) return;  // of no call
    if (features & FEATURE_SHARE) {
      struct share *share = &hole_shares()[call_slot(key)];
      r[REG_AWAY] = share->away;
      r[REG_AWAY + 1] = share->waited;
    }
    *(volatile u64 *)&c->start = 0;  // so that it is not taken for the next call's
    RELEASE_SLOT(&c->key);
    if (UNLIKELY(!v.start)) return;  // settled: counted as abandoned already
  } else {
    v = *o;
    if (v.flags & CALL_MARK) return;
    if (features & FEATURE_SHARE) r[REG_AWAY] = 0;
    if (!overflow.delete(&key)) ADD(hole_control()->spilled, -1);
  }
  finish(ctx, s, features, index, &v, now, frame, rv, !(cookie & COOKIE_NO_RETURN) && verdict == SITE_KNOWN, r);
}

int on_end(REGS *ctx) {
  u64 r[REGISTERS], now = bpf_ktime_get_ns();
  leave(ctx, now, hole_cookie(ctx), hole_features(), r);
  return 0;
}

// Whether a session program runs at an end. The place within its page tells the caller from the entry without asking the
// kernel, unless both have the same place (one in 4096).
INLINE int is_end(REGS *ctx, u64 features) {
  u64 ip = REG_IP(ctx);
  if (features & FEATURE_SITE && (ip ^ features >> FEATURE_SITE_SHIFT) & 0xfff) return 1;
  return ip != bpf_get_func_ip(ctx);
}

// Entry and end of a return probe whose entry can leave out the end by returning 1 (session links, Linux 6.13). The kernel then
// touches no return address.
int on_session(REGS *ctx) {
  u64 r[REGISTERS];
  u64 cookie = hole_cookie(ctx), features = hole_features();
  if (is_end(ctx, features)) {
    leave(ctx, bpf_ktime_get_ns(), cookie, features, r);
    return 0;
  }
  u32 index = base_of(cookie, bpf_get_current_pid_tgid() >> 32);
  if (index >= BASE_IGNORED) return 1;
  index += cookie & COOKIE_NUMBER;
  struct series *s = all_series.lookup(&index);
  if (!s) return 1;
  u32 timed = !!(*(volatile u32 *)&s->flags & FLAG_CLEARED);
  if (features & FEATURE_RTP) r[REG_RTP] = 0;
  int unseen =
      enter(ctx, s, index, cookie & COOKIE_AT_ENTRY, features, timed, r);  // the stack pointer is at the return address there
  if (features & FEATURE_RTP && UNLIKELY(*(volatile u64 *)&r[REG_RTP])) {
    // The kernel gets the other program's answer.
    if (unseen)
      onward.call(ctx, ONWARD_SETTLE_UNSEEN);
    else
      onward.call(ctx, ONWARD_SETTLE);
  }
  return unseen;
}

// What a packet that opened another block of numbers leaves to be done, behind all else of its call: in programs of their own, which the
// verifier walks once and not for each probe, with a stack of their own. `SETTLE_UNSEEN` is for the entry of a session whose end is not wanted.
int on_settle(REGS *ctx) {
  if (settle_here()) onward.call(ctx, ONWARD_SETTLE);
  return 0;
}

int on_settle_unseen(REGS *ctx) {
  if (settle_here()) onward.call(ctx, ONWARD_SETTLE_UNSEEN);
  return 1;
}

// -- processes that end, and what user space asks for -----------------------------------------------------------------------------

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
