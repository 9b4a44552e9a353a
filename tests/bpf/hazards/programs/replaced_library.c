// SPDX-License-Identifier: Apache-2.0
// The probed function of replaced.c.
#include <pthread.h>
pthread_mutex_t packets = PTHREAD_MUTEX_INITIALIZER;
__attribute__((noipa)) int jitterbuffer_put(long packet) {
  pthread_mutex_lock(&packets);
  return (int)packet & 0x7f;
}
