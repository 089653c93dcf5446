package ownership_test

import (
	"fmt"
	"net"
	"net/netip"
	"testing"

	"github.com/cilium/ebpf"

	"colonnade/internal/amphora/ownership"
	"colonnade/internal/bpf"
	"colonnade/internal/bpf/bpftest"
	"colonnade/internal/distributor"
	"colonnade/internal/linuxnet"
)

// walkers are amphorae in one namespace, each with the program and a table of its own. One namespace is enough: a walk
// is a chain of test runs, and a listener there keeps the socket look-up from answering "nothing" too easily.
type walkers struct {
	progs   []*ownership.Program
	running []*ebpf.Program
	ifindex []int
	ns      string
}

func newWalkers(t *testing.T, use bpf.Option, n int) *walkers {
	w := &walkers{ns: bpftest.Namespace(t)}
	dir := bpftest.FileSystem(t)
	bpftest.Address(t, w.ns, "lo", vip+"/32")
	for i := range n {
		ifname, pins := fmt.Sprintf("front%d", i), fmt.Sprintf("%s/a%d", dir, i)
		bpftest.Veth(t, w.ns, ifname, [6]byte(macOf(i)), w.ns, fmt.Sprintf("peer%d", i), [6]byte{2, 0, 0, 0, 0xbb, byte(i)})
		p, err := ownership.Open(pins, linuxnet.In, use)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = p.Remove() })
		err = p.Attach(w.ns, ifname, ownership.Config{OwnMAC: macOf(i), VIPs: []string{vip}, LBID: lbID, SecondChance: true})
		if err != nil {
			t.Fatal(err)
		}
		if err := p.SetListeners([]ownership.ListenerPort{{Proto: "tcp", Port: listened}}); err != nil {
			t.Fatal(err)
		}
		running, _ := bpftest.Attached(t, pins)
		w.progs, w.running = append(w.progs, p), append(w.running, running)
	}
	err := linuxnet.In(w.ns, func() error {
		for i := range n {
			ifi, err := net.InterfaceByName(fmt.Sprintf("front%d", i))
			if err != nil {
				return err
			}
			w.ifindex = append(w.ifindex, ifi.Index)
		}
		ln, err := net.Listen("tcp4", fmt.Sprintf("%s:%d", vip, listened))
		if err == nil {
			t.Cleanup(func() { _ = ln.Close() })
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// frames counts how often an ACK of an unknown connection is on the wire, from the distributor's frame on. It must run
// inside the namespace.
func (w *walkers) frames(src string, to [6]byte) (int, error) {
	frame := bpftest.Ethernet(to, distMAC, bpftest.TypeIPv4, bpftest.IPv4{Src: src, Dst: vip, Protocol: bpftest.TCP}.Bytes(
		bpftest.Segment(src, vip, 4000, listened, bpftest.ACK, 1, 1, nil)))
	for n := 1; ; n++ {
		if n > 50 {
			return n, fmt.Errorf("%s: still on the wire after %d frames", src, n)
		}
		at := int(frame[5])
		verdict, out, err := bpftest.RunOn(w.running[at], w.ifindex[at], frame)
		if err != nil {
			return n, err
		}
		for i := range w.running { // everybody else sees the frame on a flooding fabric and stays silent
			if i != at && n == 1 {
				if v, _, err := bpftest.RunOn(w.running[i], w.ifindex[i], frame); err != nil || v != bpftest.Pass {
					return n, fmt.Errorf("%s: a%d acts on a frame to a foreign MAC: verdict %d, %w", src, i, v, err)
				}
			}
		}
		if verdict == bpftest.Pass {
			return n, nil
		}
		frame = out
	}
}

// TestUnknownConnectionsEnd sends ACKs of unknown connections through the real programs while distributor and each
// amphora have the old or the new table, in every combination.
func TestUnknownConnectionsEnd(t *testing.T) { bpftest.EachMechanism(t, testUnknownConnectionsEnd) }

func testUnknownConnectionsEnd(t *testing.T, use bpf.Option) {
	table, err := distributor.NewTable([16]byte{5}, distributor.AffinitySourceIP, 3)
	if err != nil {
		t.Fatal(err)
	}
	start, err := table.Next(distributor.Fill(0, amp(0)), distributor.Fill(1, amp(1)), distributor.Fill(2, amp(2)))
	if err != nil {
		t.Fatal(err)
	}
	moving, err := start.Next(distributor.HandOver(0, amp(3)))
	if err != nil {
		t.Fatal(err)
	}
	const amphorae, acks = 4, 10_000
	tests := []struct {
		name   string
		old    distributor.Table
		change distributor.Change
	}{
		{"hand-over", start, distributor.HandOver(1, amp(3))},
		{"growth", start, distributor.Grow(amp(3))},
		{"giving up a position", start, distributor.Shrink()},
		{"death", start, distributor.Vacate("a1")},
		{"hand-over while another drains", moving, distributor.HandOver(1, amp(0))},
	}
	w := newWalkers(t, use, amphorae)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			changed, err := tt.old.Next(tt.change)
			if err != nil {
				t.Fatal(err)
			}
			var versions [2]*distributor.Compiled
			for i, table := range []distributor.Table{tt.old, changed} {
				if versions[i], err = distributor.Compile(table); err != nil {
					t.Fatal(err)
				}
			}
			const mixtures = 1 << (amphorae + 1) // the last bit is the distributor's
			has := []int{-1, -1, -1, -1}
			for step := range mixtures {
				mix := step ^ step>>1 // one bit changes a step, because the kernel takes its time over each table
				for i, p := range w.progs {
					if has[i] == mix>>i&1 {
						continue
					}
					has[i] = mix >> i & 1
					if err := p.SetTable(versions[has[i]]); err != nil {
						t.Fatal(err)
					}
				}
				sends := versions[mix>>amphorae&1]
				err := linuxnet.In(w.ns, func() error {
					for n := range acks / len(tests) / mixtures {
						k := mix*acks/mixtures + n
						src := fmt.Sprintf("198.18.%d.%d", 1+k/200, 1+k%200)
						row := sends.RowOf(netip.MustParseAddr(src), 0)
						longest := max(len(versions[0].Owners(row)), len(versions[1].Owners(row)))
						frames, err := w.frames(src, sends.MACs()[sends.Owner(row)])
						if err != nil {
							return err
						}
						if frames > longest {
							return fmt.Errorf("mixture %b: %s (row %d) was on the wire %d times, lists are %v and %v",
								mix, src, row, frames, versions[0].Owners(row), versions[1].Owners(row))
						}
					}
					return nil
				})
				if err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}
