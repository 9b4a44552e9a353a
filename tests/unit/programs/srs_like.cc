// SPDX-License-Identifier: Apache-2.0
// Shaped like SRS: classes with its names, nodes in std::map, State Threads behind a wrapper, errors as objects, a throw.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <stdexcept>
#include <vector>
extern "C" int st_cond_wait(void *cond);
extern "C" long st_utime(void);

struct SrsBuffer { char *bytes; int size, at; bool require(int n) { return at + n <= size; } uint8_t read1() { return bytes[at++]; } };
struct SrsRtpPacket {
  uint16_t seq; uint32_t ts; int size; char payload[64];
  int decode(SrsBuffer *b);
};
int __attribute__((noinline)) SrsRtpPacket::decode(SrsBuffer *b) {
  if (!b->require(12)) return -1;
  uint8_t first = b->read1();
  if ((first & 0xc0) != 0x80) return -2;
  seq = b->read1() << 8; seq |= b->read1();
  ts = 0;
  for (int i = 0; i < 4; i++) ts = ts << 8 | b->read1();
  size = b->size;
  return 0;
}
struct SrsRtpRingBuffer {
  uint16_t capacity; SrsRtpPacket **queue; uint16_t begin, end; bool initialized;
  void set(uint16_t at, SrsRtpPacket *p); SrsRtpPacket *at(uint16_t seq); bool update(uint16_t seq, uint16_t &first, uint16_t &last);
};
void __attribute__((noinline)) SrsRtpRingBuffer::set(uint16_t at, SrsRtpPacket *p) {
  SrsRtpPacket *old = queue[at % capacity];
  free(old);
  queue[at % capacity] = p;
}
SrsRtpPacket *__attribute__((noinline)) SrsRtpRingBuffer::at(uint16_t seq) { return queue[seq % capacity]; }
bool __attribute__((noinline)) SrsRtpRingBuffer::update(uint16_t seq, uint16_t &first, uint16_t &last) {
  if (!initialized) { initialized = true; begin = seq; end = seq + 1; return true; }
  if ((int16_t)(seq - end) >= 0) { first = end; last = seq; end = seq + 1; return true; }
  if ((int16_t)(seq - begin) < 0) { begin = seq; }
  return true;
}
struct SrsRtpNackForReceiver {
  std::map<uint16_t, long> queue; unsigned limit; SrsRtpRingBuffer *ring;
  void insert(uint16_t first, uint16_t last); long *find(uint16_t seq); void check_queue_size();
};
void __attribute__((noinline)) SrsRtpNackForReceiver::insert(uint16_t first, uint16_t last) {
  for (uint16_t s = first; s != last; ++s) queue[s] = st_utime();
}
long *__attribute__((noinline)) SrsRtpNackForReceiver::find(uint16_t seq) {
  std::map<uint16_t, long>::iterator it = queue.find(seq);
  return it == queue.end() ? 0 : &it->second;
}
void __attribute__((noinline)) SrsRtpNackForReceiver::check_queue_size() {
  if (queue.size() < limit) return;
  queue.clear(); ring->begin = ring->end = 0;
}
struct SrsRtpJitterBuffer {
  SrsRtpRingBuffer ring; std::vector<SrsRtpPacket *> ready; long base;
  int put(SrsRtpPacket *p, int size); SrsRtpPacket *get(); long get_time(uint32_t ts);
};
int __attribute__((noinline)) SrsRtpJitterBuffer::put(SrsRtpPacket *p, int size) {
  uint16_t first = 0, last = 0;
  if (size < 12) return -1;
  if (!ring.update(p->seq, first, last)) return -2;
  ring.set(p->seq, p);
  char copy[64]; memcpy(copy, p->payload, size < 64 ? size : 64);
  base += copy[0];
  return last != first ? 1 : 0;
}
SrsRtpPacket *__attribute__((noinline)) SrsRtpJitterBuffer::get() {
  if (ring.begin == ring.end) return 0;
  SrsRtpPacket *p = ring.at(ring.begin++);
  if (p) ready.push_back(p);
  return p;
}
long __attribute__((noinline)) SrsRtpJitterBuffer::get_time(uint32_t ts) { return base + ts * 1000L / 90; }
struct SrsLiveConsumer { void *cond; int waiting; void wait(int n, int duration); virtual int enqueue(SrsRtpPacket *p); virtual ~SrsLiveConsumer() {} };
void __attribute__((noinline)) SrsLiveConsumer::wait(int n, int duration) {
  if (waiting > n) return;
  waiting = n + duration;
  st_cond_wait(cond);
  waiting = 0;
}
int __attribute__((noinline)) SrsLiveConsumer::enqueue(SrsRtpPacket *p) {
  if (!p) throw std::invalid_argument("no packet");
  return ++waiting;
}
int SrsRtcConsumer_enqueue(SrsLiveConsumer *c, SrsRtpPacket *p) { return c->enqueue(p); }
int SrsProtocol_recv_message(SrsLiveConsumer *c) { c->wait(1, 2); return c->waiting; }
// The ends of a real SRS, unoptimised: straight after a call with the error on the stack, behind a call that wraps an error, in a loop, and behind a nop.
struct SrsCplxError { static SrsCplxError *wrap(SrsCplxError *error, const char *why); };
typedef SrsCplxError *srs_error_t;
struct SrsRtcRecvTrack { SrsRtpRingBuffer *ring; bool wants; srs_error_t on_nack(SrsRtpPacket **packet); void notify(int n); };
srs_error_t __attribute__((noinline)) SrsRtcRecvTrack::on_nack(SrsRtpPacket **packet) {
  srs_error_t error = 0;
  if (!wants) return error;
  ring->set((*packet)->seq, *packet);
  return error;
}
void __attribute__((noinline)) SrsRtcRecvTrack::notify(int n) {
  if (n > 3) ring->begin++;
  ring->set(n, 0);
}
struct SrsRtcFrameBuilder { SrsRtcRecvTrack *track; srs_error_t packet_video(SrsRtpPacket *packet); srs_error_t packet_key_frame(SrsRtpPacket *packet); };
srs_error_t __attribute__((noinline)) SrsRtcFrameBuilder::packet_key_frame(SrsRtpPacket *packet) {
  if (packet->size < 12) return SrsCplxError::wrap(0, "short");
  return track->on_nack(&packet);
}
srs_error_t __attribute__((noinline)) SrsRtcFrameBuilder::packet_video(SrsRtpPacket *packet) {
  srs_error_t error = 0;
  if (packet->seq & 1) return packet_key_frame(packet);
  if ((error = track->on_nack(&packet)) != 0) return SrsCplxError::wrap(error, "nack");
  packet->ts++;
  return error;
}
struct SrsRtcSendTrack { SrsRtpRingBuffer ring; srs_error_t on_recv_nack(const std::vector<uint16_t> &lost); };
srs_error_t __attribute__((noinline)) SrsRtcSendTrack::on_recv_nack(const std::vector<uint16_t> &lost) {
  for (size_t i = 0; i < lost.size(); i++)
    if (!ring.at(lost[i])) ring.end++;
  return 0;
}
