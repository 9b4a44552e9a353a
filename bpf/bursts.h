// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
// Bursts and gaps of loss (RFC 3611, 4.7.2), among numbers that are so far behind the highest that what has not come is lost for good.
//
// A packet that opens another block of 32 numbers settles the block that fell far enough behind: in a program that its own calls at its end,
// so that it costs the probe's program nothing but a look. Which stream that is, a table holds by thread.
#ifndef OTEL_JB_BURSTS_H
#define OTEL_JB_BURSTS_H

// Of two threads that share a place in the table one settles nothing: the next packet that opens a block makes up for it.
INLINE void settle_later(struct rtp_stream *r) {
  u32 tid = bpf_get_current_pid_tgid();
  volatile u64 *place = settling_of(tid);
  if (place) *place = (u64)tid << 32 | *(volatile u32 *)&r->slot;
}

// 1 for what is not 0, without a branch, whose ways the verifier would follow one by one.
INLINE u64 is_set(u64 bits) {
  bits = -bits;
  asm volatile("" : "+r"(bits));
  return bits >> 63;
}

// The place of the lowest bit that is set, of at least one of the lower 33.
INLINE u64 lowest_bit(u64 bits) {
  bits &= -bits;
  u64 halves = is_set(bits & 0xffff0000) << 4 | is_set(bits & 0xff00ff00) << 3 | is_set(bits & 0xf0f0f0f0) << 2;
  return bits >> 32 << 5 | halves | is_set(bits & 0xcccccccc) << 1 | is_set(bits & 0xaaaaaaaa);
}

// No later loss belongs to these: they are a burst, or one loss in a gap.
INLINE void group_ends(volatile struct rtp_stream *v) {
  u64 behind = v->group_last + 1;
  if (v->group == 1) {
    v->gap_lost += 1;
    v->gap_expected += 1;
  } else {
    v->bursts += 1;
    v->burst_lost += v->group;
    v->burst_expected += behind - v->judged;
  }
  v->judged = behind;
  v->group = 0;
}

// Nobody knows any more what came of the numbers below `to`.
INLINE void judge_not(volatile struct rtp_stream *v, u64 to) {
  v->unjudged += to - v->judged;
  v->judged = to;
  v->group = 0;
}

// One run of numbers that all came or all did not, from `at` on, below `to`. Returns where it ends.
INLINE u64 settle_run(volatile struct rtp_stream *v, u64 at, u64 to) {
  u64 left = to - at, rest = 32 - (at & 31), word = v->window[at >> 5 & (RTP_WORDS - 1)], replaced = v->replaced;
  if ((u32)(replaced >> 32) == (u32)(at >> 5)) word = replaced;
  s32 later = (s32)((u32)(word >> 32) - (u32)(at >> 5));  // below 0: none of the block came
  u32 came = later ? 0 : (u32)word >> (at & 31);
  u64 run = lowest_bit((u32)(came ^ -(came & 1)) | 1ULL << rest);
  if (run > rest) run = rest;
  if (run > left) run = left;
  if (UNLIKELY(later > 0)) {
    judge_not(v, at + run);
  } else if (!(came & 1)) {
    if (v->group && at - v->group_last > RTP_GMIN) group_ends(v);
    if (!v->group) {
      v->gap_expected += at - v->judged;
      v->judged = at;
    }
    v->group += run;
    v->group_last = at + run - 1;
  }
  return at + run;
}

// By one thread at a time: one that finds another at it leaves its part to a later packet. 1: there is more, for another turn.
INLINE u32 settle(struct rtp_stream *r) {
  volatile struct rtp_stream *v = r;
  u64 at = v->settled, base = v->base, to = v->max, begin = 0;
  if (!at || at & RTP_SETTLING || __sync_val_compare_and_swap(&r->settled, at, at | RTP_SETTLING) != at) return 0;
  u64 held = at | RTP_SETTLING;
  if (!v->judged) v->judged = at;
  if (base > at) {  // another sequence began: the one before it ends
    begin = base;
    to = v->ended;
    if (to > at + RTP_SEQUENCES) {  // and that one began before this one was settled
      judge_not(v, at);
      to = at;
    }
  } else {
    to = (to - 32 * RTP_SETTLE) & ~31ULL;
    if (to > at + RTP_SEQUENCES) to = at;  // its beginning is about to be written
  }
#pragma clang loop unroll(disable)
  for (int i = 0; i < RTP_SETTLE_STEPS; i++) {
    if ((s64)(to - at) <= 0) break;
    at = any_value(settle_run(v, at, to));
  }
  u32 more = (s64)(to - at) > 0;
  if (!more) {
    if (v->group && (begin || at - v->group_last > RTP_GMIN)) group_ends(v);
    if (!v->group) {
      v->gap_expected += at - v->judged;
      v->judged = at;
    }
    if (begin) v->judged = at = begin;
  }
  __sync_val_compare_and_swap(&r->settled, held, at);
  return more;
}

// What settle_later() left to be done on this thread. 1: there is more.
INLINE u32 settle_here(void) {
  u32 tid = bpf_get_current_pid_tgid();
  volatile u64 *place = settling_of(tid);
  if (!place) return 0;
  u64 todo = *place;
  if (todo >> 32 != tid || !(u32)todo) return 0;
  struct rtp_stream *r = rtp_stream_at((u32)todo - 1);
  return r ? settle(r) : 0;
}

#endif
