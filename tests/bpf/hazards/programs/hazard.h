// SPDX-License-Identifier: Apache-2.0
// What the hazard programs share. A program says "ready", takes the number of rounds on a line, plays its hazard, tells how often it
// entered each probed function and how often that returned to its caller, and ends with status 7 when its input ends.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Called as written: neither inlined nor cloned, and the caller assumes nothing about it.
#define PROBED __attribute__((noipa))

struct tally {
  const char *name;
  long entered, returned;
};
extern struct tally tallies[4];
static const char *mode = "";
static const char **arguments;

static long play(long rounds);

static inline void entering(int which) { __atomic_add_fetch(&tallies[which].entered, 1, __ATOMIC_SEQ_CST); }
static inline void returned(int which) { __atomic_add_fetch(&tallies[which].returned, 1, __ATOMIC_SEQ_CST); }
#define CALL(which, call) \
  ({                      \
    entering(which);      \
    long value = (call);  \
    returned(which);      \
    value;                \
  })

static inline void tell(long result) {
  for (int i = 0; i < 4 && tallies[i].name; i++)
    printf("%s %ld %ld\n", tallies[i].name, tallies[i].entered, tallies[i].returned);
  printf("result %ld\ndone\n", result);
}

int main(int count, const char **given) {
  char line[64];
  arguments = given;
  if (count > 1) mode = given[1];
  setvbuf(stdout, 0, _IOLBF, 0);
  puts("ready");
  if (!strcmp(mode, "again")) tell(play(16));  // what processes.c replaced itself by
  while (fgets(line, sizeof line, stdin)) tell(play(atol(line)));
  return 7;
}
