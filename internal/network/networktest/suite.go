// Package networktest is the conformance suite of network drivers: what every driver's ports have to do, whatever
// carries the frames. For tests only.
package networktest

import (
	"cmp"
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"testing"

	diff "github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"colonnade/internal/lb"
	"colonnade/internal/network"
	"colonnade/internal/testenv/conformance"
)

// Env is a driver to be tested with an empty tenant network in it that has one IPv4 subnet with a gateway.
type Env struct {
	Driver    network.Driver
	NetworkID string
	SubnetID  string
	// ExternalID is an external network with one IPv4 subnet.
	ExternalID string
	// TenantPort makes a port of the network that a tenant made and nobody uses.
	TenantPort func(ctx context.Context) (network.Port, error)
	// Absent is an id of nothing; "" is a fresh UUID.
	Absent string
	// Outside is an address that is not in the subnet; "" is 203.0.113.9.
	Outside string
}

func (e Env) absent() string { return cmp.Or(e.Absent, uuid.NewString()) }

// Run runs the suite; open is called once a test and cleans up by t.Cleanup.
func Run(t *testing.T, open func(t *testing.T) Env) {
	conformance.Run(t, open, []conformance.Case[Env]{
		{"probe is content", func(t *testing.T, ctx context.Context, e Env) { must(t, e.Driver.Probe(ctx)) }},
		{"looks up", lookUp},
		{"a port is what was asked for", portAsAsked},
		{"a retry finds the same port", retry},
		{"addresses are never given twice", unique},
		{"the management network is had by purpose", management},
		{"a deleted port gives its address back", deleted},
		{"an owner's ports are listed, and nobody else's", listed},
		{"two that ask for one address: one gets it", raced},
		{"two that ask for one port get the same", together},
		{"faults name their kind", faults},
		{"a call whose time is over does nothing", late},
		{"amphorae's addresses come from their pool", pooled},
		{"a tenant's port is claimed, and released", claimed},
		{"S12 a floating IP is what was asked for", floating},
		{"S12 a floating IP goes from port to port", floats},
		{"S12 floating IPs are refused for a reason", floatingFaults},
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantKind(t *testing.T, err error, kind lb.Kind) {
	t.Helper()
	if err == nil || lb.KindOf(err) != kind {
		t.Errorf("error %v of kind %v, want kind %v", err, lb.KindOf(err), kind)
	}
}

func lookUp(t *testing.T, ctx context.Context, e Env) {
	n, err := e.Driver.Network(ctx, e.NetworkID)
	must(t, err)
	s, err := e.Driver.Subnet(ctx, e.SubnetID)
	must(t, err)
	if n.ID != e.NetworkID || n.MTU == 0 || len(n.Subnets) != 1 {
		t.Errorf("network %+v", n)
	}
	if diff := diff.Diff(n.Subnets[0], s); diff != "" {
		t.Errorf("subnet of the network and subnet differ:\n%s", diff)
	}
}

func portAsAsked(t *testing.T, ctx context.Context, e Env) {
	s, err := e.Driver.Subnet(ctx, e.SubnetID)
	must(t, err)
	n, err := e.Driver.Network(ctx, e.NetworkID)
	must(t, err)
	spec := network.PortSpec{
		ID: uuid.NewString(), NetworkID: e.NetworkID, SubnetID: e.SubnetID, Address: s.AllocationEnd,
		Purpose: network.PurposeVIP, OwnerID: "lb-1", ProjectID: "project-1",
	}
	p, err := e.Driver.EnsurePort(ctx, spec)
	must(t, err)
	mac := p.MAC
	want := network.Port{
		ID: spec.ID, NetworkID: e.NetworkID, SubnetID: e.SubnetID, MAC: mac, Address: s.AllocationEnd, CIDR: s.CIDR,
		Gateway: s.GatewayIP, MTU: n.MTU, Purpose: network.PurposeVIP, OwnerID: "lb-1", ProjectID: "project-1",
	}
	if diff := diff.Diff(want, p); diff != "" {
		t.Error(diff)
	}
	if len(mac) != 17 {
		t.Errorf("MAC %q", mac)
	}
	got, err := e.Driver.Port(ctx, spec.ID)
	must(t, err)
	if diff := diff.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func retry(t *testing.T, ctx context.Context, e Env) {
	spec := network.PortSpec{ID: uuid.NewString(), SubnetID: e.SubnetID, NetworkID: e.NetworkID, Purpose: network.PurposeFrontEnd, OwnerID: "a-1"}
	first, err := e.Driver.EnsurePort(ctx, spec)
	must(t, err)
	second, err := e.Driver.EnsurePort(ctx, spec)
	must(t, err)
	if diff := diff.Diff(first, second); diff != "" {
		t.Error(diff)
	}
	ports, err := e.Driver.Ports(ctx, "a-1")
	must(t, err)
	if diff := diff.Diff([]network.Port{first}, ports); diff != "" {
		t.Error(diff)
	}
}

func unique(t *testing.T, ctx context.Context, e Env) {
	s, err := e.Driver.Subnet(ctx, e.SubnetID)
	must(t, err)
	const n = 8
	type result struct {
		p   network.Port
		err error
	}
	results := make(chan result, n)
	for range n {
		go func() {
			p, err := e.Driver.EnsurePort(ctx, network.PortSpec{ID: uuid.NewString(), NetworkID: e.NetworkID, Purpose: network.PurposeTenant})
			results <- result{p, err}
		}()
	}
	addresses, macs := map[string]bool{}, map[string]bool{}
	for range n {
		r := <-results
		must(t, r.err)
		addresses[r.p.Address], macs[r.p.MAC] = true, true
		if a, err := netip.ParseAddr(r.p.Address); err != nil || !netip.MustParsePrefix(s.CIDR).Contains(a) || r.p.Address == s.GatewayIP {
			t.Errorf("address %s in subnet %s with gateway %s", r.p.Address, s.CIDR, s.GatewayIP)
		}
	}
	if len(addresses) != n || len(macs) != n {
		t.Errorf("%d addresses and %d MACs for %d ports", len(addresses), len(macs), n)
	}
}

func management(t *testing.T, ctx context.Context, e Env) {
	p, err := e.Driver.EnsurePort(ctx, network.PortSpec{ID: uuid.NewString(), Purpose: network.PurposeManagement, OwnerID: "a-1"})
	must(t, err)
	if p.NetworkID == e.NetworkID || p.Address == "" || p.CIDR == "" || p.Purpose != network.PurposeManagement {
		t.Errorf("port %+v", p)
	}
}

func deleted(t *testing.T, ctx context.Context, e Env) {
	spec := network.PortSpec{ID: uuid.NewString(), NetworkID: e.NetworkID, SubnetID: e.SubnetID, Purpose: network.PurposeFrontEnd}
	p, err := e.Driver.EnsurePort(ctx, spec)
	must(t, err)
	for range 2 {
		must(t, e.Driver.DeletePort(ctx, p.ID))
	}
	_, err = e.Driver.Port(ctx, p.ID)
	wantKind(t, err, lb.KindNotFound)
	must(t, e.Driver.DeletePort(ctx, uuid.NewString()))
	spec.ID, spec.Address = uuid.NewString(), p.Address
	again, err := e.Driver.EnsurePort(ctx, spec)
	must(t, err)
	if again.Address != p.Address {
		t.Errorf("got %s, want %s", again.Address, p.Address)
	}
}

func listed(t *testing.T, ctx context.Context, e Env) {
	make := func(owner string) network.Port {
		p, err := e.Driver.EnsurePort(ctx, network.PortSpec{ID: uuid.NewString(), NetworkID: e.NetworkID, Purpose: network.PurposeTenant, OwnerID: owner})
		must(t, err)
		return p
	}
	a1, a2, b := make("a"), make("a"), make("b")
	must(t, e.Driver.DeletePort(ctx, a2.ID))
	for _, c := range []struct {
		owner string
		want  []string
	}{{"a", []string{a1.ID}}, {"b", []string{b.ID}}, {"nobody", nil}, {"", []string{a1.ID, b.ID}}} {
		all, err := e.Driver.Ports(ctx, c.owner)
		must(t, err)
		var got []string
		for _, p := range all {
			got = append(got, p.ID)
		}
		slices.Sort(got)
		slices.Sort(c.want)
		if diff := diff.Diff(c.want, got); diff != "" {
			t.Errorf("ports of %q:\n%s", c.owner, diff)
		}
	}
}

// both runs f twice at a time and returns what came of it.
func both(f func() (network.Port, error)) (ports [2]network.Port, errs [2]error) {
	var wg sync.WaitGroup
	for i := range ports {
		wg.Go(func() { ports[i], errs[i] = f() })
	}
	wg.Wait()
	return ports, errs
}

func raced(t *testing.T, ctx context.Context, e Env) {
	s, err := e.Driver.Subnet(ctx, e.SubnetID)
	must(t, err)
	_, errs := both(func() (network.Port, error) {
		return e.Driver.EnsurePort(ctx, network.PortSpec{ID: uuid.NewString(), NetworkID: e.NetworkID, SubnetID: e.SubnetID, Address: s.AllocationEnd, Purpose: network.PurposeVIP})
	})
	lost := cmp.Or(errs[0], errs[1])
	if errs[0] != nil && errs[1] != nil || lb.KindOf(lost) != lb.KindConflict {
		t.Errorf("errors %v", errs)
	}
}

func together(t *testing.T, ctx context.Context, e Env) {
	spec := network.PortSpec{ID: uuid.NewString(), NetworkID: e.NetworkID, Purpose: network.PurposeFrontEnd, OwnerID: "a"}
	ports, errs := both(func() (network.Port, error) { return e.Driver.EnsurePort(ctx, spec) })
	must(t, errors.Join(errs[:]...))
	if diff := diff.Diff(ports[0], ports[1]); diff != "" {
		t.Error(diff)
	}
}

func late(t *testing.T, ctx context.Context, e Env) {
	spec := network.PortSpec{ID: uuid.NewString(), NetworkID: e.NetworkID, Purpose: network.PurposeFrontEnd, OwnerID: "late"}
	kept := spec
	kept.ID = uuid.NewString()
	_, err := e.Driver.EnsurePort(ctx, kept)
	must(t, err)
	over, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := e.Driver.EnsurePort(over, spec); !errors.Is(err, context.Canceled) {
		t.Errorf("EnsurePort: %v", err)
	}
	if err := e.Driver.DeletePort(over, kept.ID); !errors.Is(err, context.Canceled) {
		t.Errorf("DeletePort: %v", err)
	}
	if _, err := e.Driver.Ports(over, ""); !errors.Is(err, context.Canceled) {
		t.Errorf("Ports: %v", err)
	}
	all, err := e.Driver.Ports(ctx, "late")
	must(t, err)
	if len(all) != 1 || all[0].ID != kept.ID {
		t.Errorf("ports %v", all)
	}
}

func faults(t *testing.T, ctx context.Context, e Env) {
	s, err := e.Driver.Subnet(ctx, e.SubnetID)
	must(t, err)
	_, err = e.Driver.Network(ctx, e.absent())
	wantKind(t, err, lb.KindNotFound)
	_, err = e.Driver.Subnet(ctx, e.absent())
	wantKind(t, err, lb.KindNotFound)
	port := func(change func(*network.PortSpec)) error {
		spec := network.PortSpec{ID: uuid.NewString(), NetworkID: e.NetworkID, SubnetID: e.SubnetID, Purpose: network.PurposeFrontEnd}
		change(&spec)
		_, err := e.Driver.EnsurePort(ctx, spec)
		return err
	}
	must(t, port(func(p *network.PortSpec) { p.Address = s.AllocationEnd }))
	for _, c := range []struct {
		name   string
		kind   lb.Kind
		change func(*network.PortSpec)
	}{
		{"address in use", lb.KindConflict, func(p *network.PortSpec) { p.Address = s.AllocationEnd }},
		{"address of the gateway", lb.KindConflict, func(p *network.PortSpec) { p.Address = s.GatewayIP }},
		{"address outside", lb.KindInvalid, func(p *network.PortSpec) { p.Address = cmp.Or(e.Outside, "203.0.113.9") }},
		{"no address", lb.KindInvalid, func(p *network.PortSpec) { p.Address = "localhost" }},
		{"unknown network", lb.KindNotFound, func(p *network.PortSpec) { p.NetworkID = e.absent() }},
	} {
		t.Run(c.name, func(t *testing.T) { wantKind(t, port(c.change), c.kind) })
	}
}
