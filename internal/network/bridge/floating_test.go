package bridge_test

import (
	"context"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"colonnade/internal/lb"
	"colonnade/internal/linuxnet"
	"colonnade/internal/network"
	"colonnade/internal/network/bridge"
)

func (l lab) external(t *testing.T, cidr, gateway string) network.Network {
	t.Helper()
	n, err := l.CreateNetwork(ctxFor(t), network.Network{Name: "public", External: true, Subnets: []network.Subnet{{CIDR: cidr, GatewayIP: gateway}}})
	must(t, err)
	return n
}

func (l lab) floating(t *testing.T, n network.Network, portID string) network.FloatingIP {
	t.Helper()
	f, err := l.EnsureFloatingIP(ctxFor(t), network.FloatingIPSpec{ID: uuid.NewString(), NetworkID: n.ID, PortID: portID})
	must(t, err)
	return f
}

func (l lab) move(t *testing.T, f network.FloatingIP, portID string) {
	t.Helper()
	_, err := l.UpdateFloatingIP(ctxFor(t), f.ID, func(f *network.FloatingIP) error { f.PortID = portID; return nil })
	must(t, err)
}

// outside is a machine behind an uplink of the gateway, at address; with a gateway it routes everything there.
func (l lab) outside(t *testing.T, address, uplink, gateway string) string {
	t.Helper()
	ns := linuxnet.Path(namespace(t))
	gw := linuxnet.Path(l.cfg.Prefix + "-gateway")
	in, err := linuxnet.Open(ns)
	must(t, err)
	defer in.Close()
	out, err := linuxnet.Open(gw)
	must(t, err)
	defer out.Close()
	must(t, in.AddVeth(linuxnet.VethEnd{Name: "eth0"}, linuxnet.VethEnd{Name: bridge.Uplink + "t"}, gw))
	must(t, in.EnsureAddress("eth0", netip.MustParsePrefix(address)))
	must(t, out.EnsureAddress(bridge.Uplink+"t", netip.MustParsePrefix(uplink)))
	must(t, in.SetUp("eth0"))
	must(t, out.SetUp(bridge.Uplink+"t"))
	if gateway != "" {
		must(t, in.SetRoute(linuxnet.Route{Destination: netip.MustParsePrefix("0.0.0.0/0"), Gateway: netip.MustParseAddr(gateway), Device: "eth0"}))
	}
	return ns
}

// tell answers every connection with the address it came from, and then every line with itself.
func tell(t *testing.T, ns, addr string) {
	t.Helper()
	ln, err := linuxnet.Listen(context.Background(), ns, "tcp4", addr)
	must(t, err)
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				host, _, _ := net.SplitHostPort(c.RemoteAddr().String())
				io.WriteString(c, host+"\n")
				io.Copy(c, c)
			}()
		}
	}()
}

// told dials and returns the connection and what the server said of where it came from.
func told(t *testing.T, ns, addr string) (net.Conn, string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	c, err := linuxnet.DialContext(ctx, ns, "tcp4", addr)
	if err != nil {
		return nil, "", err
	}
	t.Cleanup(func() { c.Close() })
	line, err := read(c)
	return c, line, err
}

func read(c net.Conn) (string, error) {
	c.SetDeadline(time.Now().Add(2 * time.Second))
	buf := make([]byte, 64)
	n, err := c.Read(buf)
	return strings.TrimSpace(string(buf[:n])), err
}

func TestFloatingIPTraffic(t *testing.T) {
	l := newLab(t)
	n, public := l.network(t, "198.18.1.0/24"), l.external(t, "203.0.113.0/24", "")
	pa, pb := l.port(t, n, network.PurposeTenant), l.port(t, n, network.PurposeTenant)
	a, b := l.machine(t, pa), l.machine(t, pb)
	tell(t, a, pa.Address+":80")
	tell(t, b, pb.Address+":80")
	client := l.outside(t, "192.0.2.9/24", "192.0.2.1/24", "192.0.2.1")
	f := l.floating(t, public, pa.ID)
	web := f.Address + ":80"

	var held net.Conn
	whole := t
	t.Run("S12 a client outside reaches the port and keeps its own address", func(t *testing.T) {
		c, from, err := told(whole, client, web)
		if err != nil || from != "192.0.2.9" {
			t.Fatalf("from %q, %v", from, err)
		}
		held = c
		if _, from, err := told(t, "", web); err != nil || from != "198.19.255.253" {
			t.Errorf("from the host: %q, %v", from, err)
		}
		if _, from, err := told(t, client, pa.Address+":80"); err != nil || from != "192.0.2.9" {
			t.Errorf("the port's own address serves on: %q, %v", from, err)
		}
	})
	t.Run("an open connection outlives a new process, a rebuilt rule set and other floating IPs", func(t *testing.T) {
		again, err := bridge.New(l.cfg)
		must(t, err)
		must(t, again.Ensure(ctxFor(t)))
		other := l.floating(t, public, pb.ID)
		defer func() { must(t, l.DeleteFloatingIP(ctxFor(t), other.ID)) }()
		io.WriteString(held, "still\n")
		if line, err := read(held); err != nil || line != "still" {
			t.Errorf("%q, %v", line, err)
		}
		if _, _, err := told(t, client, other.Address+":80"); err != nil {
			t.Error(err)
		}
	})
	t.Run("who has a floating IP goes outside by it, and nobody else goes, nor to the host", func(t *testing.T) {
		tell(t, client, "192.0.2.9:80")
		if _, from, err := told(t, a, "192.0.2.9:80"); err != nil || from != f.Address {
			t.Errorf("from %q, %v", from, err)
		}
		if _, _, err := told(t, b, "192.0.2.9:80"); err == nil {
			t.Error("a machine without a floating IP goes outside")
		}
		serve(t, "", "198.19.255.253:7")
		if err := ask(t, a, "198.19.255.253:7", 400*time.Millisecond); err == nil {
			t.Error("a machine with a floating IP reaches the host")
		}
	})
	t.Run("moved: new connections and the next packets of old ones go the new way", func(t *testing.T) {
		l.move(t, f, pb.ID)
		io.WriteString(held, "lost\n")
		if line, err := read(held); err == nil {
			t.Errorf("the connection to the former port goes on: %q", line)
		}
		if _, from, err := told(t, client, web); err != nil || from != "192.0.2.9" {
			t.Errorf("from %q, %v", from, err)
		}
		if _, _, err := told(t, a, "192.0.2.9:80"); err == nil {
			t.Error("the former port still goes outside")
		}
	})
	t.Run("taken away: nobody answers, and nothing of it stays", func(t *testing.T) {
		l.move(t, f, "")
		if _, _, err := told(t, client, web); err == nil {
			t.Error("answered")
		}
		gw, err := linuxnet.Open(linuxnet.Path(l.cfg.Prefix + "-gateway"))
		must(t, err)
		defer gw.Close()
		on, err := gw.Addresses("lo")
		must(t, err)
		for _, p := range on {
			if p.Addr().Is4() && !p.Addr().IsLoopback() {
				t.Errorf("the gateway still answers for %s", p)
			}
		}
	})
	t.Run("a deleted port takes its translation along, whoever gets the address next", func(t *testing.T) {
		l.move(t, f, pa.ID)
		if _, _, err := told(t, client, web); err != nil {
			t.Fatal(err)
		}
		must(t, l.DeletePort(ctxFor(t), pa.ID))
		next, err := l.EnsurePort(ctxFor(t), network.PortSpec{ID: uuid.NewString(), NetworkID: n.ID, Address: pa.Address, Purpose: network.PurposeTenant})
		must(t, err)
		tell(t, l.machine(t, next), next.Address+":80")
		if _, _, err := told(t, client, web); err == nil {
			t.Error("the floating IP leads to another's port")
		}
	})
}

func TestFloatingIPsOfAnUplinksOwnSegment(t *testing.T) {
	l := newLab(t)
	client := l.outside(t, "203.0.113.9/24", "203.0.113.1/24", "")
	n, public := l.network(t, "198.18.1.0/24"), l.external(t, "203.0.113.0/24", network.NoGateway)
	p := l.port(t, n, network.PurposeTenant)
	tell(t, l.machine(t, p), p.Address+":80")
	f, err := l.EnsureFloatingIP(ctxFor(t), network.FloatingIPSpec{ID: uuid.NewString(), NetworkID: public.ID, Address: "203.0.113.50", PortID: p.ID})
	must(t, err)
	if _, from, err := told(t, client, f.Address+":80"); err != nil || from != "203.0.113.9" {
		t.Errorf("from %q, %v", from, err)
	}
	t.Run("no tenant's subnet lies on the segment", func(t *testing.T) {
		_, err := l.CreateNetwork(ctxFor(t), network.Network{Subnets: []network.Subnet{{CIDR: "203.0.113.128/25"}}})
		if lb.KindOf(err) != lb.KindConflict {
			t.Error(err)
		}
	})
}

func TestFloatingIPRefused(t *testing.T) {
	l := newLab(t)
	n, public := l.network(t, "198.18.1.0/24"), l.external(t, "203.0.113.0/24", "")
	dark, err := l.CreateNetwork(ctxFor(t), network.Network{Subnets: []network.Subnet{{CIDR: "198.18.2.0/24", GatewayIP: network.NoGateway}}})
	must(t, err)
	for name, spec := range map[string]network.FloatingIPSpec{
		"of a network that is not external": {NetworkID: n.ID},
		"for a port without a gateway":      {NetworkID: public.ID, PortID: l.port(t, dark, network.PurposeVIP).ID},
		"for a port of an external network": {NetworkID: public.ID, PortID: l.port(t, public, network.PurposeVIP).ID},
		"with a foreign subnet":             {NetworkID: public.ID, SubnetID: n.Subnets[0].ID},
	} {
		spec.ID = uuid.NewString()
		if _, err := l.EnsureFloatingIP(ctxFor(t), spec); lb.KindOf(err) != lb.KindInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	if all, err := l.FloatingIPs(ctxFor(t)); err != nil || len(all) != 0 {
		t.Errorf("left behind: %v, %v", all, err)
	}
	f := l.floating(t, public, "")
	if err := l.DeletePort(ctxFor(t), f.ID); lb.KindOf(err) != lb.KindConflict {
		t.Errorf("the port of a floating IP is deleted beside it: %v", err)
	}
}

func TestIsolatedNetworks(t *testing.T) {
	l := newLab(t)
	n, err := l.CreateNetwork(ctxFor(t), network.Network{Isolated: true, Subnets: []network.Subnet{{CIDR: "198.18.1.0/24"}}})
	must(t, err)
	p := l.port(t, n, network.PurposeTenant)
	tell(t, l.machine(t, p), p.Address+":80")
	host, err := linuxnet.Open("")
	must(t, err)
	defer host.Close()
	routes, err := host.Routes(0)
	must(t, err)
	for _, r := range routes {
		if r.Destination == netip.MustParsePrefix("198.18.1.0/24") {
			t.Errorf("the host has a route: %+v", r)
		}
	}
	f := l.floating(t, l.external(t, "203.0.113.0/24", ""), p.ID)
	if _, from, err := told(t, "", f.Address+":80"); err != nil || from != "198.19.255.253" {
		t.Errorf("by its floating IP: from %q, %v", from, err)
	}
}

func TestAmphoraPools(t *testing.T) {
	l := newLab(t)
	n, err := l.CreateNetwork(ctxFor(t), network.Network{Subnets: []network.Subnet{
		{CIDR: "198.18.1.0/24", AmphoraPool: []string{"198.18.1.2-198.18.1.3", "198.18.1.8"}},
		{CIDR: "198.18.2.0/24"},
	}})
	must(t, err)
	port := func(subnet int, purpose network.Purpose, pool ...string) (string, error) {
		p, err := l.EnsurePort(ctxFor(t), network.PortSpec{
			ID: uuid.NewString(), NetworkID: n.ID, SubnetID: n.Subnets[subnet].ID, Purpose: purpose, Pool: pool,
		})
		return p.Address, err
	}
	type row struct {
		subnet  int
		purpose network.Purpose
		pool    []string
		want    string
	}
	for _, c := range []row{
		{0, network.PurposeVIP, nil, "198.18.1.4"}, // not from the amphorae's
		{0, network.PurposeFrontEnd, nil, "198.18.1.2"},
		{0, network.PurposeFrontEnd, []string{"198.18.1.64/30"}, "198.18.1.64"}, // the load balancer's goes first
		{0, network.PurposeFrontEnd, []string{"198.18.2.64/30"}, "198.18.1.3"},  // and not where it has nothing
		{1, network.PurposeBackEnd, []string{"198.18.2.64/30"}, "198.18.2.64"},
		{1, network.PurposeBackEnd, []string{"198.18.2.0/31", "198.18.2.9"}, "198.18.2.9"}, // neither network nor gateway address
		{1, network.PurposeTenant, []string{"198.18.2.64/30"}, "198.18.2.2"},
		{0, network.PurposeBackEnd, nil, "198.18.1.8"},
	} {
		got, err := port(c.subnet, c.purpose, c.pool...)
		must(t, err)
		if got != c.want {
			t.Errorf("%+v: got %s", c, got)
		}
	}
	_, err = port(0, network.PurposeFrontEnd)
	if lb.KindOf(err) != lb.KindConflict || !strings.Contains(err.Error(), "198.18.1.2-198.18.1.3") {
		t.Errorf("exhausted: %v", err)
	}
	for _, pool := range []string{"198.18.9.1", "nonsense", "198.18.1.9-198.18.1.2", "2001:db8::/64"} {
		_, err := l.CreateSubnet(ctxFor(t), network.Subnet{NetworkID: n.ID, CIDR: "198.18.3.0/24", AmphoraPool: []string{pool}})
		if lb.KindOf(err) != lb.KindInvalid {
			t.Errorf("pool %s: %v", pool, err)
		}
	}
	changed, err := l.UpdateSubnet(ctxFor(t), n.Subnets[0].ID, func(s *network.Subnet) error {
		s.AmphoraPool, s.CIDR = []string{"198.18.1.128/25"}, "10.0.0.0/8"
		return nil
	})
	must(t, err)
	if diff := cmp.Diff([]string{"198.18.1.128/25"}, changed.AmphoraPool); diff != "" || changed.CIDR != "198.18.1.0/24" {
		t.Errorf("%+v", changed)
	}
	if got, err := port(0, network.PurposeFrontEnd); err != nil || got != "198.18.1.128" {
		t.Errorf("of the changed pool: %s, %v", got, err)
	}
}
