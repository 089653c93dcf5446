package ownership_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"colonnade/internal/amphora/ownership"
	"colonnade/internal/bpf"
	"colonnade/internal/bpf/bpftest"
	"colonnade/internal/distributor"
	"colonnade/internal/distributor/probe"
	"colonnade/internal/linuxnet"
)

const (
	lbID     = "6fd2a3a0-6c4c-4f9c-8ff9-0dd1a8fbf2de"
	vip      = "198.18.0.100"
	clientIP = "198.18.0.5"
	listened = 80 // a listener's port with a socket
	deserted = 81 // a listener's port whose HAProxy is dead
)

var (
	own       = [6]byte{2, 0, 0, 0, 0xaa, 0}
	clientMAC = [6]byte{2, 0, 0, 0, 0xcc, 1}
	distMAC   = [6]byte{2, 0, 0, 0, 0xdd, 1}
	probeKey  = probe.Key{3, 1, 4}
)

// lab is an amphora's tenant namespace with the program on its front-end port, and a client beside it.
type lab struct {
	prog   *ownership.Program
	use    bpf.Option
	dir    string
	port   bpftest.Port
	client string // namespace
}

func newLab(t *testing.T, use bpf.Option, sysctls ...string) *lab {
	t.Helper()
	l := &lab{use: use, dir: bpftest.FileSystem(t) + "/a0", client: bpftest.Namespace(t)}
	l.port = bpftest.Port{Namespace: bpftest.Namespace(t), Interface: "front"}
	bpftest.Veth(t, l.port.Namespace, "front", own, l.client, "c0", clientMAC)
	bpftest.Address(t, l.port.Namespace, "front", "198.18.0.10/24")
	bpftest.Address(t, l.port.Namespace, "lo", vip+"/32")
	bpftest.Address(t, l.client, "c0", clientIP+"/24")
	l.inside(t, func() error {
		for _, s := range sysctls {
			if err := os.WriteFile("/proc/sys/net/ipv4/"+s, []byte("2"), 0); err != nil {
				return err
			}
		}
		return nil
	})
	l.open(t)
	l.attach(t, true)
	if err := l.prog.SetListeners([]ownership.ListenerPort{{Proto: "tcp", Port: listened}, {Proto: "tcp", Port: deserted}, {Proto: "udp", Port: 53}}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.prog.Remove(); err != nil {
			t.Errorf("remove: %v", err)
		}
	})
	return l
}

func (l *lab) open(t *testing.T) {
	t.Helper()
	p, err := ownership.Open(l.dir, linuxnet.In, l.use)
	if err != nil {
		t.Fatal(err)
	}
	l.prog = p
}

func (l *lab) attach(t *testing.T, secondChance bool) {
	t.Helper()
	err := l.prog.Attach(l.port.Namespace, l.port.Interface, ownership.Config{
		OwnMAC: own[:], VIPs: []string{vip}, ProbeKey: probeKey, LBID: lbID, SecondChance: secondChance,
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (l *lab) inside(t *testing.T, fn func() error) {
	t.Helper()
	if err := linuxnet.In(l.port.Namespace, fn); err != nil {
		t.Fatal(err)
	}
}

// listen serves on the VIP and echoes until the client ends, or hangs up first if told to.
func (l *lab) listen(t *testing.T, hangUp bool) (accepted <-chan struct{}) {
	t.Helper()
	var ln net.Listener
	l.inside(t, func() (err error) {
		ln, err = net.Listen("tcp4", fmt.Sprintf("%s:%d", vip, listened))
		return err
	})
	t.Cleanup(func() { _ = ln.Close() })
	ch := make(chan struct{}, 16)
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			ch <- struct{}{}
			if hangUp {
				_ = c.Close()
				continue
			}
			go func() { defer c.Close(); _, _ = io.Copy(c, c) }()
		}
	}()
	return ch
}

// dial connects from the client's namespace through the program, and returns the connection and its source port.
func (l *lab) dial(t *testing.T) (net.Conn, uint16) {
	t.Helper()
	var c net.Conn
	err := linuxnet.In(l.client, func() (err error) {
		c, err = net.DialTimeout("tcp4", fmt.Sprintf("%s:%d", vip, listened), 5*time.Second)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c, c.LocalAddr().(*net.TCPAddr).AddrPort().Port()
}

func (l *lab) run(t *testing.T, frame []byte) (uint32, []byte) {
	t.Helper()
	prog, _ := bpftest.Attached(t, l.dir)
	return l.port.Run(t, prog, frame)
}

// counted runs fn and returns what the counters went up by.
func (l *lab) counted(t *testing.T, fn func()) map[string]uint64 {
	t.Helper()
	read := func() map[string]uint64 {
		c, err := l.prog.Counters()
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	before := read()
	fn()
	up := map[string]uint64{}
	for name, n := range read() {
		if n != before[name] {
			up[name] = n - before[name]
		}
	}
	return up
}

// The amphorae beside our own, a0.
func amp(i int) distributor.Holder {
	mac := net.HardwareAddr(macOf(i)).String()
	return distributor.Holder{AmphoraID: fmt.Sprintf("a%d", i), MAC: mac}
}

func macOf(i int) []byte { return []byte{2, 0, 0, 0, 0xaa, byte(i)} }

// withOwners returns a table in which the owner list of the client's row is as given, by number of amphora.
func withOwners(t *testing.T, list ...int) *distributor.Compiled {
	t.Helper()
	table, err := distributor.NewTable([16]byte{7}, distributor.AffinitySourceIP, 2)
	if err != nil {
		t.Fatal(err)
	}
	blank, err := distributor.Compile(table)
	if err != nil {
		t.Fatal(err)
	}
	row := blank.RowOf(netip.MustParseAddr(clientIP), 0)
	p := blank.Position(row)
	// The last of the list holds the other position; the others held the row's one after the other, the first last.
	last, first := list[len(list)-1], list[:len(list)-1]
	if table, err = table.Next(distributor.Fill(1-p, amp(last))); err != nil {
		t.Fatal(err)
	}
	for i := len(first) - 1; i >= 0; i-- {
		change := distributor.HandOver(p, amp(first[i]))
		if i == len(first)-1 {
			change = distributor.Fill(p, amp(first[i]))
		}
		if table, err = table.Next(change); err != nil {
			t.Fatal(err)
		}
	}
	c, err := distributor.Compile(table)
	if err != nil {
		t.Fatal(err)
	}
	var got []int
	for _, h := range c.Owners(row) {
		var n int
		if _, err := fmt.Sscanf(table.Holders[h].AmphoraID, "a%d", &n); err != nil {
			t.Fatal(err)
		}
		got = append(got, n)
	}
	if diff := cmp.Diff(list, got); diff != "" {
		t.Fatalf("the test's table is wrong (-want +got)\n%s", diff)
	}
	return c
}

func segment(src [6]byte, sport, dport uint16, flags byte) []byte {
	return bpftest.Ethernet(own, src, bpftest.TypeIPv4, bpftest.IPv4{Src: clientIP, Dst: vip, Protocol: bpftest.TCP}.Bytes(
		bpftest.Segment(clientIP, vip, sport, dport, flags, 1, 1, nil)))
}

func quoting(sport, dport uint16) []byte {
	quoted := bpftest.IPv4{Src: vip, Dst: clientIP, Protocol: bpftest.TCP}.Bytes(bpftest.Segment(vip, clientIP, dport, sport, bpftest.ACK, 1, 1, nil)[:8])
	return bpftest.Ethernet(own, distMAC, bpftest.TypeIPv4, bpftest.IPv4{Src: "198.18.77.1", Dst: vip, Protocol: bpftest.ICMP}.Bytes(bpftest.Message(3, 4, quoted)))
}

// TestFrames: which frames the amphora keeps and whom it passes the others to.
func TestFrames(t *testing.T) { bpftest.EachMechanism(t, testFrames) }

func testFrames(t *testing.T, use bpf.Option) {
	l := newLab(t, use)
	accepted := l.listen(t, false)
	_, connected := l.dial(t)
	<-accepted
	const unknown = 4000
	mac := func(i int) [6]byte { return [6]byte(macOf(i)) }
	ack := func(src [6]byte, sport uint16) []byte { return segment(src, sport, listened, bpftest.ACK) }
	syn := func(dport uint16) []byte { return segment(distMAC, unknown, dport, bpftest.SYN) }
	ip := func(h bpftest.IPv4, l4 []byte) []byte {
		h.Src = clientIP
		return bpftest.Ethernet(own, distMAC, bpftest.TypeIPv4, h.Bytes(l4))
	}
	tests := []struct {
		name  string
		list  []int // owner list; a0 is this amphora
		frame []byte
		to    int    // amphora the frame is passed to, or 0: left to the kernel
		count string // what is counted; "": nothing
	}{
		{"own connection", []int{0, 1}, ack(distMAC, connected), 0, "taken"},
		{"own connection, no longer the owner", []int{1, 0, 2}, ack(mac(1), connected), 0, "taken"},
		{"own connection, on no list", []int{1, 2}, ack(distMAC, connected), 0, "taken"},
		{"unknown ACK as owner goes to the next choice", []int{0, 1}, ack(distMAC, unknown), 1, "passed"},
		{"unknown ACK as owner goes to the former owner", []int{0, 2, 3, 1}, ack(distMAC, unknown), 2, "passed"},
		{"unknown ACK passed by the owner goes right of us", []int{1, 0, 2}, ack(mac(1), unknown), 2, "passed"},
		{"unknown ACK from right of us goes right of the sender", []int{0, 1, 2, 3}, ack(mac(2), unknown), 3, "passed"},
		{"unknown ACK from the last is answered", []int{0, 1, 2}, ack(mac(2), unknown), 0, "answered_last"},
		{"unknown ACK as last is answered", []int{1, 0}, ack(mac(1), unknown), 0, "answered_last"},
		{"unknown ACK as last from the distributor is answered", []int{1, 2, 0}, ack(distMAC, unknown), 0, "answered_last"},
		{"unknown ACK at a standby swapped in goes to the next choice", []int{1, 2}, ack(distMAC, unknown), 2, "passed"},
		{"unknown ACK at a standby, passed by the owner", []int{1, 2, 3}, ack(mac(1), unknown), 2, "passed"},
		{"unknown FIN", []int{0, 1}, segment(distMAC, unknown, listened, bpftest.FIN|bpftest.ACK), 1, "passed"},
		{"unknown RST", []int{0, 1}, segment(distMAC, unknown, listened, bpftest.RST), 1, "passed"},
		{"SYN+ACK opens nothing", []int{0, 1}, segment(distMAC, unknown, listened, bpftest.SYN|bpftest.ACK), 1, "passed"},
		{"SYN with a listener", []int{0, 1}, syn(listened), 0, "taken"},
		{"SYN with a listener, not the owner", []int{1, 0, 2}, syn(listened), 0, "taken"},
		{"T1 SYN without a listener is passed", []int{0, 1}, syn(deserted), 1, "syn_passed"},
		{"SYN without a listener as last is refused", []int{1, 0}, syn(deserted), 0, "answered_last"},
		{"SYN to no listener's port", []int{0, 1}, syn(82), 0, "not_ours"},
		{"ICMP error about an own connection", []int{0, 1}, quoting(connected, listened), 0, "taken"},
		{"ICMP error about an unknown connection", []int{0, 1}, quoting(unknown, listened), 1, "icmp_passed"},
		{"echo", []int{0, 1}, ip(bpftest.IPv4{Dst: vip, Protocol: bpftest.ICMP}, bpftest.Message(8, 0, nil)), 0, ""},
		{"UDP listener", []int{0, 1}, ip(bpftest.IPv4{Dst: vip, Protocol: bpftest.UDP}, bpftest.Datagram(9, 53, nil)), 0, "udp"},
		{"UDP to no listener's port", []int{0, 1}, ip(bpftest.IPv4{Dst: vip, Protocol: bpftest.UDP}, bpftest.Datagram(9, 54, nil)), 0, "not_ours"},
		{"fragment", []int{0, 1}, ip(bpftest.IPv4{Dst: vip, Protocol: bpftest.TCP, Fragment: 0x2000}, make([]byte, 24)), 0, "fragment"},
		{"to the amphora's own address", []int{0, 1}, ip(bpftest.IPv4{Dst: "198.18.0.10", Protocol: bpftest.TCP}, bpftest.Segment(clientIP, "198.18.0.10", unknown, listened, bpftest.ACK, 1, 1, nil)), 0, ""},
		{"with IP options", []int{0, 1}, ip(bpftest.IPv4{Dst: vip, Protocol: bpftest.TCP, Options: []byte{1, 1, 1, 1}}, bpftest.Segment(clientIP, vip, unknown, listened, bpftest.ACK, 1, 1, nil)), 1, "passed"},
		{"passed often enough", []int{0, 1}, ip(bpftest.IPv4{Dst: vip, Protocol: bpftest.TCP, TTL: 1}, bpftest.Segment(clientIP, vip, unknown, listened, bpftest.ACK, 1, 1, nil)), 0, "hops_spent"},
		{"TCP header cut", []int{0, 1}, ip(bpftest.IPv4{Dst: vip, Protocol: bpftest.TCP}, make([]byte, 19)), 0, ""},
		{"foreign MAC", []int{0, 1}, append([]byte{2, 0, 0, 0, 0xaa, 9}, ack(distMAC, unknown)[6:]...), 0, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := l.prog.SetTable(withOwners(t, tt.list...)); err != nil {
				t.Fatal(err)
			}
			var verdict uint32
			var out []byte
			up := l.counted(t, func() { verdict, out = l.run(t, tt.frame) })
			want := map[string]uint64{}
			if tt.count != "" {
				want[tt.count] = 1
			}
			if diff := cmp.Diff(want, up); diff != "" {
				t.Errorf("counters (-want +got)\n%s", diff)
			}
			if tt.to == 0 {
				if verdict != bpftest.Pass || string(out) != string(tt.frame) {
					t.Errorf("verdict %d, frame %x, want it left as it is to the kernel", verdict, out)
				}
				return
			}
			if verdict != bpftest.Redirect || [6]byte(out) != mac(tt.to) || [6]byte(out[6:]) != own {
				t.Errorf("verdict %d, from %x to %x, want passed to a%d", verdict, out[6:12], out[:6], tt.to)
			}
			if out[22] != byte(len(tt.list)-1) || !bpftest.HeaderSumOK(out[14:]) || string(out[26:]) != string(tt.frame[26:]) {
				t.Errorf("passed as %x, want lifetime of the list's length less one, a right checksum and nothing else changed in %x", out, tt.frame)
			}
		})
	}
	t.Run("switched off: nothing is passed", func(t *testing.T) {
		l.attach(t, false)
		up := l.counted(t, func() {
			if verdict, _ := l.run(t, ack(distMAC, unknown)); verdict != bpftest.Pass {
				t.Errorf("verdict %d", verdict)
			}
		})
		if diff := cmp.Diff(map[string]uint64{"second_chance_off": 1}, up); diff != "" {
			t.Errorf("counters (-want +got)\n%s", diff)
		}
	})
}

func TestOwnershipOfOddStates(t *testing.T) { bpftest.EachMechanism(t, testOwnershipOfOddStates) }

func testOwnershipOfOddStates(t *testing.T, use bpf.Option) {
	t.Run("TIME_WAIT is owned", func(t *testing.T) {
		l := newLab(t, use)
		if err := l.prog.SetTable(withOwners(t, 0, 1)); err != nil {
			t.Fatal(err)
		}
		l.listen(t, true)
		c, sport := l.dial(t)
		if _, err := io.ReadAll(c); err != nil { // until the amphora has hung up first
			t.Fatal(err)
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		up := l.counted(t, func() { l.run(t, segment(distMAC, sport, listened, bpftest.ACK)) })
		if diff := cmp.Diff(map[string]uint64{"taken": 1}, up); diff != "" {
			t.Errorf("counters (-want +got)\n%s", diff)
		}
	})
	t.Run("a handshake with SYN cookies is owned", func(t *testing.T) {
		l := newLab(t, use, "tcp_syncookies")
		if err := l.prog.SetTable(withOwners(t, 0, 1)); err != nil {
			t.Fatal(err)
		}
		accepted := l.listen(t, false)
		up := l.counted(t, func() {
			c, _ := l.dial(t)
			if _, err := c.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
			<-accepted
		})
		if up["taken"] < 3 || len(up) != 1 { // SYN, ACK, data at least, and nothing passed
			t.Errorf("counters %v", up)
		}
	})
	t.Run("no table yet: the kernel answers", func(t *testing.T) {
		l := newLab(t, use)
		up := l.counted(t, func() { l.run(t, segment(distMAC, 4000, listened, bpftest.ACK)) })
		if diff := cmp.Diff(map[string]uint64{"no_table": 1}, up); diff != "" {
			t.Errorf("counters (-want +got)\n%s", diff)
		}
	})
}

// TestLastResets sends real frames: the last of a list resets what it does not know, and frames to a foreign MAC are
// answered by nobody.
func TestLastResets(t *testing.T) { bpftest.EachMechanism(t, testLastResets) }

func testLastResets(t *testing.T, use bpf.Option) {
	l := newLab(t, use)
	l.listen(t, false)
	if err := l.prog.SetTable(withOwners(t, 1, 0)); err != nil {
		t.Fatal(err)
	}
	foreign := append([]byte{2, 0, 0, 0, 0xaa, 9}, segment(distMAC, 4001, listened, bpftest.ACK)[6:]...)
	ours := segment(distMAC, 4002, listened, bpftest.ACK)
	ports := l.resets(t, foreign, ours)
	if diff := cmp.Diff([]uint16{4002}, ports); diff != "" {
		t.Errorf("client ports reset (-want +got)\n%s", diff)
	}
}

// resets sends the frames in order from the client's port and returns the client ports that were reset, until the one
// that the last frame belongs to. The client's own kernel sees the resets too and has nothing to say to them.
func (l *lab) resets(t *testing.T, frames ...[]byte) []uint16 {
	t.Helper()
	s := l.socket(t)
	for _, f := range frames {
		if err := s.send(f); err != nil {
			t.Fatal(err)
		}
	}
	last := frames[len(frames)-1]
	want := uint16(last[34])<<8 | uint16(last[35])
	var ports []uint16
	for {
		f, err := s.receive()
		if err != nil {
			t.Fatalf("wait for a reset: %v, so far %v", err, ports)
		}
		if len(f) >= 54 && f[12] == 8 && f[13] == 0 && f[23] == bpftest.TCP && [6]byte(f[6:]) == own && f[47]&bpftest.RST != 0 {
			port := uint16(f[36])<<8 | uint16(f[37])
			ports = append(ports, port)
			if port == want {
				return ports
			}
		}
	}
}

// wire is a raw socket on the client's port.
type wire struct{ fd, ifindex int }

func (l *lab) socket(t *testing.T) wire {
	t.Helper()
	var w wire
	err := linuxnet.In(l.client, func() error {
		ifi, err := net.InterfaceByName("c0")
		if err != nil {
			return err
		}
		const all = 0x0300 // ETH_P_ALL in network order
		w.ifindex = ifi.Index
		if w.fd, err = syscall.Socket(syscall.AF_PACKET, syscall.SOCK_RAW|syscall.SOCK_CLOEXEC, all); err != nil {
			return err
		}
		return errors.Join(
			syscall.Bind(w.fd, &syscall.SockaddrLinklayer{Protocol: all, Ifindex: w.ifindex}),
			syscall.SetsockoptTimeval(w.fd, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &syscall.Timeval{Sec: 5}))
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(w.fd) })
	return w
}

func (w wire) send(frame []byte) error {
	return syscall.Sendto(w.fd, frame, 0, &syscall.SockaddrLinklayer{Ifindex: w.ifindex})
}

func (w wire) receive() ([]byte, error) {
	b := make([]byte, 2048)
	n, _, err := syscall.Recvfrom(w.fd, b, 0)
	return b[:max(n, 0)], err
}
