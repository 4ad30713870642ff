// Goroutines that compute, and a runtime that collects their garbage.
package main

import (
	"os"
	"strconv"
	"syscall"
)

var sink []byte

//go:noinline
func kindLeaf(n int) int {
	for i := 0; i < 40000; i++ {
		n = n*3 + i
	}
	return n
}

//go:noinline
func kindMiddle(n int) int {
	var text [200]byte
	text[n&127] = byte(kindLeaf(n))
	return int(text[n&7])
}

func cpuMs() int64 {
	var usage syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return usage.Utime.Nano() / 1000000
}

func main() {
	ms, _ := strconv.Atoi(os.Args[2])
	done := make(chan int)
	go func() {
		sum := 0
		for cpuMs() < int64(ms) {
			sum += kindMiddle(sum)
			if len(os.Args) > 3 {
				sink = make([]byte, 100000)
			}
		}
		done <- sum
	}()
	os.Exit(<-done & 0)
}
