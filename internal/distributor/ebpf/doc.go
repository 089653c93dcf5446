// Package ebpf is the dataplane of a distributor whose mechanism is a program at the ingress of the load balancer's
// port, with a redirect to the same port. Maps and attachment outlive the agent, and so does forwarding.
//
// It needs Linux 6.1; from 6.6 on the program is attached by TCX, before that as a filter under clsact (package bpf).
//
// It may be imported by the distributor's agent and by benchmarks.
package ebpf

//go:generate go tool bpf2go -cc clang-14 -strip llvm-strip-14 -target bpfel -go-package ebpf -output-stem distributor -type outcome distributor distributor.c -- -O2 -g -Wall -Werror -I../../bpf -I/usr/include/x86_64-linux-gnu
