// SPDX-License-Identifier: Apache-2.0

// Gives packets to the receive buffers of Go libraries, and tells what became of each by what came out.
//
// Says `ready`, takes a line that names the buffer and then a packet a line (RTP in hexadecimal) until an empty one. Prints the counts that
// follow from what went in and what came out, and ends at the end of its input.
package main

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"os"
	"time"

	"github.com/bluenviron/gortsplib/v5/pkg/rtpreceiver"
	"github.com/pion/interceptor/pkg/jitterbuffer"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/rtp/codecs"
	"github.com/pion/webrtc/v4/pkg/media/samplebuilder"
)

// A buffer takes a packet and returns the numbers of those that came out.
type buffer func(*rtp.Packet) []uint16

func gortsplib() buffer {
	receiver := &rtpreceiver.Receiver{
		ClockRate:            8000,
		UnrealiableTransport: true,
		Period:               time.Hour,
		WritePacketRTCP:      func(rtcp.Packet) {},
	}
	if err := receiver.Initialize(); err != nil {
		panic(err)
	}
	return func(packet *rtp.Packet) (numbers []uint16) {
		passed, _ := receiver.ProcessPacket2(packet, time.Now(), true)
		for _, each := range passed {
			numbers = append(numbers, each.SequenceNumber)
		}
		return numbers
	}
}

func pion() buffer {
	jitter := jitterbuffer.New()
	return func(packet *rtp.Packet) []uint16 {
		jitter.Push(packet)
		popped, err := jitter.Pop()
		if err != nil || popped == nil {
			return nil
		}
		return []uint16{popped.SequenceNumber}
	}
}

func samples() buffer {
	builder := samplebuilder.New(64, &codecs.OpusPacket{}, 8000, samplebuilder.WithRTPHeaders(true))
	return func(packet *rtp.Packet) []uint16 {
		builder.Push(packet)
		sample := builder.Pop()
		if sample == nil {
			return nil
		}
		return []uint16{sample.RTPHeaders[0].SequenceNumber} // each packet is a sample of its own
	}
}

func main() {
	buffers := map[string]func() buffer{"gortsplib": gortsplib, "pion": pion, "samples": samples}
	fmt.Println("ready")
	in := bufio.NewScanner(os.Stdin)
	in.Scan()
	put := buffers[in.Text()]()
	var packets, bytes, out, late, duplicated int
	waiting := map[uint16]bool{}
	last := -1 // the number that came out last
	for in.Scan() && in.Text() != "" {
		data, err := hex.DecodeString(in.Text())
		if err != nil {
			panic(err)
		}
		packet := &rtp.Packet{}
		if err := packet.Unmarshal(data); err != nil {
			panic(err)
		}
		packets++
		bytes += len(packet.Payload)
		number := packet.SequenceNumber
		switch {
		case last >= 0 && int16(number-uint16(last)) <= 0:
			late++
		case waiting[number]:
			duplicated++
		default:
			waiting[number] = true
		}
		for _, each := range put(packet) {
			delete(waiting, each)
			last = int(each)
			out++
		}
	}
	fmt.Println("counted", packets, bytes, out, late, duplicated, len(waiting))
	in.Scan()
}
