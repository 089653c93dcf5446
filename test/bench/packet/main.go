// Command packet measures what the distributor's program costs a packet (T6): the kernel's own figure from its test
// run, less that of the wrapper that makes flows. It needs root and writes build/bench/packet.json.
package main

//go:generate go tool bpf2go -cc clang-14 -strip llvm-strip-14 -target bpfel -go-package main -output-stem bench bench bench.c -- -O2 -g -Wall -Werror -I../../../internal/distributor/ebpf -I../../../internal/bpf -I/usr/include/x86_64-linux-gnu

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"syscall"
	"text/tabwriter"

	cilium "github.com/cilium/ebpf"

	"colonnade/internal/bpf"
	"colonnade/internal/bpf/bpftest"
	"colonnade/internal/distributor"
	"colonnade/internal/distributor/ebpf"
)

const (
	lbID = "bench"
	vip  = "198.18.0.100"
)

// measure is one line of the result file.
type measure struct {
	Target  string  `json:"target"`
	Measure string  `json:"measure"`
	Value   float64 `json:"value"`
	Unit    string  `json:"unit"`
	Runs    int     `json:"runs"`
}

// load is one kind of traffic.
type load struct {
	name  string
	flows uint32 // 0: random
	flags byte
}

func main() {
	runs := flag.Int("runs", 5, "rounds; the fastest counts, since other load only ever slows one down")
	repeat := flag.Int("repeat", 2_000_000, "packets a round")
	out := flag.String("o", "build/bench/packet.json", "where to write the figures")
	flag.Parse()
	if err := run(*runs, *repeat, *out); err != nil {
		fmt.Fprintln(os.Stderr, "packet:", err)
		os.Exit(1)
	}
}

func run(runs, repeat int, out string) error {
	if err := bpf.Supported(); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "colonnade-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(dir) }()
	if err := syscall.Mount("bpf", dir, "bpf", 0, "mode=0700"); err != nil {
		return fmt.Errorf("mount BPF file system: %w", err)
	}
	defer func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) }()

	var figures []measure
	for _, affinity := range []distributor.Affinity{distributor.AffinitySourceIP, distributor.AffinitySourceIPPort} {
		for _, l := range []load{
			{"1_flow", 1, bpftest.ACK},
			{"10k_flows", 10_000, bpftest.ACK},
			{"1M_flows", 1_000_000, bpftest.ACK},
			{"syn_flood", 0, bpftest.SYN},
		} {
			ns, err := cost(dir, affinity, l, runs, repeat)
			if err != nil {
				return fmt.Errorf("%s, %s: %w", affinity, l.name, err)
			}
			figures = append(figures, measure{"T6", fmt.Sprintf("distributor_tcx_ipv4_%s_%s", affinity, l.name), ns, "ns/packet", runs})
		}
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(w, "measure\tns/packet\t")
	for _, f := range figures {
		_, _ = fmt.Fprintf(w, "%s\t%.1f\t\n", f.Measure, f.Value)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	b, err := json.MarshalIndent(figures, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return err
	}
	return os.WriteFile(out, append(b, '\n'), 0o644)
}

// cost returns the nanoseconds a packet, the wrapper's taken off. Wrapper and program alternate, so that both see the
// same machine.
func cost(dir string, affinity distributor.Affinity, l load, runs, repeat int) (float64, error) {
	o, err := prepare(dir, affinity, l.flows)
	if err != nil {
		return 0, err
	}
	defer func() { _ = o.Close() }()
	// Addressed to the loopback device's MAC, which is the one that a test run without a device takes.
	frame := bpftest.Ethernet([6]byte{}, [6]byte{2, 0, 0, 0, 0xcc, 1}, bpftest.TypeIPv4,
		bpftest.IPv4{Src: "198.18.5.6", Dst: vip, Protocol: bpftest.TCP}.Bytes(
			bpftest.Segment("198.18.5.6", vip, 4000, 80, l.flags, 1, 1, make([]byte, 6))))
	var wrapper, wrapped float64
	for i := range runs {
		for _, side := range []struct {
			prog    *cilium.Program
			verdict uint32
			best    *float64
		}{{o.Wrapper, bpftest.Pass, &wrapper}, {o.Wrapped, bpftest.Redirect, &wrapped}} {
			verdict, d, err := side.prog.Benchmark(frame, repeat, nil)
			if err != nil {
				return 0, err
			}
			if verdict != side.verdict {
				return 0, fmt.Errorf("verdict %d, want %d", verdict, side.verdict)
			}
			if ns := float64(d.Nanoseconds()); i == 0 || ns < *side.best {
				*side.best = ns
			}
		}
	}
	return wrapped - wrapper, nil
}

// prepare loads the programs over freshly pinned maps, which the real dataplane then fills.
func prepare(dir string, affinity distributor.Affinity, flows uint32) (*benchObjects, error) {
	spec, err := loadBench()
	if err != nil {
		return nil, err
	}
	if err := spec.Variables["flows"].Set(flows); err != nil {
		return nil, err
	}
	if err := bpf.Remove(filepath.Join(dir, lbID)); err != nil {
		return nil, err
	}
	c, err := bpf.Load(filepath.Join(dir, lbID), spec)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	o := &benchObjects{}
	if err := c.Assign(o); err != nil {
		return nil, err
	}
	if err := fill(dir, affinity, o); err != nil {
		return nil, errors.Join(err, o.Close())
	}
	return o, nil
}

func fill(dir string, affinity distributor.Affinity, o *benchObjects) error {
	var port benchPort
	address := netip.MustParseAddr(vip).As4()
	for i := range port.Vips {
		port.Vips[i] = uint32(address[0]) | uint32(address[1])<<8 | uint32(address[2])<<16 | uint32(address[3])<<24
	}
	if err := o.PortConfig.Put(uint32(0), &port); err != nil {
		return err
	}
	table, err := distributor.NewTable([16]byte{1}, affinity, 10)
	if err != nil {
		return err
	}
	var fills []distributor.Change
	for p := range 10 {
		fills = append(fills, distributor.Fill(p, distributor.Holder{AmphoraID: fmt.Sprint(p), MAC: fmt.Sprintf("02:00:00:00:aa:%02x", p)}))
	}
	if table, err = table.Next(fills...); err != nil {
		return err
	}
	compiled, err := distributor.Compile(table)
	if err != nil {
		return err
	}
	dp := ebpf.New(dir)
	return errors.Join(dp.SetTable(lbID, compiled.Effective(nil)), dp.Close())
}
