package e2e_test

import (
	"net/netip"
	"testing"
	"time"

	"colonnade/internal/api/wire"
	"colonnade/internal/stage"
	"colonnade/internal/traffic"
)

// TestFlavors makes load balancers of every kind that a flavor can ask for, and sees them serve.
func TestFlavors(t *testing.T) {
	s := set(t, quick)
	ctx := within(t, 3*time.Minute)
	plain, internet := serving(t, s, 0, 8)
	distributor := clusterOf(t, plain).DistributorID
	flavored := func(name, data string) *stage.Service {
		t.Helper()
		p, err := s.Client().FlavorProfiles().Create(ctx, wire.FlavorProfileCreate{
			Name: wire.Some(name), ProviderName: wire.Some("amphora"), FlavorData: wire.Some(data),
		})
		if err != nil {
			t.Fatal(err)
		}
		f, err := s.Client().Flavors().Create(ctx, wire.FlavorCreate{Name: wire.Some(name), FlavorProfileID: wire.Some(p.ID)})
		if err != nil {
			t.Fatal(err)
		}
		sv := *plain
		sv.Flavor = f.ID
		if err := sv.Create(ctx, name); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Client().WaitSettled(ctx, sv.ID, nil); err != nil {
			t.Fatal(err)
		}
		if _, err := sv.WaitWhole(ctx, ""); err != nil {
			t.Fatal(err)
		}
		return &sv
	}
	t.Run("S1 S2 SINGLE: one amphora, rebuilt when it dies", func(t *testing.T) {
		sv := flavored("single", `{"loadbalancer_topology":"SINGLE"}`)
		via(t, internet, sv, internet.Sources[:2])
		v, err := sv.View(ctx)
		if err != nil || len(v.Amphorae) != 1 {
			t.Fatalf("%d amphorae, %v", len(v.Amphorae), err)
		}
		dead := v.Amphorae[0].ID
		if err := s.PowerCut(ctx, dead); err != nil {
			t.Fatal(err)
		}
		if _, err := sv.WaitWhole(ctx, dead); err != nil {
			t.Fatal(err)
		}
		if _, err := sv.FirstAnswer(ctx, internet); err != nil {
			t.Fatal(err)
		}
		if again := clusterOf(t, sv).DistributorID; *again != *distributor {
			t.Error("a project's load balancers have two distributors")
		}
	})
	t.Run("S1 S2 ACTIVE_STANDBY: the standby takes over", func(t *testing.T) {
		sv := flavored("pair", `{"loadbalancer_topology":"ACTIVE_STANDBY"}`)
		v, err := sv.View(ctx)
		if err != nil || len(v.Amphorae) != 2 {
			t.Fatalf("%d amphorae, %v", len(v.Amphorae), err)
		}
		for _, a := range v.Amphorae {
			if a.Position == nil {
				continue
			}
			if err := s.PowerCut(ctx, a.ID); err != nil {
				t.Fatal(err)
			}
			if _, err := sv.FirstAnswer(ctx, internet); err != nil {
				t.Fatal(err)
			}
			if _, err := sv.WaitWhole(ctx, a.ID); err != nil {
				t.Fatal(err)
			}
		}
	})
	t.Run("S69 D1 D8 sizes, affinity and a distributor of its own", func(t *testing.T) {
		sv := flavored("gold", `{"cluster_size":4,"cluster_min_size":2,"distributor_affinity":"source_ip_port","distributor_sharing":"dedicated"}`)
		c := clusterOf(t, sv)
		if c.DesiredSize != 4 || c.MinSize != 2 || *c.DistributorID == *distributor {
			t.Errorf("%+v", c)
		}
		amphorae := map[netip.Addr]bool{}
		for range 40 { // connections of one source
			r := traffic.Get(within(t, 20*time.Second), internet.Dial, internet.Sources[0], sv.Web())
			if r.Failure != "" {
				t.Fatal(r.Failure)
			}
			peer, err := netip.ParseAddrPort(r.Answer.Peer)
			if err != nil {
				t.Fatal(err)
			}
			amphorae[peer.Addr()] = true
		}
		if len(amphorae) < 2 {
			t.Error("40 connections of one source went to one amphora")
		}
	})
}

func clusterOf(t *testing.T, sv *stage.Service) wire.Cluster {
	t.Helper()
	v, err := sv.View(within(t, 10*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	return v.Cluster
}
