package e2e_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"colonnade/internal/api/neutron"
	"colonnade/internal/api/wire"
	"colonnade/internal/stage"
	"colonnade/internal/traffic"
)

// float gives a load balancer's VIP a floating address of a new external network.
func float(t *testing.T, s *stage.Stage, sv *stage.Service) neutron.FloatingIP {
	t.Helper()
	ctx := within(t, 20*time.Second)
	public, err := s.Client().Networks().Create(ctx, wire.NetworkCreate{
		Name: wire.Some("public"), CIDR: wire.Some("203.0.113.0/24"), External: wire.Some(true),
	})
	must(t, err)
	l, err := s.Client().LoadBalancers().Get(ctx, sv.ID)
	must(t, err)
	in := neutron.FloatingIPCreate{FloatingNetworkID: wire.Some(public.ID)}
	in.PortID = wire.Some(l.VIPPortID)
	f, err := s.Client().FloatingIPs().Create(ctx, in)
	must(t, err)
	return f
}

func TestFloatingIP(t *testing.T) {
	const clients = 8
	s := set(t, quick)
	sv, internet := serving(t, s, 0, clients)
	f := float(t, s, sv)
	through := *sv // the same service by its floating address
	through.VIP = netip.MustParseAddr(f.FloatingIPAddress)

	sources := map[string]bool{}
	for _, source := range internet.Sources {
		r := traffic.Get(within(t, 10*time.Second), internet.Dial, source, through.Web())
		if r.Failure != "" {
			t.Fatalf("from %s by %s: %s", source, f.FloatingIPAddress, r.Failure)
		}
		sources[r.Answer.Client] = true
	}
	for _, source := range internet.Sources {
		if !sources[source.String()] {
			t.Errorf("members do not see the client %s: %v", source, sources)
		}
	}
	t.Run("S12 connections by the floating address outlive the loss of an amphora that has none of them, and the control plane", func(t *testing.T) {
		flows := open(t, &through, internet, internet.Sources)
		v, err := sv.View(within(t, 10*time.Second))
		must(t, err)
		victim, ok := v.At(0)
		if !ok {
			t.Fatal("nobody at position 0")
		}
		own := ownedBy(t, v, victim.ID, internet.Sources)
		must(t, s.PowerCut(within(t, 10*time.Second), victim.ID))
		if _, err := sv.WaitWhole(within(t, time.Minute), victim.ID); err != nil {
			t.Fatal(err)
		}
		must(t, s.Kill())
		must(t, s.Start(within(t, time.Minute)))
		for source, end := range flows.finish() {
			if !own[source] && end.Reason != traffic.FlowAlive {
				t.Errorf("flow of %s broke: %s", source, end.Reason)
			}
		}
		for _, source := range internet.Sources {
			if r := traffic.Get(within(t, 10*time.Second), internet.Dial, source, through.Web()); r.Failure != "" {
				t.Errorf("after it all, from %s: %s", source, r.Failure)
			}
		}
	})
	t.Run("S12 taken off, the address leads nowhere, and the VIP serves on", func(t *testing.T) {
		must(t, s.Client().FloatingIPs().Delete(within(t, 10*time.Second), f.ID))
		if r := traffic.Get(within(t, 10*time.Second), internet.Dial, internet.Sources[0], through.Web()); r.Failure == "" {
			t.Error("answered")
		}
		if r := traffic.Get(within(t, 10*time.Second), internet.Dial, internet.Sources[0], sv.Web()); r.Failure != "" {
			t.Errorf("the VIP: %s", r.Failure)
		}
	})
}

func TestAmphoraeTakeAddressesFromTheirPool(t *testing.T) {
	s := set(t, "[cluster]\ndesired_size = 2\nstandby_size = 1\ncooldown = \"0s\"\n")
	ctx := within(t, 2*time.Minute)
	n, err := s.Client().Networks().Create(ctx, wire.NetworkCreate{Name: wire.Some("front"), CIDR: wire.Some("198.18.30.0/24")})
	must(t, err)
	l, err := s.Client().LoadBalancers().Create(ctx, wire.LoadBalancerCreate{
		VIPSubnetID: wire.Some(n.Subnets[0].ID), AmphoraAddressPool: wire.Some([]string{"198.18.30.200-198.18.30.201"}),
	})
	must(t, err)
	eventually(t, "S52 two amphorae have the pool's addresses, the third one says why it has none", func() (bool, string) {
		all, err := s.Client().Amphorae().List(ctx, map[string][]string{"loadbalancer_id": {l.ID}})
		if err != nil {
			return false, err.Error()
		}
		seen, said := map[string]bool{}, ""
		for _, a := range all {
			if a.VRRPIP != nil {
				seen[*a.VRRPIP] = true
			}
			if strings.Contains(a.StatusReason, "address pool 198.18.30.200-198.18.30.201") {
				said = a.StatusReason
			}
		}
		return seen["198.18.30.200"] && seen["198.18.30.201"] && said != "", fmt.Sprintf("%v %q of %d amphorae", seen, said, len(all))
	})
}
