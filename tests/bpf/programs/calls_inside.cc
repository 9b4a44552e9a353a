// SPDX-License-Identifier: Apache-2.0
// A buffer whose timer function seldom has to do anything and then calls another function, which leaves in every way that there is: it returns, throws,
// jumps past its caller, switches to another coroutine and back, and looks where it will return to, as an unwinder does. Others call that one, too.
//
// Protocol: prints "ready", then for each line "run ROUNDS" runs them on two threads and prints one line of JSON: calls of the timer function, what it
// asked for, in how many calls, how often each way out was taken, and how often anything was not as it must be.
#include <csetjmp>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include <ucontext.h>

enum { NOTHING, RETURNS, THROWS, JUMPS, SWITCHES, LOOKS, WAYS };

class Request {
public:
    Request() { taken_[NOTHING] = 0; }
    [[gnu::noinline, gnu::noclone]] void add(int packets, int way);
    void looks(void* from);
    long packets_ = 0, calls_ = 0, wrong_ = 0, taken_[WAYS] = {};
    void* from_ = nullptr;
    jmp_buf back_;
    ucontext_t here_, other_;
    char stack_[1 << 16];
};

class Timer {
public:
    [[gnu::noinline, gnu::noclone]] void tick(Request& request, int packets, int way);
};

static void elsewhere(unsigned low, unsigned high)
{
    Request* request = (Request*)((unsigned long)high << 32 | low);
    for (;;) {
        request->taken_[SWITCHES]++;
        swapcontext(&request->other_, &request->here_);
    }
}

void Request::add(int packets, int way)
{
    packets_ += packets;
    calls_++;
    if (way == THROWS) {
        throw packets;
    }
    if (way == JUMPS) {
        longjmp(back_, packets);
    }
    if (way == SWITCHES) {
        swapcontext(&here_, &other_);
    }
    if (way == LOOKS) {
        looks(__builtin_return_address(0));
    }
}

void Request::looks(void* from)
{
    wrong_ += from_ != nullptr && from_ != from;  // only the timer function asks for this
    from_ = from;
    taken_[LOOKS]++;
}

void Timer::tick(Request& request, int packets, int way)
{
    if (way == NOTHING) {
        return;
    }
    request.add(packets, way);
}

struct Account {
    long ticks, packets, calls, others, taken[WAYS], wrong;
};

static void work(Account* account, long rounds)
{
    static thread_local Request request;
    Timer timer;
    getcontext(&request.other_);
    request.other_.uc_stack.ss_sp = request.stack_;
    request.other_.uc_stack.ss_size = sizeof request.stack_;
    request.other_.uc_link = nullptr;
    makecontext(&request.other_, (void (*)())elsewhere, 2, (unsigned)(unsigned long)&request, (unsigned)((unsigned long)&request >> 32));
    for (volatile long round = 0; round < rounds; round++) {
        int way = round % 20 < WAYS ? (int)(round % 20) : NOTHING, packets = 1 + (int)(round % 7);
        account->ticks++;
        try {
            int jumped = setjmp(request.back_);
            if (jumped == 0) {
                timer.tick(request, packets, way);
                account->taken[RETURNS] += way == RETURNS;
            } else {
                account->taken[JUMPS]++;
                account->wrong += jumped != packets;
            }
        } catch (int thrown) {
            account->taken[THROWS]++;
            account->wrong += thrown != packets;
        }
        if (way != NOTHING) {
            account->packets += packets;
            account->calls++;
        }
        if (round % 3 == 0) {  // not the timer's
            request.add(1000, RETURNS);
            account->others++;
        }
    }
    account->wrong += request.wrong_ + (request.calls_ != account->calls + account->others);
    account->wrong += request.packets_ != account->packets + 1000 * account->others;
    account->taken[SWITCHES] += request.taken_[SWITCHES];
    account->taken[LOOKS] += request.taken_[LOOKS];
}

int main()
{
    puts("ready");
    fflush(stdout);
    char line[64];
    while (fgets(line, sizeof line, stdin)) {
        long rounds = 0;
        sscanf(line, "run %ld", &rounds);
        Account accounts[2] = {};
        std::thread threads[] = {std::thread(work, &accounts[0], rounds), std::thread(work, &accounts[1], rounds)};
        Account all = {};
        for (int each = 0; each < 2; each++) {
            threads[each].join();
            all.ticks += accounts[each].ticks;
            all.packets += accounts[each].packets;
            all.calls += accounts[each].calls;
            all.others += accounts[each].others;
            all.wrong += accounts[each].wrong;
            for (int way = 0; way < WAYS; way++) {
                all.taken[way] += accounts[each].taken[way];
            }
        }
        printf("{\"ticks\": %ld, \"packets\": %ld, \"calls\": %ld, \"others\": %ld, \"wrong\": %ld, \"ways\": [%ld, %ld, %ld, %ld, %ld]}\n", all.ticks,
            all.packets, all.calls, all.others, all.wrong, all.taken[RETURNS], all.taken[THROWS], all.taken[JUMPS], all.taken[SWITCHES], all.taken[LOOKS]);
        fflush(stdout);
    }
    return 0;
}
