// SPDX-License-Identifier: Apache-2.0
// Recursion as deep as it is told.
#include "hazard.h"

struct tally tallies[4] = {{"jitterbuffer_flush", 0, 0}};
PROBED long jitterbuffer_flush(long depth) {
  char copy[16];
  memset(copy, (int)depth, sizeof copy);
  return depth == 0 ? 1 : CALL(0, jitterbuffer_flush(depth - 1)) + (copy[depth & 15] & 1);
}
static long play(long rounds) {
  long sum = 0;
  for (int i = 0; i < 3; i++) sum += CALL(0, jitterbuffer_flush(rounds));
  return sum;
}
