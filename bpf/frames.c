// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
// What tells a call from others that are in flight: its stack frame, its goroutine, or the value that pairs two functions.

INLINE u64 frame_of(REGS *ctx, u64 cookie) {
  u64 sp = REG_SP(ctx), fp = REG_FP(ctx);
  // Both loads happen: the verifier refuses a choice between two context addresses.
  asm volatile("" : "+r"(sp), "+r"(fp));
  s32 offset = (s32)(cookie >> COOKIE_OFFSET_SHIFT);
  if (cookie & COOKIE_SITE) offset >>= COOKIE_SITE_BITS;
  return (cookie & COOKIE_FP ? fp : sp) + (s64)offset;
}

// A frame's depth in its goroutine's stack, in words. It stays the same when the stack grows and is copied. The stack's
// high end is the second word of `runtime.g`.
INLINE u32 go_depth(REGS *ctx, u64 frame) {
  u64 high = 0, owner = REG_GO(ctx);
  if (read_user(&high, sizeof(high), (void *)(owner + 8))) return 0;
  return (high - frame) >> 3 & NEST_MASK;
}

// Loads of registers that the compiler must not merge into one load from a chosen address: the verifier refuses that.
#define TAKE(n, c_register, go_register)                      \
  if ((features & FEATURE_KEY) == n << FEATURE_KEY_SHIFT) {   \
    u64 c = c_register(ctx), go = go_register(ctx);           \
    asm volatile("" : "+r"(c), "+r"(go));                     \
    *(volatile u64 *)&value = features & FEATURE_GO ? go : c; \
  }

// The value that the two functions of a pair share.
INLINE u64 pair_value(REGS *ctx, u64 features) {
  u64 value = 0;
  TAKE(1u, REG_A1, GO_A1)
  TAKE(2u, REG_A2, GO_A2)
  TAKE(3u, REG_A3, GO_A3)
  TAKE(4u, REG_A4, GO_A4)
  TAKE(5u, REG_A5, GO_A5)
  TAKE(6u, REG_A6, GO_A6)
  if ((features & FEATURE_KEY) == KEY_THREAD << FEATURE_KEY_SHIFT) {
    u64 go = REG_GO(ctx);
    asm volatile("" : "+r"(go));
    value = features & FEATURE_GO ? go : (u32)bpf_get_current_pid_tgid();
  }
  return value;
}

// The key of a call in flight: its frame; in Go, its goroutine and the frame's depth; for a pair of functions, the value that they
// share. Part of the key, the mark, is kept with the call: equal keys with equal marks belong to one owner.
struct owner {
  u64 rest;
  u32 mark;
};

INLINE struct owner owner_of(REGS *ctx, u64 features, u64 frame) {
  struct owner o = {frame >> 3, 0};
  if (features & FEATURE_KEY) {
    u64 value = pair_value(ctx, features);
    o.rest = value >> 22;
    o.mark = value & NEST_MASK;
  } else if (features & FEATURE_GO) {
    u64 go = REG_GO(ctx);
    asm volatile("" : "+r"(go));
    o.rest = go >> 3;
    o.mark = go_depth(ctx, frame);
  }
  return o;
}

INLINE u64 key_of(struct owner o, u32 index) {
  if (o.mark) o.rest ^= o.mark * 0x9E3779B97F4A7C15ULL >> SERIES_BITS;
  return o.rest << SERIES_BITS | index;
}
