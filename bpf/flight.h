// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
// The flight recorder: the last packets of each RTP stream, in a ring that user space reads when something went wrong. No event per packet.
//
// Each word of a record bears the lap of the ring that it was written in, so a reader throws away a record whose words are of different
// laps, without a lock or a barrier. Which ring a stream has is up to user space; without one nothing is recorded.
#ifndef OTEL_JB_FLIGHT_H
#define OTEL_JB_FLIGHT_H

INLINE void note_flight(struct rtp_stream *r, u64 now, u32 rtp_time, u32 seq, u64 state) {
  u64 ring = *(volatile u64 *)&r->ring;
  if (!ring) return;
  u64 n = ADD(r->flown, 1), lap = (FLIGHT_WRITTEN | (n >> FLIGHT_BITS & (FLIGHT_WRITTEN - 1))) << FLIGHT_LAP_SHIFT;
  volatile struct flight *f = flight_at((u32)ring + ((u32)n & (u32)(ring >> 32)));
  if (!f) return;
  f->put = lap | (now & FLIGHT_TIME);
  f->head = lap | (u64)seq << 32 | rtp_time;
  f->fate = lap | state << FLIGHT_STATE_SHIFT;
}

#endif
