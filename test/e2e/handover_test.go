package e2e_test

import (
	"net/netip"
	"testing"
	"time"

	"colonnade/internal/distributor"
	"colonnade/internal/stage"
	"colonnade/internal/traffic"
)

// ownedBy says which sources the table gives to an amphora.
func ownedBy(t *testing.T, v stage.View, id string, sources []netip.Addr) map[netip.Addr]bool {
	t.Helper()
	compiled, err := distributor.Compile(v.Table)
	if err != nil {
		t.Fatal(err)
	}
	out := map[netip.Addr]bool{}
	for _, source := range sources {
		if v.Table.Holders[compiled.Owner(compiled.RowOf(source, 0))].AmphoraID == id {
			out[source] = true
		}
	}
	return out
}

// handOver asks for a planned failover of the amphora at position 1 under open flows and returns how they ended, apart
// for the amphora's own. The drain deadline is longer than the flows are watched.
func handOver(t *testing.T, config string, secondChance bool) (own, others []traffic.FlowEnd) {
	t.Helper()
	s := set(t, config)
	sv, internet := serving(t, s, 0, 60)
	before, err := sv.View(within(t, 10*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	leaving, _ := before.At(1)
	owned := ownedBy(t, before, leaving.ID, internet.Sources)
	if len(owned) == 0 {
		t.Fatal("no source lands on position 1")
	}
	f := open(t, sv, internet, internet.Sources)
	if err := s.Client().Amphorae().Failover(within(t, 10*time.Second), leaving.ID); err != nil {
		t.Fatal(err)
	}
	ctx := within(t, time.Minute)
	for {
		v, err := sv.View(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if holder, ok := v.At(1); ok && holder.ID != leaving.ID {
			if !wasStandby(before, holder.ID) {
				t.Errorf("position 1 went to %s, which was no standby", holder.ID)
			}
			break
		}
		pass(t, 20*time.Millisecond)
	}
	// New connections of the sources that move are served, also those that are open at the very moment: that, too, is by
	// second chance.
	for source := range owned {
		if r := traffic.Get(ctx, internet.Dial, source, sv.Web()); r.Failure != "" && secondChance {
			t.Errorf("new connection from %s: %s", source, r.Failure)
		}
	}
	pass(t, settle)
	for source, end := range f.finish() {
		if owned[source] {
			own = append(own, end)
		} else {
			others = append(others, end)
		}
	}
	// With its connections gone the former holder goes too, and the cluster is whole again.
	if _, err := sv.WaitWhole(within(t, time.Minute), leaving.ID); err != nil {
		t.Error(err)
	}
	return own, others
}

func TestPlannedFailoverBreaksNothing(t *testing.T) {
	own, others := handOver(t, quick, true)
	for _, end := range append(own, others...) {
		if end.Reason != traffic.FlowAlive {
			t.Errorf("S36 T4 flow from %s ended %q after %d lines", end.Flow.Source, end.Reason, end.Echoed)
		}
	}
}

// TestWithoutSecondChanceHandOverBreaks is the negative control: it shows that the test above can fail. The former
// holder never learns that its connections are broken, so it goes by the drain deadline.
func TestWithoutSecondChanceHandOverBreaks(t *testing.T) {
	own, others := handOver(t, quick+"second_chance = false\ndrain_timeout = \"10s\"\n", false)
	broken := 0
	for _, end := range own {
		if end.Reason != traffic.FlowAlive {
			broken++
		}
	}
	if broken != len(own) {
		t.Errorf("%d of %d flows of the position broke without second chance, want all", broken, len(own))
	}
	for _, end := range others {
		if end.Reason != traffic.FlowAlive {
			t.Errorf("flow from %s of another position ended %q", end.Flow.Source, end.Reason)
		}
	}
}

func TestLoadBalancerFailoverReplacesEveryAmphora(t *testing.T) {
	s := set(t, quick)
	sv, internet := serving(t, s, 0, 30)
	before, err := sv.View(within(t, 10*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	f := open(t, sv, internet, internet.Sources[:10])
	if err := s.Client().LoadBalancers().Failover(within(t, 10*time.Second), sv.ID); err != nil {
		t.Fatal(err)
	}
	ctx := within(t, 2*time.Minute)
	pass(t, settle)
	for source, end := range f.finish() {
		if end.Reason != traffic.FlowAlive {
			t.Errorf("flow from %s ended %q", source, end.Reason)
		}
	}
	for {
		v, err := sv.View(ctx)
		if err != nil {
			t.Fatal(err)
		}
		old := 0
		for _, a := range v.Amphorae {
			for _, b := range before.Amphorae {
				if a.ID == b.ID {
					old++
				}
			}
		}
		if old == 0 && v.Whole() {
			return
		}
		pass(t, 50*time.Millisecond)
	}
}
