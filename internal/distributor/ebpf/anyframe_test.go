package ebpf_test

import (
	"fmt"
	"math/rand/v2"
	"net"
	"path/filepath"
	"slices"
	"testing"

	"colonnade/internal/bpf"
	"colonnade/internal/bpf/bpftest"
	"colonnade/internal/distributor"
	"colonnade/internal/distributor/probe"
	"colonnade/internal/linuxnet"
)

// TestAnyFrame changes bytes and lengths of good frames at random: whatever comes in, nothing but ARP, probes and ICMP
// reaches the distributor's own stack, and what is forwarded goes from the port's MAC to an amphora that holds a position.
func TestAnyFrame(t *testing.T) { bpftest.EachMechanism(t, testAnyFrame) }

func testAnyFrame(t *testing.T, use bpf.Option) {
	l := newLab(t, use)
	c := three(t, distributor.AffinitySourceIPPort)
	l.setTable(t, c)
	prog, _ := bpftest.Attached(t, filepath.Join(l.dir, lbID))
	reply := bpftest.Segment(vip, client, 80, 4000, bpftest.ACK, 1, 1, nil)
	good := [][]byte{
		bpftest.IPv4{Src: client, Dst: vip, Protocol: bpftest.TCP}.Bytes(tcp(client, vip, 4000)),
		bpftest.IPv4{Src: client, Dst: vip, Protocol: bpftest.UDP, Options: make([]byte, 8)}.Bytes(bpftest.Datagram(1, 2, nil)),
		bpftest.IPv4{Src: client, Dst: vip, Protocol: bpftest.ICMP}.Bytes(bpftest.Message(3, 4, ip(vip, client, bpftest.TCP, reply))),
		bpftest.IPv4{Src: client, Dst: vip, Protocol: bpftest.ICMP}.Bytes(bpftest.Message(8, 0, nil)),
	}
	const seed, frames = 1, 200_000
	r := rand.New(rand.NewPCG(seed, seed))
	holders := c.MACs()[:3]
	err := linuxnet.In(l.port.Namespace, func() error {
		ifi, err := net.InterfaceByName(l.port.Interface)
		if err != nil {
			return err
		}
		for n := range frames {
			frame := bpftest.Ethernet(own, clientMAC, bpftest.TypeIPv4, good[r.IntN(len(good))])
			for range r.IntN(6) {
				frame[r.IntN(len(frame))] = byte(r.Uint32())
			}
			if r.IntN(4) == 0 {
				frame = frame[:34+r.IntN(len(frame)-34)] // the kernel's test run takes no shorter ones
			}
			etherType := uint16(frame[12])<<8 | uint16(frame[13])
			verdict, out, err := bpftest.RunOn(prog, ifi.Index, frame)
			if err != nil {
				return fmt.Errorf("seed %d, frame %d %x: %w", seed, n, frame, err)
			}
			switch verdict {
			case bpftest.Drop:
			case bpftest.Pass:
				icmp := etherType == bpftest.TypeIPv4 && frame[23] == bpftest.ICMP
				if !icmp && etherType != bpftest.TypeARP && etherType != probe.EtherType {
					return fmt.Errorf("seed %d, frame %d %x reaches the kernel", seed, n, frame)
				}
			case bpftest.Redirect:
				if [6]byte(out[6:]) != own || !slices.Contains(holders, [6]byte(out)) || string(out[12:]) != string(frame[12:]) {
					return fmt.Errorf("seed %d, frame %d %x forwarded as %x", seed, n, frame, out)
				}
			default:
				return fmt.Errorf("seed %d, frame %d: verdict %d", seed, n, verdict)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
