// SPDX-License-Identifier: Apache-2.0
// Calls of put() that compute, sleep or do both in turn, with the kernel's own account of the thread around each.
//
// Standard input: "compute MS [PROCESSOR]", "sleep MS", "mix MS" (short rounds of both), "after MS" (it computes that long before the call,
// which then sleeps) or "fifo" (from now on it is a real-time thread). Answers "WALL CPU WAITED SLEPT", nanoseconds; SLEPT: voluntary switches.
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static volatile uint64_t sink;
static int schedstat;

static int64_t clock_ns(clockid_t clock) {
  struct timespec ts;
  clock_gettime(clock, &ts);
  return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

static void spin_ns(int64_t ns) {
  int64_t until = clock_ns(CLOCK_THREAD_CPUTIME_ID) + ns;
  while (clock_ns(CLOCK_THREAD_CPUTIME_ID) < until)
    for (int i = 0; i < 1000; i++) sink += i;
}

static void sleep_ns(int64_t ns) {
  struct timespec pause = {ns / 1000000000, ns % 1000000000};
  nanosleep(&pause, NULL);
}

__attribute__((noinline, noclone)) int put(char how, int ms, int result) {
  int64_t ns = ms * 1000000LL;
  if (how == 'c') spin_ns(ns);
  if (how == 's' || how == 'a') sleep_ns(ns);
  if (how == 'm')
    for (int64_t done = 0; done < ns; done += 2000000) {
      spin_ns(1000000);
      sleep_ns(1000000);
    }
  return result;
}

static int64_t waited_ns(void) {
  char text[96] = "";
  long long ran = 0, waited = 0;
  if (pread(schedstat, text, sizeof text - 1, 0) > 0) sscanf(text, "%lld %lld", &ran, &waited);
  return waited;
}

static long slept(void) {
  struct rusage usage;
  getrusage(RUSAGE_THREAD, &usage);
  return usage.ru_nvcsw;
}

struct account {
  int64_t wall, cpu, waited;
  long slept;
};

// All at one moment: once more if the thread was preempted meanwhile.
static struct account account(void) {
  struct account a;
  do {
    a.waited = waited_ns();
    a.slept = slept();
    a.cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    a.wall = clock_ns(CLOCK_MONOTONIC);
  } while (a.waited != waited_ns());
  return a;
}

int main(void) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  char path[64], line[64], how[16];
  snprintf(path, sizeof path, "/proc/self/task/%ld/schedstat", (long)syscall(SYS_gettid));
  schedstat = open(path, O_RDONLY);
  printf("ready\n");
  while (fgets(line, sizeof line, stdin)) {
    int ms = 0, processor = -1;
    sscanf(line, "%15s %d %d", how, &ms, &processor);
    if (!strcmp(how, "fifo")) {
      struct sched_param priority = {1};
      printf("%d\n", sched_setscheduler(0, SCHED_FIFO, &priority));
      continue;
    }
    if (processor >= 0) {
      cpu_set_t set;
      CPU_ZERO(&set);
      CPU_SET(processor, &set);
      sched_setaffinity(0, sizeof set, &set);
    }
    if (*how == 'a') spin_ns(ms * 1000000LL);
    struct account before = account();
    put(*how, ms, 0);
    struct account after = account();
    printf("%lld %lld %lld %ld\n", (long long)(after.wall - before.wall), (long long)(after.cpu - before.cpu),
           (long long)(after.waited - before.waited), after.slept - before.slept);
  }
  return 0;
}
