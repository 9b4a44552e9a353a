// SPDX-License-Identifier: Apache-2.0
// Functions whose return value waits in a register of its own behind the last branch: gcc keeps it in x19, which a callee preserves.
long t_make(long);

long t_kept(long a) {
  long made = t_make(a);
  if (made > 3) t_make(made);
  return made;
}

long t_passed(long a) {
  if (a > 3) a = t_make(a);
  return a;
}

long t_make(long a) { return a * 3; }
