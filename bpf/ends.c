// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
// The end of a call: its time, its outcome and what became of its packet.

// At an end: the call put or got a packet. Reads again what it needs, because the stack is full.
INLINE void packet_ends(struct series *s, u64 features, struct call *c, u64 now, u64 *r) {
  u64 outcome = *(volatile u64 *)&r[REG_OUTCOME], packet = PACKET_NONE;
  if (features & (FEATURE_ENTERS | FEATURE_LEAVES)) packet = *(volatile u64 *)&r[REG_PACKET];  // nobody has set it otherwise
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
  // The loops come before the branches on outcomes: the verifier walks the code after a branch once for each path.
  u32 half = this_half();
  ADD(s->sum_ns[half], d);
  u64 bucket = bucket_in(cell_in(d, octave_near(d, &s->octave)), d);  // computed while the addition is under way
  note_highest(s, s->duration_max, half, d, 16);
  note_lowest(s, s->duration_min, half, d, 16);
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
    if (!ADDS_IN_ORDER && features & (FEATURE_ENTRY_READS | FEATURE_END_READS)) ADD(s->packets, 1);
    if (bytes) ADD(s->bytes, bytes);
    if (UNLIKELY(outcome == OUTCOME_DUPLICATE)) ADD(s->duplicates, 1);
    if (UNLIKELY(outcome >= OUTCOME_DROP)) ADD(s->drops[(outcome - OUTCOME_DROP) & (DROP_REASONS - 1)], 1);
  }
  // Behind what is not a packet: who sees that the call returned sees that too.
  ADD(s->buckets[bucket], 1ULL << (half ? HALF_BITS : 0));

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
  if (features & FEATURE_EVENTS && features & FEATURE_LATE && !told) late = any_value(tells_late(s, features, outcome, now));
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

// Whether the entry of the form that is being replaced runs next, at the same instruction, and has to find that the call was counted.
INLINE u32 old_entry_follows(struct series *s, u64 cookie, u32 flags) {
  if (!(cookie & COOKIE_BOTH)) return 0;
  u32 held = *(volatile u32 *)&s->flags;
  return held & FLAG_EXCHANGE && !!(flags & CALL_FORM) == !!(held & FLAG_NEW);
}

INLINE void leave(REGS *ctx, u64 now, u64 cookie, u64 features, u64 *r) {
  u64 cc = REG_CC(ctx), rv = REG_RV(ctx);
  if (cookie & COOKIE_CONDITIONAL) {
    if (condition_holds(cookie >> COOKIE_CC_SHIFT & 15, cc) != !!(cookie & COOKIE_TAKEN)) return;
  }
  u64 only = hole_word();
  u32 tgid = process_of(only, only ? 0 : bpf_get_current_pid_tgid());
  u32 index = known_base(cookie, tgid, only);
  if (index >= BASE_IGNORED) return;
  index += cookie & COOKIE_NUMBER;
  struct series *s = all_series.lookup(&index);
  if (UNLIKELY(!s)) {
    onward.call(ctx, ONWARD_NOWHERE);  // for the stack, see above
    return;
  }
  u64 frame = frame_of(ctx, cookie);
  struct owner owner = owner_of(ctx, features, frame);
  u64 key = key_of(owner, index), slot = call_slot(key, tgid);
  struct call *c = &hole_calls()[slot], *o = 0, v;
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
    v.bytes = features & (FEATURE_BYTES | FEATURE_ENTERS | FEATURE_RTP) ? c->bytes : 0;
    v.stream = features & FEATURE_STREAM ? c->stream : 0;
    v.save[0] = SAVED(features) > 0 ? c->save[0] : 0;
    v.save[1] = SAVED(features) > 1 ? c->save[1] : 0;
    v.save[2] = SAVED(features) > 2 ? c->save[2] : 0;
    if (UNLIKELY(v.flags & CALL_MARK)) return;  // of no call
    if (features & FEATURE_SHARE_NEAR) {
      r[REG_AWAY] = c->save[1];
      r[REG_AWAY + 1] = c->save[2];
    } else if (features & FEATURE_SHARE) {
      struct share *share = &hole_shares()[slot];
      r[REG_AWAY] = share->away;
      r[REG_AWAY + 1] = share->waited;
    }
    *(volatile u64 *)&c->start = 0;  // so that it is not taken for the next call's
    if (UNLIKELY(old_entry_follows(s, cookie, v.flags)))
      *(volatile u32 *)&c->flags = v.flags | CALL_MARK;
    else
      RELEASE_SLOT(&c->key);
    if (UNLIKELY(!v.start)) return;  // settled: counted as abandoned already
  } else {
    RARELY;
    v = *o;
    if (v.flags & CALL_MARK) return;
    if (features & FEATURE_SHARE) r[REG_AWAY] = r[REG_AWAY + 1] = 0;  // not known
    if (UNLIKELY(old_entry_follows(s, cookie, v.flags)))
      *(volatile u32 *)&o->flags = v.flags | CALL_MARK;
    else if (!overflow.delete(&key))
      ADD(hole_control()->spilled, -1);
  }
  finish(ctx, s, features, index, &v, now, frame, rv, !(cookie & COOKIE_NO_RETURN) && verdict == SITE_KNOWN, r);
}
