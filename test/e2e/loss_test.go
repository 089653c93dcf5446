package e2e_test

import (
	"context"
	"fmt"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"colonnade/internal/api/wire"
	"colonnade/internal/stage"
	"colonnade/internal/traffic"
)

// settle is how long flows are watched after a change.
const settle = 5 * time.Second

// pass lets time pass while flows are watched.
func pass(t *testing.T, d time.Duration) {
	t.Helper()
	<-time.After(d)
}

// viaOf groups flows by the amphora they go through, named by its back-end address.
func viaOf(f *flows) map[netip.Addr][]netip.Addr {
	out := map[netip.Addr][]netip.Addr{}
	for _, flow := range f.all {
		out[flow.Via] = append(out[flow.Via], flow.Source)
	}
	return out
}

// TestOnlyTheVictimsConnectionsBreak kills the amphora at each position in turn.
func TestOnlyTheVictimsConnectionsBreak(t *testing.T) {
	s := set(t, quick)
	sv, internet := serving(t, s, 0, 60)
	for position := range 3 {
		t.Run(fmt.Sprintf("D3 T2 victim at position %d", position), func(t *testing.T) {
			before, err := sv.WaitWhole(within(t, time.Minute), "")
			if err != nil {
				t.Fatal(err)
			}
			victim, ok := before.At(position)
			if !ok {
				t.Fatalf("nobody at position %d", position)
			}
			owned := ownedBy(t, before, victim.ID, internet.Sources)
			f := open(t, sv, internet, internet.Sources)
			if groups := viaOf(f); len(groups) != 3 {
				t.Fatalf("flows go through %d amphorae, want 3", len(groups))
			}
			killed := time.Now()
			if err := s.PowerCut(within(t, 10*time.Second), victim.ID); err != nil {
				t.Fatal(err)
			}
			after, err := sv.WaitWhole(within(t, time.Minute), victim.ID)
			if err != nil {
				t.Fatal(err)
			}
			// Flows opened while the cluster healed and after it live too.
			pass(t, time.Until(killed.Add(settle)))
			for source, end := range f.finish() {
				switch {
				case owned[source] && end.Reason != traffic.FlowReset:
					t.Errorf("victim's flow from %s ended %q after waiting %s, want a reset", source, end.Reason, end.Waited)
				case owned[source] && end.Waited > 2*time.Second:
					t.Errorf("victim's flow from %s was reset after %s", source, end.Waited)
				case !owned[source] && end.Reason != traffic.FlowAlive:
					t.Errorf("flow from %s of another amphora ended %q", source, end.Reason)
				}
			}
			if holder, ok := after.At(position); !ok || !wasStandby(before, holder.ID) {
				t.Errorf("position %d is held by %s, which was not the standby", position, holder.ID)
			}
			for p := range 3 {
				if p == position {
					continue
				}
				b, _ := before.At(p)
				if a, ok := after.At(p); !ok || a.ID != b.ID {
					t.Errorf("position %d moved from %s to %s", p, b.ID, a.ID)
				}
			}
		})
	}
}

func wasStandby(v stage.View, id string) bool {
	for _, a := range v.Amphorae {
		if a.ID == id {
			return a.Role == "IN_CLUSTER_STANDBY"
		}
	}
	return false
}

// TestLossIsNoticedHoweverItHappens: HAProxy, everything in it, its link, an agent that does not come back.
func TestLossIsNoticedHoweverItHappens(t *testing.T) {
	s := set(t, quick)
	sv, internet := serving(t, s, 0, 30)
	ctx := context.Background()
	signal := func(part string, sig syscall.Signal) func(wire.Amphora) error {
		return func(a wire.Amphora) error {
			n, err := s.Signal(ctx, a.ID, part, sig)
			if err == nil && n == 0 {
				err = fmt.Errorf("no process %q in amphora %s", part, a.ID)
			}
			return err
		}
	}
	for i, c := range []struct {
		name string
		hurt func(wire.Amphora) error
	}{
		{"haproxy killed", signal("haproxy", syscall.SIGKILL)},
		{"everything in it killed", signal("", syscall.SIGKILL)},
		{"front-end link cut", func(a wire.Amphora) error { return s.CutLink(*a.VRRPPortID) }},
		{"agent stopped for good", signal("colonnade-agent", syscall.SIGSTOP)},
		{"haproxy hung", signal("haproxy", syscall.SIGSTOP)},
	} {
		t.Run(c.name, func(t *testing.T) {
			before, err := sv.WaitWhole(within(t, time.Minute), "")
			if err != nil {
				t.Fatal(err)
			}
			victim, ok := before.At(i % 3)
			if !ok {
				t.Fatal("position not held")
			}
			if err := c.hurt(victim); err != nil {
				t.Fatal(err)
			}
			after, err := sv.WaitWhole(within(t, time.Minute), victim.ID)
			if err != nil {
				t.Fatal(err)
			}
			if holder, ok := after.At(i % 3); !ok || !wasStandby(before, holder.ID) {
				t.Errorf("the standby does not hold position %d", i%3)
			}
			for _, source := range internet.Sources {
				if r := traffic.Get(within(t, 20*time.Second), internet.Dial, source, sv.Web()); r.Failure != "" {
					t.Errorf("request from %s after healing: %s", source, r.Failure)
				}
			}
			l, err := s.Client().LoadBalancers().Get(within(t, 10*time.Second), sv.ID)
			if err != nil {
				t.Fatal(err)
			}
			if l.ProvisioningStatus != "ACTIVE" {
				t.Errorf("S28 healing set the load balancer to %s", l.ProvisioningStatus)
			}
		})
	}
}

// TestAgentRestartDisturbsNothing kills agents, not what they look after.
func TestAgentRestartDisturbsNothing(t *testing.T) {
	s := set(t, quick)
	sv, internet := serving(t, s, 0, 30)
	before, err := sv.View(within(t, 10*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	f := open(t, sv, internet, internet.Sources)
	victim, _ := before.At(0)
	for _, target := range []struct{ id, part string }{
		{victim.ID, "colonnade-agent amphora"}, {*before.Cluster.DistributorID, "colonnade-agent distributor"},
	} {
		if n, err := s.Signal(within(t, 10*time.Second), target.id, target.part, syscall.SIGKILL); err != nil || n == 0 {
			t.Fatalf("kill %s: %d processes, %v", target.part, n, err)
		}
	}
	pass(t, settle)
	for source, end := range f.finish() {
		if end.Reason != traffic.FlowAlive {
			t.Errorf("flow from %s ended %q", source, end.Reason)
		}
	}
	after, err := sv.WaitWhole(within(t, time.Minute), "")
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range before.Amphorae {
		found := false
		for _, b := range after.Amphorae {
			found = found || a.ID == b.ID
		}
		if !found {
			t.Errorf("amphora %s was replaced", a.ID)
		}
	}
}
