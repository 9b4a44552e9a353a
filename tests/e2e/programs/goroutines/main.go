// SPDX-License-Identifier: Apache-2.0

// What Go does to its stacks while measured functions run in them: they grow, and are copied, inside a call; they shrink at each collection;
// goroutines go on in other threads; functions call themselves, and panics end some of those calls.
//
// Says `ready`, and begins with a line of input that says how many goroutines call how often. Then prints what it counted and ends with status 7.
package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

type buffer struct {
	depth    uint64
	received uint64
}

type packet struct {
	header uint64
	data   []byte
}

var bytes, taken, nested, panics, returned uint64

//go:noinline
func grow(n int) byte {
	var pad [512]byte
	pad[n&511] = byte(n)
	if n == 0 {
		return pad[0]
	}
	return grow(n-1) + pad[(n*7)&511]
}

// Put has its arguments in registers, grows the stack, yields, and is moved between threads.
//
//go:noinline
func (b *buffer) Put(p *packet, how int) int {
	b.depth++
	b.received++
	atomic.AddUint64(&bytes, uint64(len(p.data)))
	switch how % 8 {
	case 0:
		grow(how % 200)
	case 1:
		runtime.Gosched()
		grow(how % 64)
	case 2:
		if how%64 == 2 {
			time.Sleep(50 * time.Microsecond)
		}
	}
	if how%5 == 0 {
		return -how
	}
	return how
}

// Get returns two values, the first of which is nil where there is nothing.
//
//go:noinline
func (b *buffer) Get(how int) (*packet, error) {
	if b.depth == 0 || how%3 == 0 {
		return nil, os.ErrNotExist
	}
	b.depth--
	atomic.AddUint64(&taken, 1)
	return &packet{data: make([]byte, 10)}, nil
}

// Nest calls itself; a panic ends every fourth chain of these calls but for the outermost, which recovers.
//
//go:noinline
func Nest(n, how int) (r int) {
	atomic.AddUint64(&nested, 1)
	if n == 5 {
		defer func() {
			if recover() != nil {
				atomic.AddUint64(&panics, 1)
			}
			atomic.AddUint64(&returned, 1)
		}()
	}
	if n == 0 {
		if how%4 == 0 {
			panic("on purpose")
		}
		grow(how % 90)
		return 1
	}
	r = Nest(n-1, how) + 1
	if n != 5 {
		atomic.AddUint64(&returned, 1)
	}
	return r
}

func work(calls int, done *sync.WaitGroup) {
	defer done.Done()
	b := &buffer{}
	for how := 0; how < calls; how++ {
		p := &packet{data: make([]byte, how%100+1)}
		if how%16 == 0 { // in a goroutine of its own, whose stack is as small as can be
			ended := make(chan bool)
			go func() { b.Put(p, how*13); ended <- true }()
			<-ended
		} else {
			b.Put(p, how)
		}
		b.Get(how)
		if how%10 == 0 {
			Nest(5, how/10)
		}
	}
}

func main() {
	fmt.Println("ready")
	in := bufio.NewReader(os.Stdin)
	var goroutines, calls int
	fmt.Fscan(in, &goroutines, &calls)
	debug.SetGCPercent(1)
	var stop uint32
	collected := make(chan bool)
	go func() {
		for atomic.LoadUint32(&stop) == 0 {
			runtime.GC()
		}
		collected <- true
	}()
	var done sync.WaitGroup
	for n := 0; n < goroutines; n++ {
		done.Add(1)
		go work(calls, &done)
	}
	done.Wait()
	atomic.StoreUint32(&stop, 1)
	<-collected
	innermost := nested / 6
	fmt.Println("counted", uint64(goroutines*calls), bytes, taken, nested, returned+innermost-panics, panics)
	fmt.Fscan(in, new(string))
	os.Exit(7)
}
