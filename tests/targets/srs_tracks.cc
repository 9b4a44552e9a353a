// SPDX-License-Identifier: Apache-2.0
// A publisher with tracks as SRS has them, of which each has the clock that was negotiated for it. It prints "ready" and takes commands by line:
//   track audio|video SSRC PAYLOAD_TYPE HERTZ       the publisher gets another track
//   hertz SSRC HERTZ                                the track's clock becomes another one
//   put SSRC PAYLOAD_TYPE HERTZ COUNT SEED          packets 2 to 12 ms apart, whose RTP time says 5 ms
// and answers each with what was put of this SSRC so far, as [[nanoseconds, RTP time], ...]. It ends at end of file.
#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

struct SrsCodecPayload {
  virtual ~SrsCodecPayload() {}
  std::string type_;
  uint8_t pt_ = 0;
  std::string name_;
  int sample_ = 0;
};

struct SrsRtcTrackDescription {
  std::string type_;
  uint32_t ssrc_ = 0;
  SrsCodecPayload *media_ = nullptr;
};

struct SrsRtcRecvTrack {
  virtual ~SrsRtcRecvTrack() {}
  SrsRtcTrackDescription *track_desc_ = nullptr;
};
struct SrsRtcAudioRecvTrack : SrsRtcRecvTrack {};
struct SrsRtcVideoRecvTrack : SrsRtcRecvTrack {};

struct SrsRtcPublishStream {
  std::vector<SrsRtcAudioRecvTrack *> audio_tracks_;
  std::vector<SrsRtcVideoRecvTrack *> video_tracks_;
  __attribute__((noinline)) void *on_rtp_plaintext(char *packet, int bytes);
};

void *SrsRtcPublishStream::on_rtp_plaintext(char *packet, int bytes) {
  __asm__ volatile("" ::"r"(this), "r"(packet), "r"(bytes) : "memory");
  return nullptr;
}

template <class Track>
static Track *tracked(uint32_t ssrc, int payload_type, int hertz) {
  Track *track = new Track;
  track->track_desc_ = new SrsRtcTrackDescription;
  track->track_desc_->ssrc_ = ssrc;
  track->track_desc_->media_ = new SrsCodecPayload;
  track->track_desc_->media_->pt_ = payload_type;
  track->track_desc_->media_->sample_ = hertz;
  return track;
}

static uint64_t now_ns() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000000ULL + now.tv_nsec;
}

int main() {
  SrsRtcPublishStream publisher;
  std::map<uint32_t, std::vector<std::pair<uint64_t, uint32_t>>> log;
  char line[256], kind[16];
  uint32_t ssrc;
  int payload_type, hertz, count, seed;
  setvbuf(stdout, nullptr, _IOLBF, 0);
  puts("ready");
  while (fgets(line, sizeof line, stdin)) {
    if (sscanf(line, "track %15s %u %d %d", kind, &ssrc, &payload_type, &hertz) == 4) {
      if (!strcmp(kind, "audio"))
        publisher.audio_tracks_.push_back(tracked<SrsRtcAudioRecvTrack>(ssrc, payload_type, hertz));
      else
        publisher.video_tracks_.push_back(tracked<SrsRtcVideoRecvTrack>(ssrc, payload_type, hertz));
    } else if (sscanf(line, "hertz %u %d", &ssrc, &hertz) == 2) {
      for (auto *track : publisher.audio_tracks_)
        if (track->track_desc_->ssrc_ == ssrc) track->track_desc_->media_->sample_ = hertz;
    } else if (sscanf(line, "put %u %d %d %d %d", &ssrc, &payload_type, &hertz, &count, &seed) == 5) {
      srand(seed);
      for (int each = 0; each < count; each++) {
        uint64_t until = now_ns() + 2000000 + rand() % 10000000;
        while (now_ns() < until) {
        }
        auto &of = log[ssrc];
        struct {
          uint8_t version, type;
          uint16_t sequence;
          uint32_t time, ssrc;
          char payload[8];
        } packet = {0x80, (uint8_t)payload_type, htons(of.size()), htonl(of.size() * (hertz / 200)), htonl(ssrc), ""};
        of.emplace_back(now_ns(), of.size() * (hertz / 200));
        publisher.on_rtp_plaintext((char *)&packet, sizeof packet);
      }
    } else {
      return 2;
    }
    putchar('[');
    for (size_t each = 0; each < log[ssrc].size(); each++)
      printf("%s[%llu, %u]", each ? ", " : "", (unsigned long long)log[ssrc][each].first, log[ssrc][each].second);
    puts("]");
  }
  return 0;
}
