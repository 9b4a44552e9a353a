// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
// The block of series that the calls of a process belong to.

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

// The process that runs: `only` tells it, or else bpf_get_current_pid_tgid did.
INLINE u32 process_of(u64 only, u64 id) { return only ? only & ((1 << CACHE_TGID_BITS) - 1) : id >> 32; }

// Where `only` is the process's word, nothing waits until that is known: all that follows from it are constants.
INLINE u64 cached(u32 tgid, u32 set, u64 only) {
  u64 tag = cache_tag(tgid, set), base = only >> CACHE_BASE_SHIFT, *cache = hole_cache();
  u32 at = cache_place(tgid, set);
  u64 word = *(volatile u64 *)&cache[at];
  asm volatile("" : "+r"(base));  // or the compiler takes it from the word
  if (only && !UNLIKELY(word != only)) return base;
  if (UNLIKELY((word & CACHE_MATCH) != tag)) {
    word = *(volatile u64 *)&cache[at ^ 1];
    if ((word & CACHE_MATCH) != tag) return ~0ULL;
  }
  return word >> CACHE_BASE_SHIFT;
}

// The process's first series, at an entry; BASE_IGNORED if the process is not measured or has no room.
INLINE u32 base_of(u64 cookie, u32 tgid, u64 only) {
  u32 set = cookie >> NUMBER_BITS & ((1 << SET_BITS) - 1);
  u64 base = cached(tgid, set, only);
  if (UNLIKELY(base == ~0ULL)) base = claim(tgid, set, 1, 1 + (u64)(u32)bpf_get_current_uid_gid());
  return base;
}

// The same at an end. A process whose first call began before the probe has none.
INLINE u32 known_base(u64 cookie, u32 tgid, u64 only) {
  u32 set = cookie >> NUMBER_BITS & ((1 << SET_BITS) - 1);
  u64 base = cached(tgid, set, only);
  if (UNLIKELY(base == ~0ULL)) {
    u64 owner = tgid | (u64)set << 32, *known = owners.lookup(&owner);
    base = known ? *known : BASE_IGNORED;
  }
  return base;
}
