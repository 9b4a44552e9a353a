// SPDX-License-Identifier: Apache-2.0

// Receives RTP at a UDP port and gives each packet to LiveKit's SFU buffer, as its WebRTC stack does after decryption. Prints what the buffer's
// own statistics say when it has heard nothing for 3 s.
package main

import (
	"fmt"
	"net"
	"os"
	"time"

	"github.com/livekit/livekit-server/pkg/sfu/buffer"
	"github.com/pion/rtcp"
	"github.com/pion/webrtc/v4"
)

func main() {
	socket, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		panic(err)
	}
	fmt.Println("port", socket.LocalAddr().(*net.UDPAddr).Port)
	received := buffer.NewBuffer(0x0BADCAFE, 512, 512)
	received.OnRtcpFeedback(func([]rtcp.Packet) {})
	codec := webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypePCMU, ClockRate: 8000, Channels: 1}
	parameters := webrtc.RTPParameters{Codecs: []webrtc.RTPCodecParameters{{RTPCodecCapability: codec, PayloadType: 0}}}
	if err := received.Bind(parameters, codec, 0); err != nil {
		panic(err)
	}
	data := make([]byte, 2048)
	var pushed, bytes int
	for {
		size, err := socket.Read(data)
		if err != nil {
			break
		}
		if _, err := received.Write(data[:size]); err != nil {
			panic(err)
		}
		pushed++
		bytes += size
		_ = socket.SetReadDeadline(time.Now().Add(3 * time.Second))
	}
	own := received.GetStats()
	fmt.Println("pushed", pushed, "bytes", bytes, "unique", own.GetPackets(), "duplicated", own.GetPacketsDuplicate(), "lost", own.GetPacketsLost())
	_, _ = os.Stdin.Read(data)
}
