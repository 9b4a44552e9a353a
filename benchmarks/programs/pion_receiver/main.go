// SPDX-License-Identifier: Apache-2.0

// Receives RTP at a UDP port and puts each packet into pion's jitter buffer. Prints what it did when it has heard nothing for 3 s.
package main

import (
	"fmt"
	"net"
	"os"
	"time"

	"github.com/pion/interceptor/pkg/jitterbuffer"
	"github.com/pion/rtp"
)

func main() {
	socket, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		panic(err)
	}
	fmt.Println("port", socket.LocalAddr().(*net.UDPAddr).Port)
	jitter := jitterbuffer.New()
	data := make([]byte, 2048)
	var pushed, bytes, popped int
	for {
		size, err := socket.Read(data)
		if err != nil {
			break
		}
		packet := &rtp.Packet{}
		if err := packet.Unmarshal(append([]byte(nil), data[:size]...)); err != nil {
			panic(err)
		}
		pushed++
		bytes += len(packet.Payload)
		jitter.Push(packet)
		if taken, err := jitter.Pop(); err == nil && taken != nil {
			popped++
		}
		_ = socket.SetReadDeadline(time.Now().Add(3 * time.Second))
	}
	fmt.Println("pushed", pushed, "bytes", bytes, "popped", popped)
	_, _ = os.Stdin.Read(data)
}
