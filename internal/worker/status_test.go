package worker_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"colonnade/internal/amphora"
	"colonnade/internal/health"
	"colonnade/internal/lb"
	"colonnade/internal/worker"
)

// refusing makes agents refuse a document that has the member; which agents, by whose.
func refusing(member string, whose func(id string) bool) func(string, amphora.Desired) error {
	return func(id string, d amphora.Desired) error {
		for _, p := range d.Pools {
			if whose(id) && slices.ContainsFunc(p.Members, func(m amphora.Member) bool { return m.ID == member }) {
				return &amphora.RefusedError{Problems: []amphora.Problem{{ObjectType: "member", ObjectID: member, Reason: "haproxy: no"}}}
			}
		}
		return nil
	}
}

func everybody(string) bool { return true }

func (l *lab) setRefuse(f func(string, amphora.Desired) error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refuse = f
}

func (l *lab) weight(n int) {
	l.t.Helper()
	l.change(func(tree *lb.Tree) error {
		return tree.UpdateMember("pool", "m2", func(m *lb.Member) error { m.Weight = n; return nil })
	})
}

func (l *lab) member(id string) lb.Member {
	l.t.Helper()
	tree, err := l.Tree(l.t.Context(), "lb1")
	if err != nil {
		l.t.Fatal(err)
	}
	m, err := tree.Member("pool", id)
	if err != nil {
		l.t.Fatal(err)
	}
	return *m
}

// settled says whether the load balancer has this status.
func (l *lab) settled(want lb.ProvisioningStatus) func() string {
	return func() string {
		tree, err := l.Tree(l.t.Context(), "lb1")
		if err != nil {
			return err.Error()
		}
		if s := tree.LoadBalancer; s.ProvisioningStatus != want {
			return fmt.Sprintf("load balancer is %s %s", s.ProvisioningStatus, s.StatusReason)
		}
		return ""
	}
}

// TestWhoseFault: whose fault it is decides the status.
func TestWhoseFault(t *testing.T) {
	t.Parallel()
	t.Run("S39 what all refuse on a change is the child's: ERROR with HAProxy's words, parents and load balancer ACTIVE", func(t *testing.T) {
		t.Parallel()
		l := newLab(t)
		l.create(nil)
		l.setRefuse(refusing("m2", everybody))
		l.weight(5)
		l.await(l.whole)
		if m := l.member("m2"); m.ProvisioningStatus != lb.Error || m.StatusReason != "haproxy: no" {
			t.Errorf("member: %s %q", m.ProvisioningStatus, m.StatusReason)
		}
		tree, err := l.Tree(t.Context(), "lb1")
		if err != nil {
			t.Fatal(err)
		}
		if p := tree.Pools[0].ProvisioningStatus; p != lb.Active || tree.Listeners[0].ProvisioningStatus != lb.Active {
			t.Errorf("pool %s, listener %s", p, tree.Listeners[0].ProvisioningStatus)
		}
		t.Run("changed so that it is taken, the child is ACTIVE again", func(t *testing.T) {
			l.setRefuse(nil)
			l.weight(6)
			l.await(l.whole)
			if m := l.member("m2"); m.ProvisioningStatus != lb.Active || m.StatusReason != "" {
				t.Errorf("member: %s %q", m.ProvisioningStatus, m.StatusReason)
			}
		})
	})
	t.Run("S39 what one refuses is that amphora's: the child stays ACTIVE, the amphora is replaced", func(t *testing.T) {
		t.Parallel()
		l := newLab(t)
		l.create(nil)
		stuck := l.holder(1).ID
		l.setRefuse(refusing("m2", func(id string) bool { return id == stuck }))
		l.weight(5)
		l.await(func() string { return l.without(stuck) })
		if m := l.member("m2"); m.ProvisioningStatus != lb.Active {
			t.Errorf("member: %s %q", m.ProvisioningStatus, m.StatusReason)
		}
	})
	t.Run("S39 a hung amphora holds up no change: ACTIVE by the others, and it is replaced", func(t *testing.T) {
		t.Parallel()
		l := newLab(t)
		l.create(nil)
		stuck := l.holder(0).ID
		l.setRefuse(func(id string, _ amphora.Desired) error {
			if id == stuck {
				return errors.New("deadline exceeded")
			}
			return nil
		})
		l.weight(5)
		l.await(l.settled(lb.Active))
		l.await(func() string { return l.without(stuck) })
	})
	t.Run("a port that cannot be plugged into one amphora is that amphora's", func(t *testing.T) {
		t.Parallel()
		l := newLab(t)
		l.create(nil)
		stuck := l.holder(1).ID
		l.mu.Lock()
		l.unpluggable = stuck
		l.mu.Unlock()
		l.weight(5)
		l.await(func() string { return l.without(stuck) })
	})
	t.Run("what all refuse and no child is named for is the load balancer's: ERROR, which takes delete and failover only", func(t *testing.T) {
		t.Parallel()
		l := newLab(t)
		l.create(nil)
		l.setRefuse(func(string, amphora.Desired) error { return &amphora.RefusedError{} })
		l.weight(5)
		l.await(l.settled(lb.Error))
		_, err := l.ChangeTree(t.Context(), "lb1", "ann", func(tree *lb.Tree) error {
			return tree.UpdateMember("pool", "m2", func(m *lb.Member) error { m.Weight = 7; return nil })
		})
		if lb.KindOf(err) != lb.KindConflict {
			t.Errorf("a change in ERROR: %v", err)
		}
		t.Run("the reconciler lifts it by itself", func(t *testing.T) {
			l.setRefuse(nil)
			l.await(l.whole)
			l.await(func() string {
				if m := l.member("m2"); m.ProvisioningStatus != lb.Active {
					return "member is " + string(m.ProvisioningStatus)
				}
				return ""
			})
		})
	})
	t.Run("an ERROR load balancer can be deleted", func(t *testing.T) {
		t.Parallel()
		l := newLab(t)
		l.create(nil)
		l.setRefuse(func(string, amphora.Desired) error { return &amphora.RefusedError{} })
		l.weight(5)
		l.await(l.settled(lb.Error))
		l.change(func(tree *lb.Tree) error { return tree.DeleteLoadBalancer(true) })
		l.await(l.nothing)
	})
	t.Run("S53 an ERROR load balancer can be failed over, and that ends ACTIVE", func(t *testing.T) {
		t.Parallel()
		l := newLab(t)
		l.create(nil)
		l.setRefuse(func(string, amphora.Desired) error { return &amphora.RefusedError{} })
		l.weight(5)
		l.await(l.settled(lb.Error))
		l.setRefuse(nil)
		if err := l.RequestLoadBalancerFailover(t.Context(), "lb1"); err != nil {
			t.Fatal(err)
		}
		l.await(l.whole)
	})
}

// TestDeadline is the end of PENDING_* (T11).
func TestDeadline(t *testing.T) {
	t.Parallel()
	t.Run("nobody applies within a minute: ERROR with the reason, and ACTIVE once they do", func(t *testing.T) {
		t.Parallel()
		l := newLab(t)
		l.create(nil)
		l.setRefuse(func(string, amphora.Desired) error { return errors.New("no answer") })
		l.weight(5)
		l.pass(59 * time.Second)
		l.await(l.settled(lb.PendingUpdate))
		l.pass(2 * time.Second)
		l.await(l.settled(lb.Error))
		tree, err := l.Tree(t.Context(), "lb1")
		if err != nil || !strings.Contains(tree.LoadBalancer.StatusReason, "not done within 1m0s") || !strings.Contains(tree.LoadBalancer.StatusReason, "no answer") {
			t.Errorf("reason %q, %v", tree.LoadBalancer.StatusReason, err)
		}
		l.setRefuse(nil)
		l.await(l.whole)
	})
	t.Run("the build budget is given on top", func(t *testing.T) {
		t.Parallel()
		l := newLab(t)
		l.mu.Lock()
		l.budget = 30 * time.Second // read by roles that run already
		l.mu.Unlock()
		l.create(nil)
		l.setRefuse(func(string, amphora.Desired) error { return errors.New("no answer") })
		l.weight(5)
		l.pass(89 * time.Second)
		l.await(l.settled(lb.PendingUpdate))
		l.pass(2 * time.Second)
		l.await(l.settled(lb.Error))
	})
}

// TestCreated is what is shown before a load balancer has served for the first time.
func TestCreated(t *testing.T) {
	tree := lb.Tree{
		LoadBalancer: lb.LoadBalancer{Enabled: true, ProvisioningStatus: lb.PendingCreate},
		Listeners:    []lb.Listener{{ID: "li", Enabled: true, DefaultPoolID: "p", ProvisioningStatus: lb.PendingCreate}},
		Pools: []lb.Pool{{ID: "p", Enabled: true, Members: []lb.Member{
			{ID: "m1", Enabled: true, OperatingStatus: lb.NoMonitor}, {ID: "m2", Enabled: true, OperatingStatus: lb.Offline},
		}}},
	}
	worker.Operate(&tree, worker.View{Reports: []health.AmphoraReport{{Members: map[string]string{"m1": "UP"}}}})
	got := []lb.OperatingStatus{tree.LoadBalancer.OperatingStatus, tree.Listeners[0].OperatingStatus, tree.Pools[0].OperatingStatus, tree.Pools[0].Members[0].OperatingStatus, tree.Pools[0].Members[1].OperatingStatus}
	if want := []lb.OperatingStatus{lb.Offline, lb.Offline, lb.Offline, lb.NoMonitor, lb.Offline}; !slices.Equal(got, want) {
		t.Errorf("S28 got %v, want %v", got, want)
	}
}

// TestManyAmphorae is the aggregation of members over many amphorae.
func TestManyAmphorae(t *testing.T) {
	cases := []struct {
		name   string
		says   []string // of each amphora; "" does not report it
		cut    bool     // the silent ones' reports were cut
		before lb.OperatingStatus
		want   lb.OperatingStatus
		pool   lb.OperatingStatus
	}{
		{"S32 all of five say UP", []string{"UP", "UP", "UP", "UP", "UP"}, false, lb.Offline, lb.Online, lb.Online},
		{"S32 two of five say DOWN", []string{"UP", "DOWN", "UP", "DOWN", "UP"}, false, lb.Online, lb.Online, lb.Degraded},
		{"S32 three of five say DOWN", []string{"DOWN", "DOWN", "UP", "DOWN", "UP"}, false, lb.Online, lb.OperatingErr, lb.OperatingErr},
		{"S32 half say DOWN", []string{"DOWN", "UP"}, false, lb.Online, lb.OperatingErr, lb.OperatingErr},
		{"S32 on its way up counts as UP", []string{"UP 1/3", "UP"}, false, lb.Offline, lb.Online, lb.Online},
		{"S32 on its way down counts as DOWN", []string{"DOWN 2/3"}, false, lb.Online, lb.OperatingErr, lb.OperatingErr},
		{"S32 whoever does not report it has no voice", []string{"UP", "", ""}, false, lb.Offline, lb.Online, lb.Online},
		{"S32 nobody reports it", []string{"", ""}, false, lb.Online, lb.Offline, lb.Online},
		{"S32 nobody reports it because reports were cut: not known, so not changed", []string{"", ""}, true, lb.Online, lb.Online, lb.Online},
		{"weight 0", []string{"DRAIN", "DRAIN"}, false, lb.Online, lb.Draining, lb.Online},
		{"no check", []string{"no check", "no check"}, false, lb.Offline, lb.NoMonitor, lb.Online},
		{"maintenance", []string{"MAINT"}, false, lb.Online, lb.Offline, lb.Online},
		{"no amphora at all", nil, false, lb.Online, lb.Offline, lb.Online},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			view := worker.View{Cluster: lb.Online, Created: true}
			for _, s := range c.says {
				r := health.AmphoraReport{Listeners: map[string]bool{"li": false}, Members: map[string]string{}, Truncated: c.cut}
				if s != "" {
					r.Members["m"] = s
				}
				view.Reports = append(view.Reports, r)
			}
			tree := lb.Tree{
				LoadBalancer: lb.LoadBalancer{Enabled: true, ProvisioningStatus: lb.Active},
				Listeners:    []lb.Listener{{ID: "li", Enabled: true, DefaultPoolID: "p", ProvisioningStatus: lb.Active}},
				Pools:        []lb.Pool{{ID: "p", Enabled: true, HealthMonitor: &lb.HealthMonitor{Enabled: true}, Members: []lb.Member{{ID: "m", Enabled: true, Weight: 1, OperatingStatus: c.before}}}},
			}
			worker.Operate(&tree, view)
			if got := tree.Pools[0].Members[0].OperatingStatus; got != c.want {
				t.Errorf("member %s, want %s", got, c.want)
			}
			if got := tree.Pools[0].OperatingStatus; got != c.pool {
				t.Errorf("pool %s, want %s", got, c.pool)
			}
		})
	}
}
