package ebpf_test

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"colonnade/internal/bpf"
	"colonnade/internal/bpf/bpftest"
	"colonnade/internal/distributor"
	"colonnade/internal/distributor/ebpf"
	"colonnade/internal/linuxnet"
)

const (
	lbID   = "6fd2a3a0-6c4c-4f9c-8ff9-0dd1a8fbf2de"
	vip    = "198.18.0.100"
	client = "198.18.5.6"
)

var (
	own       = [6]byte{2, 0, 0, 0, 0xdd, 1}
	clientMAC = [6]byte{2, 0, 0, 0, 0xcc, 1}
	foreign   = [6]byte{2, 0, 0, 0, 0xee, 1}
	broadcast = [6]byte{255, 255, 255, 255, 255, 255}
	key       = [16]byte{1, 2, 3, 15: 9}
)

// lab is a distributor's port with the dataplane installed on it.
type lab struct {
	dp   *ebpf.Dataplane
	use  bpf.Option
	dir  string // of the pins of all load balancers
	port bpftest.Port
}

func newLab(t *testing.T, use bpf.Option) lab {
	t.Helper()
	ns := bpftest.Namespace(t)
	// The peer's own neighbour discovery would be counted too.
	if err := linuxnet.SetSysctl(ns, "net.ipv6.conf.default.disable_ipv6", "1"); err != nil {
		t.Fatal(err)
	}
	bpftest.Veth(t, ns, "dist0", own, ns, "peer0", clientMAC)
	l := lab{use: use, dir: bpftest.FileSystem(t), port: bpftest.Port{Namespace: ns, Interface: "dist0"}}
	l.dp = ebpf.New(l.dir, use)
	l.install(t)
	t.Cleanup(func() {
		if err := errors.Join(l.dp.Remove(lbID), l.dp.Close()); err != nil {
			t.Errorf("remove: %v", err)
		}
	})
	return l
}

func (l lab) install(t *testing.T) {
	t.Helper()
	port := distributor.PortConfig{NamespacePath: l.port.Namespace, Interface: l.port.Interface, VIPs: []string{vip, "198.18.0.101"}}
	if err := l.dp.Install(lbID, port); err != nil {
		t.Fatal(err)
	}
}

func (l lab) run(t *testing.T, frame []byte) (uint32, []byte) {
	t.Helper()
	prog, _ := bpftest.Attached(t, filepath.Join(l.dir, lbID))
	return l.port.Run(t, prog, frame)
}

func (l lab) setTable(t *testing.T, c *distributor.Compiled) {
	t.Helper()
	if err := l.dp.SetTable(lbID, c.Effective(nil)); err != nil {
		t.Fatal(err)
	}
}

func amp(i int) distributor.Holder {
	return distributor.Holder{AmphoraID: fmt.Sprintf("a%d", i), MAC: fmt.Sprintf("02:00:00:00:aa:%02x", i)}
}

func compiled(t *testing.T, affinity distributor.Affinity, changes ...distributor.Change) *distributor.Compiled {
	t.Helper()
	table, err := distributor.NewTable(key, affinity, 3)
	if err != nil {
		t.Fatal(err)
	}
	if table, err = table.Next(changes...); err != nil {
		t.Fatal(err)
	}
	c, err := distributor.Compile(table)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func three(t *testing.T, affinity distributor.Affinity) *distributor.Compiled {
	t.Helper()
	return compiled(t, affinity, distributor.Fill(0, amp(0)), distributor.Fill(1, amp(1)), distributor.Fill(2, amp(2)), distributor.SetStandbys(amp(3)))
}

// target is where the table says that a packet goes, worked out without the program.
func target(c *distributor.Compiled, src string, port uint16) [6]byte {
	return c.MACs()[c.Owner(c.RowOf(netip.MustParseAddr(src), port))]
}

func tcp(src, dst string, sport uint16) []byte {
	return bpftest.Segment(src, dst, sport, 80, bpftest.ACK, 1, 1, []byte("x"))
}

func ip(src, dst string, protocol byte, payload []byte) []byte {
	return bpftest.IPv4{Src: src, Dst: dst, Protocol: protocol}.Bytes(payload)
}

// TestFrames: every kind of frame in, what becomes of it out.
func TestFrames(t *testing.T) { bpftest.EachMechanism(t, testFrames) }

func testFrames(t *testing.T, use bpf.Option) {
	l := newLab(t, use)
	c := three(t, distributor.AffinitySourceIPPort)
	l.setTable(t, c)
	unfragmented, fragmented := target(c, client, 4000), target(c, client, 0)
	options := []byte{7, 7, 4, 0, 0, 0, 0, 0, 1, 1, 1, 1}
	segment := tcp(client, vip, 4000)
	quoted := func(proto byte, fragment uint16, src string, l4 []byte) []byte {
		return bpftest.IPv4{Src: src, Dst: client, Protocol: proto, Fragment: fragment, Options: options}.Bytes(l4)
	}
	reply := bpftest.Segment(vip, client, 80, 4000, bpftest.ACK, 1, 1, nil)[:8]
	eth := func(dst, src [6]byte, typ uint16, payload []byte) []byte {
		return bpftest.Ethernet(dst, src, typ, payload)
	}
	v4 := func(payload []byte) []byte { return eth(own, clientMAC, bpftest.TypeIPv4, payload) }
	icmp := func(payload []byte) []byte { return v4(ip("198.18.77.1", vip, bpftest.ICMP, payload)) }

	const kernel = "kernel"
	tests := []struct {
		name  string
		frame []byte
		to    [6]byte // forwarded to, or
		other string  // dropped for this reason, or "kernel"
	}{
		{"VIP TCP", v4(ip(client, vip, bpftest.TCP, segment)), unfragmented, ""},
		{"VIP TCP with IP options", v4(bpftest.IPv4{Src: client, Dst: vip, Protocol: bpftest.TCP, Options: options}.Bytes(segment)), unfragmented, ""},
		{"VIP TCP with the most options", v4(bpftest.IPv4{Src: client, Dst: vip, Protocol: bpftest.TCP, Options: make([]byte, 40)}.Bytes(segment)), unfragmented, ""},
		{"second VIP", v4(ip(client, "198.18.0.101", bpftest.TCP, tcp(client, "198.18.0.101", 4000))), unfragmented, ""},
		{"VIP UDP", v4(ip(client, vip, bpftest.UDP, bpftest.Datagram(4000, 53, nil))), unfragmented, ""},
		{"from behind a gateway, TTL 1", v4(bpftest.IPv4{Src: client, Dst: vip, Protocol: bpftest.TCP, TTL: 1}.Bytes(segment)), unfragmented, ""},
		{"first fragment", v4(bpftest.IPv4{Src: client, Dst: vip, Protocol: bpftest.TCP, Fragment: 0x2000}.Bytes(segment)), fragmented, ""},
		{"later fragment", v4(bpftest.IPv4{Src: client, Dst: vip, Protocol: bpftest.UDP, Fragment: 0x2010}.Bytes([]byte("no header"))), fragmented, ""},
		{"last fragment", v4(bpftest.IPv4{Src: client, Dst: vip, Protocol: bpftest.UDP, Fragment: 0x0010}.Bytes(nil)), fragmented, ""},
		{"ICMP error quoting TCP", icmp(bpftest.Message(3, 4, quoted(bpftest.TCP, 0x4000, vip, reply))), unfragmented, ""},
		{"ICMP time exceeded quoting UDP", icmp(bpftest.Message(11, 0, quoted(bpftest.UDP, 0, vip, bpftest.Datagram(53, 4000, nil)))), unfragmented, ""},
		{"ICMP error quoting somebody else's", icmp(bpftest.Message(3, 4, quoted(bpftest.TCP, 0, "198.18.0.9", reply))), [6]byte{}, "icmp"},
		{"ICMP error quoting the other VIP", icmp(bpftest.Message(3, 4, quoted(bpftest.TCP, 0, "198.18.0.101", reply))), [6]byte{}, "icmp"},
		{"ICMP error quoting ICMP", icmp(bpftest.Message(3, 1, quoted(bpftest.ICMP, 0, vip, bpftest.Message(0, 0, nil)))), [6]byte{}, "icmp"},
		{"ICMP error quoting a later fragment", icmp(bpftest.Message(3, 1, quoted(bpftest.TCP, 0x0010, vip, reply))), [6]byte{}, "icmp"},
		{"ICMP error quoting too little", icmp(bpftest.Message(3, 4, quoted(bpftest.TCP, 0, vip, reply[:3]))), [6]byte{}, "truncated"},
		{"ICMP error quoting nothing", icmp(bpftest.Message(3, 4, nil)), [6]byte{}, "truncated"},
		{"ICMP error quoting rubbish", icmp(bpftest.Message(3, 4, make([]byte, 40))), [6]byte{}, "malformed"},
		{"ICMP timestamp", icmp(bpftest.Message(13, 0, make([]byte, 12))), [6]byte{}, "icmp"},
		{"ICMP echo to the VIP", icmp(bpftest.Message(8, 0, []byte("ping"))), [6]byte{}, kernel},
		{"fragmented echo", v4(bpftest.IPv4{Src: client, Dst: vip, Protocol: bpftest.ICMP, Fragment: 0x0010}.Bytes([]byte("ping"))), [6]byte{}, kernel},
		{"ICMP echo to another address", v4(ip(client, "198.18.0.7", bpftest.ICMP, bpftest.Message(8, 0, nil))), [6]byte{}, "foreign_address"},
		{"ARP asked of all", eth(broadcast, clientMAC, bpftest.TypeARP, make([]byte, 28)), [6]byte{}, kernel},
		{"ARP answered to us", eth(own, clientMAC, bpftest.TypeARP, make([]byte, 28)), [6]byte{}, kernel},
		{"probe answer", eth(own, amp3, 0x88B5, make([]byte, 46)), [6]byte{}, kernel},
		{"probe to another MAC", eth(foreign, amp3, 0x88B5, make([]byte, 46)), [6]byte{}, "foreign_mac"},
		{"foreign MAC", eth(foreign, clientMAC, bpftest.TypeIPv4, ip(client, vip, bpftest.TCP, segment)), [6]byte{}, "foreign_mac"},
		{"VIP TCP sent to all", eth(broadcast, clientMAC, bpftest.TypeIPv4, ip(client, vip, bpftest.TCP, segment)), [6]byte{}, "foreign_mac"},
		{"foreign address", v4(ip(client, "198.18.0.7", bpftest.TCP, segment)), [6]byte{}, "foreign_address"},
		{"amphora as source", eth(own, amp3, bpftest.TypeIPv4, ip(client, vip, bpftest.TCP, segment)), [6]byte{}, "from_amphora"},
		{"ARP from an amphora", eth(broadcast, amp3, bpftest.TypeARP, make([]byte, 28)), [6]byte{}, "from_amphora"},
		{"other protocol", v4(ip(client, vip, 132, make([]byte, 20))), [6]byte{}, "protocol"},
		{"other ethertype", eth(own, clientMAC, 0x8847, make([]byte, 46)), [6]byte{}, "ethertype"},
		{"IPv6 while there is no IPv6 VIP", eth(own, clientMAC, 0x86DD, make([]byte, 60)), [6]byte{}, "ethertype"},
		{"TCP header cut", v4(ip(client, vip, bpftest.TCP, segment[:19])), [6]byte{}, "truncated"},
		{"UDP header cut", v4(ip(client, vip, bpftest.UDP, segment[:7])), [6]byte{}, "truncated"},
		{"ICMP header cut", v4(ip(client, vip, bpftest.ICMP, []byte{8, 0, 0})), [6]byte{}, "truncated"},
		{"IP header length 16", v4(append([]byte{0x44}, ip(client, vip, bpftest.TCP, segment)[1:]...)), [6]byte{}, "malformed"},
		{"IP version 5", v4(append([]byte{0x55}, ip(client, vip, bpftest.TCP, segment)[1:]...)), [6]byte{}, "malformed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := l.statistics(t)
			verdict, out := l.run(t, tt.frame)
			after := l.statistics(t)
			switch tt.other {
			case "":
				want := append(append(append([]byte{}, tt.to[:]...), own[:]...), tt.frame[12:]...)
				if diff := cmp.Diff(hex.EncodeToString(want), hex.EncodeToString(out)); diff != "" || verdict != bpftest.Redirect {
					t.Errorf("verdict %d, frame (-want +got)\n%s", verdict, diff)
				}
				before.ForwardedPkts++
				before.ForwardedByte += uint64(len(tt.frame))
			case kernel:
				if diff := cmp.Diff(hex.EncodeToString(tt.frame), hex.EncodeToString(out)); diff != "" || verdict != bpftest.Pass {
					t.Errorf("verdict %d, frame (-want +got)\n%s", verdict, diff)
				}
			default:
				if verdict != bpftest.Drop {
					t.Errorf("verdict %d, want a drop", verdict)
				}
				before.Dropped[tt.other]++
			}
			if diff := cmp.Diff(before, after); diff != "" {
				t.Errorf("statistics (-want +got)\n%s", diff)
			}
		})
	}
}

var amp3 = [6]byte{2, 0, 0, 0, 0xaa, 3} // the standby

func (l lab) statistics(t *testing.T) distributor.Statistics {
	t.Helper()
	s, err := l.dp.Statistics(lbID)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestRowsAgree compares program and Go table over many sources: whatever differs sends flows astray.
func TestRowsAgree(t *testing.T) { bpftest.EachMechanism(t, testRowsAgree) }

func testRowsAgree(t *testing.T, use bpf.Option) {
	l := newLab(t, use)
	for _, affinity := range []distributor.Affinity{distributor.AffinitySourceIP, distributor.AffinitySourceIPPort} {
		t.Run("D1 "+string(affinity), func(t *testing.T) {
			c := three(t, affinity)
			l.setTable(t, c)
			for i := range 2000 {
				src, sport := fmt.Sprintf("198.18.%d.%d", i/200+1, i%200+1), uint16(1024+i*31)
				_, out := l.run(t, bpftest.Ethernet(own, clientMAC, bpftest.TypeIPv4, ip(src, vip, bpftest.TCP, tcp(src, vip, sport))))
				if want := target(c, src, sport); [6]byte(out[:6]) != want {
					t.Fatalf("%s:%d goes to %x, table says %x", src, sport, out[:6], want)
				}
			}
		})
	}
}

func TestLife(t *testing.T) { bpftest.EachMechanism(t, testLife) }

func testLife(t *testing.T, use bpf.Option) {
	frame := bpftest.Ethernet(own, clientMAC, bpftest.TypeIPv4, ip(client, vip, bpftest.TCP, tcp(client, vip, 4000)))
	t.Run("no table yet: dropped and counted", func(t *testing.T) {
		l := newLab(t, use)
		if verdict, _ := l.run(t, frame); verdict != bpftest.Drop || l.statistics(t).Dropped["no_owner"] != 1 {
			t.Errorf("verdict %d, %+v", verdict, l.statistics(t))
		}
	})
	t.Run("nobody holds a position: dropped and counted", func(t *testing.T) {
		l := newLab(t, use)
		l.setTable(t, compiled(t, distributor.AffinitySourceIP))
		if verdict, _ := l.run(t, frame); verdict != bpftest.Drop || l.statistics(t).Dropped["no_owner"] != 1 {
			t.Errorf("verdict %d, %+v", verdict, l.statistics(t))
		}
	})
	t.Run("S54 a swap sends the dead one's rows to the standby", func(t *testing.T) {
		l := newLab(t, use)
		c := three(t, distributor.AffinitySourceIP)
		row := c.RowOf(netip.MustParseAddr(client), 0)
		dead := c.Table.Holders[c.Owner(row)].AmphoraID
		swap := distributor.Swap{Seq: 1, Position: c.Position(row), AmphoraID: dead, StandbyID: "a3"}
		if err := l.dp.SetTable(lbID, c.Effective([]distributor.Swap{swap})); err != nil {
			t.Fatal(err)
		}
		if verdict, out := l.run(t, frame); verdict != bpftest.Redirect || [6]byte(out[:6]) != amp3 {
			t.Errorf("verdict %d, to %x", verdict, out[:6])
		}
	})
	t.Run("T5 a restarted agent finds all and detaches nothing", func(t *testing.T) {
		l := newLab(t, use)
		c := three(t, distributor.AffinitySourceIP)
		l.setTable(t, c)
		l.run(t, frame)
		_, was := bpftest.Attached(t, filepath.Join(l.dir, lbID))
		if err := l.dp.Close(); err != nil {
			t.Fatal(err)
		}
		again := lab{dp: ebpf.New(l.dir, l.use), use: l.use, dir: l.dir, port: l.port}
		if s := again.statistics(t); s.ForwardedPkts != 1 {
			t.Errorf("statistics before installing again: %+v", s)
		}
		again.install(t)
		if _, out := again.run(t, frame); [6]byte(out[:6]) != target(c, client, 0) || again.statistics(t).ForwardedPkts != 2 {
			t.Errorf("to %x, %+v", out[:6], again.statistics(t))
		}
		if _, is := bpftest.Attached(t, filepath.Join(l.dir, lbID)); is != was {
			t.Errorf("link %d became %d: it was detached", was, is)
		}
	})
	t.Run("S50 out by the port it came in on", func(t *testing.T) {
		l := newLab(t, use)
		c := three(t, distributor.AffinitySourceIP)
		l.setTable(t, c)
		pc, err := linuxnet.OpenPacket(l.port.Namespace, "peer0", bpftest.TypeIPv4)
		if err != nil {
			t.Fatal(err)
		}
		defer pc.Close()
		if err := linuxnet.SendFrame(l.port.Namespace, "peer0", frame); err != nil {
			t.Fatal(err)
		}
		if err := pc.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 2048)
		for {
			n, _, err := pc.ReadFrom(buf)
			if err != nil {
				t.Fatalf("wait for the frame: %v", err)
			}
			to := target(c, client, 0)
			if string(buf[:n]) == string(to[:])+string(own[:])+string(frame[12:]) {
				return
			}
		}
	})
	t.Run("S57 removed, and removed again", func(t *testing.T) {
		l := newLab(t, use)
		for range 2 {
			if err := l.dp.Remove(lbID); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := l.dp.Statistics(lbID); err == nil {
			t.Error("statistics of what was removed")
		}
		l.install(t)
	})
	t.Run("port moved to another interface", func(t *testing.T) {
		l := newLab(t, use)
		bpftest.Veth(t, l.port.Namespace, "dist1", foreign, l.port.Namespace, "peer1", clientMAC)
		l.port.Interface = "dist1"
		l.install(t)
		l.setTable(t, three(t, distributor.AffinitySourceIP))
		moved := append(append([]byte{}, foreign[:]...), frame[6:]...)
		if verdict, out := l.run(t, moved); verdict != bpftest.Redirect || [6]byte(out[6:12]) != foreign {
			t.Errorf("verdict %d, from %x", verdict, out[6:12])
		}
	})
	t.Run("what it cannot do is said", func(t *testing.T) {
		dp := ebpf.New(t.TempDir())
		var unsupported *bpf.UnsupportedError
		if err := dp.Install(lbID, distributor.PortConfig{VIPs: []string{"2001:db8::1"}}); !errors.As(err, &unsupported) {
			t.Errorf("IPv6 VIP: %v", err)
		}
		for _, bad := range []string{"", "..", "a/b", "a.b"} {
			if err := dp.Install(bad, distributor.PortConfig{VIPs: []string{vip}}); err == nil {
				t.Errorf("load balancer id %q was taken", bad)
			}
		}
	})
}
