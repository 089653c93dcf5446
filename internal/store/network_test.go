package store_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"colonnade/internal/lb"
	"colonnade/internal/network"
	"colonnade/internal/store"
)

func TestNetworks(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		sub := network.Subnet{ID: "s1", NetworkID: "n1", CIDR: "198.18.0.0/24", GatewayIP: "198.18.0.1", AllocationStart: "198.18.0.2", AllocationEnd: "198.18.0.254"}
		want := network.Network{ID: "n1", Name: "web", ProjectID: "p1", MTU: 1500, CreatedAt: noon, Subnets: []network.Subnet{sub}}
		var seen []network.Subnet
		note := func(existing []network.Subnet) error { seen = existing; return nil }
		ok(t, s.CreateNetwork(ctx, want, note))
		if len(seen) != 0 {
			t.Fatal(seen)
		}
		sub2 := network.Subnet{ID: "s2", NetworkID: "n1", CIDR: "198.18.1.0/24", AllocationStart: "198.18.1.2", AllocationEnd: "198.18.1.254"}
		no := errors.New("no")
		if err := s.CreateSubnet(ctx, sub2, func([]network.Subnet) error { return no }); !errors.Is(err, no) {
			t.Fatal(err)
		}
		ok(t, s.CreateSubnet(ctx, sub2, note))
		if d := cmp.Diff([]network.Subnet{sub}, seen); d != "" {
			t.Fatal(d)
		}
		want.Subnets = append(want.Subnets, sub2)
		got, err := s.Network(ctx, "n1")
		ok(t, err)
		if d := cmp.Diff(want, got); d != "" {
			t.Fatal(d)
		}
		all, err := s.Networks(ctx)
		ok(t, err)
		if d := cmp.Diff([]network.Network{want}, all); d != "" {
			t.Fatal(d)
		}
		wantKind(t, s.CreateNetwork(ctx, want, note), lb.KindConflict)
		sub2.ID, sub2.NetworkID = "s3", "n9"
		wantKind(t, s.CreateSubnet(ctx, sub2, note), lb.KindNotFound)

		p := network.Port{ID: "x1", NetworkID: "n1", MAC: "02:00:00:00:00:01", Purpose: network.PurposeTenant, OwnerID: "o1", ProjectID: "p1"}
		choose := func(taken map[string]bool) (string, string, error) {
			for i := 2; ; i++ {
				if a := fmt.Sprintf("198.18.0.%d", i); !taken[a] {
					return "s1", a, nil
				}
			}
		}
		port, err := s.InsertPort(ctx, p, choose)
		ok(t, err)
		wantPort := p
		wantPort.SubnetID, wantPort.Address, wantPort.CIDR, wantPort.Gateway, wantPort.MTU = "s1", "198.18.0.2", "198.18.0.0/24", "198.18.0.1", 1500
		if d := cmp.Diff(wantPort, port); d != "" {
			t.Fatal(d)
		}
		again, err := s.InsertPort(ctx, network.Port{ID: "x1", NetworkID: "other"}, nil)
		ok(t, err)
		if d := cmp.Diff(wantPort, again); d != "" {
			t.Fatal(d)
		}
		p.ID, p.MAC = "x2", "02:00:00:00:00:02"
		_, err = s.InsertPort(ctx, p, func(map[string]bool) (string, string, error) { return "s1", "198.18.0.2", nil })
		wantKind(t, err, lb.KindConflict)
		errs := make(chan error, 8)
		for i := range 8 {
			go func() {
				_, err := s.InsertPort(ctx, network.Port{ID: fmt.Sprint("y", i), NetworkID: "n1", MAC: fmt.Sprint("02:00:00:00:01:0", i), OwnerID: "o2"}, choose)
				errs <- err
			}()
		}
		for range 8 {
			ok(t, <-errs)
		}
		of, err := s.Ports(ctx, "o2")
		ok(t, err)
		every, err := s.Ports(ctx, "")
		ok(t, err)
		if len(of) != 8 || len(every) != 9 {
			t.Fatal(len(of), len(every))
		}
		wantKind(t, s.DeleteNetwork(ctx, "n1"), lb.KindConflict)
		wantKind(t, s.DeleteSubnet(ctx, "s1"), lb.KindConflict)
		ok(t, s.DeleteSubnet(ctx, "s2"))
		for _, p := range every {
			ok(t, s.DeletePort(ctx, p.ID))
			ok(t, s.DeletePort(ctx, p.ID))
		}
		ok(t, s.DeleteNetwork(ctx, "n1"))
		_, err = s.Network(ctx, "n1")
		wantKind(t, err, lb.KindNotFound)
		_, err = s.Subnet(ctx, "s1")
		wantKind(t, err, lb.KindNotFound)
		_, err = s.Port(ctx, "x1")
		wantKind(t, err, lb.KindNotFound)
		wantKind(t, s.DeleteNetwork(ctx, "n1"), lb.KindNotFound)
	})
}
