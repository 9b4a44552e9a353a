// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
// The entry of a call: it is counted, its packet is, and it is opened until its end is seen.

// A call's slot. What a thread has in flight shares a few pages, and calls that begin at one place of its stack mostly a cache line: a process's stacks
// are cut into areas of 16 KiB whose slots begin anywhere, and follow each other as the frames do, four for each 16 bytes. Calls in flight differ in their
// frames, except where one function went on in another; those are told apart by the lowest bits of their series. Other owners' slots are anywhere.
INLINE u64 call_slot(u64 key, u32 tgid) {
  u64 frame = key >> SERIES_BITS, area = (frame >> 11 ^ (u64)tgid << 32) * 0x9E3779B97F4A7C15ULL >> (64 - CALL_BITS);
  return (area + ((frame << 1 & 0xffc) | (key & 3))) & ((1 << CALL_BITS) - 1);
}

// While a function's links are being exchanged, both forms see each call, the new one first (the kernel puts it at the head of the
// list). Returns whether the new form has seen it: the call is in flight there, or the new form left a mark, which this removes.
INLINE u32 seen_by_new_form(u64 key, u64 slot, u32 of_new) {
  struct call *c = &hole_calls()[slot];
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

// Counts an entry of the running thread and, if its end will be seen (`timed`), opens the call. Returns 1 if no end is wanted.
INLINE int enter(REGS *ctx, struct series *s, u32 index, u64 cookie, u64 features, u32 tgid, u32 thread, u32 timed, u64 *r) {
  u64 frame = frame_of(ctx, cookie);
  struct owner owner = owner_of(ctx, features, frame);
  u64 key = key_of(owner, index), slot = call_slot(key, tgid);
  u32 form = features & FEATURE_FORM ? CALL_FORM : 0, held = *(volatile u32 *)&s->flags, mark = 0;
  if (UNLIKELY(held & (FLAG_SHUT | FLAG_EXCHANGE))) {
    if (held & FLAG_SHUT) return 1;
    if (!!form != !!(held & FLAG_NEW)) {
      if (seen_by_new_form(key, slot, !!(held & FLAG_NEW))) return 1;
    } else if (!timed) {
      mark = CALL_MARK;
      thread = bpf_get_current_pid_tgid();  // which an entry alone does not ask for
    }
  }
  if (!timed) FETCH(&s->bytes);
  ADD(s->entered, 1);
  if (timed) FETCH(&hole_calls()[slot]);
  // A goroutine outlives the thread it began in, and an object outlives the thread that it was handed to.
  u32 owned = features & (FEATURE_GO | FEATURE_KEY), of_thread = !owned || owned == KEY_THREAD << FEATURE_KEY_SHIFT;
  u32 tid = of_thread ? thread : tgid, flags = form | mark;
  u64 met = 0;
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
      u32 moves = features & (FEATURE_ENTERS | FEATURE_LEFT);
      if (features & FEATURE_DEPTH || (moves && !timed)) met = bpf_ktime_get_ns();
      if (moves && !(features & FEATURE_NUMBERED)) fetch_packet(s, r[REG_STREAM], r[REG_PACKET]);
      if (features & FEATURE_DEPTH && r[REG_DEPTH] != DEPTH_NONE && r[REG_STREAM]) note_depth(s, r[REG_STREAM], r[REG_DEPTH], met);
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
  if (UNLIKELY(!timed)) {
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
      if (features & (FEATURE_ENTERS | FEATURE_LEFT)) packet_moves(s, features, r, met);
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
  struct call *c = &hole_calls()[slot];
  u64 now, bytes = r[REG_BYTES], old = __sync_val_compare_and_swap(&c->key, 0, key);
  if (features & (FEATURE_ENTERS | FEATURE_RTP)) bytes &= CALL_BYTES;
  if (features & FEATURE_RTP) bytes |= r[REG_RTP + 1] << CALL_FLIGHT_SHIFT;
  u32 taken = old && old != key;
  if (UNLIKELY(taken)) {
    // Written apart from a slot, so that the agent knows what is on the stack behind every store (otel_jb/probes/programs/pruning.py).
    struct call *spilled = (struct call *)&r[REG_SPILLED];
    spilled->key = key;
    spilled->tid = tid;
    spilled->flags = flags;
    spilled->bytes = bytes;
    spilled->stream = r[REG_STREAM];
    spilled->save[0] = r[REG_SAVE];
    spilled->save[1] = r[REG_SAVE + 1];
    spilled->save[2] = r[REG_SAVE + 2];
    struct call *o = overflow.lookup(&key);
    if (o) {
      if (!(o->flags & CALL_MARK)) ADD(s->abandoned, 1);
    } else {
      ADD(hole_control()->spilled, 1);
    }
    now = bpf_ktime_get_ns();
    spilled->start = now;
    if (overflow.update(&key, spilled)) {
      ADD(hole_control()->spilled, -1);
      if (!mark) ADD(s->missed, 1);
      return 1;
    }
  } else {
    if (UNLIKELY(old)) {
      // The one that takes its start counts the call that was there: this program, or the reader if its thread is gone.
      if (__sync_lock_test_and_set(&c->start, 1) && !(c->flags & CALL_MARK)) ADD(s->abandoned, 1);
    } else if (UNLIKELY(*(volatile u64 *)&hole_control()->spilled)) {
      forget_spilled(s, key);
    }
    c->tid = tid;
    c->flags = flags;
    if (features & (FEATURE_BYTES | FEATURE_ENTERS | FEATURE_RTP)) c->bytes = bytes;
    if (features & FEATURE_STREAM) c->stream = r[REG_STREAM];
    if (SAVED(features) > 0) c->save[0] = r[REG_SAVE];
    if (SAVED(features) > 1) c->save[1] = r[REG_SAVE + 1];
    if (SAVED(features) > 2) c->save[2] = r[REG_SAVE + 2];
    if (features & FEATURE_SHARE) hole_share(r);
    now = bpf_ktime_get_ns();
    if (features & FEATURE_SHARE) {
      // It is the account at `now`, unless it was written meanwhile: the thread was preempted, or the tick came.
      u64 away = hole_updated(r) == r[2] ? r[0] : 0;
      if (features & FEATURE_SHARE_NEAR) {
        c->save[1] = away;
        c->save[2] = r[1];
      } else {
        struct share *share = &hole_shares()[slot];
        share->away = away;
        share->waited = r[1];
      }
    }
    *(volatile u64 *)&c->start = now;
  }
  if (features & (FEATURE_ENTERS | FEATURE_LEFT)) {
    u64 place = packet_moves(s, features, r, now);
    if (place && !taken) c->bytes |= (place & CALL_PLACE) << CALL_PLACE_SHIFT;
  }
  return !timed;
}
