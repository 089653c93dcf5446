package ebpf_test

import (
	"net/netip"
	"testing"
	"time"

	"colonnade/internal/bpf"
	"colonnade/internal/bpf/bpftest"
	"colonnade/internal/distributor"
	"colonnade/internal/distributor/dataplanetest"
	"colonnade/internal/distributor/ebpf"
	"colonnade/internal/linuxnet"
)

// TestConformance sends real frames through a namespace.
func TestConformance(t *testing.T) {
	bpftest.EachMechanism(t, func(t *testing.T, use bpf.Option) {
		dataplanetest.Run(t, func(t *testing.T) dataplanetest.Env {
			bpftest.Require(t)
			ns, pins := bpftest.Namespace(t), bpftest.FileSystem(t)
			if err := linuxnet.SetSysctl(ns, "net.ipv6.conf.default.disable_ipv6", "1"); err != nil {
				t.Fatal(err)
			}
			bpftest.Veth(t, ns, "dist0", own, ns, "peer0", clientMAC)
			return dataplanetest.Env{
				Open: func(*testing.T) distributor.Dataplane { return ebpf.New(pins, use) },
				Port: distributor.PortConfig{NamespacePath: ns, Interface: "dist0", VIPs: []string{dataplanetest.VIP}},
				Send: func(t *testing.T, src netip.Addr, port uint16) ([6]byte, bool) {
					return exchange(t, ns, ebpf.New(pins, use), src.String(), port)
				},
			}
		})
	})
}

// exchange sends a frame in by the other end of the port's cable and waits until it comes back or is counted as dropped.
func exchange(t *testing.T, ns string, dp *ebpf.Dataplane, src string, port uint16) (to [6]byte, forwarded bool) {
	t.Helper()
	defer dp.Close()
	dropped := func() (n uint64) {
		s, err := dp.Statistics(dataplanetest.LB)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range s.Dropped {
			n += d
		}
		return n
	}
	before := dropped()
	pc, err := linuxnet.OpenPacket(ns, "peer0", bpftest.TypeIPv4)
	if err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	frame := bpftest.Ethernet(own, clientMAC, bpftest.TypeIPv4, ip(src, vip, bpftest.TCP, tcp(src, vip, port)))
	if err := linuxnet.SendFrame(ns, "peer0", frame); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 2048)
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); {
		if err := pc.SetReadDeadline(time.Now().Add(20 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		n, _, err := pc.ReadFrom(buf)
		switch {
		case err == nil && n > 12 && [6]byte(buf[6:12]) == own && string(buf[12:n]) == string(frame[12:]):
			return [6]byte(buf[:6]), true
		case err != nil && dropped() > before:
			return to, false
		}
	}
	t.Fatal("the frame neither came back nor was counted")
	return to, false
}
