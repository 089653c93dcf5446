package lb_test

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"colonnade/internal/lb"
)

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// web is an ACTIVE load balancer: listener li (HTTP, 80) with pool po (members m1, m2, monitor hm) and an unused pool un.
func web(t *testing.T) lb.Tree {
	t.Helper()
	tree, err := lb.NewTree(lb.LoadBalancer{ID: "lb", ProjectID: "p"},
		[]lb.Listener{{ID: "li", Protocol: lb.ProtocolHTTP, ProtocolPort: 80, DefaultPoolID: "po"}},
		[]lb.Pool{
			{
				ID: "po", Protocol: lb.ProtocolHTTP, HealthMonitor: &lb.HealthMonitor{ID: "hm", Type: lb.MonitorHTTP, Enabled: true},
				Members: []lb.Member{{ID: "m1", Address: "198.18.0.1", ProtocolPort: 80}, {ID: "m2", Address: "198.18.0.2", ProtocolPort: 80}},
			},
			{ID: "un", Protocol: lb.ProtocolTCP, Members: []lb.Member{{ID: "m3", Address: "198.18.0.1", ProtocolPort: 80}}},
		})
	ok(t, err)
	if got := statuses(tree); got["lb"] != lb.PendingCreate || got["m1"] != lb.PendingCreate {
		t.Fatal(got)
	}
	tree.Settle(lb.Settlement{Revision: 1})
	return tree
}

// statuses are the provisioning statuses by id.
func statuses(t lb.Tree) map[string]lb.ProvisioningStatus {
	s := map[string]lb.ProvisioningStatus{t.LoadBalancer.ID: t.LoadBalancer.ProvisioningStatus}
	for _, l := range t.Listeners {
		s[l.ID] = l.ProvisioningStatus
		for _, p := range l.L7Policies {
			s[p.ID] = p.ProvisioningStatus
			for _, r := range p.Rules {
				s[r.ID] = r.ProvisioningStatus
			}
		}
	}
	for _, p := range t.Pools {
		s[p.ID] = p.ProvisioningStatus
		for _, m := range p.Members {
			s[m.ID] = m.ProvisioningStatus
		}
		if p.HealthMonitor != nil {
			s[p.HealthMonitor.ID] = p.HealthMonitor.ProvisioningStatus
		}
	}
	return s
}

const (
	pc = lb.PendingCreate
	pu = lb.PendingUpdate
	pd = lb.PendingDelete
)

func TestChangesSetTheChainOfPendingStatuses(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*lb.Tree) error
		want   map[string]lb.ProvisioningStatus // everything else stays ACTIVE
	}{
		{"update load balancer", func(t *lb.Tree) error { return t.UpdateLoadBalancer(func(*lb.LoadBalancer) error { return nil }) }, map[string]lb.ProvisioningStatus{"lb": pu}},
		{"cascade delete leaves children alone", func(t *lb.Tree) error { return t.DeleteLoadBalancer(true) }, map[string]lb.ProvisioningStatus{"lb": pd}},
		{"failover", (*lb.Tree).RequestFailover, map[string]lb.ProvisioningStatus{"lb": pu}},
		{
			"add listener", func(t *lb.Tree) error {
				return t.AddListener(lb.Listener{ID: "x", Protocol: lb.ProtocolTCP, ProtocolPort: 81, DefaultPoolID: "un"})
			},
			map[string]lb.ProvisioningStatus{"lb": pu, "x": pc},
		},
		{"update listener", func(t *lb.Tree) error { return t.UpdateListener("li", func(*lb.Listener) error { return nil }) }, map[string]lb.ProvisioningStatus{"lb": pu, "li": pu}},
		{"delete listener", func(t *lb.Tree) error { return t.DeleteListener("li") }, map[string]lb.ProvisioningStatus{"lb": pu, "li": pd}},
		{"add pool", func(t *lb.Tree) error { return t.AddPool(lb.Pool{ID: "x", Protocol: lb.ProtocolTCP}, "") }, map[string]lb.ProvisioningStatus{"lb": pu, "x": pc}},
		{"update pool", func(t *lb.Tree) error { return t.UpdatePool("po", func(*lb.Pool) error { return nil }) }, map[string]lb.ProvisioningStatus{"lb": pu, "li": pu, "po": pu}},
		{"delete pool", func(t *lb.Tree) error { return t.DeletePool("po") }, map[string]lb.ProvisioningStatus{"lb": pu, "li": pu, "po": pd}},
		{
			"add member", func(t *lb.Tree) error {
				return t.AddMember("po", lb.Member{ID: "x", Address: "198.18.0.9", ProtocolPort: 80})
			},
			map[string]lb.ProvisioningStatus{"lb": pu, "li": pu, "po": pu, "x": pc},
		},
		{"update member", func(t *lb.Tree) error { return t.UpdateMember("po", "m1", func(*lb.Member) error { return nil }) }, map[string]lb.ProvisioningStatus{"lb": pu, "li": pu, "po": pu, "m1": pu}},
		{"delete member", func(t *lb.Tree) error { return t.DeleteMember("po", "m1") }, map[string]lb.ProvisioningStatus{"lb": pu, "li": pu, "po": pu, "m1": pd}},
		{
			"batch", func(t *lb.Tree) error {
				return t.ReplaceMembers("po", []lb.Member{{ID: "x", Address: "198.18.0.9", ProtocolPort: 80}, {Address: "198.18.0.2", ProtocolPort: 80, Weight: 7}}, false)
			},
			map[string]lb.ProvisioningStatus{"lb": pu, "li": pu, "po": pu, "m1": pd, "m2": pu, "x": pc},
		},
		{
			"additive batch", func(t *lb.Tree) error {
				return t.ReplaceMembers("po", []lb.Member{{ID: "x", Address: "198.18.0.9", ProtocolPort: 80}}, true)
			},
			map[string]lb.ProvisioningStatus{"lb": pu, "li": pu, "po": pu, "x": pc},
		},
		{
			"batch of what is there", func(t *lb.Tree) error {
				return t.ReplaceMembers("po", []lb.Member{{Address: "198.18.0.1", ProtocolPort: 80, Tags: []string{}}, {Address: "198.18.0.2", ProtocolPort: 80}}, false)
			},
			map[string]lb.ProvisioningStatus{"lb": pu, "li": pu, "po": pu, "m1": pu, "m2": pu},
		},
		{"batch of nothing", func(t *lb.Tree) error { return t.ReplaceMembers("po", nil, true) }, nil},
		{
			"add monitor", func(t *lb.Tree) error {
				return t.AddHealthMonitor(lb.HealthMonitor{ID: "x", PoolID: "un", Type: lb.MonitorTCP})
			},
			map[string]lb.ProvisioningStatus{"lb": pu, "un": pu, "x": pc},
		},
		{"update monitor", func(t *lb.Tree) error {
			return t.UpdateHealthMonitor("hm", func(*lb.HealthMonitor) error { return nil })
		}, map[string]lb.ProvisioningStatus{"lb": pu, "li": pu, "po": pu, "hm": pu}},
		{"delete monitor", func(t *lb.Tree) error { return t.DeleteHealthMonitor("hm") }, map[string]lb.ProvisioningStatus{"lb": pu, "li": pu, "po": pu, "hm": pd}},
	} {
		t.Run(c.name, func(t *testing.T) {
			tree := web(t)
			want := statuses(tree)
			maps.Copy(want, c.want)
			ok(t, c.change(&tree))
			if d := cmp.Diff(want, statuses(tree)); d != "" {
				t.Fatal(d)
			}
			ok(t, tree.Check())
		})
	}
}

func TestRefusals(t *testing.T) {
	busy := func(t *lb.Tree) { t.LoadBalancer.ProvisioningStatus = lb.PendingUpdate }
	broken := func(t *lb.Tree) { t.LoadBalancer.ProvisioningStatus = lb.Error }
	for _, c := range []struct {
		name   string
		before func(*lb.Tree)
		change func(*lb.Tree) error
		kind   lb.Kind
		text   string
	}{
		{"delete with children", nil, func(t *lb.Tree) error { return t.DeleteLoadBalancer(false) }, lb.KindInvalid, "Validation failure: Cannot delete Load Balancer lb - it has children"},
		{"delete while busy", busy, func(t *lb.Tree) error { return t.DeleteLoadBalancer(true) }, lb.KindConflict, "Invalid state PENDING_UPDATE of loadbalancer resource lb"},
		{"update in ERROR", broken, func(t *lb.Tree) error { return t.UpdateLoadBalancer(nil) }, lb.KindConflict, "Invalid state ERROR of loadbalancer resource lb"},
		{"failover of an amphora in ERROR", broken, (*lb.Tree).RequestAmphoraFailover, lb.KindConflict, "Invalid state ERROR of loadbalancer resource lb"},
		{"child while busy", busy, func(t *lb.Tree) error { return t.DeleteMember("po", "m1") }, lb.KindConflict, "Load Balancer lb is immutable and cannot be updated."},
		{"child in ERROR", broken, func(t *lb.Tree) error { return t.DeleteListener("li") }, lb.KindConflict, "Load Balancer lb is immutable and cannot be updated."},
		{"member of a pool in ERROR", func(t *lb.Tree) { t.Pools[0].ProvisioningStatus = lb.Error }, func(t *lb.Tree) error { return t.DeleteMember("po", "m1") }, lb.KindConflict, "Pool po is immutable and cannot be updated."},
		{"same port", nil, func(t *lb.Tree) error {
			return t.AddListener(lb.Listener{ID: "x", Protocol: lb.ProtocolTCP, ProtocolPort: 80})
		}, lb.KindConflict, "Another Listener on this Load Balancer is already using protocol HTTP and protocol_port 80"},
		{"pool of another load balancer", nil, func(t *lb.Tree) error {
			return t.AddListener(lb.Listener{ID: "x", Protocol: lb.ProtocolTCP, ProtocolPort: 81, DefaultPoolID: "no"})
		}, lb.KindNotFound, "Pool no not found."},
		{"pool that does not fit", nil, func(t *lb.Tree) error {
			return t.UpdateListener("li", func(l *lb.Listener) error { l.DefaultPoolID = "un"; return nil })
		}, lb.KindInvalid, "Validation failure: The pool protocol 'TCP' is invalid while the listener protocol is 'HTTP'."},
		{"pool for PROMETHEUS", nil, func(t *lb.Tree) error {
			return t.AddListener(lb.Listener{ID: "x", Protocol: lb.ProtocolPrometheus, ProtocolPort: 81, DefaultPoolID: "po"})
		}, lb.KindInvalid, "Protocol PROMETHEUS listeners cannot have child objects."},
		{"second default pool", nil, func(t *lb.Tree) error {
			return t.AddPool(lb.Pool{ID: "x", Protocol: lb.ProtocolHTTP}, "li")
		}, lb.KindConflict, "Listener li already has a default pool"},
		{"default pool of a listener that is not there", nil, func(t *lb.Tree) error {
			return t.AddPool(lb.Pool{ID: "x", Protocol: lb.ProtocolHTTP}, "no")
		}, lb.KindNotFound, "Listener no not found."},
		{"same member", nil, func(t *lb.Tree) error {
			return t.AddMember("po", lb.Member{ID: "x", Address: "198.18.0.1", ProtocolPort: 80})
		}, lb.KindConflict, "Another member on this pool is already using ip 198.18.0.1 on protocol_port 80"},
		{"member of another pool", nil, func(t *lb.Tree) error { return t.DeleteMember("po", "m3") }, lb.KindNotFound, "Member m3 not found."},
		{"two alike in a batch", nil, func(t *lb.Tree) error {
			return t.ReplaceMembers("po", []lb.Member{{ID: "x", Address: "::1", ProtocolPort: 1}, {ID: "y", Address: "::1", ProtocolPort: 1}}, true)
		}, lb.KindConflict, "Another member on this pool is already using ip ::1 on protocol_port 1"},
		{"one twice in a batch", nil, func(t *lb.Tree) error {
			return t.ReplaceMembers("po", []lb.Member{{Address: "198.18.0.1", ProtocolPort: 80, Weight: 9}, {Address: "198.18.0.1", ProtocolPort: 80}}, true)
		}, lb.KindInvalid, "Validation failure: Member 198.18.0.1:80 is given more than once"},
		{"second monitor", nil, func(t *lb.Tree) error {
			return t.AddHealthMonitor(lb.HealthMonitor{ID: "x", PoolID: "po", Type: lb.MonitorTCP})
		}, lb.KindConflict, "This pool already has a health monitor"},
		{"monitor of no pool", nil, func(t *lb.Tree) error {
			return t.AddHealthMonitor(lb.HealthMonitor{ID: "x", PoolID: "no"})
		}, lb.KindNotFound, "Pool no not found."},
		{"monitor that is not there", nil, func(t *lb.Tree) error { return t.DeleteHealthMonitor("no") }, lb.KindNotFound, "Health Monitor no not found."},
	} {
		t.Run(c.name, func(t *testing.T) {
			tree := web(t)
			if c.before != nil {
				c.before(&tree)
			}
			before := tree.Clone()
			err := c.change(&tree)
			if lb.KindOf(err) != c.kind || err == nil || err.Error() != c.text {
				t.Fatalf("%v (kind %d), want %s (kind %d)", err, lb.KindOf(err), c.text, c.kind)
			}
			if d := cmp.Diff(before, tree); d != "" {
				t.Fatal("the tree was changed: " + d)
			}
		})
	}
	t.Run("UDP may use the number of a TCP port", func(t *testing.T) {
		tree := web(t)
		ok(t, tree.AddListener(lb.Listener{ID: "x", Protocol: lb.ProtocolUDP, ProtocolPort: 80}))
	})
	t.Run("an update takes no new identity", func(t *testing.T) {
		tree := web(t)
		ok(t, tree.UpdateMember("po", "m1", func(m *lb.Member) error {
			*m = lb.Member{ID: "x", PoolID: "un", ServerID: 9, Address: "::1", Weight: 3}
			return nil
		}))
		m, err := tree.Member("po", "m1")
		ok(t, err)
		if d := cmp.Diff(lb.Member{
			ID: "m1", PoolID: "po", ProjectID: "p", Address: "198.18.0.1", ProtocolPort: 80, ServerID: 1, Weight: 3, ProvisioningStatus: pu,
		}, *m); d != "" {
			t.Fatal(d)
		}
	})
}

func TestSettle(t *testing.T) {
	const active, failed = lb.Active, lb.Error
	t.Run("a child at fault is ERROR with its reason and the rest ACTIVE", func(t *testing.T) {
		tree := web(t)
		ok(t, tree.AddMember("po", lb.Member{ID: "x", Address: "::1", ProtocolPort: 1}))
		tree.LoadBalancer.Revision = 2
		tree.Settle(lb.Settlement{Revision: 2, Failed: map[string]string{"x": "no such thing"}})
		want := map[string]lb.ProvisioningStatus{"lb": active, "li": active, "po": active, "un": active, "m1": active, "m2": active, "m3": active, "hm": active, "x": failed}
		if d := cmp.Diff(want, statuses(tree)); d != "" {
			t.Fatal(d)
		}
		m, err := tree.Member("po", "x")
		ok(t, err)
		if m.StatusReason != "no such thing" {
			t.Fatal(m.StatusReason)
		}
		ok(t, tree.DeleteMember("po", "x"))
		tree.Settle(lb.Settlement{Revision: 2})
		if _, err := tree.Member("po", "x"); err == nil {
			t.Fatal("it was not removed")
		}
	})
	t.Run("a newer revision stays pending", func(t *testing.T) {
		tree := web(t)
		ok(t, tree.DeletePool("po"))
		tree.LoadBalancer.Revision = 2
		want := statuses(tree)
		tree.Settle(lb.Settlement{Revision: 1, Failed: map[string]string{"un": "bad"}})
		want["un"] = failed
		if d := cmp.Diff(want, statuses(tree)); d != "" {
			t.Fatal(d)
		}
	})
	t.Run("a load balancer that cannot be made is ERROR, its children wait", func(t *testing.T) {
		tree, err := lb.NewTree(lb.LoadBalancer{ID: "lb"}, []lb.Listener{{ID: "li", Protocol: lb.ProtocolTCP, ProtocolPort: 1}}, nil)
		ok(t, err)
		tree.Settle(lb.Settlement{Revision: 1, LoadBalancerFailed: "no host"})
		if d := cmp.Diff(map[string]lb.ProvisioningStatus{"lb": failed, "li": pc}, statuses(tree)); d != "" || tree.LoadBalancer.StatusReason != "no host" {
			t.Fatal(d, tree.LoadBalancer.StatusReason)
		}
		tree.Settle(lb.Settlement{Revision: 1})
		if d := cmp.Diff(map[string]lb.ProvisioningStatus{"lb": active, "li": active}, statuses(tree)); d != "" || tree.LoadBalancer.StatusReason != "" {
			t.Fatal(d)
		}
	})
	t.Run("a load balancer that is being deleted stays so", func(t *testing.T) {
		tree := web(t)
		ok(t, tree.DeleteLoadBalancer(true))
		tree.Settle(lb.Settlement{Revision: 9})
		if tree.LoadBalancer.ProvisioningStatus != pd {
			t.Fatal(tree.LoadBalancer.ProvisioningStatus)
		}
	})
	t.Run("members of a pool that lost its monitor have none", func(t *testing.T) {
		tree := web(t)
		ok(t, tree.DeleteHealthMonitor("hm"))
		tree.Settle(lb.Settlement{Revision: 1})
		if p := tree.Pools[0]; p.HealthMonitor != nil || p.Members[0].OperatingStatus != lb.NoMonitor {
			t.Fatalf("%+v", p)
		}
	})
}

// TestNoSequenceOfChangesBreaksATree draws calls with ids, ports and addresses that often collide.
func TestNoSequenceOfChangesBreaksATree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tree, err := lb.NewTree(lb.LoadBalancer{ID: "lb", ProjectID: "p"}, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		next := 0
		fresh := func() string { next++; return fmt.Sprint("id", next) }
		// one draws an id of those, and now and then one of nothing.
		one := func(t *rapid.T, those []string) string {
			return rapid.SampledFrom(append(those, "nobody")).Draw(t, "id")
		}
		listeners := func() (ids []string) {
			for _, l := range tree.Listeners {
				ids = append(ids, l.ID)
			}
			return ids
		}
		pools := func() (ids []string) {
			for _, p := range tree.Pools {
				ids = append(ids, p.ID)
			}
			return ids
		}
		monitors := func() (ids []string) {
			for _, p := range tree.Pools {
				if p.HealthMonitor != nil {
					ids = append(ids, p.HealthMonitor.ID)
				}
			}
			return ids
		}
		memberOf := func(t *rapid.T) (poolID, id string) {
			var places [][2]string
			for _, p := range tree.Pools {
				for _, m := range p.Members {
					places = append(places, [2]string{p.ID, m.ID})
				}
			}
			at := rapid.SampledFrom(append(places, [2]string{"nobody", "nobody"})).Draw(t, "member")
			return at[0], at[1]
		}
		ruleOf := func(t *rapid.T) (policyID, id string) {
			var places [][2]string
			for _, l := range tree.Listeners {
				for _, p := range l.L7Policies {
					places = append(places, [2]string{p.ID, "nobody"})
					for _, r := range p.Rules {
						places = append(places, [2]string{p.ID, r.ID})
					}
				}
			}
			at := rapid.SampledFrom(append(places, [2]string{"nobody", "nobody"})).Draw(t, "rule")
			return at[0], at[1]
		}
		// aim draws where a policy leads.
		aim := func(t *rapid.T) lb.L7Target {
			switch rapid.IntRange(0, 3).Draw(t, "action") {
			case 0:
				return lb.L7Target{URL: new("http://a")}
			case 1:
				return lb.L7Target{Action: new(lb.ActionReject)}
			default:
				return lb.L7Target{Pool: new(one(t, pools()))}
			}
		}
		accept := rapid.Bool().Draw(t, "accept pending")
		protocols := rapid.SampledFrom([]string{lb.ProtocolHTTP, lb.ProtocolHTTP, lb.ProtocolTCP, lb.ProtocolUDP, lb.ProtocolPrometheus})
		member := func(t *rapid.T) lb.Member {
			return lb.Member{
				ID: fresh(), Address: rapid.SampledFrom([]string{"198.18.0.1", "198.18.0.2", "::1"}).Draw(t, "address"),
				ProtocolPort: rapid.IntRange(80, 81).Draw(t, "port"), Weight: rapid.IntRange(0, 1).Draw(t, "weight"),
			}
		}
		given := map[string]int{} // pool -> highest server id ever seen
		owner := map[string]string{}
		before := tree.Clone()
		try := func(err error) {
			if err == nil {
				tree.LoadBalancer.Revision++
				return
			}
			var f *lb.Fault
			if !errors.As(err, &f) {
				t.Fatalf("refused with %v, which is no fault", err)
			}
			if !reflect.DeepEqual(before, tree) {
				t.Fatalf("refused with %v, and changed: %s", err, cmp.Diff(before, tree))
			}
		}
		act := func(f func(t *rapid.T)) func(*rapid.T) {
			return func(t *rapid.T) {
				tree.AcceptPending = accept
				if rapid.IntRange(0, 3).Draw(t, "wait") > 0 {
					tree.Settle(lb.Settlement{Revision: tree.LoadBalancer.Revision})
				}
				before = tree.Clone()
				f(t)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"add listener": act(func(t *rapid.T) {
				try(tree.AddListener(lb.Listener{ID: fresh(), Protocol: protocols.Draw(t, "protocol"), ProtocolPort: rapid.IntRange(80, 82).Draw(t, "port"), DefaultPoolID: one(t, append(pools(), ""))}))
			}),
			"update listener": act(func(t *rapid.T) {
				pool := one(t, append(pools(), ""))
				try(tree.UpdateListener(one(t, listeners()), func(l *lb.Listener) error { l.DefaultPoolID = pool; return nil }))
			}),
			"delete listener": act(func(t *rapid.T) { try(tree.DeleteListener(one(t, listeners()))) }),
			"add pool": act(func(t *rapid.T) {
				try(tree.AddPool(lb.Pool{ID: fresh(), Protocol: protocols.Draw(t, "protocol")}, one(t, append(listeners(), ""))))
			}),
			"update pool": act(func(t *rapid.T) {
				try(tree.UpdatePool(one(t, pools()), func(p *lb.Pool) error { p.Members = nil; return nil }))
			}),
			"delete pool": act(func(t *rapid.T) { try(tree.DeletePool(one(t, pools()))) }),
			"add member":  act(func(t *rapid.T) { try(tree.AddMember(one(t, pools()), member(t))) }),
			"update member": act(func(t *rapid.T) {
				p, m := memberOf(t)
				try(tree.UpdateMember(p, m, func(*lb.Member) error { return nil }))
			}),
			"delete member": act(func(t *rapid.T) { p, m := memberOf(t); try(tree.DeleteMember(p, m)) }),
			"batch": act(func(t *rapid.T) {
				try(tree.ReplaceMembers(one(t, pools()), rapid.SliceOfN(rapid.Custom(member), 0, 4).Draw(t, "members"), rapid.Bool().Draw(t, "additive")))
			}),
			"add monitor": act(func(t *rapid.T) {
				try(tree.AddHealthMonitor(lb.HealthMonitor{ID: fresh(), PoolID: one(t, pools()), Type: rapid.SampledFrom([]string{lb.MonitorTCP, lb.MonitorPing}).Draw(t, "type")}))
			}),
			"update monitor": act(func(t *rapid.T) {
				try(tree.UpdateHealthMonitor(one(t, monitors()), func(*lb.HealthMonitor) error { return nil }))
			}),
			"delete monitor": act(func(t *rapid.T) { try(tree.DeleteHealthMonitor(one(t, monitors()))) }),
			"add policy": act(func(t *rapid.T) {
				p := lb.L7Policy{ID: fresh(), ListenerID: one(t, listeners()), Position: rapid.IntRange(0, 3).Draw(t, "position"), Enabled: true}
				for range rapid.IntRange(0, 2).Draw(t, "rules") {
					p.Rules = append(p.Rules, lb.L7Rule{ID: fresh()})
				}
				if err := p.Aim(aim(t)); err != nil {
					t.Fatal(err)
				}
				try(tree.AddL7Policy(p))
			}),
			"update policy": act(func(t *rapid.T) {
				id, _ := ruleOf(t)
				to, position := aim(t), rapid.IntRange(1, 3).Draw(t, "position")
				try(tree.UpdateL7Policy(id, func(p *lb.L7Policy) error { p.Position = position; return p.Aim(to) }))
			}),
			"delete policy": act(func(t *rapid.T) { id, _ := ruleOf(t); try(tree.DeleteL7Policy(id)) }),
			"add rule":      act(func(t *rapid.T) { id, _ := ruleOf(t); try(tree.AddL7Rule(lb.L7Rule{ID: fresh(), PolicyID: id})) }),
			"update rule": act(func(t *rapid.T) {
				p, r := ruleOf(t)
				try(tree.UpdateL7Rule(p, r, func(*lb.L7Rule) error { return nil }))
			}),
			"delete rule": act(func(t *rapid.T) { p, r := ruleOf(t); try(tree.DeleteL7Rule(p, r)) }),
			"failover":    act(func(t *rapid.T) { try(tree.RequestFailover()) }),
			"settle": act(func(t *rapid.T) {
				s := lb.Settlement{Revision: tree.LoadBalancer.Revision - int64(rapid.IntRange(0, 1).Draw(t, "behind"))}
				if rapid.IntRange(0, 3).Draw(t, "fault") == 0 {
					s.Failed = map[string]string{one(t, slices.Sorted(maps.Keys(statuses(tree)))): "bad"}
				}
				if rapid.IntRange(0, 7).Draw(t, "lb fault") == 0 {
					s.LoadBalancerFailed = "bad"
				}
				tree.Settle(s)
				if s.Revision == tree.LoadBalancer.Revision && s.LoadBalancerFailed == "" {
					for id, ps := range statuses(tree) {
						if ps.Pending() {
							t.Fatalf("%s is %s after everything settled", id, ps)
						}
					}
				}
			}),
			"": func(t *rapid.T) {
				if err := tree.Check(); err != nil {
					t.Fatal(err)
				}
				for _, p := range tree.Pools {
					for _, m := range p.Members {
						key := fmt.Sprint(p.ID, "/", m.ServerID)
						if was := owner[key]; was != "" && was != m.ID {
							t.Fatalf("server id %s was %s's and is %s's", key, was, m.ID)
						}
						owner[key] = m.ID
					}
					if p.LastServerID < given[p.ID] {
						t.Fatalf("pool %s forgot server ids", p.ID)
					}
					given[p.ID] = p.LastServerID
				}
			},
		})
	})
}

func TestCloneSharesNothing(t *testing.T) {
	tree := web(t)
	tree.Listeners[0].Tags = []string{"a"}
	tree.Listeners[0].L7Policies = []lb.L7Policy{{Tags: []string{"a"}, Rules: []lb.L7Rule{{Tags: []string{"a"}}}}}
	tree.Pools[0].SessionPersistence = &lb.SessionPersistence{Type: lb.PersistSourceIP}
	want := tree.Clone()
	c := tree.Clone()
	c.Listeners[0].Tags[0] = "b"
	c.Listeners[0].L7Policies[0].Tags[0] = "b"
	c.Listeners[0].L7Policies[0].Rules[0].Tags[0] = "b"
	c.Listeners[0].L7Policies[0].Rules[0].Value = "b"
	c.Pools[0].Members[0].Weight = 9
	c.Pools[0].HealthMonitor.Delay = 9
	c.Pools[0].SessionPersistence.Type = "x"
	c.Pools = slices.Delete(c.Pools, 0, 1)
	if d := cmp.Diff(want, tree); d != "" {
		t.Fatal(d)
	}
}
