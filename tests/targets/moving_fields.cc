// SPDX-License-Identifier: Apache-2.0
// A jitter buffer whose fields lie elsewhere in each of five builds (-DLAYOUT=0 to 4), with its own account of what it did.
//
// Protocol: prints "ready", then for each line "run CALLS" on stdin makes that many calls of Buffer::put and prints one line of JSON: calls, bytes,
// late (packets before the last one that left), depth (packets that wait now). "layout" prints where the fields are.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <map>
#include <string>

#ifndef LAYOUT
#define LAYOUT 0
#endif

static long late;  // counted by the buffer itself

struct Plain {};
struct Heavy {
    uint64_t what[5] = {1, 2, 3, 4, 5};
};
#if LAYOUT == 1
typedef Heavy PacketBase;  // a base class
#else
typedef Plain PacketBase;
#endif
#if LAYOUT == 4
#define PACKED __attribute__((packed))
#else
#define PACKED
#endif

struct PACKED Header {
    bool marker = false;
    uint16_t sequence = 0;
};

struct PACKED Packet : PacketBase {
#if LAYOUT == 2
    virtual ~Packet() {}  // a pointer to a table comes first
#endif
#if LAYOUT == 3
    void* owner = this;  // a member before
    char name[24] = "";
#endif
    Header header;
    int32_t size = 0;
};

class Buffer {
public:
    __attribute__((noinline)) int put(Packet* packet);
    size_t depth() const { return waiting_.size(); }
    void layout();

private:
#if LAYOUT == 3
    std::string title_ = "a member before";
#endif
    uint16_t last_ = 0;
    bool started_ = false;
    std::map<uint16_t, int> waiting_;
};

int Buffer::put(Packet* packet)
{
    uint16_t sequence = packet->header.sequence;
    if (!started_) {
        started_ = true;
        last_ = sequence - 1;
    }
    if ((int16_t)(sequence - last_) < 0) {
        late++;
        return 0;
    }
    waiting_[sequence] = packet->size;
    while (waiting_.size() > 20) {
        last_ = waiting_.begin()->first;
        waiting_.erase(waiting_.begin());
    }
    return 0;
}

#pragma GCC diagnostic ignored "-Winvalid-offsetof"
void Buffer::layout()
{
    printf("{\"Packet\": {\"size\": %zu, \"sequence\": %zu}, \"Buffer\": {\"last\": %zu, \"started\": %zu, \"count\": %zu}}\n",
        offsetof(Packet, size), offsetof(Packet, header.sequence), offsetof(Buffer, last_), offsetof(Buffer, started_), offsetof(Buffer, waiting_) + 40);
}

int main()
{
    puts("ready");
    fflush(stdout);
    Buffer* buffer = new Buffer;
    uint32_t state = 12345;
    uint16_t next = 65500;  // the numbers wrap soon
    char line[256], word[256];
    while (fgets(line, sizeof line, stdin)) {
        long calls = 0, bytes = 0;
        late = 0;
        sscanf(line, "%255s %ld", word, &calls);
        if (strcmp(word, "layout") == 0) {
            buffer->layout();
            fflush(stdout);
            continue;
        }
        for (long i = 0; i < calls; i++) {
            state = state * 1664525 + 1013904223;
            Packet packet;
            bool old = state >> 28 == 0 && i > 40;
            packet.header.sequence = old ? next - 40 : next++;
            packet.size = 12 + (state >> 8) % 1400;
            buffer->put(&packet);
            bytes += packet.size;
        }
        printf("{\"calls\": %ld, \"bytes\": %ld, \"late\": %ld, \"depth\": %zu}\n", calls, bytes, late, buffer->depth());
        fflush(stdout);
    }
}
