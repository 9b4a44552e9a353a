// SPDX-License-Identifier: Apache-2.0
// Loads and unloads the library (second argument) with the probed function again and again, calling it each time.
#include "hazard.h"
#include <dlfcn.h>

struct tally tallies[4] = {{"jitterbuffer_put", 0, 0}};
static void *library;
__attribute__((constructor)) static void load_first(int count, char **given) {
  (void)count;
  library = dlopen(given[2], RTLD_NOW);
}
static long play(long rounds) {
  long sum = 0;
  for (int i = 0; i < rounds; i++) {
    int (*put)(int) = (int (*)(int))dlsym(library, "jitterbuffer_put");
    for (int k = 0; k < 20; k++) sum += CALL(0, put(k));
    if (dlclose(library)) abort();
    if (dlopen(arguments[2], RTLD_NOW | RTLD_NOLOAD)) abort();
    library = dlopen(arguments[2], RTLD_NOW);
  }
  return sum;
}
