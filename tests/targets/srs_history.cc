// SPDX-License-Identifier: Apache-2.0
// A receive history with the names and members of SRS, which is thrown away where too many packets are missing, and its own account of that.
//
// Protocol: prints "ready", then for each line "run GAPS" on stdin meets that many gaps, every third of which is too long, asks twice for every second of
// the packets that are missing then, gives every fourth up, and prints one line of JSON.
#include <cstdint>
#include <cstdio>
#include <map>
#include <set>

// An optimised build of SRS has some functions dissolved, which are called in an unoptimised one.
#ifdef __OPTIMIZE__
#define SMALL inline __attribute__((always_inline))
#else
#define SMALL
#endif

struct SrsRtpNackInfo {
    long times = 0;
};

struct SrsRtcpNack {
    SMALL void add_lost_sn(uint16_t number) { lost_sns_.insert(number); }
    uint8_t header_[24];
    std::set<uint16_t> lost_sns_;
};

class SrsRtpRingBuffer {
public:
    inline __attribute__((always_inline)) void notify_nack_list_full() { resets++; }
    SMALL void notify_drop_seq(uint16_t) { given_up++; }
    long resets = 0, given_up = 0;
};

class SrsRtpNackForReceiver {
public:
    SrsRtpNackForReceiver(SrsRtpRingBuffer* rtp, size_t most) : max_queue_size_(most), rtp_(rtp) {}
    virtual ~SrsRtpNackForReceiver() {}
    __attribute__((noinline)) void insert(uint16_t first, uint16_t last);
    __attribute__((noinline)) void check_queue_size();
    __attribute__((noinline)) void get_nack_seqs(SrsRtcpNack& seqs, uint32_t& timeout_nacks);
    void came(uint16_t number) { queue_.erase(number); }

private:
    std::map<uint16_t, SrsRtpNackInfo> queue_;
    size_t max_queue_size_;
    SrsRtpRingBuffer* rtp_;
};

void SrsRtpNackForReceiver::insert(uint16_t first, uint16_t last)
{
    for (uint16_t each = first; each != last; each++) {
        queue_[each] = SrsRtpNackInfo();
    }
}

void SrsRtpNackForReceiver::check_queue_size()
{
    if (queue_.size() >= max_queue_size_) {
        rtp_->notify_nack_list_full();
        queue_.clear();
    }
}

void SrsRtpNackForReceiver::get_nack_seqs(SrsRtcpNack& seqs, uint32_t& timeout_nacks)
{
    auto each = queue_.begin();
    while (each != queue_.end()) {
        if (each->first % 4 == 0 && each->second.times > 0) {
            timeout_nacks++;
            rtp_->notify_drop_seq(each->first);
            queue_.erase(each++);
            continue;
        }
        each->second.times++;
        if (each->first % 2) {
            seqs.add_lost_sn(each->first);
        }
        ++each;
    }
}

int main()
{
    SrsRtpRingBuffer ring;
    SrsRtpNackForReceiver missing(&ring, 66);
    uint16_t next = 65000;
    long requested = 0, unrecovered = 0;
    char line[64];
    puts("ready");
    fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
        int gaps = 0;
        sscanf(line, "run %d", &gaps);
        for (int gap = 0; gap < gaps; gap++) {
            uint16_t length = gap % 3 == 2 ? 66 + gap % 5 : 1 + gap % 60;
            missing.insert(next, next + length);
            missing.check_queue_size();
            for (int turn = 0; turn < 2; turn++) {
                SrsRtcpNack request;
                uint32_t given_up = 0;
                missing.get_nack_seqs(request, given_up);
                requested += request.lost_sns_.size();
                unrecovered += given_up;
            }
            // Those that were asked for again come.
            for (uint16_t each = next; each != (uint16_t)(next + length); each++) {
                missing.came(each);
            }
            next += length + 10;
        }
        printf("{\"resets\": %ld, \"requested\": %ld, \"unrecovered\": %ld}\n", ring.resets, requested, unrecovered);
        fflush(stdout);
    }
}
