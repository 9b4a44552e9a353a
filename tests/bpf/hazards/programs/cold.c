// SPDX-License-Identifier: Apache-2.0
// An error path that gcc -O2 moves into NAME.cold, which returns or not.
#include "hazard.h"

struct tally tallies[4] = {{"jitterbuffer_put", 0, 0}};
static long errors;
__attribute__((cold, noipa)) static void complain(int packet) { errors += packet; }
PROBED int jitterbuffer_put(int *packet) {
  if (__builtin_expect(*packet % 5 == 0, 0)) {
    complain(*packet);
    complain(1);
    return -1;
  }
  *packet += 1;
  if (__builtin_expect(*packet % 7 == 0, 0)) {
    complain(*packet);
    *packet = 3;
  }
  return *packet & 0x7f;
}
static long play(long rounds) {
  long sum = 0;
  for (int i = 0; i < rounds; i++) {
    int packet = i;
    sum += CALL(0, jitterbuffer_put(&packet)) + packet;
  }
  return sum + errors;
}
