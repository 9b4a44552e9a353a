// SPDX-License-Identifier: Apache-2.0
// Probed functions that end by jumping into probed functions (at -O2), two deep, always or sometimes.
#include "hazard.h"

struct tally tallies[4] = {
    {"jitterbuffer_put", 0, 0}, {"jitterbuffer_insert", 0, 0}, {"jitterbuffer_append", 0, 0}};
static char store[64];

PROBED int jitterbuffer_append(int packet) {
  memset(store, packet, sizeof store / 2);
  return store[packet & 31] & 0x7f;
}
PROBED int jitterbuffer_insert(int packet) {
  if (packet % 2) return -packet;
  entering(2);
  returned(2);
  return jitterbuffer_append(packet + 1);
}
PROBED int jitterbuffer_put(int packet) {
  store[33] = (char)packet;
  entering(1);
  returned(1);
  return jitterbuffer_insert(packet + 1);
}
static long play(long rounds) {
  long sum = 0;
  for (int i = 0; i < rounds; i++) {
    sum += CALL(0, jitterbuffer_put(i));
    sum += CALL(1, jitterbuffer_insert(i));
  }
  return sum;
}
