package cluster_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"colonnade/internal/cluster"
	"colonnade/internal/distributor"
	"colonnade/internal/lb"
)

// times counts events with an action about an amphora.
func (w *world) times(action, id string) (n int) {
	for _, e := range w.events {
		if e.Action == action && e.ObjectID == id {
			n++
		}
	}
	return n
}

func TestSwapsAndTheManager(t *testing.T) {
	// together lets the manager give a lost position to a standby, and crash before the distributor hears of it.
	together := func(t *testing.T, then func(w *world, a *cluster.Actor, victim, standby string)) {
		t.Helper()
		reached := 0
		for crash := 1; crash < 40; crash++ {
			w, a := built(t)
			victim, standby := w.holders()[1], w.standby()
			w.distDown = true // it has not noticed yet
			w.machines[victim].running = false
			for range 3 {
				w.tick()
			}
			w.crashAt, w.crashAfter = crash, true
			_, _ = w.reconcile(a)
			w.crashAt = 0
			in, _, _ := cluster.DecodeInstall(w.cluster.Table)
			if w.row(standby).Position != 1 || w.distTable != in.Version-1 {
				continue
			}
			reached++
			then(w, w.actor(), victim, standby)
		}
		if reached == 0 {
			t.Fatal("the moment was never met")
		}
	}
	t.Run("both chose the same standby at the same moment: no step, the position is kept", func(t *testing.T) {
		together(t, func(w *world, a *cluster.Actor, victim, standby string) {
			w.distDown = false
			w.mu.Lock()
			w.swap()
			w.mu.Unlock()
			if len(w.swaps) != 1 || w.swaps[0].StandbyID != standby {
				t.Fatalf("swaps %+v, want one to %s", w.swaps, standby)
			}
			if _, err := w.reconcile(a); err != nil {
				t.Fatal(err)
			}
			if r := w.row(standby); r.Position != 1 || r.OutOfService || !r.DrainingSince.IsZero() || w.times("position taken", standby) != 1 {
				t.Errorf("the standby took it %d times and is now %+v", w.times("position taken", standby), r)
			}
			if n := w.times("amphora out of service", victim); n != 1 {
				t.Errorf("the victim went out of service %d times", n)
			}
			w.settle(a, 60)
			if w.holders()[1] != standby {
				t.Errorf("position 1 is held by %s", w.holders()[1])
			}
		})
	})
	t.Run("a standby that fell out of service while the distributor chose it: another one", func(t *testing.T) {
		w := newWorld(t)
		w.cluster.StandbySize = 2
		a := w.actor()
		w.settle(a, 30)
		victim, standby := w.holders()[1], w.standby()
		w.row(standby).OutOfService = true // the worker did that
		w.machines[victim].running = false
		w.tick()
		if len(w.swaps) != 1 || w.swaps[0].StandbyID != standby {
			t.Fatalf("swaps %+v, want one to %s", w.swaps, standby)
		}
		_, _ = w.reconcile(a)
		if got := w.holders()[1]; got == standby || got == victim || got == "" {
			t.Errorf("position 1 is held by %q", got)
		}
		if r := w.row(standby); r == nil || r.DrainingSince.IsZero() {
			t.Errorf("what it took meanwhile does not drain: %+v", r)
		}
		w.settle(a, 90)
	})
	t.Run("and when the manager has found the holder dead by then: it fills nothing, and what it took drains", func(t *testing.T) {
		reached := 0
		for crash := 1; crash < 40; crash++ {
			w, a := built(t)
			victim, standby := w.holders()[1], w.standby()
			w.row(standby).OutOfService = true // the worker did that
			w.distDown = true                  // it has not noticed yet
			w.machines[victim].running = false
			for range 3 {
				w.tick()
			}
			w.crashAt, w.crashAfter = crash, true
			_, _ = w.reconcile(a)
			w.crashAt, w.distDown = 0, false
			in, _, _ := cluster.DecodeInstall(w.cluster.Table)
			if w.distTable == in.Version || w.row(standby) == nil || w.row(standby).Status != lb.AmphoraAllocated {
				continue
			}
			reached++
			w.mu.Lock()
			w.swap()
			w.mu.Unlock()
			a = w.actor()
			_, _ = w.reconcile(a)
			if r := w.row(standby); len(w.swaps) != 1 || r == nil || r.DrainingSince.IsZero() {
				t.Errorf("swaps %+v: what it took does not drain: %+v\n%s", w.swaps, r, w.history())
			}
			w.settle(a, 90)
		}
		if reached == 0 {
			t.Fatal("the moment was never met")
		}
	})
	t.Run("the distributor swaps while a table is on its way: taken in at once", func(t *testing.T) {
		for crash := 1; crash < 30; crash++ {
			w, a := built(t)
			before := w.holders()
			w.row(before[0]).FailoverRequestedAt = w.now
			w.crashAt, w.crashAfter = crash, true
			_, _ = w.reconcile(a)
			w.crashAt = 0
			a = w.actor()
			w.machines[before[2]].running = false
			w.tick()
			w.settle(a, 120)
		}
	})
}

func TestInstall(t *testing.T) {
	t.Run("the distributor swaps at the moment it is given a table: its swap is taken in", func(t *testing.T) {
		w := newWorld(t)
		w.cluster.StandbySize = 2
		a := w.actor()
		w.settle(a, 30)
		before := w.holders()
		w.row(before[0]).FailoverRequestedAt = w.now
		w.registering = func() {
			w.machines[before[2]].running = false
			w.swap()
		}
		if _, err := w.reconcile(a); err != nil {
			t.Log(err)
		}
		// It chose the standby that the manager gives position 0 in this very table: another one takes position 2.
		got := w.holders()
		if len(w.swaps) != 1 || w.swaps[0].StandbyID != got[0] || got[2] == before[2] || got[2] == got[0] || got[2] == "" {
			t.Errorf("positions %v after swaps %+v", got, w.swaps)
		}
		w.settle(a, 120)
	})
	t.Run("the distributor swaps at the moment the position is given up: what its standby took drains", func(t *testing.T) {
		w, a := built(t)
		leaving, standby := w.holders()[2], w.standby()
		w.cluster.DesiredSize = 2
		w.registering = func() {
			w.machines[leaving].running = false
			w.swap()
		}
		w.now = w.now.Add(time.Minute) // the cooldown is over
		if _, err := w.reconcile(a); err != nil {
			t.Log(err)
		}
		if len(w.swaps) != 1 || w.swaps[0].StandbyID != standby || len(w.holders()) != 2 {
			t.Fatalf("swaps %+v, want one to %s; positions %v", w.swaps, standby, w.holders())
		}
		in, _, _ := cluster.DecodeInstall(w.cluster.Table)
		listed := slices.ContainsFunc(in.Earlier, func(g distributor.Generation) bool {
			return slices.ContainsFunc(g.Holders, func(h int) bool { return h >= 0 && in.Holders[h].AmphoraID == standby })
		})
		if r := w.row(standby); !listed || r.DrainingSince.IsZero() || r.OutOfService {
			t.Errorf("on owner lists: %v; %+v\n%s", listed, r, w.history())
		}
		w.settle(a, 120)
	})
	t.Run("the distributor turns out to know nothing: plugged again in the same run", func(t *testing.T) {
		w, a := built(t)
		w.row(w.holders()[0]).FailoverRequestedAt = w.now
		w.distForgot = true
		if _, err := w.reconcile(a); err != nil {
			t.Fatal(err)
		}
		in, _, _ := cluster.DecodeInstall(w.cluster.Table)
		if !w.distPlugged || w.distTable != in.Version {
			t.Errorf("plugged %v, table %d of %d", w.distPlugged, w.distTable, in.Version)
		}
		w.settle(a, 60)
	})
	t.Run("an instance that cannot be built says why and is thrown away", func(t *testing.T) {
		w := newWorld(t)
		w.broken = "no room"
		a := w.actor()
		if _, err := w.reconcile(a); err == nil || !strings.Contains(err.Error(), "no room") {
			t.Errorf("error %v", err)
		}
		for _, r := range w.amphorae {
			if !strings.Contains(r.StatusReason, "no room") || w.machines[r.ID] != nil {
				t.Errorf("reason %q, instance left: %v", r.StatusReason, w.machines[r.ID] != nil)
			}
		}
		w.broken = ""
		w.settle(a, 30)
	})
}

func TestRefuses(t *testing.T) {
	t.Run("one that lives and does not take tables loses its position and drains", func(t *testing.T) {
		w, a := built(t)
		before := w.holders()
		w.machines[before[1]].refuses = true
		w.row(before[0]).FailoverRequestedAt = w.now // makes a table
		w.settleAfterOnly(a, 12)
		if r := w.row(before[1]); r != nil && r.Position >= 0 {
			t.Errorf("it still holds position %d", r.Position)
		}
		w.settle(a, 120)
		if w.machines[before[1]] != nil {
			t.Error("it still exists")
		}
	})
	t.Run("a standby that does not is replaced", func(t *testing.T) {
		w, a := built(t)
		standby := w.standby()
		w.machines[standby].refuses = true
		w.cluster.FailoverRequestedAt = w.now
		w.settle(a, 200)
		if w.machines[standby] != nil {
			t.Error("it still exists")
		}
	})
}

func TestFullOwnerLists(t *testing.T) {
	w, a := built(t)
	busy := func() {
		for _, m := range w.machines {
			m.held = 1000
		}
	}
	moved := 0
	for range 16 { // hand-overs without anybody draining, until owner lists are full
		holder := w.holders()[0]
		if w.row(holder).FailoverRequestedAt.IsZero() {
			w.row(holder).FailoverRequestedAt = w.now
		}
		busy()
		_, _ = w.reconcile(a)
		if w.holders()[0] != holder {
			moved++
		}
		w.tick()
	}
	t.Run("an elective change waits for room", func(t *testing.T) {
		if moved < 2 || moved > 3 {
			t.Errorf("position 0 moved %d times", moved)
		}
	})
	t.Run("a refused document does not: who stands longest on the lists leaves them", func(t *testing.T) {
		holder := w.holders()[0]
		w.row(holder).OutOfService = true // by the worker
		for range 4 {
			w.tick()
			busy()
			_, _ = w.reconcile(a)
		}
		if got := w.holders()[0]; got == holder || got == "" {
			t.Errorf("position 0 is held by %q", got)
		}
	})
	t.Run("D3 a failure does not", func(t *testing.T) {
		holder := w.holders()[0]
		w.machines[holder].running = false
		for range 6 {
			w.tick()
			busy()
			_, _ = w.reconcile(a)
		}
		if got := w.holders()[0]; got == holder || got == "" {
			t.Errorf("position 0 is held by %q", got)
		}
	})
	for _, m := range w.machines {
		m.held = 0
	}
	w.settle(a, 200)
}

func TestStep(t *testing.T) {
	t.Run("an act about an amphora without a row is refused", func(t *testing.T) {
		_, err := cluster.Apply(&lb.ClusterState{}, cluster.Step{Act: cluster.Act{Name: cluster.ActMarkReady, AmphoraID: "nobody"}}, time.Time{}, 0, cluster.Names{})
		if err == nil {
			t.Error("no error")
		}
	})
	t.Run("an act on reality is no change of rows", func(t *testing.T) {
		s := &lb.ClusterState{Amphorae: []lb.Amphora{{ID: "a"}}}
		if _, err := cluster.Apply(s, cluster.Step{Act: cluster.Act{Name: cluster.ActBuild, AmphoraID: "a"}}, time.Time{}, 0, cluster.Names{}); err == nil {
			t.Error("no error")
		}
	})
	t.Run("a table that cannot be read stops the plan", func(t *testing.T) {
		w, a := built(t)
		w.cluster.Table = "{"
		if _, err := w.reconcile(a); err == nil {
			t.Error("no error")
		}
	})
	t.Run("asking twice gives the same port", func(t *testing.T) {
		if a, b := cluster.PortID("no uuid", "vip"), cluster.PortID("no uuid", "vip"); a != b || slices.Contains([]string{cluster.PortID("another", "vip"), cluster.PortID("no uuid", "management")}, a) {
			t.Errorf("%s, %s", a, b)
		}
	})
}
