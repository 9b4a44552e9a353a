// SPDX-License-Identifier: Apache-2.0
// What NetEq's own statistics are told, by as many threads as receivers, each with an account of its own after the definitions of W3C's
// webrtc-stats.
//
// Protocol: prints "ready", then for each line "run SEED CALLS THREADS" on stdin makes the calls and prints one line of JSON: the sums of the
// accounts; "wrong" makes one call with a number of samples that cannot be, and prints "done".
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace webrtc {
struct Account {
    uint64_t received = 0, concealed = 0, silent = 0, events = 0, delay_ms = 0, emitted = 0, target_ms = 0, minimum_ms = 0, inserted = 0;
    uint64_t removed = 0, discarded = 0, repaired = 0, useless = 0, flushes = 0, targets_ms = 0, targets = 0;
};

class StatisticsCalculator {
public:
    virtual ~StatisticsCalculator() {}
    virtual void JitterBufferDelay(size_t samples, uint64_t waiting_ms, uint64_t target_ms, uint64_t minimum_ms);
    virtual void IncreaseCounter(size_t samples, int rate);
    virtual void ExpandedVoiceSamples(size_t samples, bool is_new);
    virtual void ExpandedNoiseSamples(size_t samples, bool is_new);
    virtual void ExpandedVoiceSamplesCorrection(int samples);
    virtual void ExpandedNoiseSamplesCorrection(int samples);
    virtual void PreemptiveExpandedSamples(size_t samples);
    virtual void AcceleratedSamples(size_t samples);
    virtual void PacketsDiscarded(size_t packets);
    virtual void SecondaryPacketsReceived(size_t packets);
    virtual void SecondaryPacketsDiscarded(size_t packets);
    virtual void FlushedPacketBuffer();
    Account account;

private:
    void conceal(int samples, bool silent);
    // What was concealed too much, and is taken off what is concealed next.
    uint64_t concealed_samples_correction_ = 0, silent_concealed_samples_correction_ = 0;
};

void StatisticsCalculator::JitterBufferDelay(size_t samples, uint64_t waiting_ms, uint64_t target_ms, uint64_t minimum_ms) {
    account.delay_ms += samples * waiting_ms;
    account.target_ms += samples * target_ms;
    account.minimum_ms += samples * minimum_ms;
    account.emitted += samples;
    account.targets_ms += target_ms;
    account.targets++;
}
void StatisticsCalculator::IncreaseCounter(size_t samples, int rate) { account.received += rate ? samples : 0; }
void StatisticsCalculator::conceal(int samples, bool silent) {
    auto settle = [samples](uint64_t& correction, uint64_t& total) {
        if (samples < 0) {
            correction -= samples;
            return;
        }
        uint64_t taken_off = std::min<uint64_t>(samples, correction);
        correction -= taken_off;
        total += samples - taken_off;
    };
    settle(concealed_samples_correction_, account.concealed);
    if (silent) settle(silent_concealed_samples_correction_, account.silent);
}
void StatisticsCalculator::ExpandedVoiceSamples(size_t samples, bool is_new) {
    conceal(samples, false);
    account.events += is_new;
}
void StatisticsCalculator::ExpandedNoiseSamples(size_t samples, bool is_new) {
    conceal(samples, true);
    account.events += is_new;
}
void StatisticsCalculator::ExpandedVoiceSamplesCorrection(int samples) { conceal(samples, false); }
void StatisticsCalculator::ExpandedNoiseSamplesCorrection(int samples) { conceal(samples, true); }
void StatisticsCalculator::PreemptiveExpandedSamples(size_t samples) { account.inserted += samples; }
void StatisticsCalculator::AcceleratedSamples(size_t samples) { account.removed += samples; }
void StatisticsCalculator::PacketsDiscarded(size_t packets) { account.discarded += packets; }
void StatisticsCalculator::SecondaryPacketsReceived(size_t packets) { account.repaired += packets; }
void StatisticsCalculator::SecondaryPacketsDiscarded(size_t packets) { account.useless += packets; }
void StatisticsCalculator::FlushedPacketBuffer() { account.flushes++; }
}  // namespace webrtc

static webrtc::StatisticsCalculator* made() {
    static volatile bool known = false;  // or the compiler calls the functions directly, and into its own copies
    struct Other : webrtc::StatisticsCalculator {};
    return known ? new Other : new webrtc::StatisticsCalculator;
}

static void call(webrtc::StatisticsCalculator& of, unsigned seed, long calls) {
    std::minstd_rand chance(seed);
    auto below = [&chance](int most) { return int(chance() % most); };
    for (long i = 0; i < calls; i++) {
        switch (below(12)) {
            case 0: of.JitterBufferDelay(below(2) ? 960 : 480, below(300), 40 + below(100), 20 + below(40)); break;
            case 1: of.IncreaseCounter(480, 48000); break;
            case 2: of.ExpandedVoiceSamples(below(600), below(2)); break;
            case 3: of.ExpandedNoiseSamples(below(600), below(2)); break;
            case 4: of.ExpandedVoiceSamplesCorrection(below(800) - 400); break;
            case 5: of.ExpandedNoiseSamplesCorrection(below(800) - 400); break;
            case 6: of.PreemptiveExpandedSamples(below(500)); break;
            case 7: of.AcceleratedSamples(below(500)); break;
            case 8: of.PacketsDiscarded(below(4)); break;
            case 9: of.SecondaryPacketsReceived(below(3)); break;
            case 10: of.SecondaryPacketsDiscarded(below(3)); break;
            default: of.FlushedPacketBuffer();
        }
    }
}

static void run(unsigned seed, long calls, int count) {
    std::vector<webrtc::StatisticsCalculator*> receivers;
    std::vector<std::thread> threads;
    for (int i = 0; i < count; i++) receivers.push_back(made());
    for (int i = 0; i < count; i++) threads.emplace_back(call, std::ref(*receivers[i]), seed + i, calls);
    for (auto& each : threads) each.join();
    webrtc::Account sum;
    for (auto* each : receivers) {
        for (size_t i = 0; i < sizeof(sum) / 8; i++) reinterpret_cast<uint64_t*>(&sum)[i] += reinterpret_cast<uint64_t*>(&each->account)[i];
        delete each;
    }
    std::printf("{");
#define TELL(name, member) std::printf("\"" #name "\": %llu, ", (unsigned long long)sum.member);
    TELL(total_samples_received, received)
    TELL(concealed_samples, concealed)
    TELL(silent_concealed_samples, silent)
    TELL(concealment_events, events)
    TELL(jitter_buffer_delay, delay_ms)
    TELL(jitter_buffer_emitted_count, emitted)
    TELL(jitter_buffer_target_delay, target_ms)
    TELL(jitter_buffer_minimum_delay, minimum_ms)
    TELL(inserted_samples_for_deceleration, inserted)
    TELL(removed_samples_for_acceleration, removed)
    TELL(packets_discarded, discarded)
    TELL(fec_packets_received, repaired)
    TELL(fec_packets_discarded, useless)
    TELL(resets, flushes)
    TELL(targets_ms, targets_ms)
    std::printf("\"targets\": %llu}\n", (unsigned long long)sum.targets);
}

int main() {
    char line[256], word[16];
    std::setvbuf(stdout, nullptr, _IOLBF, 0);
    std::puts("ready");
    while (std::fgets(line, sizeof(line), stdin)) {
        unsigned seed = 0;
        long calls = 0;
        int threads = 0;
        if (std::sscanf(line, "%15s %u %ld %d", word, &seed, &calls, &threads) == 4) {
            run(seed, calls, threads);
        } else {
            webrtc::StatisticsCalculator* one = made();
            one->IncreaseCounter(size_t(1) << 40, 48000);
            delete one;
            std::puts("done");
        }
    }
}
