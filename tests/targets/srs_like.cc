// SPDX-License-Identifier: Apache-2.0
// A server-like program with the functions that SRS users ask for by name, and with its own account of every call.
//
// Each call is timed twice by the program itself: around the call (outer) and inside the body (inner). A probe's time
// lies between the two, whatever the scheduler does: inner <= probe <= outer. So a call whose two times fall into one
// bucket says exactly which bucket the agent must have put it into; the others are reported as "unsure".
//
// Protocol: prints "ready", then for each line "run THREADS CALLS DURATION_NS..." on stdin one line of JSON. Each thread
// makes CALLS calls, to the four functions in turn; the n-th round of four spins for the n-th duration (cyclically, 0: the
// body alone). "bounds NS..." sets the bucket bounds. "serve ROUNDS SECONDS WORK SPARE [KILOBYTES]" is a server under steady load: ROUNDS
// times a second it changes WORK words in memory of its own (by default a megabyte), calls decode, put and get once and get_time SPARE times,
// and sleeps; it says how much CPU time that took and, with KILOBYTES, how much of it its work and the calls. The program ends at end of file.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <iostream>
#include <mutex>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

static inline int64_t now_ns()
{
    timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

// What the body of the running call measured, and how long it is to take.
struct InnerTime {
    int64_t spin_ns = 0;
    int64_t elapsed_ns = 0;
};
static thread_local InnerTime inner;

// First and last thing in a body: only the function's own prologue and epilogue lie outside.
class BodyClock {
public:
    BodyClock() : start_(now_ns()) {}
    ~BodyClock()
    {
        int64_t end = now_ns();
        while (end - start_ < inner.spin_ns) {
            end = now_ns();
        }
        inner.elapsed_ns = end - start_;
    }

private:
    int64_t start_;
};

// As in SRS: the reader of a packet's bytes.
class SrsBuffer {
public:
    SrsBuffer(char* bytes, int size) : p_(bytes), bytes_(bytes), nb_bytes_(size) {}
    bool require(int n) const { return n <= nb_bytes_ - (int)(p_ - bytes_); }
    uint8_t read_1bytes() { return (uint8_t)*p_++; }
    uint16_t read_2bytes()
    {
        uint16_t high = read_1bytes();
        return (uint16_t)(high << 8 | read_1bytes());
    }
    uint32_t read_4bytes()
    {
        uint32_t high = read_2bytes();
        return high << 16 | read_2bytes();
    }

private:
    char* p_;
    char* bytes_;
    int nb_bytes_;
};

class SrsRtpPacket {
public:
    virtual ~SrsRtpPacket() {}
    // Returns an error, or NULL where the header is good.
    __attribute__((noinline)) virtual void* decode(SrsBuffer* buf);
    uint16_t sequence = 0;
    uint32_t timestamp = 0;
    uint32_t ssrc = 0;
};

class SrsRtpJitterBuffer {
public:
    __attribute__((noinline)) int put(SrsRtpPacket* packet);
    __attribute__((noinline)) SrsRtpPacket* get();
    __attribute__((noinline)) int64_t get_time();

private:
    static const int CAPACITY = 64;
    std::mutex lock_;
    SrsRtpPacket* ring_[CAPACITY] = {};
    unsigned head_ = 0;
    unsigned tail_ = 0;
    int64_t last_ = 0;
};

static int bad_packet;

void* SrsRtpPacket::decode(SrsBuffer* buf)
{
    BodyClock clock;
    if (!buf->require(12)) {
        return &bad_packet;
    }
    if ((buf->read_1bytes() >> 6) != 2) {
        return &bad_packet;
    }
    buf->read_1bytes();
    sequence = buf->read_2bytes();
    timestamp = buf->read_4bytes();
    ssrc = buf->read_4bytes();
    return NULL;
}

int SrsRtpJitterBuffer::put(SrsRtpPacket* packet)
{
    BodyClock clock;
    std::lock_guard<std::mutex> guard(lock_);
    if (tail_ - head_ == CAPACITY) {
        return -1;
    }
    ring_[tail_++ % CAPACITY] = packet;
    last_ = packet->timestamp;
    return 0;
}

SrsRtpPacket* SrsRtpJitterBuffer::get()
{
    BodyClock clock;
    std::lock_guard<std::mutex> guard(lock_);
    if (head_ == tail_) {
        return NULL;
    }
    return ring_[head_++ % CAPACITY];
}

int64_t SrsRtpJitterBuffer::get_time()
{
    BodyClock clock;
    std::lock_guard<std::mutex> guard(lock_);
    return last_ / 8;
}

static std::vector<int64_t> bounds = { 1000,    2500,    5000,     10000,    25000,    50000,     100000,    250000,    500000,     1000000,    2500000,
                                       5000000, 10000000, 25000000, 50000000, 100000000, 250000000, 500000000, 1000000000, 2500000000, 5000000000 };

static size_t bucket(int64_t ns) { return (size_t)(std::lower_bound(bounds.begin(), bounds.end(), ns) - bounds.begin()); }

static bool far_from_a_bound(int64_t ns)
{
    for (int64_t bound : bounds) {
        if (ns > bound - 20000 && ns < bound + 20000) {
            return false;
        }
    }
    return true;
}

// The account of one function.
struct Account {
    int64_t calls = 0;
    int64_t inner_sum = 0;
    int64_t outer_sum = 0;
    int64_t inner_min = INT64_MAX;
    int64_t outer_max = 0;
    int64_t unsure = 0;
    int64_t far_calls = 0;   // at least 20 us away from every bound, by the outer time
    int64_t far_unsure = 0;  // of those: unsure none the less, because the thread was held between a clock and the probe
    int64_t held_calls = 0;  // outer - inner over 200 us: the scheduler stepped in between a clock and the probe
    int64_t held_ns = 0;
    std::vector<int64_t> sure;   // by bucket: calls that can only be there
    std::vector<int64_t> maybe;  // by bucket: unsure calls that may be there
    std::vector<int64_t> far;    // by bucket: sure calls at least 20 us away from every bound
    void begin()
    {
        sure.assign(bounds.size() + 1, 0);
        maybe = far = sure;
    }
    void add(int64_t outer_ns)
    {
        int64_t inner_ns = inner.elapsed_ns;
        calls++;
        inner_sum += inner_ns;
        outer_sum += outer_ns;
        inner_min = std::min(inner_min, inner_ns);
        outer_max = std::max(outer_max, outer_ns);
        if (outer_ns - inner_ns > 200000) {
            held_calls++;
            held_ns += outer_ns - inner_ns;
        }
        size_t low = bucket(inner_ns);
        size_t high = bucket(outer_ns);
        bool is_far = far_from_a_bound(outer_ns);
        far_calls += is_far;
        if (low == high) {
            sure[low]++;
            far[low] += is_far;
        } else {
            unsure++;
            far_unsure += is_far;
            for (size_t each = low; each <= high; each++) {
                maybe[each]++;
            }
        }
    }
    void merge(const Account& other)
    {
        calls += other.calls;
        inner_sum += other.inner_sum;
        outer_sum += other.outer_sum;
        inner_min = std::min(inner_min, other.inner_min);
        outer_max = std::max(outer_max, other.outer_max);
        unsure += other.unsure;
        far_calls += other.far_calls;
        far_unsure += other.far_unsure;
        held_calls += other.held_calls;
        held_ns += other.held_ns;
        for (size_t each = 0; each < sure.size(); each++) {
            sure[each] += other.sure[each];
            maybe[each] += other.maybe[each];
            far[each] += other.far[each];
        }
    }
};

enum { DECODE, PUT, GET, GET_TIME, FUNCTIONS };
static const char* const names[FUNCTIONS] = { "SrsRtpPacket::decode", "SrsRtpJitterBuffer::put", "SrsRtpJitterBuffer::get", "SrsRtpJitterBuffer::get_time" };

template <typename Call> static void timed(Account& account, Call call)
{
    int64_t start = now_ns();
    call();
    account.add(now_ns() - start);
}

static void work(int number, int64_t calls, const std::vector<int64_t>& durations, Account* accounts)
{
    SrsRtpJitterBuffer buffer;
    SrsRtpPacket packet;
    char bytes[172] = { (char)0x80, 8 };
    bytes[11] = (char)number;
    void* volatile error = NULL;
    SrsRtpPacket* volatile got = NULL;
    volatile int64_t result = 0;
    for (int64_t each = 0; each < calls; each++) {
        inner.spin_ns = durations[(size_t)(each / FUNCTIONS) % durations.size()];
        Account& account = accounts[each % FUNCTIONS];
        switch (each % FUNCTIONS) {
        case DECODE: {
            SrsBuffer reader(bytes, sizeof bytes);
            timed(account, [&] { error = packet.decode(&reader); });
            break;
        }
        case PUT:
            timed(account, [&] { result = buffer.put(&packet); });
            break;
        case GET:
            timed(account, [&] { got = buffer.get(); });
            break;
        default:
            timed(account, [&] { result = buffer.get_time(); });
        }
    }
    (void)error;
    (void)got;
    (void)result;
}

static void print_list(const char* name, const std::vector<int64_t>& values)
{
    printf(", \"%s\": [", name);
    for (size_t each = 0; each < values.size(); each++) {
        printf("%s%lld", each ? ", " : "", (long long)values[each]);
    }
    printf("]");
}

static void print(const Account* accounts, double seconds)
{
    printf("{\"seconds\": %.6f, \"functions\": {", seconds);
    for (int each = 0; each < FUNCTIONS; each++) {
        const Account& a = accounts[each];
        printf("%s\"%s\": {\"calls\": %lld, \"inner_sum_ns\": %lld, \"outer_sum_ns\": %lld, \"inner_min_ns\": %lld, \"outer_max_ns\": %lld, "
               "\"unsure\": %lld, \"far_calls\": %lld, \"far_unsure\": %lld, \"held_calls\": %lld, \"held_ns\": %lld",
            each ? ", " : "", names[each], (long long)a.calls, (long long)a.inner_sum, (long long)a.outer_sum, (long long)a.inner_min,
            (long long)a.outer_max, (long long)a.unsure, (long long)a.far_calls, (long long)a.far_unsure, (long long)a.held_calls, (long long)a.held_ns);
        print_list("sure", a.sure);
        print_list("maybe", a.maybe);
        print_list("far", a.far);
        printf("}");
    }
    printf("}}\n");
    fflush(stdout);
}

static void run(int threads, int64_t calls, const std::vector<int64_t>& durations)
{
    std::vector<std::vector<Account>> accounts((size_t)threads, std::vector<Account>(FUNCTIONS));
    std::vector<std::thread> running;
    int64_t start = now_ns();
    for (int each = 0; each < threads; each++) {
        for (Account& account : accounts[(size_t)each]) {
            account.begin();
        }
    }
    for (int each = 0; each < threads; each++) {
        running.emplace_back(work, each, calls, std::cref(durations), accounts[(size_t)each].data());
    }
    for (std::thread& each : running) {
        each.join();
    }
    for (size_t thread = 1; thread < accounts.size(); thread++) {
        for (size_t each = 0; each < FUNCTIONS; each++) {
            accounts[0][each].merge(accounts[thread][each]);
        }
    }
    print(accounts[0].data(), (double)(now_ns() - start) / 1e9);
}

// Work that uses caches as a server's own does, so that a probe's hit finds them as it would there.
static void work_on(std::vector<uint64_t>& memory, int64_t words)
{
    static uint64_t at = 1;
    for (int64_t each = 0; each < words; each++) {
        at = at * 6364136223846793005ULL + 1442695040888963407ULL;
        memory[(at >> 33) % memory.size()] += at;
    }
}

static int64_t cpu_ns(clockid_t clock)
{
    timespec ts;
    clock_gettime(clock, &ts);
    return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

static void serve(int64_t rounds_per_second, double seconds, int64_t work, int64_t spare, int64_t kilobytes, bool timed)
{
    SrsRtpJitterBuffer buffer;
    SrsRtpPacket packet;
    char bytes[172] = { (char)0x80, 8 };
    std::vector<uint64_t> memory((size_t)kilobytes * 1024 / sizeof(uint64_t));
    inner.spin_ns = 0;
    int64_t rounds = 0, start = now_ns(), cpu = cpu_ns(CLOCK_PROCESS_CPUTIME_ID), end = start + (int64_t)(seconds * 1e9);
    int64_t work_ns = 0, calls_ns = 0;
    volatile int64_t result = 0;
    for (int64_t now = start; now < end; now = now_ns()) {
        // As many rounds as are due: a sleep is seldom shorter than 50 us, whatever it was asked for.
        for (int64_t due = (int64_t)((double)(now - start) / 1e9 * (double)rounds_per_second); rounds < due; rounds++) {
            int64_t began = timed ? cpu_ns(CLOCK_THREAD_CPUTIME_ID) : 0;
            work_on(memory, work);
            int64_t worked = timed ? cpu_ns(CLOCK_THREAD_CPUTIME_ID) : 0;
            SrsBuffer reader(bytes, sizeof bytes);
            packet.decode(&reader);
            result = buffer.put(&packet);
            buffer.get();
            for (int64_t each = 0; each < spare; each++) {
                result = buffer.get_time();
            }
            calls_ns += (timed ? cpu_ns(CLOCK_THREAD_CPUTIME_ID) : 0) - worked;
            work_ns += worked - began;
        }
        timespec pause = { 0, 1000000 };
        nanosleep(&pause, NULL);
    }
    (void)result;
    cpu = cpu_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    printf("{\"rounds\": %lld, \"cpu_ns\": %lld, \"seconds\": %.6f, \"work_ns\": %lld, \"calls_ns\": %lld}\n", (long long)rounds,
        (long long)cpu, (double)(now_ns() - start) / 1e9, (long long)work_ns, (long long)calls_ns);
    fflush(stdout);
}

int main()
{
    printf("ready\n");
    fflush(stdout);
    std::string line;
    while (std::getline(std::cin, line)) {
        std::istringstream words(line);
        std::string command;
        words >> command;
        std::vector<int64_t> numbers;
        for (int64_t number; words >> number;) {
            numbers.push_back(number);
        }
        if (command == "bounds" && !numbers.empty()) {
            bounds = numbers;
        } else if (command == "run" && numbers.size() >= 3) {
            run((int)numbers[0], numbers[1], std::vector<int64_t>(numbers.begin() + 2, numbers.end()));
        } else if (command == "serve" && (numbers.size() == 4 || numbers.size() == 5)) {
            serve(numbers[0], (double)numbers[1], numbers[2], numbers[3], numbers.size() == 5 ? numbers[4] : 1024, numbers.size() == 5);
        } else {
            fprintf(stderr, "srs_like: not a command: %s\n", line.c_str());
            return 2;
        }
    }
    return 0;
}
