// SPDX-License-Identifier: Apache-2.0
// Exceptions through probed functions: every third call throws. "through": nothing in the function handles it; "rethrown": it
// catches and throws again; "nested": a probed function throws through another one; "callback": what it was given throws.
#include "hazard.h"

struct tally tallies[4] = {{"JitterBuffer::put", 0, 0}, {"JitterBuffer::push", 0, 0}};
static long destroyed;

struct Guard {
  ~Guard() { destroyed++; }
};
PROBED static int check(int packet) {
  if (packet % 3 == 0) throw packet;
  return packet & 0x7f;
}

class JitterBuffer {
 public:
  PROBED int put(int packet);
  PROBED int push(int packet);
};
static int (*volatile callback)(int) = check;

#if defined(THROUGH)
int JitterBuffer::put(int packet) {
  Guard guard;
  return check(packet) + 1;
}
#elif defined(RETHROWN)
int JitterBuffer::put(int packet) {
  try {
    return check(packet) + 1;
  } catch (int &) {
    destroyed++;
    throw;
  }
}
#elif defined(NESTED)
int JitterBuffer::put(int packet) {
  Guard guard;
  return check(packet) + 1;
}
#else
int JitterBuffer::put(int packet) {
  Guard guard;
  return callback(packet) + 1;
}
#endif
int JitterBuffer::push(int packet) {
  Guard guard;
  return (int)CALL(0, put(packet)) * 2;
}

static long play(long rounds) {
  JitterBuffer buffer;
  long sum = 0;
  bool nested = !strcmp(mode, "nested");
  for (int i = 0; i < rounds; i++) {
    try {
      sum += nested ? CALL(1, buffer.push(i)) : CALL(0, buffer.put(i));
    } catch (int packet) {
      sum += packet % 5;
    }
  }
  return sum * 1000 + destroyed % 1000;
}
