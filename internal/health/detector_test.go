package health_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"colonnade/internal/amphora"
	"colonnade/internal/distributor"
	"colonnade/internal/health"
	"colonnade/internal/health/heartbeat"
	"colonnade/internal/lb"
)

var start = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

var subjects = []lb.Subject{
	{ID: "a1", Kind: "amphora", HeartbeatKey: "01", LoadBalancers: []string{"lb1"}},
	{ID: "a2", Kind: "amphora", HeartbeatKey: "02", LoadBalancers: []string{"lb1"}},
	{ID: "d1", Kind: "distributor", HeartbeatKey: "03", LoadBalancers: []string{"lb1", "lb2"}},
}

func beat(id string, seq uint64, change func(*amphora.Status)) heartbeat.Beat {
	st := amphora.Status{AmphoraID: id, HAProxy: "up", Members: map[string]string{"m": "UP"}}
	if change != nil {
		change(&st)
	}
	return heartbeat.Beat{Kind: "amphora", ID: id, BootID: "b", Seq: seq, Amphora: &st}
}

var (
	manager = lb.Wake{Kind: lb.WorkACM, Key: "lb1"}
	worker  = lb.Wake{Kind: lb.WorkWorker, Key: "lb1"}
)

func TestHear(t *testing.T) {
	cases := []struct {
		name   string
		change func(*amphora.Status)
		state  string
		wakes  []lb.Wake
	}{
		{"HAProxy down wakes both", func(s *amphora.Status) { s.HAProxy = "down" }, lb.HealthDown, []lb.Wake{manager, worker}},
		{"S32 a member's state wakes the worker", func(s *amphora.Status) { s.Members = map[string]string{"m": "DOWN"} }, lb.HealthAlive, []lb.Wake{worker}},
		{"a listener at its limit wakes the worker", func(s *amphora.Status) { s.Listeners = []amphora.ListenerStats{{ListenerID: "l", Full: true}} }, lb.HealthAlive, []lb.Wake{worker}},
		{"an applied table wakes the manager", func(s *amphora.Status) { s.TableApplied.Revision = 3 }, lb.HealthAlive, []lb.Wake{manager}},
		{"connections of others wake the manager", func(s *amphora.Status) { s.HeldElsewhere = 3 }, lb.HealthAlive, []lb.Wake{manager}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			v := health.NewView(nil, subjects, start)
			first, ok := v.Hear(beat("a1", 1, nil), start)
			if !ok || first == nil || !cmp.Equal(first.Wakes, []lb.Wake{manager}) {
				t.Fatalf("first heartbeat: %+v", first)
			}
			got, ok := v.Hear(beat("a1", 2, c.change), start.Add(time.Second))
			if !ok || got == nil {
				t.Fatal("the change went unnoticed")
			}
			if d := cmp.Diff(c.wakes, got.Wakes); d != "" || got.Health.State != c.state {
				t.Errorf("state %s, wakes: %s", got.Health.State, d)
			}
			if again, ok := v.Hear(beat("a1", 3, c.change), start.Add(2*time.Second)); !ok || again != nil {
				t.Errorf("the same again is written: %+v", again)
			}
		})
	}
	t.Run("numbers that change all the time are not written", func(t *testing.T) {
		v := health.NewView(nil, subjects, start)
		v.Hear(beat("a1", 1, nil), start)
		if c, _ := v.Hear(beat("a1", 2, func(s *amphora.Status) { s.Connections = 77; s.Reloads = 3 }), start); c != nil {
			t.Errorf("written: %+v", c)
		}
	})
	t.Run("replays and strangers are refused", func(t *testing.T) {
		v := health.NewView(nil, subjects, start)
		v.Hear(beat("a1", 5, nil), start)
		if _, ok := v.Hear(beat("a1", 5, nil), start); ok {
			t.Error("a replay was heard")
		}
		if _, ok := v.Hear(beat("a9", 1, nil), start); ok {
			t.Error("a stranger was heard")
		}
	})
	t.Run("S53 a swap wakes the manager of that load balancer only", func(t *testing.T) {
		v := health.NewView(nil, subjects, start)
		say := func(seq uint64, lbs ...distributor.LBStatus) *health.Change {
			c, _ := v.Hear(heartbeat.Beat{Kind: "distributor", ID: "d1", BootID: "b", Seq: seq, Distributor: &distributor.Status{LoadBalancers: lbs}}, start)
			return c
		}
		say(1, distributor.LBStatus{LBID: "lb1"}, distributor.LBStatus{LBID: "lb2"})
		got := say(2, distributor.LBStatus{LBID: "lb1"}, distributor.LBStatus{LBID: "lb2", Swaps: []distributor.Swap{{Seq: 1}}})
		if got == nil || !cmp.Equal(got.Wakes, []lb.Wake{{Kind: lb.WorkACM, Key: "lb2"}}) {
			t.Errorf("got %+v", got)
		}
	})
}

// during lets the named instances speak each second and looks five times a second; it returns who became silent when.
func during(v *health.View, from time.Time, seconds int, seq uint64, ids ...string) map[string]int {
	silent := map[string]int{}
	for tick := range seconds * 5 {
		now := from.Add(time.Duration(tick) * 200 * time.Millisecond)
		if tick%5 == 0 {
			for _, id := range ids {
				v.Hear(beat(id, seq+uint64(tick), nil), now)
			}
		}
		for _, c := range v.Look(now) {
			silent[c.Health.InstanceID] = tick / 5
		}
	}
	return silent
}

func TestLook(t *testing.T) {
	t.Run("S41 silent after three missed seconds, once", func(t *testing.T) {
		v := health.NewView(nil, subjects, start)
		during(v, start, 2, 1, "a1", "a2")
		got := during(v, start.Add(2*time.Second), 20, 100, "a2")
		if d := cmp.Diff(map[string]int{"a1": 2}, got); d != "" {
			t.Error(d)
		}
	})
	t.Run("never heard is not silent: it boots", func(t *testing.T) {
		v := health.NewView(nil, subjects, start)
		if got := during(v, start, 60, 1, "a2"); len(got) != 0 {
			t.Errorf("silent: %v", got)
		}
	})
	t.Run("heard before this process began, and dead since", func(t *testing.T) {
		v := health.NewView([]lb.InstanceHealth{{InstanceID: "a1", State: lb.HealthAlive}}, subjects, start)
		if got := during(v, start, 10, 1, "a2"); len(got) != 1 {
			t.Errorf("silent: %v", got)
		}
	})
	t.Run("T16 a stall of its own makes nobody silent", func(t *testing.T) {
		v := health.NewView(nil, subjects, start)
		during(v, start, 2, 1, "a1", "a2")
		late := start.Add(32 * time.Second)
		if got := v.Look(late); len(got) != 0 {
			t.Errorf("silent at once: %v", got)
		}
		if got := during(v, late.Add(200*time.Millisecond), 10, 1000, "a1", "a2"); len(got) != 0 {
			t.Errorf("silent later: %v", got)
		}
	})
	t.Run("nobody heard at all: three times as long", func(t *testing.T) {
		v := health.NewView(nil, subjects, start)
		during(v, start, 2, 1, "a1", "a2")
		got := during(v, start.Add(2*time.Second), 20, 100)
		if d := cmp.Diff(map[string]int{"a1": 8, "a2": 8}, got); d != "" {
			t.Error(d)
		}
	})
	t.Run("another health role hears it", func(t *testing.T) {
		v := health.NewView(nil, subjects, start)
		during(v, start, 2, 1, "a1", "a2")
		now := start.Add(2 * time.Second)
		if got := during(v, now, 4, 100, "a2"); len(got) != 1 {
			t.Fatalf("silent: %v", got)
		}
		now = now.Add(4 * time.Second)
		if !v.HeardElsewhere("a1", now.Add(-time.Second), now) {
			t.Error("the other role's word does not count")
		}
		if got := during(v, now, 5, 200, "a2"); len(got) != 0 {
			t.Errorf("silent all the same: %v", got)
		}
	})
}
