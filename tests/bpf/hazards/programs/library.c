// SPDX-License-Identifier: Apache-2.0
// The probed function of reload.c.
#include <string.h>
static char store[64];
__attribute__((noipa)) int jitterbuffer_put(int packet) {
  memset(store, packet, sizeof store / 2);
  return store[packet & 31] & 0x7f;
}
