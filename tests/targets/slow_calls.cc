// SPDX-License-Identifier: Apache-2.0
// A server-like program that makes calls of known length at known times, and keeps a log of the long ones.
//
// Protocol: prints "ready", then for each line on stdin one line of JSON:
//   run WORKERS CALLS SLOW MICROSECONDS  CALLS puts in all, by WORKERS threads (or coroutines) evenly. SLOW of them, spread
//                                        evenly, take MICROSECONDS more, every second one because of the decode inside it.
//   burst THREADS CALLS NANOSECONDS      each thread makes CALLS of get_time that spin for NANOSECONDS; tells how long it took.
// Built with -DCOROUTINES (and -lst) the workers are State Threads' coroutines on one thread, and a slow call lets others run.
//
// The log has every planned call and every other one that took longer than half of MICROSECONDS (the machine was busy):
// the time around the call (outer) and the time within its body (inner). A probe's time lies between the two.
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <iostream>
#include <mutex>
#include <sstream>
#include <string>
#include <sys/syscall.h>
#include <thread>
#include <unistd.h>
#include <vector>
#ifdef COROUTINES
#include <st.h>
#endif

#define NOINLINE __attribute__((noinline, noclone))

static int64_t now_ns(clockid_t clock)
{
    timespec ts;
    clock_gettime(clock, &ts);
    return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

// Lets `us` microseconds pass; other coroutines run meanwhile.
static NOINLINE void wait_for(int64_t us)
{
#ifdef COROUTINES
    st_usleep((st_utime_t)us);
#else
    timespec ts = {(time_t)(us / 1000000), (long)(us % 1000000) * 1000};
    nanosleep(&ts, NULL);
#endif
}

struct Span {
    int64_t start = 0, end = 0;
};

class SrsBuffer {
public:
    const unsigned char* bytes;
    int size;
    int64_t wait_us;
    Span* inner;
};

class SrsRtpPacket {
public:
    NOINLINE void* decode(SrsBuffer* buf);
    uint16_t sequence = 0;
};

class SrsRtpJitterBuffer {
public:
    NOINLINE int put(SrsRtpPacket* packet, SrsBuffer* buf, int64_t wait_us, Span* inner);
    NOINLINE int get_time(int64_t spin_ns);

private:
    uint16_t last_ = 0;
    int held_ = 0;
};

void* SrsRtpPacket::decode(SrsBuffer* buf)
{
    buf->inner->start = now_ns(CLOCK_MONOTONIC);
    if (buf->size < 12) {
        return buf;
    }
    sequence = (uint16_t)(buf->bytes[2] << 8 | buf->bytes[3]);
    if (buf->wait_us) {
        wait_for(buf->wait_us);
    }
    buf->inner->end = now_ns(CLOCK_MONOTONIC);
    return NULL;
}

int SrsRtpJitterBuffer::put(SrsRtpPacket* packet, SrsBuffer* buf, int64_t wait_us, Span* inner)
{
    inner->start = now_ns(CLOCK_MONOTONIC);
    if (packet->decode(buf)) {
        return -1;
    }
    if (wait_us) {
        wait_for(wait_us);
    }
    last_ = packet->sequence;
    held_++;
    inner->end = now_ns(CLOCK_MONOTONIC);
    return 0;
}

int SrsRtpJitterBuffer::get_time(int64_t spin_ns)
{
    int64_t end = now_ns(CLOCK_MONOTONIC) + spin_ns;
    do {
        held_ ^= 1;
    } while (spin_ns && now_ns(CLOCK_MONOTONIC) < end);
    return held_;
}

struct Entry {
    int worker;
    long thread;
    bool planned;
    int64_t start_unix_nano;
    Span outer, inner, decode;
    bool slow_decode;
};

static std::mutex lock;
static std::vector<Entry> entries;

// One packet's way in; its name is looked for in stack traces.
static NOINLINE int receive_packet(SrsRtpJitterBuffer* buffer, Entry* entry, int64_t wait_us)
{
    static const unsigned char bytes[172] = {0x80, 0, 1, 2};
    SrsRtpPacket packet;
    SrsBuffer read = {bytes, (int)sizeof(bytes), entry->slow_decode ? wait_us : 0, &entry->decode};
    entry->start_unix_nano = now_ns(CLOCK_REALTIME);
    entry->outer.start = now_ns(CLOCK_MONOTONIC);
    int result = buffer->put(&packet, &read, entry->slow_decode ? 0 : wait_us, &entry->inner);
    entry->outer.end = now_ns(CLOCK_MONOTONIC);
    return result;
}

struct Work {
    int worker;
    long first, last, all, slow;
    int64_t wait_us;
};

static NOINLINE int serve_session(const Work& work)
{
    SrsRtpJitterBuffer buffer;
    int failed = 0;
    for (long call = work.first; call < work.last; call++) {
        // The n-th slow call is the one where n = call * slow / all changes.
        long number = call * work.slow / work.all;
        bool planned = (call + 1) * work.slow / work.all != number;
        Entry entry = {};
        entry.worker = work.worker;
        entry.planned = planned;
        entry.slow_decode = planned && number % 2;
        failed += receive_packet(&buffer, &entry, planned ? work.wait_us : 0) != 0;
        if (planned || entry.outer.end - entry.outer.start > work.wait_us * 500) {
            entry.thread = syscall(SYS_gettid);
            std::lock_guard<std::mutex> guard(lock);
            entries.push_back(entry);
        }
#ifdef COROUTINES
        if (call % 16 == 0) {
            st_usleep(0);
        }
#endif
    }
    return failed;
}

#ifdef COROUTINES
static void* coroutine(void* argument)
{
    serve_session(*(Work*)argument);
    return NULL;
}

static void serve(std::vector<Work>& works)
{
    std::vector<st_thread_t> all;
    for (Work& work : works) {
        all.push_back(st_thread_create(coroutine, &work, 1, 64 * 1024));
    }
    for (st_thread_t each : all) {
        st_thread_join(each, NULL);
    }
}
#else
static void serve(std::vector<Work>& works)
{
    std::vector<std::thread> all;
    for (Work& work : works) {
        all.emplace_back([&work] { serve_session(work); });
    }
    for (std::thread& each : all) {
        each.join();
    }
}
#endif

static void run(int workers, long calls, long slow, int64_t wait_us)
{
    std::vector<Work> works;
    for (int worker = 0; worker < workers; worker++) {
        works.push_back({worker, calls * worker / workers, calls * (worker + 1) / workers, calls, slow, wait_us});
    }
    entries.clear();
    serve(works);
    printf("{\"calls\": %ld, \"log\": [", calls);
    const char* comma = "";
    for (const Entry& one : entries) {
        printf("%s{\"worker\": %d, \"thread\": %ld, \"planned\": %s, \"start_unix_nano\": %lld, \"slow_decode\": %s, ", comma,
            one.worker, one.thread, one.planned ? "true" : "false", (long long)one.start_unix_nano,
            one.slow_decode ? "true" : "false");
        printf("\"outer_ns\": %lld, \"inner_ns\": %lld, \"inner_after_ns\": %lld, \"decode_ns\": %lld}",
            (long long)(one.outer.end - one.outer.start), (long long)(one.inner.end - one.inner.start),
            (long long)(one.inner.start - one.outer.start), (long long)(one.decode.end - one.decode.start));
        comma = ", ";
    }
    printf("]}\n");
}

static void burst(int threads, long calls, int64_t spin_ns)
{
    std::vector<std::thread> all;
    std::vector<int> odd(threads);
    int64_t start = now_ns(CLOCK_MONOTONIC);
    for (int thread = 0; thread < threads; thread++) {
        all.emplace_back([=, &odd] {
            SrsRtpJitterBuffer buffer;
            for (long call = 0; call < calls; call++) {
                odd[thread] += buffer.get_time(spin_ns) & 1;
            }
        });
    }
    for (std::thread& each : all) {
        each.join();
    }
    printf("{\"calls\": %ld, \"took_ns\": %lld, \"odd\": %d}\n", threads * calls, (long long)(now_ns(CLOCK_MONOTONIC) - start),
        odd[0]);
}

int main()
{
#ifdef COROUTINES
    st_init();
#endif
    setvbuf(stdout, NULL, _IOLBF, 1 << 16);
    printf("ready\n");
    std::string line;
    while (std::getline(std::cin, line)) {
        std::istringstream words(line);
        std::string command;
        long a = 0, b = 0, c = 0, d = 0;
        words >> command >> a >> b >> c >> d;
        if (command == "run") {
            run((int)a, b, c, d);
        } else if (command == "burst") {
            burst((int)a, b, c);
        } else {
            fprintf(stderr, "slow_calls: not a command: %s\n", line.c_str());
            return 2;
        }
        fflush(stdout);
    }
    return 0;
}
