// SPDX-License-Identifier: Apache-2.0
// A server on State Threads with SRS's functions, and with the ends that they have in an unoptimised build of it: straight after a call whose
// function sees the end too, with an error on the stack or a constant, behind what only an error runs, in a loop, behind a store through an
// argument, and behind a nop. Publishers and players are coroutines of one thread, which yield inside probed functions. A packet passes as many
// of SRS's functions as it does in SRS 7.0.128: from its decryption to the players' queues, the frame builder and the histories, and out again.
//
// Protocol: prints "ready", then for each line "run PUBLISHERS PACKETS" one line of JSON: by function its calls, its errors and its bytes. For
// "hold PUT TAKE", that many packets are put into the queue of a player who stays and are taken out, and what it then holds is printed.
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <st.h>

struct Account {
    long calls, errors, bytes;
};
static std::map<std::string, Account> accounts;

// What a call gave is counted by its caller, so that a function's own ends are those of SRS's. Errors of a function that is called last are not
// told, since its caller has none of its own.
template <typename Result> static Result counted(const char* name, Result result, bool error = false, long bytes = 0)
{
    Account& account = accounts[name];
    account.calls++;
    account.errors += error;
    account.bytes += bytes;
    return result;
}
static void count(const char* name, long bytes = 0) { counted(name, 0, false, bytes); }

class SrsCplxError {
public:
    static SrsCplxError* create(int code);
    static SrsCplxError* wrap(SrsCplxError* error, const char* text);
    int code;
    std::string text;
};
typedef SrsCplxError* srs_error_t;
#define srs_success 0
#define srs_freep(p) \
    if (p) {         \
        delete p;    \
        p = NULL;    \
    }                \
    (void)0

srs_error_t SrsCplxError::create(int code)
{
    srs_error_t error = new SrsCplxError();
    error->code = code;
    return error;
}
srs_error_t SrsCplxError::wrap(srs_error_t error, const char* text)
{
    error->text += text;
    return error;
}

class SrsBuffer {
public:
    SrsBuffer(char* bytes, int size) : p_(bytes), bytes_(bytes), nb_bytes_(size) {}
    virtual ~SrsBuffer() {}
    bool require(int n) { return n <= nb_bytes_ - (int)(p_ - bytes_); }
    char* p_;
    char* bytes_;
    int nb_bytes_;
};

class SrsRtpPacket {
public:
    virtual ~SrsRtpPacket() {}
    srs_error_t decode(SrsBuffer* buf);
    bool is_audio() { return audio; }
    bool is_keyframe() { return (sequence & 15) == 1; }
    uint16_t sequence = 0;
    bool audio = false;
    int actual_buffer_size_ = 0;
};

srs_error_t SrsRtpPacket::decode(SrsBuffer* buf)
{
    srs_error_t err = srs_success;
    if (!buf->require(12)) {
        return SrsCplxError::wrap(SrsCplxError::create(5011), "header");
    }
    memcpy(&sequence, buf->p_ + 2, 2);
    audio = (buf->p_[1] & 127) == 111;
    actual_buffer_size_ = buf->nb_bytes_;
    if (buf->p_[0] == 0 && (err = SrsCplxError::create(5012)) != srs_success) {
        return SrsCplxError::wrap(err, "version");
    }
    return err;
}

class SrsRtpRingBuffer {
public:
    ~SrsRtpRingBuffer();
    bool update(uint16_t sequence, uint16_t& nack_first, uint16_t& nack_last);
    void set(uint16_t at, SrsRtpPacket* packet);
    SrsRtpPacket* at(uint16_t sequence);
    void notify_drop_seq(uint16_t sequence);
    SrsRtpPacket* queue_[64] = {};
    uint16_t end_ = 1;
    long given_up_ = 0;
};

SrsRtpRingBuffer::~SrsRtpRingBuffer()
{
    for (SrsRtpPacket* each : queue_) {
        srs_freep(each);
    }
}
bool SrsRtpRingBuffer::update(uint16_t sequence, uint16_t& nack_first, uint16_t& nack_last)
{
    if (sequence == end_) {
        ++end_;
        return true;
    }
    if ((int16_t)(sequence - end_) > 0) {
        nack_first = end_;
        nack_last = sequence;
        end_ = sequence + 1;
        return true;
    }
    return true;
}

void SrsRtpRingBuffer::set(uint16_t at, SrsRtpPacket* packet)
{
    SrsRtpPacket* former = queue_[at % 64];
    srs_freep(former);
    queue_[at % 64] = packet;
}
SrsRtpPacket* SrsRtpRingBuffer::at(uint16_t sequence) { return queue_[sequence % 64]; }
void SrsRtpRingBuffer::notify_drop_seq(uint16_t sequence) { given_up_ += sequence >= 0; }

class SrsRtcpNack {
public:
    void add_lost_sn(uint16_t sequence);
    std::set<uint16_t> lost_sns_;
};
void SrsRtcpNack::add_lost_sn(uint16_t sequence) { lost_sns_.insert(sequence); }

struct SrsRtpNackInfo {
    int asked = 0;
};

class SrsRtpNackForReceiver {
public:
    void insert(uint16_t first, uint16_t last);
    void remove(uint16_t sequence);
    SrsRtpNackInfo* find(uint16_t sequence);
    void check_queue_size();
    void get_nack_seqs(SrsRtcpNack& seqs, uint32_t& timeout_nacks);
    std::map<uint16_t, SrsRtpNackInfo> queue_;
    size_t max_queue_size_ = 66;
    SrsRtpRingBuffer* rtp_ = NULL;
};

void SrsRtpNackForReceiver::insert(uint16_t first, uint16_t last)
{
    for (uint16_t each = first; each != last; ++each) {
        queue_[each] = SrsRtpNackInfo();
    }
}
void SrsRtpNackForReceiver::remove(uint16_t sequence) { queue_.erase(sequence); }
SrsRtpNackInfo* SrsRtpNackForReceiver::find(uint16_t sequence)
{
    std::map<uint16_t, SrsRtpNackInfo>::iterator iter = queue_.find(sequence);
    if (iter == queue_.end()) {
        return NULL;
    }
    return &(iter->second);
}
void SrsRtpNackForReceiver::check_queue_size()
{
    if (queue_.size() >= max_queue_size_) {
        queue_.clear();
    }
}
void SrsRtpNackForReceiver::get_nack_seqs(SrsRtcpNack& seqs, uint32_t& timeout_nacks)
{
    std::map<uint16_t, SrsRtpNackInfo>::iterator iter = queue_.begin();
    while (iter != queue_.end()) {
        if (++iter->second.asked > 3) {
            ++timeout_nacks;
            count("SrsRtpRingBuffer::notify_drop_seq");
            rtp_->notify_drop_seq(iter->first);
            queue_.erase(iter++);
            continue;
        }
        seqs.add_lost_sn(iter->first);
        ++iter;
    }
}

class SrsRtcRecvTrack {
public:
    virtual ~SrsRtcRecvTrack() {}
    srs_error_t on_nack(SrsRtpPacket** packet);
    virtual srs_error_t on_rtp(class SrsRtcSource* source, SrsRtpPacket* packet) = 0;
    SrsRtpRingBuffer* rtp_queue_ = NULL;
    SrsRtpNackForReceiver* nack_receiver_ = NULL;
    bool nack_no_copy_ = true;
};

class SrsRtcAudioRecvTrack : public SrsRtcRecvTrack {
public:
    srs_error_t on_rtp(class SrsRtcSource* source, SrsRtpPacket* packet);
};

class SrsRtcVideoRecvTrack : public SrsRtcRecvTrack {
public:
    srs_error_t on_rtp(class SrsRtcSource* source, SrsRtpPacket* packet);
};

srs_error_t SrsRtcRecvTrack::on_nack(SrsRtpPacket** ppacket)
{
    srs_error_t err = srs_success;
    SrsRtpPacket* packet = *ppacket;
    uint16_t sequence = packet->sequence;
    if (packet->actual_buffer_size_ == 13) {
        return err;
    }
    count("SrsRtpNackForReceiver::find");
    if (nack_receiver_->find(sequence)) {
        count("SrsRtpNackForReceiver::remove");
        nack_receiver_->remove(sequence);
    }
    uint16_t nack_first = 0, nack_last = 0;
    count("SrsRtpRingBuffer::update");
    if (!rtp_queue_->update(sequence, nack_first, nack_last)) {
        return err;
    }
    if (nack_first != nack_last) {
        count("SrsRtpNackForReceiver::insert");
        nack_receiver_->insert(nack_first, nack_last);
        count("SrsRtpNackForReceiver::check_queue_size");
        nack_receiver_->check_queue_size();
    }
    count("SrsRtpRingBuffer::set", packet->actual_buffer_size_);
    if (nack_no_copy_) {
        *ppacket = NULL;
    }
    rtp_queue_->set(sequence, packet);
    return err;
}

class SrsRtcConsumer {
public:
    ~SrsRtcConsumer();
    srs_error_t enqueue(SrsRtpPacket* packet);
    srs_error_t dump_packet(SrsRtpPacket** packet);
    void wait(int nb_msgs);
    std::vector<SrsRtpPacket*> queue_;
    st_cond_t mw_wait_ = st_cond_new();
    bool mw_waiting_ = false;
    int mw_min_msgs_ = 0;
};

SrsRtcConsumer::~SrsRtcConsumer() { st_cond_destroy(mw_wait_); }
srs_error_t SrsRtcConsumer::enqueue(SrsRtpPacket* packet)
{
    srs_error_t err = srs_success;
    queue_.push_back(packet);
    if (mw_waiting_) {
        if ((int)queue_.size() > mw_min_msgs_) {
            st_cond_signal(mw_wait_);
            mw_waiting_ = false;
            return err;
        }
    }
    return err;
}
srs_error_t SrsRtcConsumer::dump_packet(SrsRtpPacket** packet)
{
    srs_error_t err = srs_success;
    if (!queue_.empty()) {
        *packet = queue_.front();
        queue_.erase(queue_.begin());
    }
    return err;
}
void SrsRtcConsumer::wait(int nb_msgs)
{
    mw_min_msgs_ = nb_msgs;
    if ((int)queue_.size() > mw_min_msgs_) {
        return;
    }
    mw_waiting_ = true;
    st_cond_wait(mw_wait_);
}

class SrsRtcFrameBuilderVideoPacketCache {
public:
    ~SrsRtcFrameBuilderVideoPacketCache();
    void store_packet(SrsRtpPacket* packet);
    SrsRtpPacket* take_packet(uint16_t sequence);
    SrsRtpPacket* packets_[512] = {};
};

SrsRtcFrameBuilderVideoPacketCache::~SrsRtcFrameBuilderVideoPacketCache()
{
    for (SrsRtpPacket* each : packets_) {
        srs_freep(each);
    }
}
void SrsRtcFrameBuilderVideoPacketCache::store_packet(SrsRtpPacket* packet)
{
    SrsRtpPacket* former = packets_[packet->sequence % 512];
    srs_freep(former);
    packets_[packet->sequence % 512] = packet;
}
SrsRtpPacket* SrsRtcFrameBuilderVideoPacketCache::take_packet(uint16_t sequence)
{
    SrsRtpPacket* packet = packets_[sequence % 512];
    if (packet && packet->sequence == sequence) {
        packets_[sequence % 512] = NULL;
        return packet;
    }
    return NULL;
}

class SrsRtmpFromRtcBridger {
public:
    srs_error_t on_rtp(SrsRtpPacket* packet);
    srs_error_t transcode_audio(SrsRtpPacket* packet);
    srs_error_t packet_video(SrsRtpPacket* packet);
    srs_error_t packet_video_key_frame(SrsRtpPacket* packet);
    srs_error_t packet_video_rtmp(uint16_t start, uint16_t end);
    int32_t find_next_lost_sn(uint16_t current, uint16_t& end);
    SrsRtcFrameBuilderVideoPacketCache cache_;
    uint16_t header_sn_ = 0, lost_sn_ = 1;
    long frames_ = 0;
};

srs_error_t SrsRtmpFromRtcBridger::on_rtp(SrsRtpPacket* packet)
{
    srs_error_t err = srs_success;
    if (packet->actual_buffer_size_ < 12) {
        return err;
    }
    if (packet->is_audio()) {
        err = transcode_audio(packet);
    } else {
        err = packet_video(packet);
    }
    return err;
}
srs_error_t SrsRtmpFromRtcBridger::transcode_audio(SrsRtpPacket* packet)
{
    srs_error_t err = srs_success;
    count("SrsRtmpFromRtcBridger::transcode_audio", packet->actual_buffer_size_);
    char frame[4096];
    memset(frame, packet->sequence, sizeof frame);
    if (packet->sequence % 8 == 4) {
        st_usleep(0);
    }
    if ((frames_ += frame[packet->sequence % sizeof frame] == 1) < 0) {
        return SrsCplxError::create(5042);
    }
    return err;
}
srs_error_t SrsRtmpFromRtcBridger::packet_video(SrsRtpPacket* packet)
{
    srs_error_t err = srs_success;
    count("SrsRtmpFromRtcBridger::packet_video", packet->actual_buffer_size_);
    if (packet->is_keyframe()) {
        return packet_video_key_frame(packet);
    }
    count("SrsRtcFrameBuilderVideoPacketCache::store_packet", packet->actual_buffer_size_);
    cache_.store_packet(new SrsRtpPacket(*packet));
    if (lost_sn_ != packet->sequence) {
        uint16_t end = 0;
        int32_t lost = counted("SrsRtmpFromRtcBridger::find_next_lost_sn", find_next_lost_sn(packet->sequence, end));
        if (lost == -1) {
            if ((err = packet_video_rtmp(header_sn_, end)) != srs_success) {
                err = SrsCplxError::wrap(err, "video");
            }
        } else if (lost == -2) {
            return SrsCplxError::create(5040);
        } else {
            lost_sn_ = (uint16_t)lost;
        }
    }
    return err;
}
srs_error_t SrsRtmpFromRtcBridger::packet_video_key_frame(SrsRtpPacket* packet)
{
    count("SrsRtmpFromRtcBridger::packet_video_key_frame");
    header_sn_ = packet->sequence;
    return packet_video_rtmp(header_sn_, packet->sequence);
}
srs_error_t SrsRtmpFromRtcBridger::packet_video_rtmp(uint16_t start, uint16_t end)
{
    srs_error_t err = srs_success;
    count("SrsRtmpFromRtcBridger::packet_video_rtmp");
    for (uint16_t each = start; (int16_t)(end - each) >= 0; ++each) {
        count("SrsRtcFrameBuilderVideoPacketCache::take_packet");
        SrsRtpPacket* taken = cache_.take_packet(each);
        srs_freep(taken);
    }
    header_sn_ = end + 1;
    st_usleep(0);  // it writes to a socket
    if ((frames_ += (uint16_t)(end - start) + 1) < 0) {
        err = SrsCplxError::create(5041);
        return SrsCplxError::wrap(err, "frame");
    }
    return err;
}
int32_t SrsRtmpFromRtcBridger::find_next_lost_sn(uint16_t current, uint16_t& end)
{
    for (int i = 0; i < 8; ++i) {
        uint16_t each = (uint16_t)(current + i);
        if (each % 50 == 49 && i == 0) {
            return -2;
        }
        if (each % 5 == 0) {
            end = each;
            return i < 3 ? -1 : each;
        }
    }
    return current;
}

class SrsRtcSource {
public:
    srs_error_t on_rtp(SrsRtpPacket* packet);
    std::vector<SrsRtcConsumer*> consumers_;
    SrsRtmpFromRtcBridger* bridger_ = NULL;
};

srs_error_t SrsRtcSource::on_rtp(SrsRtpPacket* packet)
{
    srs_error_t err = srs_success;
    for (int i = 0; i < (int)consumers_.size(); i++) {
        SrsRtcConsumer* consumer = consumers_.at(i);
        count("SrsRtcConsumer::enqueue", packet->actual_buffer_size_);
        if ((err = consumer->enqueue(new SrsRtpPacket(*packet))) != srs_success) {
            return SrsCplxError::wrap(err, "consume message");
        }
    }
    err = bridger_->on_rtp(packet);
    if (counted("SrsRtmpFromRtcBridger::on_rtp", err, err != NULL, packet->actual_buffer_size_) != srs_success) {
        return SrsCplxError::wrap(err, "bridge");
    }
    return err;
}
srs_error_t SrsRtcAudioRecvTrack::on_rtp(SrsRtcSource* source, SrsRtpPacket* packet)
{
    srs_error_t err = source->on_rtp(packet);
    if (counted("SrsRtcSource::on_rtp", err, err != NULL, packet->actual_buffer_size_) != srs_success) {
        return SrsCplxError::wrap(err, "source on rtp");
    }
    return err;
}
srs_error_t SrsRtcVideoRecvTrack::on_rtp(SrsRtcSource* source, SrsRtpPacket* packet)
{
    srs_error_t err = source->on_rtp(packet);
    if (counted("SrsRtcSource::on_rtp", err, err != NULL, packet->actual_buffer_size_) != srs_success) {
        return SrsCplxError::wrap(err, "source on rtp");
    }
    return err;
}

class SrsRtcConnection {
public:
    srs_error_t on_rtp_plaintext(char* data, int nb_data);
    srs_error_t do_send_packet(SrsRtpPacket* packet);
    void check_send_nacks(SrsRtpNackForReceiver* nack);
    class SrsRtcPublishStream* publisher_ = NULL;
    long sent_ = 0;
};

srs_error_t SrsRtcConnection::do_send_packet(SrsRtpPacket* packet)
{
    srs_error_t err = srs_success;
    if (++sent_ % 21 == 0) {
        st_usleep(0);  // State Threads let others run
    }
    if (packet->actual_buffer_size_ < 12) {
        return SrsCplxError::create(5050);
    }
    return err;
}

void SrsRtcConnection::check_send_nacks(SrsRtpNackForReceiver* nack)
{
    SrsRtcpNack lost;
    uint32_t timeout_nacks = 0;
    count("SrsRtpNackForReceiver::get_nack_seqs");
    nack->get_nack_seqs(lost, timeout_nacks);
    accounts["asked for again"].calls += lost.lost_sns_.size();
    accounts["given up"].calls += timeout_nacks;
    if (!lost.lost_sns_.empty()) {
        st_usleep(0);  // it sends RTCP
    }
}

class SrsRtcSendTrack {
public:
    virtual ~SrsRtcSendTrack() {}
    srs_error_t on_recv_nack(const std::vector<uint16_t>& lost);
    srs_error_t on_nack(SrsRtpPacket** packet);
    virtual srs_error_t on_rtp(SrsRtpPacket* packet) = 0;
    SrsRtpRingBuffer* rtp_queue_ = NULL;
    SrsRtcConnection* session_ = NULL;
};

class SrsRtcAudioSendTrack : public SrsRtcSendTrack {
public:
    srs_error_t on_rtp(SrsRtpPacket* packet);
};

class SrsRtcVideoSendTrack : public SrsRtcSendTrack {
public:
    srs_error_t on_rtp(SrsRtpPacket* packet);
};

srs_error_t SrsRtcSendTrack::on_nack(SrsRtpPacket** ppacket)
{
    srs_error_t err = srs_success;
    SrsRtpPacket* packet = *ppacket;
    count("SrsRtpRingBuffer::set", packet->actual_buffer_size_);
    *ppacket = NULL;
    rtp_queue_->set(packet->sequence, packet);
    return err;
}
srs_error_t SrsRtcAudioSendTrack::on_rtp(SrsRtpPacket* packet)
{
    srs_error_t err = srs_success;
    count("SrsRtcConnection::do_send_packet", packet->actual_buffer_size_);
    if ((err = session_->do_send_packet(packet)) != srs_success) {
        return SrsCplxError::wrap(err, "raw send");
    }
    return err;
}
srs_error_t SrsRtcVideoSendTrack::on_rtp(SrsRtpPacket* packet)
{
    srs_error_t err = srs_success;
    count("SrsRtcConnection::do_send_packet", packet->actual_buffer_size_);
    if ((err = session_->do_send_packet(packet)) != srs_success) {
        return SrsCplxError::wrap(err, "raw send");
    }
    return err;
}

class SrsRtcPlayStream {
public:
    srs_error_t send_packet(SrsRtpPacket*& packet);
    SrsRtcAudioSendTrack audio_;
    SrsRtcVideoSendTrack video_;
};

srs_error_t SrsRtcPlayStream::send_packet(SrsRtpPacket*& packet)
{
    srs_error_t err = srs_success;
    SrsRtcSendTrack* track = packet->is_audio() ? (SrsRtcSendTrack*)&audio_ : &video_;
    count(packet->is_audio() ? "SrsRtcAudioSendTrack::on_rtp" : "SrsRtcVideoSendTrack::on_rtp");
    if ((err = track->on_rtp(packet)) != srs_success) {
        return SrsCplxError::wrap(err, "send");
    }
    count("SrsRtcSendTrack::on_nack", packet->actual_buffer_size_);
    if ((err = track->on_nack(&packet)) != srs_success) {
        return SrsCplxError::wrap(err, "nack");
    }
    return err;
}

srs_error_t SrsRtcSendTrack::on_recv_nack(const std::vector<uint16_t>& lost)
{
    for (size_t i = 0; i < lost.size(); i++) {
        count("SrsRtpRingBuffer::at");
        if (rtp_queue_->at(lost[i]) == NULL) {
            continue;
        }
        st_usleep(0);  // it sends the packet again
    }
    return srs_success;
}

class SrsRtcPublishStream {
public:
    srs_error_t on_rtp_cipher(char* data, int nb_data);
    srs_error_t on_rtp_plaintext(char* plaintext, int nb_plaintext);
    srs_error_t do_on_rtp_plaintext(SrsRtpPacket*& packet, SrsBuffer* buf);
    SrsRtcAudioRecvTrack audio_;
    SrsRtcVideoRecvTrack video_;
    SrsRtmpFromRtcBridger bridger_;
    SrsRtcSource source_;
};

srs_error_t SrsRtcConnection::on_rtp_plaintext(char* data, int nb_data)
{
    if (publisher_ == NULL) {
        return SrsCplxError::create(5060);
    }
    return publisher_->on_rtp_plaintext(data, nb_data);
}
srs_error_t SrsRtcPublishStream::on_rtp_cipher(char* data, int nb_data)
{
    srs_error_t err = srs_success;
    if (nb_data < 2) {
        return SrsCplxError::create(5061);
    }
    data[1] &= 127;  // it decrypts in place
    return err;
}

srs_error_t SrsRtcPublishStream::on_rtp_plaintext(char* plaintext, int nb_plaintext)
{
    srs_error_t err = srs_success;
    SrsRtpPacket* packet = new SrsRtpPacket();
    SrsBuffer buf(plaintext, nb_plaintext);
    err = do_on_rtp_plaintext(packet, &buf);
    counted("SrsRtcPublishStream::do_on_rtp_plaintext", 0, err != NULL, nb_plaintext);
    srs_freep(packet);
    return err;
}
srs_error_t SrsRtcPublishStream::do_on_rtp_plaintext(SrsRtpPacket*& packet, SrsBuffer* buf)
{
    srs_error_t err = srs_success;
    err = packet->decode(buf);
    if (counted("SrsRtpPacket::decode", err, err != NULL, buf->nb_bytes_) != srs_success) {
        return SrsCplxError::wrap(err, "decode rtp packet");
    }
    SrsRtcRecvTrack* track = packet->is_audio() ? (SrsRtcRecvTrack*)&audio_ : &video_;
    const char* name = packet->is_audio() ? "SrsRtcAudioRecvTrack::on_rtp" : "SrsRtcVideoRecvTrack::on_rtp";
    err = track->on_rtp(&source_, packet);
    if (counted(name, err, err != NULL, packet->actual_buffer_size_) != srs_success) {
        return SrsCplxError::wrap(err, "on track");
    }
    count("SrsRtcRecvTrack::on_nack", packet->actual_buffer_size_);
    if ((err = track->on_nack(&packet)) != srs_success) {
        return SrsCplxError::wrap(err, "nack");
    }
    return err;
}

struct Session {
    int number;
    long packets;
    SrsRtpRingBuffer received, sent;
    SrsRtpNackForReceiver nack;
    SrsRtcConsumer consumer;
    bool ended;
};

static void* publish(void* argument)
{
    Session* session = (Session*)argument;
    SrsRtcPublishStream stream;
    for (SrsRtcRecvTrack* track : {(SrsRtcRecvTrack*)&stream.audio_, (SrsRtcRecvTrack*)&stream.video_}) {
        track->rtp_queue_ = &session->received;
        track->nack_receiver_ = &session->nack;
    }
    session->nack.rtp_ = &session->received;
    stream.source_.consumers_.push_back(&session->consumer);
    stream.source_.bridger_ = &stream.bridger_;
    SrsRtcConnection connection;
    connection.publisher_ = &stream;
    SrsRtcVideoSendTrack track;
    track.rtp_queue_ = &session->sent;
    char bytes[64] = {(char)0x80};
    for (long each = 1; each <= session->packets; each++) {
        uint16_t sequence = (uint16_t)each;
        memcpy(bytes + 2, &sequence, 2);
        bytes[1] = each % 4 == 0 ? 111 : 106;
        bytes[0] = each % 40 == 7 ? 0 : (char)0x80;
        int size = each % 60 == 11 ? 9 : 13 + (int)(each + session->number) % 50;
        count("SrsRtcPublishStream::on_rtp_cipher", size);
        srs_error_t err = stream.on_rtp_cipher(bytes, size);
        err = connection.on_rtp_plaintext(bytes, size);
        counted("SrsRtcConnection::on_rtp_plaintext", 0, err != NULL, size);
        counted("SrsRtcPublishStream::on_rtp_plaintext", 0, err != NULL, size);
        srs_freep(err);
        if (each % 9 == 0) {
            count("SrsRtcSendTrack::on_recv_nack");
            SrsRtcpNack received;  // a player asks for packets again, in the same message that a publisher is asked by
            received.add_lost_sn(sequence);
            received.add_lost_sn((uint16_t)(sequence + 5));
            track.on_recv_nack(std::vector<uint16_t>(received.lost_sns_.begin(), received.lost_sns_.end()));
        }
        if (each % 4 == 0) {  // a timer does, for each track
            count("SrsRtcConnection::check_send_nacks");
            connection.check_send_nacks(&session->nack);
        }
        if (each % 10 != 0) {  // most packets come alone
            st_usleep(0);
        }
    }
    session->ended = true;
    if (session->consumer.mw_waiting_) {
        session->consumer.mw_waiting_ = false;
        st_cond_signal(session->consumer.mw_wait_);
    }
    return NULL;
}

static void* play(void* argument)
{
    Session* session = (Session*)argument;
    SrsRtcConnection connection;
    SrsRtcPlayStream stream;
    for (SrsRtcSendTrack* track : {(SrsRtcSendTrack*)&stream.audio_, (SrsRtcSendTrack*)&stream.video_}) {
        track->rtp_queue_ = &session->sent;
        track->session_ = &connection;
    }
    while (!session->ended || !session->consumer.queue_.empty()) {
        SrsRtpPacket* packet = NULL;
        session->consumer.dump_packet(&packet);
        count("SrsRtcConsumer::dump_packet", packet ? packet->actual_buffer_size_ : 0);
        if (!packet) {  // as in SRS, it asks before it waits
            count("SrsRtcConsumer::wait");
            session->consumer.wait(0);
            continue;
        }
        count("SrsRtcPlayStream::send_packet");
        srs_error_t err = stream.send_packet(packet);
        srs_freep(err);
        srs_freep(packet);
    }
    return NULL;
}

static void run(int publishers, long packets)
{
    accounts.clear();
    std::vector<Session*> sessions;
    std::vector<st_thread_t> threads;
    for (int each = 0; each < publishers; each++) {
        Session* session = new Session();
        session->number = each;
        session->packets = packets;
        sessions.push_back(session);
        threads.push_back(st_thread_create(play, session, 1, 0));
        threads.push_back(st_thread_create(publish, session, 1, 0));
    }
    for (st_thread_t each : threads) {
        st_thread_join(each, NULL);
    }
    for (Session* each : sessions) {
        delete each;
    }
    const char* comma = "{";
    for (const auto& each : accounts) {
        printf("%s\"%s\": [%ld, %ld, %ld]", comma, each.first.c_str(), each.second.calls, each.second.errors, each.second.bytes);
        comma = ", ";
    }
    printf("}\n");
    fflush(stdout);
}

static void hold(int put, long take)
{
    static SrsRtcConsumer stays;
    for (int each = 0; each < put; each++) {
        stays.enqueue(new SrsRtpPacket());
    }
    for (long each = 0; each < take; each++) {
        SrsRtpPacket* packet = NULL;
        stays.dump_packet(&packet);
        srs_freep(packet);
    }
    printf("%zu\n", stays.queue_.size());
    fflush(stdout);
}

int main()
{
    st_init();
    printf("ready\n");
    fflush(stdout);
    std::string line, command;
    while (std::getline(std::cin, line)) {
        int publishers = 0;
        long packets = 0;
        std::istringstream words(line);
        words >> command >> publishers >> packets;
        if (command == "hold") {
            hold(publishers, packets);
            continue;
        }
        if (command != "run" || publishers < 1) {
            fprintf(stderr, "srs_coroutines: not a command: %s\n", line.c_str());
            return 2;
        }
        run(publishers, packets);
    }
    return 0;
}
