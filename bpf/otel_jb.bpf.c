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
  u8 bytes[sizeof(struct waiting) * WAITING_ROWS];
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
BPF_F_TABLE("array", u32, struct place, buffers, BUFFER_SLOTS, MMAPABLE);
BPF_F_TABLE("array", u32, struct thread, threads, THREAD_SLOTS, MMAPABLE);
BPF_F_TABLE("array", u32, struct rtp_stream, rtp_streams, RTP_STREAMS, MMAPABLE);
BPF_F_TABLE("array", u32, struct rtp_unplaced, rtp_unplaced, SERIES, MMAPABLE);  // by series
BPF_F_TABLE("array", u32, struct flight, flights, 1, MMAPABLE);                  // user space chooses the size
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
static u64 (*hole_word)(void) = (void *)HOLE_WORD;
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

// Where this stands seldom anything comes by: a jump that leads nowhere, by which the agent finds what to put behind all else.
#define RARELY asm volatile("goto +0")
#define UNLIKELY(x)                 \
  (__builtin_expect(!!(x), 0) && ({ \
     RARELY;                        \
     1;                             \
   }))
#define SAVED(features) ((features) >> FEATURE_SAVES_SHIFT & 3)
#define ADD(field, n) __sync_fetch_and_add(&(field), (n))
// Has the processor fetch a cache line before it is needed: no load passes a locked instruction, so behind one the lines would come one by one.
#define FETCH(p) asm volatile("" ::"r"(*(volatile u64 *)(p)))

// Without branches: the verifier would follow all 32 paths through them to the end of the program.
INLINE u64 log2_floor(u64 v) {
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

#include "buffers.c"

// Returns the value and hides it from the verifier, which then walks the following code once, not once for each possible constant.
INLINE u64 any_value(u64 v) { return v + *(volatile u64 *)&hole_control()->zero; }

// BCC turns look-ups into calls in this file only.
INLINE struct rtp_stream *rtp_stream_at(u32 slot) { return rtp_streams.lookup(&slot); }
INLINE struct rtp_unplaced *rtp_unplaced_of(u32 series) { return rtp_unplaced.lookup(&series); }
INLINE u64 rtp_tick(u32 payload_type) { return *(volatile u64 *)&hole_control()->clocks[payload_type & (RTP_CLOCKS - 1)]; }

// The octave of a duration, guessed from the last one's: a load and a comparison in the place of the 20 dependent steps of log2_floor.
INLINE u64 octave_near(u64 ns, u64 *last) {
  u64 octave = *(volatile u64 *)last;
  if (UNLIKELY((ns | 1) >> (octave & 63) != 1)) {
    octave = any_value(log2_floor(ns | 1));
    *(volatile u64 *)last = octave;
  }
  return octave;
}

// Which cell a duration has.
INLINE u64 cell_place(u64 ns, u64 exponent) {
  return (exponent << CELL_BITS) | (((ns << (63 - exponent)) >> (63 - CELL_BITS)) & ((1 << CELL_BITS) - 1));
}

INLINE struct cell *cell_at(u64 place) {
  asm volatile("" : "+r"(place));  // or the compiler drops the mask below, and Linux 6.1 knows no bound for an "or"
  return &hole_cells()[place & ((64 << CELL_BITS) - 1)];
}

INLINE struct cell *cell_in(u64 ns, u64 exponent) { return cell_at(cell_place(ns, exponent)); }

INLINE struct cell *cell_of(u64 ns) { return cell_in(ns, log2_floor(ns | 1)); }

// What a duration's cell says of its buckets; `above` is how many of the cell's thresholds it is above.
INLINE u64 buckets_at(struct cell *cell, u64 ns, u32 *above) {
  *above = (ns > cell->above1) + (ns > cell->above2);
  return cell->buckets;
}

// The histogram bucket of a duration that has this cell.
INLINE u64 bucket_in(struct cell *cell, u64 ns) {
  u32 above;
  u64 bucket = (u32)buckets_at(cell, ns, &above);
  bucket += above;
  asm volatile("" : "+r"(bucket));  // keeps check and use on one 64-bit register, for the verifier
  return bucket >= BUCKETS ? BUCKETS - 1 : bucket;
}

INLINE u64 bucket_of(u64 ns) { return bucket_in(cell_of(ns), ns); }

// The bucket of a time between packets.
INLINE u64 rtp_gap_bucket(struct cell *cell, u64 ns) {
  u32 above;
  u64 buckets = buckets_at(cell, ns, &above);
  return buckets >> (CELL_GAPS_SHIFT + CELL_GAP_BITS * above) & (RTP_GAPS - 1);
}

INLINE struct flight *flight_at(u32 at) { return flights.lookup(&at); }

INLINE u64 *settling_of(u32 tid) {
  u32 at = tid & (SETTLERS - 1);
  return settling.lookup(&at);
}

#include "flight.h"
#include "bursts.h"
#include "rtp.h"

INLINE struct residence *residence_of(u32 group) { return residences.lookup(&group); }

#include "residence.h"

#include "frames.c"
#include "processes.c"
#include "entries.c"

INLINE int at_entry(REGS *ctx, u64 cookie, u64 features) {
  u64 r[REGISTERS];
  u64 only = hole_word(), id = only && cookie & COOKIE_ENTRY_ONLY ? 0 : bpf_get_current_pid_tgid();
  u32 tgid = process_of(only, id);
  u32 index = base_of(cookie, tgid, only);
  if (index >= BASE_IGNORED) return 0;
  index += cookie & COOKIE_NUMBER;
  struct series *s = all_series.lookup(&index);
  if (features & FEATURE_RTP) r[REG_RTP] = 0;
  if (UNLIKELY(!s))
    onward.call(ctx, ONWARD_NOWHERE);  // for the stack, see above
  else
    enter(ctx, s, index, cookie, features, tgid, id, !(cookie & COOKIE_ENTRY_ONLY), r);
  if (features & FEATURE_RTP && UNLIKELY(*(volatile u64 *)&r[REG_RTP])) onward.call(ctx, ONWARD_SETTLE);
  return 0;
}

int on_entry(REGS *ctx) { return at_entry(ctx, hole_cookie(ctx), hole_features()); }
int on_plain_entry(REGS *ctx) { return at_entry(ctx, hole_cookie(ctx), hole_features() & ~FEATURES_RARE); }

#include "reports.c"
#include "ends.c"

INLINE int at_end(REGS *ctx, u64 now, u64 cookie, u64 features) {
  u64 r[REGISTERS];
  leave(ctx, now, cookie, features, r);
  return 0;
}

int on_end(REGS *ctx) {
  u64 now = bpf_ktime_get_ns();
  return at_end(ctx, now, hole_cookie(ctx), hole_features());
}

int on_plain_end(REGS *ctx) {
  u64 now = bpf_ktime_get_ns();
  return at_end(ctx, now, hole_cookie(ctx), hole_features() & ~FEATURES_RARE);
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
INLINE int in_session(REGS *ctx, u64 cookie, u64 features) {
  u64 r[REGISTERS];
  if (is_end(ctx, features)) {
    leave(ctx, bpf_ktime_get_ns(), cookie, features, r);
    return 0;
  }
  u64 only = hole_word(), id = bpf_get_current_pid_tgid();
  u32 tgid = process_of(only, id);
  u32 index = base_of(cookie, tgid, only);
  if (index >= BASE_IGNORED) return 1;
  index += cookie & COOKIE_NUMBER;
  struct series *s = all_series.lookup(&index);
  if (UNLIKELY(!s)) return 1;
  u32 timed = !!(*(volatile u32 *)&s->flags & FLAG_CLEARED);
  if (features & FEATURE_RTP) r[REG_RTP] = 0;
  // The stack pointer is at the return address there.
  int unseen = enter(ctx, s, index, cookie & COOKIE_AT_ENTRY, features, tgid, id, timed, r);
  if (features & FEATURE_RTP && UNLIKELY(*(volatile u64 *)&r[REG_RTP])) {
    // The kernel gets the other program's answer.
    if (unseen)
      onward.call(ctx, ONWARD_SETTLE_UNSEEN);
    else
      onward.call(ctx, ONWARD_SETTLE);
  }
  return unseen;
}

int on_session(REGS *ctx) { return in_session(ctx, hole_cookie(ctx) & ~COOKIE_NOT_AT_RETURN, hole_features()); }
int on_plain_session(REGS *ctx) {
  return in_session(ctx, hole_cookie(ctx) & ~COOKIE_NOT_AT_RETURN, hole_features() & ~FEATURES_RARE);
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

#include "commands.c"
