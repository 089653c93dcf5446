package networktest

import (
	"context"
	"errors"
	"net/netip"
	"testing"

	diff "github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"colonnade/internal/lb"
	"colonnade/internal/network"
)

func pooled(t *testing.T, ctx context.Context, e Env) {
	s, err := e.Driver.Subnet(ctx, e.SubnetID)
	must(t, err)
	last, err := netip.ParseAddr(s.AllocationEnd)
	must(t, err)
	pool := []string{last.Prev().String() + "-" + last.String()}
	want := map[string]bool{last.Prev().String(): true, last.String(): true}
	port := func(purpose network.Purpose) (network.Port, error) {
		return e.Driver.EnsurePort(ctx, network.PortSpec{
			ID: uuid.NewString(), NetworkID: e.NetworkID, SubnetID: e.SubnetID, Purpose: purpose, Pool: pool,
		})
	}
	for _, purpose := range []network.Purpose{network.PurposeFrontEnd, network.PurposeBackEnd} {
		p, err := port(purpose)
		must(t, err)
		if !want[p.Address] {
			t.Errorf("%s port at %s, want one of %v", purpose, p.Address, want)
		}
		delete(want, p.Address)
	}
	_, err = port(network.PurposeFrontEnd)
	wantKind(t, err, lb.KindConflict)
	if _, err = port(network.PurposeVIP); err != nil {
		t.Errorf("a VIP's port takes from the amphorae's pool: %v", err)
	}
}

func claimed(t *testing.T, ctx context.Context, e Env) {
	p, err := e.TenantPort(ctx)
	must(t, err)
	for range 2 {
		c, err := e.Driver.ClaimPort(ctx, p.ID, "lb-1")
		must(t, err)
		if c.Purpose != network.PurposeVIP || c.OwnerID != "lb-1" || c.Address != p.Address || c.MAC != p.MAC {
			t.Errorf("claimed port %+v of %+v", c, p)
		}
	}
	_, err = e.Driver.ClaimPort(ctx, p.ID, "lb-2")
	wantKind(t, err, lb.KindConflict)
	for range 2 {
		must(t, e.Driver.ReleasePort(ctx, p.ID))
		back, err := e.Driver.Port(ctx, p.ID)
		must(t, err)
		if diff := diff.Diff(p, back); diff != "" {
			t.Fatal(diff)
		}
		if _, err := e.Driver.ClaimPort(ctx, p.ID, "lb-3"); err != nil {
			t.Error(err)
		}
	}
	_, err = e.Driver.ClaimPort(ctx, e.absent(), "lb-1")
	if e.Absent == "" {
		wantKind(t, err, lb.KindNotFound)
	}
	ours, err := e.Driver.EnsurePort(ctx, network.PortSpec{ID: uuid.NewString(), NetworkID: e.NetworkID, Purpose: network.PurposeVIP, OwnerID: "lb-1"})
	must(t, err)
	for range 2 {
		must(t, e.Driver.ReleasePort(ctx, ours.ID))
		_, err = e.Driver.Port(ctx, ours.ID)
		wantKind(t, err, lb.KindNotFound)
	}
}

func (e Env) floatingIPs(t *testing.T) network.FloatingIPs {
	t.Helper()
	f, ok := e.Driver.(network.FloatingIPs)
	if !ok {
		t.Fatalf("%T has no floating IPs", e.Driver)
	}
	return f
}

// vip makes a port that a floating IP can stand for.
func (e Env) vip(t *testing.T, ctx context.Context) network.Port {
	t.Helper()
	p, err := e.Driver.EnsurePort(ctx, network.PortSpec{ID: uuid.NewString(), NetworkID: e.NetworkID, Purpose: network.PurposeVIP, OwnerID: "lb-1"})
	must(t, err)
	return p
}

func floating(t *testing.T, ctx context.Context, e Env) {
	d, p := e.floatingIPs(t), e.vip(t, ctx)
	spec := network.FloatingIPSpec{ID: uuid.NewString(), ProjectID: "project-1", Description: "web", NetworkID: e.ExternalID, PortID: p.ID}
	f, err := d.EnsureFloatingIP(ctx, spec)
	must(t, err)
	want := network.FloatingIP{
		ID: spec.ID, ProjectID: "project-1", Description: "web", PortID: p.ID, CreatedAt: f.CreatedAt, UpdatedAt: f.UpdatedAt,
		NetworkID: e.ExternalID, SubnetID: f.SubnetID, Address: f.Address, FixedAddress: p.Address, FixedNetwork: p.NetworkID,
	}
	if diff := diff.Diff(want, f); diff != "" {
		t.Error(diff)
	}
	outside, err := e.Driver.Network(ctx, e.ExternalID)
	must(t, err)
	if a, err := netip.ParseAddr(f.Address); err != nil || len(outside.Subnets) == 0 || f.SubnetID != outside.Subnets[0].ID ||
		!netip.MustParsePrefix(outside.Subnets[0].CIDR).Contains(a) {
		t.Errorf("address %s of network %+v", f.Address, outside)
	}
	if f.CreatedAt.IsZero() {
		t.Error("no time of creation")
	}
	again, err := d.EnsureFloatingIP(ctx, spec)
	must(t, err)
	read, err := d.FloatingIP(ctx, spec.ID)
	must(t, err)
	all, err := d.FloatingIPs(ctx)
	must(t, err)
	if diff := diff.Diff([]network.FloatingIP{f, f, f}, append(all, again, read)); diff != "" {
		t.Errorf("made, made again, read, listed:\n%s", diff)
	}
}

func floats(t *testing.T, ctx context.Context, e Env) {
	d, one, two := e.floatingIPs(t), e.vip(t, ctx), e.vip(t, ctx)
	f, err := d.EnsureFloatingIP(ctx, network.FloatingIPSpec{ID: uuid.NewString(), NetworkID: e.ExternalID})
	must(t, err)
	for _, to := range []network.Port{one, two, {}, two} {
		moved, err := d.UpdateFloatingIP(ctx, f.ID, func(f *network.FloatingIP) error { f.PortID = to.ID; return nil })
		must(t, err)
		if moved.PortID != to.ID || moved.FixedAddress != to.Address || moved.Address != f.Address {
			t.Errorf("moved to %q at %q: %+v", to.ID, to.Address, moved)
		}
	}
	must(t, e.Driver.DeletePort(ctx, two.ID))
	left, err := d.FloatingIP(ctx, f.ID)
	must(t, err)
	if left.PortID != "" || left.FixedAddress != "" {
		t.Errorf("the port is gone, the floating IP stands for %q at %q", left.PortID, left.FixedAddress)
	}
	for range 2 {
		must(t, d.DeleteFloatingIP(ctx, f.ID))
	}
	_, err = d.FloatingIP(ctx, f.ID)
	wantKind(t, err, lb.KindNotFound)
	again, err := d.EnsureFloatingIP(ctx, network.FloatingIPSpec{ID: uuid.NewString(), NetworkID: e.ExternalID, Address: f.Address})
	must(t, err)
	if again.Address != f.Address {
		t.Errorf("the address was not given back: %s, want %s", again.Address, f.Address)
	}
}

func floatingFaults(t *testing.T, ctx context.Context, e Env) {
	d, p := e.floatingIPs(t), e.vip(t, ctx)
	make := func(change func(*network.FloatingIPSpec)) error {
		spec := network.FloatingIPSpec{ID: uuid.NewString(), NetworkID: e.ExternalID}
		change(&spec)
		_, err := d.EnsureFloatingIP(ctx, spec)
		return err
	}
	taken, err := d.EnsureFloatingIP(ctx, network.FloatingIPSpec{ID: uuid.NewString(), NetworkID: e.ExternalID, PortID: p.ID})
	must(t, err)
	front, err := e.Driver.EnsurePort(ctx, network.PortSpec{ID: uuid.NewString(), NetworkID: e.NetworkID, Purpose: network.PurposeFrontEnd})
	must(t, err)
	for _, c := range []struct {
		name   string
		kind   lb.Kind
		change func(*network.FloatingIPSpec)
	}{
		{"unknown network", lb.KindNotFound, func(f *network.FloatingIPSpec) { f.NetworkID = e.absent() }},
		{"unknown port", lb.KindNotFound, func(f *network.FloatingIPSpec) { f.PortID = e.absent() }},
		{"a port that has one", lb.KindConflict, func(f *network.FloatingIPSpec) { f.PortID = p.ID }},
		{"an amphora's port", lb.KindInvalid, func(f *network.FloatingIPSpec) { f.PortID = front.ID }},
		{"address in use", lb.KindConflict, func(f *network.FloatingIPSpec) { f.Address = taken.Address }},
		{"no address", lb.KindInvalid, func(f *network.FloatingIPSpec) { f.Address = "localhost" }},
		{"an IPv6 address", lb.KindInvalid, func(f *network.FloatingIPSpec) { f.Address = "2001:db8::9" }},
	} {
		t.Run(c.name, func(t *testing.T) { wantKind(t, make(c.change), c.kind) })
	}
	other, err := d.EnsureFloatingIP(ctx, network.FloatingIPSpec{ID: uuid.NewString(), NetworkID: e.ExternalID})
	must(t, err)
	_, err = d.UpdateFloatingIP(ctx, other.ID, func(f *network.FloatingIP) error { f.PortID = p.ID; return nil })
	wantKind(t, err, lb.KindConflict)
	no := errors.New("no")
	if _, err = d.UpdateFloatingIP(ctx, taken.ID, func(f *network.FloatingIP) error { f.PortID = ""; return no }); !errors.Is(err, no) {
		t.Error(err)
	}
	all, err := d.FloatingIPs(ctx)
	must(t, err)
	if len(all) != 2 || all[0].PortID != p.ID || all[1].PortID != "" {
		t.Errorf("after what was refused: %+v", all)
	}
}
