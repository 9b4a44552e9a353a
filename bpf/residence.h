// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
// How long packets stay in a buffer: each one's put is matched with its get by what the profile knows it by, a pointer or a number.
//
// Only the thread that wrote WAITING_BUSY to a waiting packet's place changes that place, so a get never reads another packet's put. Packets
// that cannot be matched for sure count as unmatched: put twice, displaced, or never seen to go in.
#ifndef OTEL_JB_RESIDENCE_H
#define OTEL_JB_RESIDENCE_H

INLINE u64 flow_key(struct series *s, u64 stream) { return stream << 16 | (s->group & 0xffff); }

// A buffer's slot, or 0.
INLINE struct flow *flow_of(u64 key) {
  u32 h = first_slot(key);
#pragma clang loop unroll(disable)
  for (int i = 0; i < FLOW_PROBES; i++) {
    struct place *p = place_at(h + i);
    if (!p) return 0;
    if (*(volatile u64 *)&p->flow.key == key) return &p->flow;
  }
  return 0;
}

// The same, taken if there is none. Two threads may take one each where a slot before them is freed meanwhile: packets of one are then
// not found in the other, which counts as unmatched.
INLINE struct flow *flow_slot(u64 key) {
  struct flow *f = flow_of(key);
  if (f) return f;
  RARELY;
  u32 h = first_slot(key);
#pragma clang loop unroll(disable)
  for (int i = 0; i < FLOW_PROBES; i++) {
    struct place *p = place_at(h + i);
    if (!p) return 0;
    f = &p->flow;
    u64 was = __sync_val_compare_and_swap(&f->key, 0, key);
    if (!was || was == key) return f;
  }
  return 0;
}

// The tag that finds a packet. A buffer that was emptied, or whose memory became another buffer, is born anew, so old tags no longer match.
INLINE u64 packet_tag(u64 key, u64 born, u64 packet) {
  u64 x = (key ^ born * 0xD6E8FEB86659FD93ULL) * 0x9E3779B97F4A7C15ULL;
  x = (x ^ x >> 32 ^ packet) * 0xD6E8FEB86659FD93ULL;
  x = (x ^ x >> 32) * 0x9E3779B97F4A7C15ULL;
  return (x & ~0xffffULL) | WAITING_VALID | (key & 0xffff);
}

// Where a packet waits. The near rows come first: there are so few that what a server does between two packets leaves them in the caches, and a
// page of the far ones, which are found by more of the hash, is hardly ever touched twice in a while.
INLINE u32 near_row(u64 tag) { return (1 << WAITING_BITS) + (tag >> (64 - WAITING_BITS - NEAR_BITS) & ((1 << NEAR_BITS) - 1)); }
INLINE u32 far_row(u64 tag) { return tag >> (64 - WAITING_BITS); }

INLINE struct waiting *row_at(u32 number) {
  u64 at = number;
  // clang would compare with a register that holds the number, of which Linux 6.1 makes bounds that cannot be.
  asm volatile("if %0 < %1 goto +1\n\t%0 = 0" : "+r"(at) : "i"(WAITING_ROWS));
  return &hole_waiting()[at];
}

// A place of a row that has this tag, which the caller has then for itself: 1 + its number, or 0.
INLINE u32 own_place(struct waiting *row, u64 tag) {
#pragma clang loop unroll(disable)
  for (u32 i = 0; i < WAITING_PLACES; i++) {
    if (*(volatile u64 *)&row->tag[i] == tag && __sync_val_compare_and_swap(&row->tag[i], tag, WAITING_BUSY) == tag) return i + 1;
  }
  return 0;
}

// A place of a row for another packet, which the caller has then for itself: 1 + its number, or 0. With `must`, where all are taken by packets
// that may be in their buffers, the oldest gives way, and nobody in the row is believed for as long as one may be.
INLINE u32 take_place(struct waiting *row, u64 now, u32 must) {
  u64 oldest_ns = ~0ULL, was = 0, at = WAITING_PLACES;
#pragma clang loop unroll(disable)
  for (u32 i = 0; i < WAITING_PLACES; i++) {
    u64 there = *(volatile u64 *)&row->tag[i], since = there ? *(volatile u64 *)&row->put[i] >> WAITING_PUT_SHIFT : 0;
    if (there == WAITING_BUSY) continue;
    if (!there && !__sync_val_compare_and_swap(&row->tag[i], 0, WAITING_BUSY)) return i + 1;
    if (since < oldest_ns) {
      oldest_ns = since;
      was = there;
      at = i;
    }
  }
  RARELY;
  u32 stays = oldest_ns == ~0ULL || (s64)(now - oldest_ns) < (s64)RESIDENCE_LONGEST;  // others may have put later than `now`
  if (stays) {
    if (!must) return 0;
    *(volatile u64 *)&row->lost_ns = now;
  }
  at = any_value(at);
  asm volatile("" : "+r"(at));  // as in row_at
  if (at < WAITING_PLACES && was && __sync_val_compare_and_swap(&row->tag[at], was, WAITING_BUSY) == was) return at + 1;
  if (must) *(volatile u64 *)&row->lost_ns = now;
  return 0;
}

// Others see what was written before.
INLINE void give_place(u64 *place, u64 tag) { __sync_lock_test_and_set(place, tag); }

INLINE void count_residence(u64 group, u64 ns) {
  struct residence *r = residence_of(group);
  if (!r) return;
  ADD(r->sum_ns, ns);
  ADD(r->buckets[bucket_of(ns)], 1);
}

// Has the processor fetch a buffer, and the row in which a packet of it waits or will: where both are mostly.
INLINE void fetch_packet(struct series *s, u64 stream, u64 packet) {
  u64 key = flow_key(s, stream);
  struct place *p = place_at(first_slot(key));
  if (!p) return;
  struct waiting *row = row_at(near_row(packet_tag(key, *(volatile u64 *)&p->flow.born, packet)));
  FETCH(row->tag);
  FETCH(row->put);
}

INLINE void count_unmatched(u64 group, u32 why) {
  struct residence *r = residence_of(group);
  if (r) ADD(r->unmatched[why], 1);
}

// A packet goes into a buffer at `now`. Returns 1 + its place among those that wait, 0 where it has none of its own.
INLINE u32 packet_enters(struct series *s, u64 stream, u64 packet, u64 now, u64 flight) {
  u64 key = flow_key(s, stream);
  struct flow *f = flow_slot(key);
  if (!f) return 0;
  *(volatile u64 *)&f->seen_ns = now;
  u64 born = *(volatile u64 *)&f->born;
  if (UNLIKELY(!born)) {
    born = __sync_val_compare_and_swap(&f->born, 0, now);
    if (!born) born = now;
  }
  u64 tag = packet_tag(key, born, packet);
  u64 *far_ns = &hole_control()->far_ns, far = *(volatile u64 *)far_ns;
  u32 number = near_row(tag), at = any_value(own_place(row_at(number), tag));
  if (UNLIKELY(!at && far && (s64)(now - far) < (s64)RESIDENCE_LONGEST)) {
    number = far_row(tag);
    at = any_value(own_place(row_at(number), tag));
  }
  if (UNLIKELY(at)) {
    struct waiting *row = row_at(number);
    at = (at - 1) & 7;
    if (at >= WAITING_PLACES) return 0;
    // It is in the buffer already, or was: which of the two comes out is not known, unless the first is older than any that is believed.
    u64 old = row->put[at];
    u32 again = (s64)(now - (old >> WAITING_PUT_SHIFT)) > (s64)RESIDENCE_LONGEST;
    row->put[at] = again ? now << WAITING_PUT_SHIFT | (flight ? WAITING_RECORDED : 0) : old | WAITING_TWICE;
    if (again && flight) row->flight[at] = flight;
    give_place(&row->tag[at], tag);
    return again ? 1 + (number << 3 | at) : 0;
  }
  number = near_row(tag);
  u32 place = any_value(take_place(row_at(number), now, 0));
  if (UNLIKELY(!place)) {
    number = far_row(tag);
    *(volatile u64 *)far_ns = now;  // before the tag can be found there
    place = any_value(take_place(row_at(number), now, 1));
    if (!place) return 0;
  }
  struct waiting *row = row_at(number);
  place = (place - 1) & 7;
  if (place >= WAITING_PLACES) return 0;
  u64 lost = *(volatile u64 *)&row->lost_ns;
  u64 put = now << WAITING_PUT_SHIFT;
  if (UNLIKELY(lost) && (s64)(now - lost) < (s64)RESIDENCE_LONGEST) put |= WAITING_TWICE;
  if (flight) {
    put |= WAITING_RECORDED;
    row->flight[place] = flight;
  }
  row->put[place] = put;
  give_place(&row->tag[place], tag);
  return 1 + (number << 3 | place);
}

// The packet that this call put at `since` is not in the buffer: it was refused, or has passed.
INLINE void packet_stays_out(u32 where, u64 since) {
  struct waiting *row = row_at((where - 1) >> 3);
  u32 place = (where - 1) & 7;
  if (place >= WAITING_PLACES) return;
  u64 tag = *(volatile u64 *)&row->tag[place];
  if (tag <= WAITING_BUSY || row->put[place] >> WAITING_PUT_SHIFT != since) return;
  if (__sync_val_compare_and_swap(&row->tag[place], tag, WAITING_BUSY) != tag) return;
  give_place(&row->tag[place], row->put[place] >> WAITING_PUT_SHIFT == since ? 0 : tag);
}

// A packet comes out of a buffer at `now`, to be played or not.
INLINE void packet_leaves(struct series *s, u64 stream, u64 packet, u64 now, u64 outcome) {
  u64 key = flow_key(s, stream), group = key & 0xffff;
  struct flow *f = packet == PACKET_NONE ? 0 : flow_of(key);
  if (UNLIKELY(!f)) {
    count_unmatched(group, UNMATCHED_UNSEEN);
    return;
  }
  *(volatile u64 *)&f->seen_ns = now;
  u64 tag = packet_tag(key, *(volatile u64 *)&f->born, packet);
  u32 number = near_row(tag), place = any_value(own_place(row_at(number), tag));
  if (UNLIKELY(!place && *(volatile u64 *)&hole_control()->far_ns)) {
    number = far_row(tag);
    place = any_value(own_place(row_at(number), tag));
  }
  struct waiting *row = row_at(number);
  if (UNLIKELY(!place)) {
    count_unmatched(group, UNMATCHED_UNSEEN);
    return;
  }
  place = (place - 1) & 7;
  if (place >= WAITING_PLACES) return;
  u64 put = row->put[place], since = put >> WAITING_PUT_SHIFT, stayed = now - since;
  u64 flight = put & WAITING_RECORDED ? row->flight[place] : 0;
  struct residence *r = residence_of(group);
  u64 bucket = 0;
  if (r) {
    FETCH(&r->sum_ns);
    bucket = bucket_of(stayed);
    FETCH(&r->buckets[bucket]);
  }
  give_place(&row->tag[place], 0);
  if (UNLIKELY(put & WAITING_TWICE)) {
    count_unmatched(group, UNMATCHED_TWICE);
  } else if (UNLIKELY(stayed > RESIDENCE_LONGEST)) {
    count_unmatched(group, UNMATCHED_OLD);
  } else {
    if (r) {
      ADD(r->sum_ns, stayed);
      ADD(r->buckets[bucket], 1);
    }
    if (flight) flight_ends(flight, FLIGHT_LAPS, since, now, outcome >= OUTCOME_DROP ? FLIGHT_THROWN : FLIGHT_PLAYED);
  }
}

// No packet that was put into the buffer until now will come out of it.
INLINE void flow_ends(struct series *s, u64 stream) {
  struct flow *f = flow_of(flow_key(s, stream));
  if (f) *(volatile u64 *)&f->born = 0;
}

#endif
