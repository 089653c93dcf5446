package store_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"colonnade/internal/lb"
	"colonnade/internal/network"
	"colonnade/internal/store"
)

// twoNetworks makes an external network x with subnet xs and a tenant's network n with subnet s and two ports, p1 and p2.
func twoNetworks(t *testing.T, s *store.Store) {
	t.Helper()
	free := func([]network.Subnet) error { return nil }
	ok(t, s.CreateNetwork(t.Context(), network.Network{
		ID: "x", Name: "public", MTU: 1500, External: true,
		Subnets: []network.Subnet{{ID: "xs", CIDR: "203.0.113.0/24", AllocationStart: "203.0.113.2", AllocationEnd: "203.0.113.254"}},
	}, free))
	ok(t, s.CreateNetwork(t.Context(), network.Network{
		ID: "n", Name: "web", MTU: 1500,
		Subnets: []network.Subnet{{ID: "s", CIDR: "198.18.0.0/24", AllocationStart: "198.18.0.2", AllocationEnd: "198.18.0.254"}},
	}, free))
	for id, address := range map[string]string{"p1": "198.18.0.2", "p2": "198.18.0.3"} {
		_, err := s.InsertPort(t.Context(), network.Port{ID: id, NetworkID: "n", MAC: id}, at("s", address))
		ok(t, err)
	}
}

func at(subnet, address string) func(map[string]bool) (string, string, error) {
	return func(map[string]bool) (string, string, error) { return subnet, address, nil }
}

func TestFloatingIPs(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		twoNetworks(t, s)
		port := func(id string) network.Port {
			return network.Port{ID: id, NetworkID: "x", MAC: id, Purpose: network.PurposeFloating}
		}
		got, err := s.InsertFloatingIP(ctx, network.FloatingIP{ID: "f1", ProjectID: "p", PortID: "p1"}, port("f1"), at("xs", "203.0.113.2"))
		ok(t, err)
		want := network.FloatingIP{
			ID: "f1", ProjectID: "p", PortID: "p1", NetworkID: "x", SubnetID: "xs", Address: "203.0.113.2", FixedAddress: "198.18.0.2", FixedNetwork: "n",
		}
		timeless := cmpopts.IgnoreFields(network.FloatingIP{}, "CreatedAt", "UpdatedAt")
		if d := cmp.Diff(want, got, timeless); d != "" {
			t.Error(d)
		}
		again, err := s.InsertFloatingIP(ctx, network.FloatingIP{ID: "f1", PortID: "p2"}, port("f1"), at("xs", "203.0.113.9"))
		ok(t, err)
		if d := cmp.Diff(got, again); d != "" {
			t.Errorf("a retry finds another one:\n%s", d)
		}
		_, err = s.InsertFloatingIP(ctx, network.FloatingIP{ID: "f2"}, port("f2"), at("xs", "203.0.113.2"))
		wantKind(t, err, lb.KindConflict)
		_, err = s.InsertFloatingIP(ctx, network.FloatingIP{ID: "f2", PortID: "p1"}, port("f2"), at("xs", "203.0.113.3"))
		wantKind(t, err, lb.KindConflict)
		_, err = s.InsertFloatingIP(ctx, network.FloatingIP{ID: "f2", PortID: "nothing"}, port("f2"), at("xs", "203.0.113.3"))
		wantKind(t, err, lb.KindNotFound)
		if _, err := s.Port(ctx, "f2"); lb.KindOf(err) != lb.KindNotFound {
			t.Errorf("a refused floating IP keeps its address: %v", err)
		}
		_, err = s.InsertFloatingIP(ctx, network.FloatingIP{ID: "f2"}, port("f2"), at("xs", "203.0.113.3"))
		ok(t, err)
		_, err = s.UpdateFloatingIP(ctx, "f2", func(f *network.FloatingIP) error { f.PortID = "p1"; return nil })
		wantKind(t, err, lb.KindConflict)
		no := errors.New("no")
		if _, err := s.UpdateFloatingIP(ctx, "f2", func(f *network.FloatingIP) error { f.PortID = "p2"; return no }); !errors.Is(err, no) {
			t.Error(err)
		}
		moved, err := s.UpdateFloatingIP(ctx, "f2", func(f *network.FloatingIP) error { f.PortID, f.Description = "p2", "two"; return nil })
		ok(t, err)
		if moved.FixedAddress != "198.18.0.3" || moved.Description != "two" {
			t.Errorf("%+v", moved)
		}
		wantKind(t, s.DeleteNetwork(ctx, "x"), lb.KindConflict)
		ok(t, s.DeletePort(ctx, "p2")) // takes the floating IP off
		all, err := s.FloatingIPs(ctx)
		ok(t, err)
		if len(all) != 2 || all[0].ID != "f1" || all[1].PortID != "" || all[1].FixedAddress != "" {
			t.Errorf("%+v", all)
		}
		ok(t, s.DeleteFloatingIP(ctx, "p1")) // a port, but none of a floating IP
		_, err = s.Port(ctx, "p1")
		ok(t, err)
		for range 2 {
			ok(t, s.DeleteFloatingIP(ctx, "f1"))
		}
		ok(t, s.DeleteFloatingIP(ctx, "f2"))
		_, err = s.FloatingIP(ctx, "f1")
		wantKind(t, err, lb.KindNotFound)
		_, err = s.UpdateFloatingIP(ctx, "f1", func(*network.FloatingIP) error { return nil })
		wantKind(t, err, lb.KindNotFound)
		ok(t, s.DeleteNetwork(ctx, "x"))
	})
}

func TestNetworksChange(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		twoNetworks(t, s)
		n, err := s.UpdateNetwork(ctx, "n", func(n *network.Network) error { n.Name, n.Shared, n.ID = "web2", true, "other"; return nil })
		ok(t, err)
		if n.ID != "n" || n.Name != "web2" || !n.Shared || len(n.Subnets) != 1 {
			t.Errorf("%+v", n)
		}
		sub, err := s.UpdateSubnet(ctx, "s", func(sub *network.Subnet, addresses []string) error {
			if len(addresses) != 2 {
				t.Errorf("addresses in use: %v", addresses)
			}
			sub.AmphoraPool, sub.NoDHCP = []string{"198.18.0.64/26"}, true
			return nil
		})
		ok(t, err)
		read, err := s.Subnet(ctx, "s")
		ok(t, err)
		if d := cmp.Diff(sub, read); d != "" || !read.NoDHCP || len(read.AmphoraPool) != 1 {
			t.Errorf("%+v\n%s", read, d)
		}
		p, err := s.UpdatePort(ctx, "p1", func(p *network.Port) error {
			p.Purpose, p.OwnerID, p.TenantMade, p.Address = network.PurposeVIP, "lb", true, "198.18.0.99"
			return nil
		})
		ok(t, err)
		read2, err := s.Port(ctx, "p1")
		ok(t, err)
		if d := cmp.Diff(p, read2); d != "" || p.Address != "198.18.0.2" || p.OwnerID != "lb" || !p.TenantMade {
			t.Errorf("%+v\n%s", read2, d)
		}
		_, err = s.UpdateNetwork(ctx, "z", nil)
		wantKind(t, err, lb.KindNotFound)
		_, err = s.UpdateSubnet(ctx, "z", nil)
		wantKind(t, err, lb.KindNotFound)
		_, err = s.UpdatePort(ctx, "z", nil)
		wantKind(t, err, lb.KindNotFound)
	})
}

func TestSecurityGroups(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		first, err := s.InsertSecurityGroup(ctx, network.SecurityGroup{ID: "g1", ProjectID: "p", Name: "default"})
		ok(t, err)
		again, err := s.InsertSecurityGroup(ctx, network.SecurityGroup{ID: "g1", Name: "other"})
		ok(t, err)
		if d := cmp.Diff(first, again); d != "" {
			t.Error(d)
		}
		changed, err := s.UpdateSecurityGroup(ctx, "g1", func(g *network.SecurityGroup) error { g.Name = "web"; return nil })
		ok(t, err)
		all, err := s.SecurityGroups(ctx)
		ok(t, err)
		if d := cmp.Diff([]network.SecurityGroup{changed}, all); d != "" {
			t.Error(d)
		}
		for range 2 {
			ok(t, s.DeleteSecurityGroup(ctx, "g1"))
		}
		_, err = s.SecurityGroup(ctx, "g1")
		wantKind(t, err, lb.KindNotFound)
		_, err = s.UpdateSecurityGroup(ctx, "g1", nil)
		wantKind(t, err, lb.KindNotFound)
	})
}
