// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
// The flight recorder: the last packets of each RTP stream, in a ring that user space reads when something went wrong. No event per packet.
//
// Each word of a record bears the lap of the ring that it was written in, so a reader throws away a record whose words are of different
// laps, without a lock or a barrier. Which ring a stream has is up to user space; without one nothing is recorded.
#ifndef OTEL_JB_FLIGHT_H
#define OTEL_JB_FLIGHT_H

// The next record's cache line, as FETCH.
INLINE void fetch_flight(struct rtp_stream *r) {
  u64 ring = *(volatile u64 *)&r->ring;
  struct flight *f = flight_at((u32)ring + (*(volatile u32 *)&r->flown & (u32)(ring >> 32)));
  if (f) FETCH(&f->put);
}

// Returns what the record is referred to by; 0: there is none.
INLINE u64 note_flight(struct rtp_stream *r, u64 now, u32 rtp_time, u32 seq, u64 state) {
  u64 ring = *(volatile u64 *)&r->ring;
  if (!ring) return 0;
  u64 n = ADD(r->flown, 1), lap = (FLIGHT_WRITTEN | (n >> FLIGHT_BITS & (FLIGHT_WRITTEN - 1))) << FLIGHT_LAP_SHIFT;
  u32 place = (u32)ring + ((u32)n & (u32)(ring >> 32));
  volatile struct flight *f = flight_at(place);
  if (!f) return 0;
  f->put = lap | (now & FLIGHT_TIME);
  f->head = lap | (u64)seq << 32 | rtp_time;
  f->fate = lap | state << FLIGHT_STATE_SHIFT;
  return (1 + (u64)place) | lap >> (FLIGHT_LAP_SHIFT - FLIGHT_PLACE_BITS);
}

// What became of a packet that was recorded before `since`, if its record has not been overwritten. `laps`: the bits of the lap that
// the reference has.
INLINE void flight_ends(u64 reference, u64 laps, u64 since, u64 now, u64 end) {
  u32 place = (reference & FLIGHT_PLACE) - 1;  // without a reference there is no such record
  volatile struct flight *f = flight_at(place);
  if (!f) return;
  u64 put = f->put, fate = f->fate, stayed = (now - put) & FLIGHT_TIME;
  if ((put ^ fate) >> FLIGHT_LAP_SHIFT || (fate >> FLIGHT_LAP_SHIFT ^ reference >> FLIGHT_PLACE_BITS) & laps) return;
  if ((s64)((since - put) << 16) < 0 || stayed > FLIGHT_STAYED) return;
  __sync_val_compare_and_swap((u64 *)&f->fate, fate,
                              (fate >> FLIGHT_STATE_SHIFT << FLIGHT_STATE_SHIFT) | end << FLIGHT_FATE_SHIFT | stayed);
}

#endif
