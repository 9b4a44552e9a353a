// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
// What the kernel program and otel_jb/probes/abi.py agree on. A test compiles this file and compares every offset, size and
// number with the Python side. Fixed-width types come from the shim (BPF) or from <stdint.h> (the test).
#ifndef OTEL_JB_ABI_H
#define OTEL_JB_ABI_H

#define CACHE_LINE 64      // bytes
#define CALL_BITS 15       // slots for calls in flight: 2^CALL_BITS, 2 MiB
#define SAVES 3            // values that one call keeps for its end
#define HALF_BITS 32       // of a bucket: the lower half counts calls of even epochs, the upper of odd ones
#define SERIES_BITS 19     // width of a series index inside a key
#define NUMBER_BITS 10     // width of a function's number within its set
#define SET_BITS 9         // width of a set's number
#define CACHE_BITS 13      // processes whose block is found without a hash
#define GRANTS 1024        // blocks that a set has ready for processes that come
#define PROCESS_SETS 32    // sets that one process can be part of
#define USERS 1024         // user ids whose series are counted
#define BUFFER_SLOTS 4096  // live jitter buffers whose depth is known, and as many whose packets are followed
#define BUFFER_PROBES 8    // slots that are tried for one buffer
#define THREAD_SLOTS 4096  // threads whose recent calls are kept for nesting
#define NESTED 16          // calls kept per thread
#define STACK_DEPTH 32     // return addresses in an event
#define STACK_COPY 16384   // bytes of user stack in an event
#define STACK_PAGE 4096    // copied at once; no page is smaller
#define DROP_REASONS 8
#define FIELDS 8
#define RTP_STREAM_BITS 12
#define RTP_STREAMS (1 << RTP_STREAM_BITS)  // streams whose RTP is followed at once
#define RTP_PROBES 16                       // slots that are tried for one stream
#define RTP_WORDS 32                        // of 32 numbers each: the window in which duplicates and reordering are told
#define RTP_TRIES 8
#define RTP_CLOCKS 128
#define RTP_GAPS 32                         // buckets of the time between packets
#define RTP_SETTLE 24                       // blocks of 32 numbers behind the highest: what has not come by then is lost for good
#define RTP_SETTLE_STEPS 16                 // runs of numbers that one run of the program settles, before it begins once more
#define RTP_SETTLING (1ULL << 63)           // somebody settles
#define RTP_SEQUENCES 60000                 // numbers of different sequences are further apart than this
#define RTP_GMIN 16                         // RFC 3611, 4.7.2: a burst of losses ends with this many packets in a row
#define SETTLERS 1024                       // threads that may be about to settle at once
#define RTP_DROPOUT 3000                    // RFC 3550, A.1: a longer gap is another sequence
#define RTP_MISORDER (32 * RTP_WORDS - 32)  // a packet that is later than this is not of this sequence
#define RTP_LONGEST_STEP (1 << 26)          // of the RTP time, of which jitter is told
#define RTP_FIRST (1ULL << 32)
#define RTP_NEXT (1ULL << 32)
#define RTP_KEY_VALID (1ULL << 62)
#define RTP_CLOCK_SHIFT 56
#define FLIGHT_BITS 7        // packets of a stream that are recorded: 2^FLIGHT_BITS
#define FLIGHT_BUSY_BITS 10  // the same of one of the busiest
#define FLIGHT_BUSY 32       // streams of that kind
#define FLIGHT_LAP_SHIFT 48
#define FLIGHT_WRITTEN 0x8000ULL  // of a lap: set in every word that was ever written
#define FLIGHT_TIME 0xffffffffffffULL
#define FLIGHT_STATE_SHIFT 40
#define FLIGHT_IN_ORDER 0
#define FLIGHT_REORDERED 1
#define FLIGHT_DUPLICATED 2
#define FLIGHT_STRAY 3
#define FLIGHT_FATE_SHIFT \
  34  // what became of the packet, in 6 bits: one of these four, or the outcome of the put that threw it away
#define FLIGHT_UNKNOWN 0
#define FLIGHT_PLAYED 1
#define FLIGHT_DOUBLE 2                                  // OUTCOME_DUPLICATE
#define FLIGHT_THROWN 3                                  // as it came out
#define FLIGHT_STAYED ((1ULL << FLIGHT_FATE_SHIFT) - 1)  // ns from then to its end
#define FLIGHT_PLACE_BITS 20  // what a record is referred to by: 1 + its place, then the lap that it was written in
#define FLIGHT_PLACE ((1ULL << FLIGHT_PLACE_BITS) - 1)
#define FLIGHT_LAPS 0xffffULL  // the bits of a lap
#define FLIGHT_CALL_LAPS 7ULL  // of these, those that a call has room for
#define FLOW_PROBES 16         // slots that are tried for one buffer whose packets are followed
#define FLOW_ENDED 1ULL        // a key that no buffer has
#define WAITING_BITS 13        // 2^WAITING_BITS far rows of packets that wait in buffers
#define NEAR_BITS 6            // and as many near ones, which are filled first
#define WAITING_ROWS ((1 << WAITING_BITS) + (1 << NEAR_BITS))
#define WAITING_PLACES 7   // packets of one row, whose tags are a cache line with `lost_ns`
#define WAITING_BUSY 1ULL  // a tag that no packet has: somebody changes the place
#define WAITING_VALID 0x10000ULL
#define WAITING_TWICE 1ULL     // in `put`
#define WAITING_RECORDED 2ULL  // `flight` says where its record is
#define WAITING_PUT_SHIFT 2
#define RESIDENCES 512                    // groups of buffers with a histogram
#define RESIDENCE_LONGEST 10000000000ULL  // ns; who waits longer is not believed to be the packet that was put
#define UNMATCHED_WORDS 3
#define UNMATCHED_UNSEEN 0  // no put of this packet is known
#define UNMATCHED_TWICE 1   // it was put more than once, or others were put that found no place
#define UNMATCHED_OLD 2     // it was put so long ago that it may have been another

// The attach cookie: which function of which set, and for an end site when and where the frame ends.
#define COOKIE_NUMBER 0x3ffULL  // bits 0-9: the function's number within its set; bits 10-18: the set
#define COOKIE_CC_SHIFT 20      // bits 20-23: condition code
#define COOKIE_CONDITIONAL (1ULL << 24)
#define COOKIE_TAKEN (1ULL << 25)       // the taken branch is the way out
#define COOKIE_FP (1ULL << 26)          // the frame is counted from the frame pointer, not the stack pointer
#define COOKIE_OPTIONAL (1ULL << 27)    // an end that may have no open call (end of a tail-called function)
#define COOKIE_NO_RETURN (1ULL << 28)   // the return register does not hold the return value here
#define COOKIE_ENTRY_ONLY (1ULL << 29)  // no end will be seen: count, do not open a call
#define COOKIE_SITE (1ULL << 30)        // the site has code of its own, of the number in bits 32-37; the offset is in 38-63
#define COOKIE_BOTH (1ULL << 31)        // an end at the instruction that is the entry too; the entry's program runs before
// What the cookie of a return probe never has: its frame is where the stack pointer is, and its value in the register.
#define COOKIE_NOT_AT_RETURN (COOKIE_CONDITIONAL | COOKIE_TAKEN | COOKIE_FP | COOKIE_ENTRY_ONLY | COOKIE_SITE | COOKIE_BOTH)
#define COOKIE_AT_ENTRY 0xffffffffULL  // without the offset
#define COOKIE_OFFSET_SHIFT 32         // bits 32-63: signed offset from that register to the frame
#define COOKIE_SITE_BITS 6

// A call in flight: one cache line. What the function's programs do not look at is left as the slot's last call had it.
struct call {
  u64 key;  // frame >> 3 << SERIES_BITS | series; 0: free
  u64 start;
  u32 tid;
  u32 flags;  // CALL_*
  u64 bytes;  // of a packet; where it waits and where it is recorded are above, see CALL_BYTES
  u64 stream;
  u64 save[SAVES];  // what the reads save, then a struct share if there is room for it
};
#define CALL_BYTES 0xffffffULL  // of `bytes`, where packets enter a buffer or are recorded; no packet is larger
#define CALL_PLACE_SHIFT 24     // 1 + the packet's place among those that wait, in 17 bits
#define CALL_PLACE 0x1ffffULL
#define CALL_FLIGHT_SHIFT 41  // what its record is referred to by, with 3 bits of the lap
#define CALL_FAULTED 1u       // the entry program faulted: the outcome is unknown
#define CALL_FORM (1u << 31)
#define CALL_MARK (1u << 30)  // no call: the links of this form have counted it, those of the other must not
#define CALL_NEST_SHIFT 8     // the thread's nesting position at entry, 22 bits
#define NEST_MASK 0x3fffff

// What the scheduler knew of a call's thread when the call began: in the call, or beside it in its slot. Both stand still while the thread runs.
struct share {
  u64 away;    // ns in which the thread did not run, since some time in the past; 0: not known
  u64 waited;  // ns in which it was ready and waited for a processor << SHARE_SLEPT_BITS | how often it slept
};
#define SHARE_SLEPT_BITS 16
#define SHARE_SLEPT ((1ULL << SHARE_SLEPT_BITS) - 1)

// A histogram cell: which bucket a duration falls into, by (log2, mantissa) and two exact thresholds.
struct cell {
  u64 above1;
  u64 above2;
  u64 buckets;  // the lowest one, and from bit 32 on, in 8 bits each, the buckets of the time between packets that the three belong to
};
#define CELL_GAPS_SHIFT 32
#define CELL_GAP_BITS 8

// Helper numbers that no kernel has: where the agent puts instructions before it loads a program.
#define HOLE_COOKIE 32513       // r0 = the attach cookie
#define HOLE_FEATURES 32514     // r0 = FEATURE_*
#define HOLE_ENTRY_READS 32515  // the probe's reads at an entry, r0 = 0 or 1 + the field that faulted
#define HOLE_END_READS 32516    // the same at an end
#define HOLE_CALLS 32517        // r0 = the address of the element of this map
#define HOLE_CELLS 32518
#define HOLE_CONTROL 32519
#define HOLE_CACHE 32520
#define HOLE_SETS 32521
#define HOLE_USERS 32522
#define HOLE_SITE 32523  // what the end at this site is: r0 = SITE_*
#define HOLE_WAITING 32524
#define HOLE_SHARES 32526
#define HOLE_WORD 32529   // r0 = what `cache` is to say of the only process that the program's links are for; 0: they are for more
#define HOLE_SHARE 32527  // puts a struct share of this moment into words 0 and 1, and behind them what HOLE_UPDATED needs
#define HOLE_UPDATED 32528    // r0 = what word 2 was, unless the account has been written since
#define HOLE_ARGUMENTS 32525  // puts the arguments of a USDT probe into words 0 to 5, r0 = 0 or 1 + the field that faulted

// Words that the code of a site works on: the general registers by hardware number, then these.
#define SITE_FRAME 16
#define SITE_IP 17
#define SITE_NUMBER 18
#define SITE_VALUE 19  // made by it: the return value
#define SITE_WORDS 20
#define SITE_KNOWN 0u    // an end, with its return value
#define SITE_OTHER 1u    // the end of another caller's call
#define SITE_UNKNOWN 2u  // an end whose return value cannot be read

// What a probe's programs have to do.
#define FEATURE_NEST 1u         // its calls may run inside other probed calls, or others inside it
#define FEATURE_EVENTS 2u       // slow calls are sent
#define FEATURE_RETURN 4u       // its reads at an end need the return value, so an end that does not know it tells no outcome
#define FEATURE_ENTRY_READS 8u  // something is read at entries
#define FEATURE_END_READS 16u   // something is read at ends
#define FEATURE_DEPTH 32u       // it tells how full a buffer is
#define FEATURE_OPEN 64u        // it opens buffers
#define FEATURE_CLOSE 128u      // it closes buffers
#define FEATURE_TOLD 256u       // the entry tells all that there is of packet and bytes
#define FEATURE_FORM 512u       // the form of its links, see FLAG_EXCHANGE
#define FEATURE_RTP 1024u       // its packets' RTP headers are read at entries
#define FEATURE_GO 2048u        // Go code: its calls are a goroutine's, whose depth is kept in the nesting position's place
#define FEATURE_KEY_SHIFT 12    // bits 12-14: what tells the calls of a pair of functions apart; 0: it is none
#define FEATURE_KEY (7u << FEATURE_KEY_SHIFT)
#define KEY_THREAD 7u                // 1 to 6: an argument
#define FEATURE_ENTERS (1u << 15)    // a packet goes into a buffer
#define FEATURE_LEAVES (1u << 16)    // a packet comes out of one, and is known at the end
#define FEATURE_LEFT (1u << 17)      // the same, known at the entry
#define FEATURE_EMPTIES (1u << 18)   // all packets of a buffer are thrown away
#define FEATURE_NUMBERED (1u << 19)  // what enters is known by the sequence number of its RTP header
#define FEATURE_PACKET (FEATURE_ENTERS | FEATURE_LEFT | FEATURE_EMPTIES)  // an entry that puts or gets a packet
#define FEATURE_SITE (1u << 20)                                           // bits 21-32 say where in its page the entry is
#define FEATURE_SITE_SHIFT 21
#define FEATURE_ARGUMENTS (1ULL << 33)   // a USDT probe, whose arguments are where its note says
#define FEATURE_SHARE (1ULL << 42)       // slow calls tell what the scheduler did with their thread
#define FEATURE_SHARE_NEAR (1ULL << 43)  // its struct share of a call's beginning is in save[1] and save[2]
#define FEATURE_BYTES (1ULL << 44)       // an entry tells bytes
#define FEATURE_STREAM (1ULL << 45)      // an entry tells a stream
#define FEATURE_SAVES_SHIFT 46           // bits 46-47: how many values an entry saves
#define FEATURE_LATE_SHIFT 34            // bits 34-41: the drop reasons that mean too late
#define FEATURE_LATE (((1ULL << DROP_REASONS) - 1) << FEATURE_LATE_SHIFT)

// What few probes have. Those without any of it get programs in which nothing asks for it: on_plain_entry and so on.
#define FEATURES_RARE                                                                                                        \
  (FEATURE_DEPTH | FEATURE_OPEN | FEATURE_CLOSE | FEATURE_RTP | FEATURE_GO | FEATURE_KEY | FEATURE_PACKET | FEATURE_LEAVES | \
   FEATURE_NUMBERED | FEATURE_ARGUMENTS | FEATURE_LATE)

// Words that reads work on: 0 to 15 are their own; what they emit are words too, so that an emission is a store.
#define REG_BYTES 16
#define REG_STREAM 17
#define REG_SAVE 18   // 18 to 20
#define REG_AWAY 18   // at an end, which saves nothing: the struct share of the call's beginning
#define REG_DEPTH 21  // DEPTH_NONE: not emitted
#define REG_OUTCOME 22
#define REG_CLOSE 23
#define REG_OPEN 24
#define REG_BROKEN 25  // 25 and 26: 1 + the field of a size or a depth that cannot be; 0: none
#define REG_RTP 27     // the RTP packet's address, or 0, and 1 + the field that a fault counts under; afterwards see note_rtp
#define REG_SPILLED 8  // 8 to 15 behind the reads of an entry: a call that has no slot of its own
#define REG_PACKET \
  24  // in the place of REG_OPEN: what a packet that enters or leaves is known by, or the buffer that is emptied; then PACKET_PASSED
#define REGISTERS 29
#define PACKET_NONE (~0ULL)
#define PACKET_PASSED 1u  // it came out again within this call
#define DEPTH_NONE (~0ULL)
#define OUTCOME_PACKET 0
#define OUTCOME_NO_PACKET 1
#define OUTCOME_DUPLICATE 2
#define OUTCOME_UNDERRUN 3
#define HANDLED_NONE(outcome) (((outcome) & ~2ULL) == OUTCOME_NO_PACKET)  // an underrun, too
#define OUTCOME_DROP 8
#define OUTCOME_UNKNOWN 255

// Configuration (written by user space) and statistics (added to by the kernel) of one series: one function of one process. What an
// ordinary call touches is in the first two cache lines, so that a call after other work waits for few.
struct series {
  u64 slow_ns;  // a call at least this long is slow; ~0: none is
  u32 group;    // whose buffers the depths belong to
  u32 flags;    // FLAG_*
  u64 entered;  // read after all others: calls that entered and have no outcome yet are in flight
  u64 octave;   // log2 of a recent duration, a guess for the next
  // By parity of the epoch. Sums go on for ever; the others are cleared when their half is read.
  u64 sum_ns[2];
  u64 EXTREMES;      // the highest and the lowest of otel_jb/model/counters.py
  u64 COUNTERS;      // what is counted: the sums and balances of the same table; packets and bytes first
  u64 event_gap_ns;  // token bucket: time one event costs
  u64 event_burst_ns;
  u64 event_tat;  // token bucket: theoretical arrival time of the next event
  u64 late_ns;    // when a packet was last reported as too late
  // who owns the block that begins here, written by the kernel when it takes it
  u64 owner;  // tgid | set << 32
  u64 started_ns;
  u64 cgroup;
  u64 comm[2];
  u64 whose;             // 1 + the id of the user in whose share the block counts; 0: in nobody's
  u64 state;             // BLOCK_*
  u64 buckets[BUCKETS];  // of calls that returned, two counts each: see HALF_BITS
} __attribute__((aligned(CACHE_LINE)));
#define FLAG_SHUT 1u      // nothing is counted
#define FLAG_CLEARED 2u   // return probes may be put into this process
#define FLAG_EXCHANGE 4u  // the links are being exchanged:
#define FLAG_NEW 8u       // for those of this form
#define BLOCK_FREE 0u
#define BLOCK_TAKEN 1u
#define BLOCK_VOID 2u      // taken by a thread whose process had one already: to be given back
#define BLOCK_ENDED 3u     // its process ended
#define BLOCK_EXECUTED 4u  // its process executed another program

// The functions of one file that are probed alike, and the blocks of series that processes may take.
struct set {
  u64 given;    // blocks that user space has granted so far
  u64 taken;    // of these, blocks that were taken
  u64 no_room;  // calls of processes that found no block
  u32 functions;
  u32 pad;
  u32 grants[GRANTS];  // the first series of each
};

// Where a process stands: in the hash `owners`, and as part of a cached word.
#define BASE_IGNORED 0x7ffffu  // it is not measured
#define CACHE_TGID_BITS 22
#define CACHE_VALID (1ULL << 31)
#define CACHE_MATCH 0xffffffffULL
#define CACHE_BASE_SHIFT 32

// What one process is part of.
struct process {
  u64 count;
  u64 member[(1 << SET_BITS) / 64];  // a bit for each set that it is part of
  u16 sets[PROCESS_SETS];            // the same, for its end
};

// What the processes of one user have taken.
struct user {
  u64 id;     // user id + 1; 0: free
  u64 taken;  // series; by the kernel
  u64 freed;  // of these, given back; by user space
  u64 refused;
};

struct control {
  u64 epoch;
  u64 spilled;     // entries of the overflow table
  u64 zero;        // always 0, which the verifier does not know
  u64 far_ns;      // when a packet was last put into a far row; 0: never
  u64 ended;       // blocks whose process ended
  u64 user_quota;  // series that the processes of one user may have
  // Offsets in the kernel's structures; 0: not known
  u64 group_leader;
  u64 start_boottime;
  u64 signal;
  u64 live;
  u64 late_ns;             // when the packet of any series was last reported as too late
  u64 begun;               // streams that took a slot
  u64 clocks[RTP_CLOCKS];  // length of one step of RTP time in 2^-16 ns, by payload type; 0: unknown
};

// What user space asks the kernel to do (arguments of `on_command`: the command, then these).
#define COMMAND_CLAIM 1u     // tgid, set, 1 + user id or 0: 1 + the first series of its block; 0: no room
#define COMMAND_IGNORE 2u    // tgid, set: is not measured any more
#define COMMAND_END 3u       // tgid: as if it had ended
#define COMMAND_UNSEEN 6u    // as COMMAND_SETTLE: the call goes on, but its end will not be seen
#define COMMAND_FORGET 5u    // tgid, set: nothing is known of it in the set
#define COMMAND_SUBTRACT 7u  // series, bucket, how much: from a bucket; 1 where there is that bucket
#define COMMAND_SETTLE 4u    // slot, key, start: the call of a thread that is gone is abandoned; 1 where it was that call

struct buffer {
  u64 key;    // identity << 16 | group; 0: free
  u64 depth;  // with a mark of the key in the upper bits, for a slot that changed hands meanwhile
  u64 seen_ns;
  u64 pad;
};
#define DEPTH_MARK_SHIFT 48

// A buffer whose packets are followed. Freed by user space alone.
struct flow {
  u64 key;   // as of a buffer; 0: free
  u64 born;  // when this content of it began: what was put before is no more in it. 0: its next packet begins one
  u64 seen_ns;
  u64 pad;
};

// A slot of each. They are taken and freed apart; but as both are looked for from the same place on, those of one buffer lie in one cache line, mostly.
struct place {
  struct buffer buffer;
  struct flow flow;
};

struct nested {
  u64 frame;
  u64 start;
  u64 end;
  u32 series;
  u32 tid;
};

// What a thread did lately.
struct thread {
  u64 tid;
  u64 position;  // calls ended so far
  u64 since;     // position when this thread took the slot over
  u64 pad;       // so that none of these lies in two cache lines
  struct nested recent[NESTED];
};

// A slow call, through the ring buffer.
struct event {
  u64 start;
  u64 end;
  u64 frame;
  u64 bytes;
  u64 stream;
  u64 return_value;
  u64 sp;
  u64 ip;
  u64 fp;
  u64 lr;              // AArch64: x30, where the return address is at a `ret` and nowhere else
  struct share began;  // of its thread at its beginning; without `away`: not known
  struct share ended;  // at its end, or rather
  u64 accounted;       // shortly before this time
  u32 series;
  u32 tid;
  u32 tgid;
  u32 outcome;
  u32 flags;          // EVENT_*
  u32 nested_inside;  // calls that ended on this thread while this one was open
  u32 nested_next;    // index in nested[] that would be written next
  s32 stack_bytes;    // filled part of stack[]
  u32 copy_bytes;     // filled part of copy[]
  u32 copy_holes;     // bit i: the i-th page of copy[], counted from the one that sp is in, could not be read
  char comm[16];
  u64 stack[STACK_DEPTH];
  struct nested nested[NESTED];
  u8 copy[STACK_COPY];
};
#define EVENT_RETURN 1u               // return_value holds
#define EVENT_NEST_KNOWN 2u           // nested[] belongs to this thread all the time
#define EVENT_FAULTED 4u              // a read program faulted
#define EVENT_LATE 8u                 // it was not slow: its packet was too late
#define LATE_GAP_NS 1000000000ULL     // between two of these of one series
#define LATE_GAP_ALL_NS 100000000ULL  // of all series, of whatever process

// One SSRC of one buffer, as its packets told. Freed by user space alone. A packet in its order touches the first two cache lines, one of
// the window and one of the gaps.
struct rtp_stream {
  u64 key;    // RTP_KEY_VALID | series << 32 | SSRC; 0: free
  u64 ring;   // of the flight recorder, by user space: its first record | how many it has, less one << 32; 0: none
  u64 flown;  // packets that were recorded; goes on when the slot is freed
  u64 owner;  // the buffer << 1 | 1
  u64 max;    // the highest sequence number, extended; 0: none was seen
  u64 received;
  u64 bytes;
  u64 passed_ns;  // when the last packet passed
  u64 gaps_ns;    // the sum of the times between packets
  u64 last;       // when the last packet came (1024 ns) << 32 | its RTP time
  u64 tick;       // of the last packet's clock
  u64 jitter;     // 16 times, in ns
  u64 moved;      // the sum of what jitter is the moving average of, in ns
  u64 clock;      // payload type << RTP_CLOCK_SHIFT | the tick that the server itself has for it, by user space; 0: not known
  u64 base;       // the first number
  u64 lost;       // signed
  u64 window[RTP_WORDS];  // block << 32 | which of its 32 numbers were seen
  u64 gaps[RTP_GAPS];     // how many of the times between packets were how long
  u64 reordered;
  u64 duplicated;
  u64 strays;   // received, of numbers so far away that nothing follows from them
  u64 bad;      // RTP_NEXT | the number that would begin another sequence
  u64 settled;  // RTP_SETTLING | the number below which it is final which came. What follows is written by who settles, unless noted
  u64 judged;   // the number below which all are part of a burst or a gap; with a group, its first loss
  u64 group;    // losses with fewer than RTP_GMIN packets between any two, to which the next may belong; 0: none
  u64 group_last;      // the last of them
  u64 ended;           // the end of the sequence before the one that begins at `base`: by whose packet began that
  u64 replaced;        // what was last replaced in the window, of a block that may not be settled: by whose packet did
  u64 bursts;          // groups of two losses or more
  u64 burst_expected;  // numbers from the first to the last loss of each
  u64 burst_lost;      // those of them that never came
  u64 gap_expected;    // all other numbers that were judged
  u64 gap_lost;        // those of them that never came
  u64 unjudged;        // numbers of which it was forgotten whether they came
  u64 slot;            // 1 + where this is
} __attribute__((aligned(CACHE_LINE)));

// A packet in the flight recorder. The upper 16 bits of each word are the lap of the ring, see flight.h.
struct flight {
  u64 put;   // when it passed: the lower 48 bits of the clock
  u64 head;  // sequence number << 32 | RTP time
  u64 fate;  // FLIGHT_IN_ORDER and so on << FLIGHT_STATE_SHIFT | FLIGHT_PLAYED and so on << FLIGHT_FATE_SHIFT | FLIGHT_STAYED
};

// RTP packets of streams that found no room.
struct rtp_unplaced {
  u64 packets;
  u64 bytes;
};

// Packets that wait in buffers, by a hash of buffer and identity.
struct waiting {
  u64 tag[WAITING_PLACES];  // hash | WAITING_VALID | group; 0: free
  u64 lost_ns;              // when a packet last found no place in this row
  u64 put[WAITING_PLACES];  // when it was put << WAITING_PUT_SHIFT | WAITING_*
  u64 pad;
  u64 flight[WAITING_PLACES];  // what its record is referred to by, with WAITING_RECORDED
  u64 pad2;
};

// How long packets stayed in the buffers of one group.
struct residence {
  u64 sum_ns;
  u64 unmatched[UNMATCHED_WORDS];
  u64 buckets[BUCKETS];
};

// A process came or ended: what happened is where it is read from, this only wakes the reader.
struct wake {
  u64 tgid;
};

#endif
