package cluster_test

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"colonnade/internal/cluster"
	"colonnade/internal/lb"
)

func (w *world) holders() []string {
	in, _, _ := cluster.DecodeInstall(w.cluster.Table)
	var ids []string
	for p := range in.Current.Holders {
		ids = append(ids, nameAt(in.Table, p))
	}
	return ids
}

func (w *world) standby() string {
	in, _, _ := cluster.DecodeInstall(w.cluster.Table)
	return in.Holders[in.Standbys[0]].AmphoraID
}

func (w *world) said(action string) bool {
	return slices.ContainsFunc(w.events, func(e lb.Event) bool { return strings.Contains(e.Action, action) })
}

func TestCreate(t *testing.T) {
	t.Run("S37 a new cluster reaches N and a standby", func(t *testing.T) {
		w, _ := built(t)
		if w.cluster.ProvisioningStatus != lb.Active {
			t.Errorf("cluster is %s", w.cluster.ProvisioningStatus)
		}
	})
	t.Run("a second look changes nothing", func(t *testing.T) {
		w, a := built(t)
		before := len(w.events)
		if _, err := w.reconcile(a); err != nil {
			t.Fatal(err)
		}
		if len(w.events) != before {
			t.Errorf("new events: %v", w.events[before:])
		}
	})
}

func TestFailure(t *testing.T) {
	hurts := map[string]func(*machine){
		"everything in it killed": func(m *machine) { m.running = false },
		"HAProxy killed":          func(m *machine) { m.haproxyDown = true },
		"agent hung":              func(m *machine) { m.hung = true },
		"links cut":               func(m *machine) { m.cut = true },
	}
	for name, hurt := range hurts {
		for p := range 3 {
			t.Run("D3 "+name+": the standby takes its position and nothing else moves", func(t *testing.T) {
				w, a := built(t)
				before, standby := w.holders(), w.standby()
				hurt(w.machines[before[p]])
				w.tick()
				if _, err := w.reconcile(a); err != nil {
					t.Log(err)
				}
				want := slices.Clone(before)
				want[p] = standby
				if got := w.holders(); !slices.Equal(got, want) {
					t.Errorf("positions are %v, want %v", got, want)
				}
				w.settle(a, 60)
			})
		}
	}
	t.Run("S7 a dead standby is replaced and no position moves", func(t *testing.T) {
		w, a := built(t)
		before := w.holders()
		w.machines[w.standby()].running = false
		w.settleAfter(a, 4, 60)
		if got := w.holders(); !slices.Equal(got, before) {
			t.Errorf("positions moved from %v to %v", before, got)
		}
	})
	t.Run("D4 all die at once", func(t *testing.T) {
		w, a := built(t)
		for _, m := range w.machines {
			m.running = false
		}
		w.settleAfter(a, 4, 90)
	})
	t.Run("a distributor that does not swap: the manager does", func(t *testing.T) {
		w, a := built(t)
		before, standby := w.holders(), w.standby()
		w.distDown = true // plugged and probing, but not acting
		w.machines[before[1]].running = false
		w.settleAfter(a, 3, 60)
		if got := w.holders(); got[1] != standby {
			t.Errorf("position 1 is held by %s", got[1])
		}
	})
}

// settleAfter lets time pass first, with the manager looking each second.
func (w *world) settleAfter(a *cluster.Actor, seconds, limit int) {
	for range seconds {
		w.tick()
		_, _ = w.reconcile(a)
	}
	w.settle(a, limit)
}

func TestPlannedFailover(t *testing.T) {
	t.Run("of an amphora: the standby takes the position, the former holder drains", func(t *testing.T) {
		w, a := built(t)
		old, standby := w.holders()[1], w.standby()
		w.row(old).FailoverRequestedAt = w.now
		if _, err := w.reconcile(a); err != nil {
			t.Fatal(err)
		}
		if got := w.holders()[1]; got != standby || w.machines[old] == nil || w.row(old).DrainingSince.IsZero() {
			t.Errorf("position 1 is held by %s, want %s; former holder %+v", got, standby, w.row(old))
		}
		w.settle(a, 60)
		if w.machines[old] != nil {
			t.Error("the former holder still exists")
		}
	})
	t.Run("of a standby: replaced before it goes", func(t *testing.T) {
		w, a := built(t)
		old := w.standby()
		w.row(old).FailoverRequestedAt = w.now
		w.settle(a, 60)
		if w.machines[old] != nil {
			t.Error("the old standby still exists")
		}
	})
	t.Run("of the load balancer: everybody is replaced, one after the other", func(t *testing.T) {
		w, a := built(t)
		old := w.ids()
		w.cluster.FailoverRequestedAt = w.now
		w.settle(a, 120)
		for _, id := range old {
			if w.machines[id] != nil {
				t.Errorf("%s still exists", id)
			}
		}
	})
	t.Run("without any standby kept", func(t *testing.T) {
		w := newWorld(t)
		w.cluster.StandbySize = 0
		a := w.actor()
		w.settle(a, 30)
		old := w.holders()[0]
		w.row(old).FailoverRequestedAt = w.now
		w.settleAfter(a, 2, 60)
		if w.machines[old] != nil {
			t.Error("the former holder still exists")
		}
	})
}

func TestSize(t *testing.T) {
	for _, c := range []struct{ from, to int }{{3, 4}, {1, 5}, {4, 3}, {5, 1}} {
		t.Run(fmt.Sprintf("T3 from %d positions to %d", c.from, c.to), func(t *testing.T) {
			w := newWorld(t)
			w.cluster.DesiredSize = c.from
			a := w.actor()
			w.settle(a, 30)
			before := w.holders()
			w.cluster.DesiredSize = c.to
			w.settle(a, 300)
			after := w.holders()
			if n := min(c.from, c.to); !slices.Equal(before[:n], after[:n]) {
				t.Errorf("positions that stay went from %v to %v", before, after)
			}
			for _, id := range before[min(c.to, c.from):] {
				if w.machines[id] != nil {
					t.Errorf("%s gave its position up and still exists", id)
				}
			}
		})
	}
	t.Run("what was given up drains first", func(t *testing.T) {
		w, a := built(t)
		last := w.holders()[2]
		w.cluster.DesiredSize = 2
		if _, err := w.reconcile(a); err != nil {
			t.Fatal(err)
		}
		if m := w.machines[last]; m == nil || w.row(last).DrainingSince.IsZero() || len(w.holders()) != 2 {
			t.Errorf("holders %v, the last one %+v", w.holders(), w.row(last))
		}
		w.settle(a, 60)
	})
	t.Run("S44 the cooldown separates the steps", func(t *testing.T) {
		w, a := built(t)
		w.cluster.DesiredSize, w.cluster.Cooldown = 5, time.Hour
		w.settleAfterOnly(a, 30)
		if n := len(w.holders()); n != 4 {
			t.Errorf("%d positions", n)
		}
	})
}

// settleAfterOnly lets time pass.
func (w *world) settleAfterOnly(a *cluster.Actor, seconds int) {
	for range seconds {
		w.tick()
		_, _ = w.reconcile(a)
	}
}

func TestGuard(t *testing.T) {
	t.Run("E24 more than half of all amphorae silent: nothing is deleted, and it is said", func(t *testing.T) {
		w, a := built(t)
		w.fleet = cluster.Fleet{Clusters: 5, Amphorae: 20, Silent: 12}
		victim := w.holders()[0]
		w.machines[victim].running = false
		for range 20 {
			w.tick()
			_, _ = w.reconcile(a)
		}
		if w.machines[victim] == nil || !w.said("held back") {
			t.Errorf("deleted %v, said %v\n%s", w.machines[victim] == nil, w.said("held back"), w.history())
		}
		w.fleet.Silent = 1
		w.settle(a, 60)
	})
	t.Run("E24 it waits for what is said of the others before it lets one be deleted", func(t *testing.T) {
		w, a := built(t)
		w.fleet = cluster.Fleet{Clusters: 5, Amphorae: 20, Silent: 1} // the first whose death is declared
		victim := w.holders()[0]
		w.machines[victim].running = false
		w.tick()
		_, _ = w.reconcile(a)
		if r := w.row(victim); r == nil || !r.OutOfService || slices.Contains(w.holders(), victim) || len(w.holders()) != 3 {
			t.Fatalf("its position is not covered at once: %v, %+v\n%s", w.holders(), r, w.history())
		}
		w.fleet.Silent = 12 // and then all the others
		for range 20 {
			w.tick()
			_, _ = w.reconcile(a)
		}
		if w.machines[victim] == nil || !w.said("held back") {
			t.Errorf("deleted %v, said %v\n%s", w.machines[victim] == nil, w.said("held back"), w.history())
		}
		w.fleet.Silent = 1
		w.settle(a, 60)
		if w.machines[victim] != nil {
			t.Error("it is left for good")
		}
	})
}

// TestAllDieBeforeThereIsATable kills everybody between the first heartbeat and the first document.
func TestAllDieBeforeThereIsATable(t *testing.T) {
	w := newWorld(t)
	a := w.actor()
	for len(w.ids()) == 0 || w.row(w.ids()[0]).Status != lb.AmphoraReady {
		w.tick()
		if _, err := w.reconcile(a); err != nil {
			t.Fatal(err)
		}
	}
	for _, m := range w.machines {
		m.hung = true
	}
	w.settle(a, 60)
}

func TestDelete(t *testing.T) {
	for crash := range 60 {
		w, a := built(t)
		w.lbRow.ProvisioningStatus = lb.PendingDelete
		w.crashAt, w.crashAfter = crash, crash%2 == 0
		_, _ = w.reconcile(a)
		w.crashAt = 0
		for range 3 {
			if _, err := w.reconcile(a); err != nil {
				t.Fatal(err)
			}
		}
		if len(w.amphorae) != 0 || len(w.machines) != 0 || len(w.ports) != 1 || w.cluster.DistributorID != "" || w.distPlugged {
			t.Fatalf("crash at %d: left %d rows, %d instances, %d ports, distributor %q", crash, len(w.amphorae), len(w.machines), len(w.ports), w.cluster.DistributorID)
		}
	}
}

func TestBootDeadline(t *testing.T) {
	w := newWorld(t)
	w.noBoot = true
	a := w.actor()
	for range 70 {
		_, _ = w.reconcile(a)
		w.tick()
	}
	if !w.said("build failed") {
		t.Error("nobody said that the boots failed")
	}
	w.noBoot = false
	w.settle(a, 150)
}

// TestWorld lets anything go wrong in any order, the control plane being killed at any call, and asks that nothing
// forbidden ever happens (the world checks that) and that the cluster is whole again in the end.
func TestWorld(t *testing.T) {
	if os.Getenv("COLONNADE_LONG") != "" && flag.Lookup("rapid.checks").Value.String() == flag.Lookup("rapid.checks").DefValue {
		if err := flag.Set("rapid.checks", "3000"); err != nil {
			t.Fatal(err)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		a := w.actor()
		chaos := rapid.IntRange(1, 25).Draw(t, "events")
		for range chaos {
			ids := w.ids()
			victim := func() *machine { return w.machines[ids[rapid.IntRange(0, len(ids)-1).Draw(t, "victim")]] }
			kind := rapid.IntRange(0, 14).Draw(t, "event")
			if len(ids) == 0 {
				kind = 14
			}
			switch kind {
			case 0:
				victim().running = false
			case 1:
				victim().haproxyDown = true
			case 2:
				m := victim()
				m.hung = !m.hung
			case 3:
				m := victim()
				m.cut = !m.cut
			case 4:
				w.row(ids[rapid.IntRange(0, len(ids)-1).Draw(t, "replaced")]).FailoverRequestedAt = w.now
			case 5:
				w.cluster.FailoverRequestedAt = w.now
			case 6:
				w.noBoot = !w.noBoot
			case 7:
				w.distDown = !w.distDown
			case 8:
				w.lbRow.Revision++
			case 9: // the worker found one that does not apply
				if id := ids[rapid.IntRange(0, len(ids)-1).Draw(t, "refuses")]; w.row(id).Status == lb.AmphoraAllocated {
					w.row(id).OutOfService = true
				}
			case 10:
				w.fleet = cluster.Fleet{Clusters: 3, Amphorae: 12, Silent: rapid.IntRange(0, 12).Draw(t, "silent")}
			case 11:
				w.distAway = !w.distAway
			case 12:
				w.cluster.DesiredSize = rapid.IntRange(1, 5).Draw(t, "size")
			default:
				w.crashAt = rapid.IntRange(1, 40).Draw(t, "crash at")
				w.crashAfter = rapid.Bool().Draw(t, "after the call")
				_, _ = w.reconcile(a)
				w.crashAt = 0
				a = w.actor() // and started again
			}
			for range rapid.IntRange(0, 6).Draw(t, "seconds") {
				w.tick()
				_, _ = w.reconcile(a)
			}
		}
		w.noBoot, w.distDown, w.distAway, w.fleet = false, false, false, cluster.Fleet{}
		for _, m := range w.machines { // what hangs or was cut may come back or stay
			if rapid.Bool().Draw(t, "comes back") {
				m.hung, m.cut = false, false
			}
		}
		w.settle(a, 300)
	})
}

func TestOperatingOf(t *testing.T) {
	cases := []struct {
		name                   string
		online, desired, least int
		want                   lb.OperatingStatus
	}{
		{"S28 all online", 3, 3, 1, lb.Online},
		{"S28 one is down", 2, 3, 1, lb.Degraded},
		{"S28 exactly the smallest number", 2, 3, 2, lb.Degraded},
		{"S28 fewer than the smallest number", 1, 3, 2, lb.OperatingDown},
		{"S28 none", 0, 3, 1, lb.OperatingDown},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := cluster.OperatingOf(c.online, c.desired, c.least); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestSpec(t *testing.T) {
	s := cluster.DefaultSpec(30 * time.Second)
	if s.BootTime != 90*time.Second {
		t.Errorf("boot time %s", s.BootTime)
	}
}
