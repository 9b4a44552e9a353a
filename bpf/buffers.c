// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
// Which buffers are known, and how many packets each holds.

// The first slot that a buffer may have.
INLINE u32 first_slot(u64 key) { return (key * 0x9E3779B97F4A7C15ULL) >> 52; }

INLINE struct place *place_at(u32 slot) {
  u32 at = slot & (BUFFER_SLOTS - 1);
  return buffers.lookup(&at);
}

// A buffer's first slot, or 0.
INLINE struct buffer *buffer_of(u64 key) {
  u32 h = first_slot(key);
#pragma clang loop unroll(disable)
  for (int i = 0; i < BUFFER_PROBES; i++) {
    struct place *p = place_at(h + i);
    if (!p) return 0;
    if (*(volatile u64 *)&p->buffer.key == key) return &p->buffer;
  }
  return 0;
}

// A buffer's slot; takes one if the buffer has none. If an earlier slot is freed meanwhile, two threads may take one each: the
// thread that sees the other's slot before its own gives its own back, and the reader counts no key twice.
INLINE struct buffer *buffer_slot(u64 key) {
  struct buffer *b = buffer_of(key);
  if (b) return b;
  RARELY;
  u32 h = first_slot(key);
  struct buffer *mine = 0;
#pragma clang loop unroll(disable)
  for (int i = 0; i < BUFFER_PROBES; i++) {
    struct place *p = place_at(h + i);
    if (!p) return 0;
    b = &p->buffer;
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
  u32 h = first_slot(key);
#pragma clang loop unroll(disable)
  for (int i = 0; i < BUFFER_PROBES; i++) {
    struct place *p = place_at(h + i);
    if (!p) return;
    __sync_val_compare_and_swap(&p->buffer.key, key, 0);
  }
}
