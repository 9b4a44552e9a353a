// SPDX-License-Identifier: Apache-2.0
// Two threads: one works a little and calls put() at a steady rate, the other never sleeps while it is told to spin, and calls nothing.
// argv: calls a second, words of memory that are worked on between two calls. Reads lines: "spin", "rest", anything else ends it.
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static atomic_int spins, ends;
static volatile uint64_t sink;

__attribute__((noinline)) int put(void* buffer, int bytes, int result)
{
    __asm__ volatile("" : : "r"(buffer), "r"(bytes) : "memory");
    return result;
}

static int64_t now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

static void* spin(void* unused)
{
    (void)unused;
    while (!ends) {
        if (spins) {
            for (int turn = 0; turn < 100000; turn++)
                sink += turn;
        } else {
            struct timespec pause = { 0, 5000000 };
            nanosleep(&pause, NULL);
        }
    }
    return NULL;
}

static void* serve(void* arguments)
{
    char** argv = arguments;
    double rate = atof(argv[1]);
    long words = atol(argv[2]);
    enum { SIZE = 1 << 17 };
    uint64_t *memory = calloc(SIZE, sizeof *memory), at = 1;
    int64_t start = now_ns(), calls = 0;
    while (!ends) {
        for (int64_t due = (int64_t)((double)(now_ns() - start) / 1e9 * rate); calls < due; calls++) {
            for (long each = 0; each < words; each++) {
                at = at * 6364136223846793005ULL + 1442695040888963407ULL;
                memory[(at >> 33) % SIZE] += at;
            }
            put(memory, 172, 1);
        }
        struct timespec pause = { 0, 1000000 };
        nanosleep(&pause, NULL);
    }
    free(memory);
    return NULL;
}

int main(int argc, char** argv)
{
    pthread_t serving, spinning;
    char line[16];
    if (argc != 3)
        return 2;
    pthread_create(&serving, NULL, serve, argv);
    pthread_create(&spinning, NULL, spin, NULL);
    puts("ready");
    fflush(stdout);
    while (fgets(line, sizeof line, stdin) && (!strcmp(line, "spin\n") || !strcmp(line, "rest\n")))
        spins = line[0] == 's';
    ends = 1;
    pthread_join(serving, NULL);
    pthread_join(spinning, NULL);
    return 7;
}
