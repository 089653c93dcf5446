// Package ownership is the amphora's front-end program and its loader: it passes on what belongs to connections of
// other amphorae (second chance) and answers the distributor's probes (S31). Maps and attachment outlive the
// agent; without the agent's stamp the answers end within a second.
//
// It needs Linux 6.1; from 6.6 on the program is attached by TCX, before that as a filter under clsact (package bpf).
//
// It may be imported by the amphora's agent.
package ownership

//go:generate go tool bpf2go -cc clang-14 -strip llvm-strip-14 -target bpfel -go-package ownership -output-stem ownership -type event ownership ownership.c -- -O2 -g -Wall -Werror -I../../bpf -I/usr/include/x86_64-linux-gnu
