package bridge_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"colonnade/internal/lb"
	"colonnade/internal/linuxnet"
	"colonnade/internal/network"
	"colonnade/internal/network/bridge"
	"colonnade/internal/network/networktest"
	"colonnade/internal/store"
	"colonnade/internal/store/storetest"
	"colonnade/internal/testenv"
	"colonnade/internal/testenv/snapshot"
)

func TestMain(m *testing.M) {
	os.Exit(testenv.RunInLab(func() int { return snapshot.RunAlone(m) }))
}

var _ bridge.Store = (*store.Store)(nil)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func ctxFor(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

type lab struct {
	*bridge.Driver
	cfg bridge.Config
}

func newLab(t *testing.T) lab {
	t.Helper()
	dir := t.TempDir()
	cfg := bridge.Config{Prefix: bridge.PrefixFor(dir), StateDir: dir, Store: storetest.Open(t, storetest.File(t)), RunDir: filepath.Join(dir, "run")}
	d, err := bridge.New(cfg)
	must(t, err)
	t.Cleanup(func() {
		if err := d.Remove(context.Background()); err != nil {
			t.Error(err)
		}
	})
	must(t, d.Ensure(ctxFor(t)))
	return lab{d, cfg}
}

func (l lab) network(t *testing.T, cidr string) network.Network {
	t.Helper()
	n, err := l.CreateNetwork(ctxFor(t), network.Network{Name: "net", Subnets: []network.Subnet{{CIDR: cidr}}})
	must(t, err)
	return n
}

func (l lab) port(t *testing.T, n network.Network, purpose network.Purpose) network.Port {
	t.Helper()
	p, err := l.EnsurePort(ctxFor(t), network.PortSpec{ID: uuid.NewString(), NetworkID: n.ID, Purpose: purpose})
	must(t, err)
	return p
}

// machine is a namespace with a plugged port.
func (l lab) machine(t *testing.T, p network.Port) string {
	t.Helper()
	name := "cnt-" + p.ID[:8]
	_, err := linuxnet.EnsureNamespace(name)
	must(t, err)
	t.Cleanup(func() { must(t, linuxnet.DeleteNamespace(name)) })
	// Its link-local address would come and go in its own time.
	must(t, linuxnet.SetSysctl(linuxnet.Path(name), "net.ipv6.conf.all.disable_ipv6", "1"))
	must(t, l.PlugNamespace(ctxFor(t), p.ID, linuxnet.Path(name), "eth0"))
	return linuxnet.Path(name)
}

// serve echoes one datagram's sender and payload; ask says whether an answer came.
func serve(t *testing.T, ns, addr string) {
	t.Helper()
	pc, err := linuxnet.ListenPacket(ctxFor(t), ns, "udp4", addr)
	must(t, err)
	t.Cleanup(func() { pc.Close() })
	go func() {
		buf := make([]byte, 100)
		for {
			n, from, err := pc.ReadFrom(buf)
			if err != nil {
				return
			}
			pc.WriteTo(buf[:n], from)
		}
	}()
}

func ask(t *testing.T, ns, addr string, patience time.Duration) error {
	t.Helper()
	c, err := linuxnet.DialContext(ctxFor(t), ns, "udp4", addr)
	if err != nil {
		return err
	}
	defer c.Close()
	deadline := time.Now().Add(patience)
	buf := make([]byte, 10)
	for time.Now().Before(deadline) { // datagrams may be lost while ARP is asked
		c.Write([]byte("x"))
		c.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
		if _, err = c.Read(buf); err == nil {
			return nil
		}
	}
	return err
}

func TestConformance(t *testing.T) {
	networktest.Run(t, func(t *testing.T) networktest.Env {
		l := newLab(t)
		n := l.network(t, "198.18.1.0/24")
		return networktest.Env{
			Driver: l.Driver, NetworkID: n.ID, SubnetID: n.Subnets[0].ID, ExternalID: l.external(t, "203.0.113.0/24", "").ID,
			TenantPort: func(ctx context.Context) (network.Port, error) {
				return l.CreatePort(ctx, network.PortSpec{NetworkID: n.ID, Name: "any text at all"})
			},
		}
	})
}

func TestTraffic(t *testing.T) {
	l := newLab(t)
	n, other := l.network(t, "198.18.1.0/24"), l.network(t, "198.18.2.0/24")
	pa, pb, pc := l.port(t, n, network.PurposeTenant), l.port(t, n, network.PurposeTenant), l.port(t, other, network.PurposeTenant)
	a, b, c := l.machine(t, pa), l.machine(t, pb), l.machine(t, pc)
	serve(t, b, pb.Address+":7")
	serve(t, c, pc.Address+":7")
	serve(t, "", "198.19.255.253:7")
	const quick, patient = 400 * time.Millisecond, 5 * time.Second
	reached := func(ns, addr string) {
		t.Helper()
		if err := ask(t, ns, addr, patient); err != nil {
			t.Errorf("%s is not reached: %v", addr, err)
		}
	}
	blocked := func(ns, addr string) {
		t.Helper()
		if err := ask(t, ns, addr, quick); err == nil {
			t.Errorf("%s is reached", addr)
		}
	}
	t.Run("machines of a network reach each other, and the host reaches them", func(t *testing.T) {
		reached(a, pb.Address+":7")
		reached("", pb.Address+":7")
		reached("", pc.Address+":7")
	})
	t.Run("tenants reach neither other networks nor the host nor the management network", func(t *testing.T) {
		blocked(a, pc.Address+":7")
		blocked(a, "198.19.255.253:7")
		blocked(a, "198.19.0.1:7")
	})
	t.Run("D14 a tenant's foreign source address or MAC is dropped", func(t *testing.T) {
		h, err := linuxnet.Open(a)
		must(t, err)
		defer h.Close()
		foreign := netip.MustParsePrefix("198.18.1.77/24")
		must(t, h.EnsureAddress("eth0", foreign))
		via := linuxnet.Route{Destination: netip.MustParsePrefix(pb.Address + "/32"), Device: "eth0", Source: foreign.Addr()}
		must(t, h.SetRoute(via))
		blocked(a, pb.Address+":7")
		must(t, h.DeleteRoute(via))
		reached(a, pb.Address+":7")
		mac, _ := net.ParseMAC(pa.MAC)
		forged, _ := net.ParseMAC("02:00:00:00:00:66")
		must(t, h.SetMAC("eth0", forged))
		blocked(a, pb.Address+":7")
		must(t, h.SetMAC("eth0", mac))
		reached(a, pb.Address+":7")
	})
	t.Run("our own ports may send with any source address", func(t *testing.T) {
		p := l.port(t, n, network.PurposeFrontEnd)
		ns := l.machine(t, p)
		h, err := linuxnet.Open(ns)
		must(t, err)
		defer h.Close()
		if addrs, _ := h.Addresses("eth0"); len(addrs) != 0 {
			t.Errorf("a front-end port is configured: %v", addrs)
		}
		must(t, h.EnsureAddress("eth0", netip.MustParsePrefix("198.18.1.78/24")))
		must(t, h.SetUp("eth0"))
		reached(ns, pb.Address+":7")
	})
	t.Run("what runs goes on through Ensure of a new process", func(t *testing.T) {
		again, err := bridge.New(l.cfg)
		must(t, err)
		must(t, again.Ensure(ctxFor(t)))
		reached(a, pb.Address+":7")
		reached("", pb.Address+":7")
	})
	t.Run("bridges learn nothing", func(t *testing.T) {
		h, err := linuxnet.Open(linuxnet.Path(l.cfg.Prefix + "-switch"))
		must(t, err)
		defer h.Close()
		fdb, err := h.FDB()
		must(t, err)
		for _, e := range fdb {
			if !e.Static {
				t.Errorf("learned %s", e.MAC)
			}
		}
		for _, key := range []string{"iptables", "ip6tables", "arptables"} {
			v, err := linuxnet.Sysctl(h.NamespacePath(), "net.bridge.bridge-nf-call-"+key)
			if !errors.Is(err, linuxnet.ErrNotFound) && v != "0" {
				t.Errorf("bridge-nf-call-%s is %q, %v", key, v, err)
			}
		}
	})
}

func TestManagement(t *testing.T) {
	l := newLab(t)
	var ns []string
	var ports []network.Port
	for range 2 {
		p, err := l.EnsurePort(ctxFor(t), network.PortSpec{ID: uuid.NewString(), Purpose: network.PurposeManagement})
		must(t, err)
		ports, ns = append(ports, p), append(ns, l.machine(t, p))
	}
	serve(t, ns[0], ports[0].Address+":7")
	t.Run("the control plane dials an agent, an agent reaches the health role", func(t *testing.T) {
		c, err := l.DialContext(ctxFor(t), "udp4", ports[0].Address+":7")
		must(t, err)
		defer c.Close()
		c.SetDeadline(time.Now().Add(5 * time.Second))
		c.Write([]byte("hello"))
		if _, err := c.Read(make([]byte, 10)); err != nil {
			t.Error(err)
		}
		pc, addr, err := l.ListenHeartbeats(ctxFor(t))
		must(t, err)
		defer pc.Close()
		if addr != "198.19.0.1:9444" {
			t.Errorf("address %s", addr)
		}
		if _, _, err := l.ListenHeartbeats(ctxFor(t)); lb.KindOf(err) != lb.KindConflict {
			t.Errorf("a second health role without a port of its own: %v", err)
		}
		two := l.cfg
		two.HeartbeatPorts = []int{9444, 9445}
		other, err := bridge.New(two)
		must(t, err)
		if diff := cmp.Diff([]string{"198.19.0.1:9444", "198.19.0.1:9445"}, other.HeartbeatTargets()); diff != "" {
			t.Error(diff)
		}
		second, at, err := other.ListenHeartbeats(ctxFor(t))
		must(t, err)
		defer second.Close()
		if at != "198.19.0.1:9445" {
			t.Errorf("the second health role listens at %s", at)
		}
		hb, err := linuxnet.DialContext(ctxFor(t), ns[0], "udp4", addr)
		must(t, err)
		defer hb.Close()
		hb.Write([]byte("beat"))
		pc.SetDeadline(time.Now().Add(5 * time.Second))
		_, from, err := pc.ReadFrom(make([]byte, 10))
		must(t, err)
		if diff := cmp.Diff(hb.LocalAddr().String(), from.String()); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("agents do not reach each other", func(t *testing.T) {
		if err := ask(t, ns[1], ports[0].Address+":7", 400*time.Millisecond); err == nil {
			t.Error("reached")
		}
	})
	t.Run("the host does not reach agents", func(t *testing.T) {
		if err := ask(t, "", ports[0].Address+":7", 400*time.Millisecond); err == nil {
			t.Error("reached")
		}
	})
}

func TestPlug(t *testing.T) {
	l := newLab(t)
	n := l.network(t, "198.18.1.0/24")
	p := l.port(t, n, network.PurposeFrontEnd)
	ns := l.machine(t, p)
	h, err := linuxnet.Open(ns)
	must(t, err)
	defer h.Close()
	mac, _ := net.ParseMAC(p.MAC)
	before, err := h.LinkByMAC(mac)
	must(t, err)
	t.Run("a second plug changes nothing", func(t *testing.T) {
		must(t, l.PlugNamespace(ctxFor(t), p.ID, ns, "eth0"))
		after, err := h.LinkByMAC(mac)
		must(t, err)
		if diff := cmp.Diff(before, after); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("a port that the agent moved on stays where it is", func(t *testing.T) {
		inner := "cnt-" + p.ID[:8] + "-t"
		_, err := linuxnet.EnsureNamespace(inner)
		must(t, err)
		defer linuxnet.DeleteNamespace(inner)
		must(t, h.MoveTo("eth0", linuxnet.Path(inner)))
		must(t, l.PlugNamespace(ctxFor(t), p.ID, ns, "eth0"))
		hi, err := linuxnet.Open(linuxnet.Path(inner))
		must(t, err)
		defer hi.Close()
		if _, err := hi.LinkByMAC(mac); err != nil {
			t.Error(err)
		}
		if _, err := h.LinkByMAC(mac); !errors.Is(err, linuxnet.ErrNotFound) {
			t.Errorf("also in the first namespace: %v", err)
		}
	})
	t.Run("plugged elsewhere it leaves the first place", func(t *testing.T) {
		other := "cnt-" + p.ID[:8] + "-o"
		_, err := linuxnet.EnsureNamespace(other)
		must(t, err)
		defer linuxnet.DeleteNamespace(other)
		must(t, l.PlugNamespace(ctxFor(t), p.ID, linuxnet.Path(other), "eth0"))
		ho, err := linuxnet.Open(linuxnet.Path(other))
		must(t, err)
		defer ho.Close()
		if _, err := ho.LinkByMAC(mac); err != nil {
			t.Error(err)
		}
	})
	t.Run("unplugged twice, plugged again", func(t *testing.T) {
		for range 2 {
			must(t, l.Unplug(ctxFor(t), p.ID))
		}
		if on, err := l.Plugged(p.ID); on || err != nil {
			t.Errorf("plugged %v, %v", on, err)
		}
		must(t, l.PlugNamespace(ctxFor(t), p.ID, ns, "eth0"))
		if on, err := l.Plugged(p.ID); !on || err != nil {
			t.Errorf("plugged %v, %v", on, err)
		}
	})
	t.Run("a plug that fails leaves nothing", func(t *testing.T) {
		q := l.port(t, n, network.PurposeFrontEnd)
		if err := l.PlugNamespace(ctxFor(t), q.ID, ns, "eth0"); !errors.Is(err, linuxnet.ErrExists) {
			t.Errorf("a second eth0: %v", err)
		}
		if on, _ := l.Plugged(q.ID); on {
			t.Error("half a plug stays")
		}
	})
}

func TestNetworks(t *testing.T) {
	l := newLab(t)
	ctx := ctxFor(t)
	host, err := linuxnet.Open("")
	must(t, err)
	defer host.Close()
	must(t, host.EnsureBridge("taken", nil, 0))
	must(t, host.EnsureAddress("taken", netip.MustParsePrefix("198.18.200.1/24")))
	n := l.network(t, "198.18.1.0/24")
	for _, c := range []struct {
		name string
		s    network.Subnet
		kind lb.Kind
		text string
	}{
		{"no range", network.Subnet{CIDR: "x"}, lb.KindInvalid, "not an address range"},
		{"host bits", network.Subnet{CIDR: "198.18.3.1/24"}, lb.KindInvalid, "did you mean 198.18.3.0/24?"},
		{"IPv6", network.Subnet{CIDR: "2001:db8::/64"}, lb.KindUnsupported, "IPv4 subnets only"},
		{"too small", network.Subnet{CIDR: "198.18.3.0/31"}, lb.KindInvalid, "between 8 and 29"},
		{"loopback", network.Subnet{CIDR: "127.0.0.0/24"}, lb.KindInvalid, "reserved"},
		{"overlap", network.Subnet{CIDR: "198.18.0.0/23"}, lb.KindConflict, "overlaps subnet 198.18.1.0/24"},
		{"overlap with management", network.Subnet{CIDR: "198.19.4.0/24"}, lb.KindConflict, "overlaps the management network"},
		{"overlap with the host link", network.Subnet{CIDR: "198.19.255.0/24"}, lb.KindConflict, "overlaps the host link"},
		{"a route of the host", network.Subnet{CIDR: "198.18.200.0/25"}, lb.KindConflict, "overlaps the host's route to 198.18.200.0/24 over taken"},
		{"gateway outside", network.Subnet{CIDR: "198.18.3.0/24", GatewayIP: "198.18.4.1"}, lb.KindInvalid, "no host address"},
		{"gateway is the broadcast address", network.Subnet{CIDR: "198.18.3.0/24", GatewayIP: "198.18.3.255"}, lb.KindInvalid, "no host address"},
		{"half a pool", network.Subnet{CIDR: "198.18.3.0/24", AllocationStart: "198.18.3.5"}, lb.KindInvalid, "both start and end"},
		{"pool outside", network.Subnet{CIDR: "198.18.3.0/24", AllocationStart: "198.18.3.5", AllocationEnd: "198.18.4.5"}, lb.KindInvalid, "not inside"},
		{"pool backwards", network.Subnet{CIDR: "198.18.3.0/24", AllocationStart: "198.18.3.5", AllocationEnd: "198.18.3.4"}, lb.KindInvalid, "not inside"},
		{"gateway in the pool", network.Subnet{CIDR: "198.18.3.0/24", AllocationStart: "198.18.3.1", AllocationEnd: "198.18.3.4"}, lb.KindInvalid, "lies in the allocation pool"},
	} {
		t.Run("refuses "+c.name, func(t *testing.T) {
			_, err := l.CreateNetwork(ctx, network.Network{Name: "bad", Subnets: []network.Subnet{c.s}})
			if lb.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.text) {
				t.Errorf("got %v (%v), want %q (%v)", err, lb.KindOf(err), c.text, c.kind)
			}
		})
	}
	t.Run("siblings may not overlap either", func(t *testing.T) {
		_, err := l.CreateNetwork(ctx, network.Network{Subnets: []network.Subnet{{CIDR: "198.18.3.0/24"}, {CIDR: "198.18.3.0/25"}}})
		if lb.KindOf(err) != lb.KindConflict {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a pool and a network without gateway", func(t *testing.T) {
		m, err := l.CreateNetwork(ctx, network.Network{MTU: 1400, Subnets: []network.Subnet{{
			CIDR: "198.18.3.0/29", GatewayIP: network.NoGateway,
			AllocationStart: "198.18.3.3", AllocationEnd: "198.18.3.4",
		}}})
		must(t, err)
		var got []string
		for range 2 {
			got = append(got, l.port(t, m, network.PurposeTenant).Address)
		}
		if diff := cmp.Diff([]string{"198.18.3.3", "198.18.3.4"}, got); diff != "" {
			t.Error(diff)
		}
		_, err = l.EnsurePort(ctx, network.PortSpec{ID: uuid.NewString(), NetworkID: m.ID, Purpose: network.PurposeTenant})
		if lb.KindOf(err) != lb.KindConflict {
			t.Errorf("a full pool: %v", err)
		}
		if err := l.DeleteNetwork(ctx, m.ID); lb.KindOf(err) != lb.KindConflict {
			t.Errorf("delete with ports: %v", err)
		}
	})
	t.Run("a second subnet, routed and taken back", func(t *testing.T) {
		s, err := l.CreateSubnet(ctx, network.Subnet{NetworkID: n.ID, CIDR: "198.18.4.0/24"})
		must(t, err)
		if diff := cmp.Diff(true, routed(t, host, l.cfg.Prefix, "198.18.4.0/24")); diff != "" {
			t.Error(diff)
		}
		must(t, l.DeleteSubnet(ctx, s.ID))
		if diff := cmp.Diff(false, routed(t, host, l.cfg.Prefix, "198.18.4.0/24")); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("deleted with its bridge and route", func(t *testing.T) {
		must(t, l.DeleteNetwork(ctx, n.ID))
		if routed(t, host, l.cfg.Prefix, "198.18.1.0/24") {
			t.Error("still routed")
		}
		nets, err := l.Networks(ctx)
		must(t, err)
		for _, x := range nets {
			if x.ID == n.ID || x.ID == bridge.ManagementNetworkID {
				t.Errorf("listed: %+v", x)
			}
		}
	})
	t.Run("a clash that came later is named at the next start", func(t *testing.T) {
		l.network(t, "198.18.5.0/24")
		must(t, host.EnsureAddress("taken", netip.MustParsePrefix("198.18.5.1/28")))
		if err := l.Ensure(ctx); err == nil || !strings.Contains(err.Error(), "198.18.5.0/24 overlaps the host's route to 198.18.5.0/28 over taken") {
			t.Errorf("got %v", err)
		}
	})
	must(t, host.DeleteLink("taken"))
}

func routed(t *testing.T, h *linuxnet.Handle, device, cidr string) bool {
	t.Helper()
	routes, err := h.Routes(linuxnet.MainTable)
	must(t, err)
	for _, r := range routes {
		if r.Device == device && r.Destination.String() == cidr {
			return true
		}
	}
	return false
}

func TestUnmanaged(t *testing.T) {
	dir := t.TempDir()
	run := filepath.Join(dir, "run")
	must(t, os.MkdirAll(filepath.Join(run, "systemd/netif"), 0o755))
	must(t, os.WriteFile(filepath.Join(run, "systemd/netif/state"), nil, 0o644))
	must(t, os.MkdirAll(filepath.Join(run, "NetworkManager/conf.d"), 0o755))
	d, err := bridge.New(bridge.Config{Prefix: bridge.PrefixFor(dir), StateDir: dir, RunDir: run, Store: storetest.Open(t, storetest.File(t))})
	must(t, err)
	files := func() (out []string) {
		filepath.WalkDir(run, func(path string, _ os.DirEntry, _ error) error {
			rel, _ := filepath.Rel(run, path)
			out = append(out, rel)
			return nil
		})
		return out
	}
	before := files()
	must(t, d.Ensure(ctxFor(t)))
	for _, want := range []string{"systemd/network/00-" + bridge.PrefixFor(dir) + ".network", "NetworkManager/conf.d/00-" + bridge.PrefixFor(dir) + ".conf"} {
		if _, err := os.Stat(filepath.Join(run, want)); err != nil {
			t.Error(err)
		}
	}
	for range 2 {
		must(t, d.Remove(ctxFor(t)))
	}
	if diff := cmp.Diff(before, files()); diff != "" {
		t.Errorf("left behind:\n%s", diff)
	}
	if _, err := os.Stat(linuxnet.RunDir); !os.IsNotExist(err) {
		t.Errorf("%s stays: %v", linuxnet.RunDir, err)
	}
}
