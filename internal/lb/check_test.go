package lb_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"colonnade/internal/lb"
)

func TestCheckNamesWhatIsBroken(t *testing.T) {
	for _, c := range []struct {
		name   string
		damage func(*lb.Tree)
		want   string // after the common beginning
	}{
		{"listener without id", func(t *lb.Tree) { t.Listeners[0].ID = "" }, `listener has no id of its own: ""`},
		{"listener with the load balancer's id", func(t *lb.Tree) { t.Listeners[0].ID = "lb" }, `listener has no id of its own: "lb"`},
		{"pool with a listener's id", func(t *lb.Tree) { t.Pools[1].ID = "li" }, "pool has no id of its own: \"li\"\nmember m3: pool \"un\", {198.18.0.1 80} taken: false"},
		{"member with the id of another pool's", func(t *lb.Tree) { t.Pools[1].Members[0].ID = "m1" }, `member has no id of its own: "m1"`},
		{"monitor with a member's id", func(t *lb.Tree) { t.Pools[0].HealthMonitor.ID = "m2" }, `health monitor has no id of its own: "m2"`},
		{"listener of another load balancer", func(t *lb.Tree) { t.Listeners[0].LoadBalancerID = "x" }, `listener li is of load balancer "x"`},
		{"pool of another load balancer", func(t *lb.Tree) { t.Pools[1].LoadBalancerID = "x" }, `pool un is of load balancer "x"`},
		{"member of another pool", func(t *lb.Tree) { t.Pools[0].Members[0].PoolID = "un" }, `member m1: pool "un", {198.18.0.1 80} taken: false`},
		{"monitor of another pool", func(t *lb.Tree) { t.Pools[0].HealthMonitor.PoolID = "un" }, `health monitor hm is of pool "un"`},
		{"one port twice", func(t *lb.Tree) {
			t.Listeners = append(t.Listeners, lb.Listener{ID: "x", LoadBalancerID: "lb", Protocol: lb.ProtocolHTTPS, ProtocolPort: 80, ProvisioningStatus: lb.Active})
		}, "listener x: port TCP/80 is taken"},
		{"default pool that is not there", func(t *lb.Tree) { t.Listeners[0].DefaultPoolID = "no" }, "listener li: default pool: Pool no not found."},
		{
			"default pool that does not fit", func(t *lb.Tree) { t.Listeners[0].DefaultPoolID = "un" },
			"listener li: default pool un: Validation failure: The pool protocol 'TCP' is invalid while the listener protocol is 'HTTP'.",
		},
		{"one place twice", func(t *lb.Tree) { t.Pools[0].Members[1].Address = "198.18.0.1" }, `member m2: pool "po", {198.18.0.1 80} taken: true`},
		{"server id 0", func(t *lb.Tree) { t.Pools[0].Members[0].ServerID = 0 }, "member m1: server id 0 is not its own of 1…2"},
		{"server id never given", func(t *lb.Tree) { t.Pools[0].Members[0].ServerID = 3 }, "member m1: server id 3 is not its own of 1…2"},
		{"one server id twice", func(t *lb.Tree) { t.Pools[0].Members[1].ServerID = 1 }, "member m2: server id 1 is not its own of 1…2"},
		{"pending listener", func(t *lb.Tree) { t.Listeners[0].ProvisioningStatus = pc }, "load balancer is ACTIVE while a child is pending"},
		{"pending pool", func(t *lb.Tree) { t.Pools[1].ProvisioningStatus = pd }, "load balancer is ACTIVE while a child is pending"},
		{"pending member", func(t *lb.Tree) { t.Pools[1].Members[0].ProvisioningStatus = pu }, "load balancer is ACTIVE while a child is pending"},
		{"pending monitor", func(t *lb.Tree) { t.Pools[0].HealthMonitor.ProvisioningStatus = pu }, "load balancer is ACTIVE while a child is pending"},
	} {
		t.Run(c.name, func(t *testing.T) {
			tree := web(t)
			ok(t, tree.Check())
			c.damage(&tree)
			got := ""
			if err := tree.Check(); err != nil {
				got = err.Error()
			}
			if d := cmp.Diff("load balancer lb: tree is broken: "+c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
	t.Run("a child may be pending or in ERROR while the load balancer is not ACTIVE", func(t *testing.T) {
		tree := web(t)
		tree.LoadBalancer.ProvisioningStatus, tree.Listeners[0].ProvisioningStatus, tree.Pools[1].ProvisioningStatus = pu, pd, lb.Error
		ok(t, tree.Check())
	})
}

// What is being deleted takes no update, also when changes are accepted while others are under way.
func TestUpdatesOfWhatIsBeingDeleted(t *testing.T) {
	for _, c := range []struct {
		name           string
		remove, change func(*lb.Tree) error
		want           string
	}{
		{
			"listener", func(t *lb.Tree) error { return t.DeleteListener("li") },
			func(t *lb.Tree) error { return t.UpdateListener("li", nil) },
			"Listener li is immutable and cannot be updated.",
		},
		{
			"pool", func(t *lb.Tree) error { return t.DeletePool("po") },
			func(t *lb.Tree) error { return t.UpdatePool("po", nil) },
			"Pool po is immutable and cannot be updated.",
		},
		{
			"member", func(t *lb.Tree) error { return t.DeleteMember("po", "m1") },
			func(t *lb.Tree) error { return t.UpdateMember("po", "m1", nil) },
			"Member m1 is immutable and cannot be updated.",
		},
		{
			"member by a batch", func(t *lb.Tree) error { return t.DeleteMember("po", "m1") },
			func(t *lb.Tree) error {
				return t.ReplaceMembers("po", []lb.Member{{ID: "x", Address: "198.18.0.9", ProtocolPort: 80}, {Address: "198.18.0.1", ProtocolPort: 80, Weight: 9}}, false)
			},
			"Member m1 is immutable and cannot be updated.",
		},
		{
			"monitor", func(t *lb.Tree) error { return t.DeleteHealthMonitor("hm") },
			func(t *lb.Tree) error { return t.UpdateHealthMonitor("hm", nil) },
			"Health Monitor hm is immutable and cannot be updated.",
		},
		{
			"default pool of a changed listener", func(t *lb.Tree) error { return t.DeletePool("un") },
			func(t *lb.Tree) error {
				return t.UpdateListener("li", func(l *lb.Listener) error { l.DefaultPoolID = "un"; return nil })
			},
			"Pool un is immutable and cannot be updated.",
		},
		{
			"default pool of a new listener", func(t *lb.Tree) error { return t.DeletePool("un") },
			func(t *lb.Tree) error {
				return t.AddListener(lb.Listener{ID: "x", Protocol: lb.ProtocolTCP, ProtocolPort: 81, DefaultPoolID: "un"})
			},
			"Pool un is immutable and cannot be updated.",
		},
		{
			"listener of a new pool", func(t *lb.Tree) error { return t.DeleteListener("li") },
			func(t *lb.Tree) error { return t.AddPool(lb.Pool{ID: "x", Protocol: lb.ProtocolHTTP}, "li") },
			"Listener li is immutable and cannot be updated.",
		},
		{
			"pool of a new member", func(t *lb.Tree) error { return t.DeletePool("un") },
			func(t *lb.Tree) error {
				return t.AddMember("un", lb.Member{ID: "x", Address: "198.18.0.9", ProtocolPort: 80})
			},
			"Pool un is immutable and cannot be updated.",
		},
		{
			"load balancer", func(t *lb.Tree) error { return t.DeleteLoadBalancer(true) },
			func(t *lb.Tree) error { return t.UpdateLoadBalancer(nil) },
			"Invalid state PENDING_DELETE of loadbalancer resource lb",
		},
		{
			"child of a load balancer", func(t *lb.Tree) error { return t.DeleteLoadBalancer(true) },
			func(t *lb.Tree) error { return t.UpdatePool("po", nil) },
			"Load Balancer lb is immutable and cannot be updated.",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			tree := web(t)
			tree.AcceptPending = true
			ok(t, c.remove(&tree))
			before := tree.Clone()
			err := c.change(&tree)
			if err == nil || err.Error() != c.want || lb.KindOf(err) != lb.KindConflict {
				t.Fatalf("%v (kind %d), want %s", err, lb.KindOf(err), c.want)
			}
			if d := cmp.Diff(before, tree); d != "" {
				t.Error("the tree was changed: " + d)
			}
		})
	}
}

// An update whose change fails, after it wrote, leaves no trace.
func TestFailedUpdatesChangeNothing(t *testing.T) {
	no := errors.New("no")
	for name, change := range map[string]func(*lb.Tree) error{
		"load balancer": func(t *lb.Tree) error {
			return t.UpdateLoadBalancer(func(l *lb.LoadBalancer) error { l.Name = "x"; return no })
		},
		"listener": func(t *lb.Tree) error {
			return t.UpdateListener("li", func(l *lb.Listener) error { l.DefaultPoolID = ""; return no })
		},
		"pool": func(t *lb.Tree) error {
			return t.UpdatePool("po", func(p *lb.Pool) error { p.Members = nil; return no })
		},
		"member": func(t *lb.Tree) error {
			return t.UpdateMember("po", "m1", func(m *lb.Member) error { m.Weight = 9; return no })
		},
		"monitor": func(t *lb.Tree) error {
			return t.UpdateHealthMonitor("hm", func(h *lb.HealthMonitor) error { h.Delay = 9; return no })
		},
	} {
		t.Run(name, func(t *testing.T) {
			tree := web(t)
			before := tree.Clone()
			if err := change(&tree); !errors.Is(err, no) {
				t.Errorf("got %v", err)
			}
			if d := cmp.Diff(before, tree); d != "" {
				t.Error("the tree was changed: " + d)
			}
		})
	}
}

func TestNewTreeRefuses(t *testing.T) {
	member := lb.Member{ID: "m", Address: "198.18.0.1", ProtocolPort: 80}
	for _, c := range []struct {
		name      string
		listeners []lb.Listener
		pools     []lb.Pool
		kind      lb.Kind
		want      string
	}{
		{
			"monitor that does not fit", nil,
			[]lb.Pool{{ID: "po", Protocol: lb.ProtocolHTTP, HealthMonitor: &lb.HealthMonitor{ID: "hm", Type: lb.MonitorUDPConnect}}},
			lb.KindInvalid, "Validation failure: The UDP-CONNECT type is only supported for pools of type UDP/SCTP.",
		},
		{
			"member twice", nil,
			[]lb.Pool{{ID: "po", Protocol: lb.ProtocolHTTP, Members: []lb.Member{member, {ID: "n", Address: "198.18.0.1", ProtocolPort: 80}}}},
			lb.KindConflict, "Another member on this pool is already using ip 198.18.0.1 on protocol_port 80",
		},
		{
			"port twice",
			[]lb.Listener{{ID: "a", Protocol: lb.ProtocolHTTP, ProtocolPort: 80}, {ID: "b", Protocol: lb.ProtocolTCP, ProtocolPort: 80}},
			nil,
			lb.KindConflict, "Another Listener on this Load Balancer is already using protocol HTTP and protocol_port 80",
		},
		{
			"default pool that is not there",
			[]lb.Listener{{ID: "a", Protocol: lb.ProtocolHTTP, ProtocolPort: 80, DefaultPoolID: "no"}},
			nil,
			lb.KindNotFound, "Pool no not found.",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			tree, err := lb.NewTree(lb.LoadBalancer{ID: "lb"}, c.listeners, c.pools)
			if err == nil || err.Error() != c.want || lb.KindOf(err) != c.kind {
				t.Errorf("%v (kind %d), want %s (kind %d)", err, lb.KindOf(err), c.want, c.kind)
			}
			if d := cmp.Diff(lb.Tree{}, tree); d != "" {
				t.Error("half a tree: " + d)
			}
		})
	}
}

func TestAmphoraFailoverTouchesTheLoadBalancerAlone(t *testing.T) {
	tree := web(t)
	want := statuses(tree)
	want["lb"] = pu
	ok(t, tree.RequestAmphoraFailover())
	if d := cmp.Diff(want, statuses(tree)); d != "" {
		t.Error(d)
	}
}

func TestPoolListeners(t *testing.T) {
	tree := web(t)
	for _, l := range []lb.Listener{
		{ID: "l2", Protocol: lb.ProtocolTCP, ProtocolPort: 81, DefaultPoolID: "po"},
		{ID: "l3", Protocol: lb.ProtocolTCP, ProtocolPort: 82},
	} {
		tree.AcceptPending = true
		ok(t, tree.AddListener(l))
	}
	for pool, want := range map[string][]string{"po": {"li", "l2"}, "un": nil, "no": nil, "": nil} {
		if d := cmp.Diff(want, tree.PoolListeners(pool)); d != "" {
			t.Errorf("pool %q: %s", pool, d)
		}
	}
}
