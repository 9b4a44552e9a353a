// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
// Counts the RTP of each stream as its packets pass: received, lost, reordered, duplicated, jitter (RFC 3550), by SSRC.
//
// Exact under concurrency, without a lock and without an event per packet. The numbers seen lately are a window of words, each with
// the number of its block beside its bits, so that it is taken over by a later block and marked in one compare-and-swap, and a jump of
// any width clears nothing. `lost` is one signed word: it rises when a gap opens and falls when a packet of the gap arrives.
#ifndef OTEL_JB_RTP_H
#define OTEL_JB_RTP_H

// The slot of a stream: one SSRC of one buffer of one series. 0: there is no room. All its places are looked at before one is taken,
// for user space frees slots in any order.
INLINE struct rtp_stream *rtp_slot(u64 key, u64 owner) {
  u32 h = ((key ^ owner << 16) * 0x9E3779B97F4A7C15ULL) >> (64 - RTP_STREAM_BITS);
#pragma clang loop unroll(disable)
  for (int i = 0; i < RTP_PROBES; i++) {
    struct rtp_stream *r = rtp_stream_at((h + i) & (RTP_STREAMS - 1));
    if (!r) return 0;
    if (*(volatile u64 *)&r->key == key && *(volatile u64 *)&r->owner == owner) return r;
  }
  RARELY;
#pragma clang loop unroll(disable)
  for (int i = 0; i < RTP_PROBES; i++) {
    struct rtp_stream *r = rtp_stream_at((h + i) & (RTP_STREAMS - 1));
    if (!r) return 0;
    u64 was = __sync_val_compare_and_swap(&r->key, 0, key);
    if (was && was != key) continue;
    was = __sync_val_compare_and_swap(&r->owner, 0, owner);
    if (was && was != owner) continue;
    *(volatile u64 *)&r->slot = 1 + ((h + i) & (RTP_STREAMS - 1));
    ADD(hole_control()->begun, 1);  // only now: who sees it finds key and owner
    return r;
  }
  return 0;
}

// Mark a number as seen. 0: it was not, 1: it was, 2: it is older than the window.
INLINE u32 rtp_mark(struct rtp_stream *r, u64 number) {
  u64 block = (number >> 5) & 0xffffffff, bit = 1ULL << (number & 31);
  u64 *word = &r->window[block & (RTP_WORDS - 1)], old = *(volatile u64 *)word;
#pragma clang loop unroll(disable)
  for (int i = 0; i < RTP_TRIES; i++) {
    u64 marked = block << 32 | bit;
    s32 behind = (s32)((u32)(old >> 32) - (u32)block);
    if (behind > 0) return 2;
    if (behind == 0) {
      if (old & bit) return 1;
      marked = old | bit;
    }
    u64 seen = __sync_val_compare_and_swap(word, old, marked);
    if (seen == old) {
      if (UNLIKELY(behind)) *(volatile u64 *)&r->replaced = old;
      return 0;
    }
    old = seen;
  }
  return 2;
}

// How long after the packet before it this one passes; `expected`, whose cell is `place`, if no other packet has passed meanwhile. Of two that
// pass at once, one may see the other as later: no time lies between them.
INLINE void rtp_gap(struct rtp_stream *r, u64 now, u64 expected, u64 place) {
  u64 before = __sync_lock_test_and_set(&r->passed_ns, now);
  if (UNLIKELY(!before)) return;
  u64 gap = now - before;
  if (UNLIKELY(gap != expected || gap > now)) {
    if (gap > now) gap = 0;
    place = any_value(cell_place(gap, log2_floor(gap | 1)));
  }
  ADD(r->gaps_ns, gap);
  ADD(r->gaps[rtp_gap_bucket(cell_at(place), gap)], 1);
}

// RFC 3550, A.8, in nanoseconds. When the last packet came (in 1024 ns) and its RTP time are one word, so that they belong together.
INLINE void rtp_jitter(struct rtp_stream *r, u64 tick, u32 rtp_time, u64 now) {
  now >>= 10;
  u64 last = __sync_lock_test_and_set(&r->last, now << 32 | rtp_time);
  if (UNLIKELY(*(volatile u64 *)&r->tick != tick)) {  // the first packet, or another clock
    *(volatile u64 *)&r->tick = tick;
    return;
  }
  s64 sent = (s32)(rtp_time - (u32)last);
  if (UNLIKELY(sent > RTP_LONGEST_STEP || sent < -RTP_LONGEST_STEP)) return;
  s64 moved = ((u64)(u32)((u32)now - (u32)(last >> 32)) << 10) - (sent * (s64)tick >> 16);
  if (moved < 0) moved = -moved;
  u64 jitter = *(volatile u64 *)&r->jitter;
  ADD(r->moved, moved);
  ADD(r->jitter, moved - ((jitter + 8) >> 4));
}

// 2^-16 ns of one step of a packet's RTP time: what is configured or assigned, else what the server itself has negotiated. 0: not known.
INLINE u64 rtp_tick_of(struct rtp_stream *r, u32 payload_type) {
  u64 tick = rtp_tick(payload_type);
  if (tick) return tick;
  u64 clock = *(volatile u64 *)&r->clock;
  return clock >> RTP_CLOCK_SHIFT == payload_type ? clock & ((1ULL << RTP_CLOCK_SHIFT) - 1) : 0;
}

// A packet of `size` bytes passes. Only RTP counts. Where packets are known by their sequence number, that is the identity that enters.
// Afterwards REG_RTP says whether there is something to settle (bursts.h), and the word behind it refers to the flight record; 0: there is none.
INLINE void note_rtp(struct series *s, u32 index, u64 packet, u64 size, u64 stream, u64 field, u64 features, u64 *words) {
  u32 head[3];
  *(volatile u64 *)&words[REG_RTP] = 0;
  *(volatile u64 *)&words[REG_RTP + 1] = 0;
  if (size < sizeof(head)) return;
  if (UNLIKELY(read_user(head, sizeof(head), (void *)packet))) {
    ADD(s->faults[(field - 1) & (FIELDS - 1)], 1);
    return;
  }
  u32 first = __builtin_bswap32(head[0]), second = first >> 16 & 0xff;
  if (first >> 30 != 2) return;
  if (second >= 192 && second <= 223) return;  // RTCP on the same port: RFC 5761, section 4
  if (features & FEATURE_NUMBERED) *(volatile u64 *)&words[REG_PACKET] = first & 0xffff;
  struct rtp_stream *r = rtp_slot(RTP_KEY_VALID | (u64)index << 32 | __builtin_bswap32(head[2]), stream << 1 | 1);
  if (UNLIKELY(!r)) {
    struct rtp_unplaced *u = rtp_unplaced_of(index);
    if (!u) return;
    ADD(u->packets, 1);
    ADD(u->bytes, size);
    return;
  }
  u64 now = bpf_ktime_get_ns();
  fetch_flight(r);
  u64 gap = now - *(volatile u64 *)&r->passed_ns, place = cell_place(gap, log2_floor(gap | 1));
  FETCH(cell_at(place));
  FETCH(&hole_control()->clocks[second & 127]);
  FETCH(&r->gaps_ns);
  FETCH(&r->window[first >> 5 & (RTP_WORDS - 1)]);
  ADD(r->received, 1);
  ADD(r->bytes, size);
  rtp_gap(r, now, gap, place);
  u32 seq = first & 0xffff, raised = 0, rtp_time = __builtin_bswap32(head[1]);
  u64 max = *(volatile u64 *)&r->max;
  if (UNLIKELY(!max)) {
    // High enough that numbers before it are above 0. The base is written first, so a thread that sees a maximum also sees its base.
    u64 begin = __sync_val_compare_and_swap(&r->base, 0, RTP_FIRST | seq);
    if (!begin) begin = RTP_FIRST | seq;
    __sync_val_compare_and_swap(&r->settled, 0, begin);
    max = __sync_val_compare_and_swap(&r->max, 0, begin);
    if (!max) max = begin;
  }
  s64 ahead = (s16)(seq - (u32)max);
  if (UNLIKELY(ahead > RTP_DROPOUT || ahead < -RTP_MISORDER)) {
    // RFC 3550, A.1: a number far away is believed once its successor comes. Until then nothing follows from it.
    u64 expected = __sync_lock_test_and_set(&r->bad, RTP_NEXT | ((seq + 1) & 0xffff)), to = ((max >> 16) + 2) << 16 | seq;
    if (expected != (RTP_NEXT | seq) || __sync_val_compare_and_swap(&r->max, max, to) != max) {
      ADD(r->strays, 1);
      *(volatile u64 *)&words[REG_RTP + 1] = note_flight(r, now, rtp_time, seq, FLIGHT_STRAY);
      return;
    }
    *(volatile u64 *)&r->ended = max + 1;
    *(volatile u64 *)&r->base = to;
    ADD(r->strays, -1);  // of the packet before: it was the first
    *(volatile u64 *)&words[REG_RTP] = 1;
    raised = 1;
    max = to;
    ahead = 0;
  }
#pragma clang loop unroll(disable)
  for (int i = 0; i < RTP_TRIES; i++) {
    if (ahead <= 0) break;
    u64 was = __sync_val_compare_and_swap(&r->max, max, max + ahead);
    if (was == max) {
      raised = 1;
      if (UNLIKELY(ahead > 1)) ADD(r->lost, ahead - 1);
      *(volatile u64 *)&words[REG_RTP] = (max ^ (max + ahead)) >> 5;
      break;
    }
    max = was;
    ahead = (s16)(seq - (u32)max);
  }
  u64 number = max + ahead;
  u32 seen = any_value(rtp_mark(r, number));
  u64 state = FLIGHT_IN_ORDER;
  if (UNLIKELY(seen)) {
    if (seen == 1) {
      ADD(r->duplicated, 1);
      state = FLIGHT_DUPLICATED;
    } else {
      ADD(r->strays, 1);
      *(volatile u64 *)&words[REG_RTP + 1] = note_flight(r, now, rtp_time, seq, FLIGHT_STRAY);
      return;
    }
  } else if (UNLIKELY(ahead < 0 && !raised)) {
    ADD(r->reordered, 1);
    state = FLIGHT_REORDERED;
    // What was sent before the first packet that was seen was never expected, so it was not lost either.
    if (number >= *(volatile u64 *)&r->base) ADD(r->lost, -1);
  }
  *(volatile u64 *)&words[REG_RTP + 1] = note_flight(r, now, rtp_time, seq, state);
  if (UNLIKELY(*(volatile u64 *)&words[REG_RTP])) settle_later(r);
  u64 tick = rtp_tick_of(r, second & 127);
  if (tick) rtp_jitter(r, tick, rtp_time, now);
}

#endif
