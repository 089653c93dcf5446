package lb_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"colonnade/internal/lb"
)

// shop is web with a second HTTP pool "p2" and two policies: "a" to that pool, with rules "a1" and "a2", and "b", which
// rejects by rule "b1". All of it is ACTIVE.
func shop(t *testing.T) lb.Tree {
	t.Helper()
	tree := web(t)
	ok(t, tree.AddPool(lb.Pool{ID: "p2", Protocol: lb.ProtocolProxy}, ""))
	tree.Settle(lb.Settlement{Revision: 1})
	for _, p := range []lb.L7Policy{
		{ID: "a", Action: lb.ActionRedirectPool, RedirectPoolID: "p2", Rules: []lb.L7Rule{{ID: "a1", Enabled: true}, {ID: "a2"}}},
		{ID: "b", Action: lb.ActionReject, Rules: []lb.L7Rule{{ID: "b1"}}},
	} {
		p.ListenerID, p.Enabled = "li", true
		ok(t, tree.AddL7Policy(p))
		tree.Settle(lb.Settlement{Revision: 1})
	}
	return tree
}

func policies(t lb.Tree, listenerID string) (ids []string) {
	l, err := t.Listener(listenerID)
	if err != nil {
		return nil
	}
	for i, p := range l.L7Policies {
		if p.Position != i+1 {
			return []string{fmt.Sprintf("%s at %d is at %d", p.ID, p.Position, i+1)}
		}
		ids = append(ids, p.ID)
	}
	return ids
}

func TestPoliciesSetTheChainOfPendingStatuses(t *testing.T) {
	none := func(*lb.L7Policy) error { return nil }
	for _, c := range []struct {
		name   string
		change func(*lb.Tree) error
		want   map[string]lb.ProvisioningStatus
	}{
		{"add policy", func(t *lb.Tree) error {
			return t.AddL7Policy(lb.L7Policy{ID: "x", ListenerID: "li", Action: lb.ActionReject, Rules: []lb.L7Rule{{ID: "x1"}}})
		}, map[string]lb.ProvisioningStatus{"lb": pu, "li": pu, "x": pc, "x1": pc}},
		{"update policy", func(t *lb.Tree) error { return t.UpdateL7Policy("a", none) }, map[string]lb.ProvisioningStatus{"lb": pu, "li": pu, "a": pu}},
		{"delete policy", func(t *lb.Tree) error { return t.DeleteL7Policy("a") }, map[string]lb.ProvisioningStatus{"lb": pu, "li": pu, "a": pd}},
		{"add rule", func(t *lb.Tree) error { return t.AddL7Rule(lb.L7Rule{ID: "x", PolicyID: "b"}) }, map[string]lb.ProvisioningStatus{"lb": pu, "li": pu, "b": pu, "x": pc}},
		{"update rule", func(t *lb.Tree) error {
			return t.UpdateL7Rule("a", "a1", func(*lb.L7Rule) error { return nil })
		}, map[string]lb.ProvisioningStatus{"lb": pu, "li": pu, "a": pu, "a1": pu}},
		{"delete rule", func(t *lb.Tree) error { return t.DeleteL7Rule("a", "a1") }, map[string]lb.ProvisioningStatus{"lb": pu, "li": pu, "a": pu, "a1": pd}},
		{"member of a redirect pool", func(t *lb.Tree) error {
			return t.AddMember("p2", lb.Member{ID: "x", Address: "::1", ProtocolPort: 1})
		}, map[string]lb.ProvisioningStatus{"lb": pu, "li": pu, "p2": pu, "x": pc}},
		{"listener with policies", func(t *lb.Tree) error {
			return t.AddListener(lb.Listener{ID: "l2", Protocol: lb.ProtocolHTTP, ProtocolPort: 81, L7Policies: []lb.L7Policy{
				{ID: "x", Action: lb.ActionRedirectPool, RedirectPoolID: "po", Rules: []lb.L7Rule{{ID: "x1"}}},
			}})
		}, map[string]lb.ProvisioningStatus{"lb": pu, "l2": pc, "x": pc, "x1": pc}},
		{"everything at once", func(t *lb.Tree) error {
			return t.Grow(lb.Growth{
				Pools:     []lb.Pool{{ID: "n", Protocol: lb.ProtocolHTTP, Members: []lb.Member{{ID: "n1", Address: "::1", ProtocolPort: 1}}}},
				Listeners: []lb.Listener{{ID: "l2", Protocol: lb.ProtocolHTTP, ProtocolPort: 81, DefaultPoolID: "n"}},
				Policies:  []lb.L7Policy{{ID: "x", ListenerID: "li", Action: lb.ActionRedirectPool, RedirectPoolID: "n"}},
			})
		}, map[string]lb.ProvisioningStatus{"lb": pu, "li": pu, "l2": pc, "n": pc, "n1": pc, "x": pc}},
	} {
		t.Run(c.name, func(t *testing.T) {
			tree := shop(t)
			want := statuses(tree)
			maps.Copy(want, c.want)
			ok(t, c.change(&tree))
			if d := cmp.Diff(want, statuses(tree)); d != "" {
				t.Fatal(d)
			}
			ok(t, tree.Check())
			if tree.AcceptPending {
				t.Fatal("changes are accepted from now on")
			}
		})
	}
}

func TestRefusalsOfPolicies(t *testing.T) {
	busy := func(t *lb.Tree) { t.LoadBalancer.ProvisioningStatus = lb.PendingUpdate }
	redirect := func(pool string) lb.L7Policy {
		return lb.L7Policy{ID: "x", ListenerID: "li", Action: lb.ActionRedirectPool, RedirectPoolID: pool}
	}
	for _, c := range []struct {
		name   string
		before func(*lb.Tree)
		change func(*lb.Tree) error
		kind   lb.Kind
		text   string
	}{
		{"listener that is not there", nil, func(t *lb.Tree) error { return t.AddL7Policy(lb.L7Policy{ID: "x", ListenerID: "no"}) }, lb.KindNotFound, "Listener no not found."},
		{"policy that is not there", nil, func(t *lb.Tree) error { return t.DeleteL7Policy("no") }, lb.KindNotFound, "L7 Policy no not found."},
		{"rule of another policy", nil, func(t *lb.Tree) error { return t.DeleteL7Rule("b", "a1") }, lb.KindNotFound, "L7 Rule a1 not found."},
		{"pool that is not there", nil, func(t *lb.Tree) error { return t.AddL7Policy(redirect("no")) }, lb.KindNotFound, "Pool no not found."},
		{"pool that does not fit", nil, func(t *lb.Tree) error { return t.AddL7Policy(redirect("un")) }, lb.KindInvalid, "Validation failure: The pool protocol 'TCP' is invalid while the listener protocol is 'HTTP'."},
		{"another pool that does not fit", nil, func(t *lb.Tree) error {
			return t.UpdateL7Policy("a", func(p *lb.L7Policy) error { p.RedirectPoolID = "un"; return nil })
		}, lb.KindInvalid, "Validation failure: The pool protocol 'TCP' is invalid while the listener protocol is 'HTTP'."},
		{"pool that is being deleted", func(t *lb.Tree) { t.Pools[0].ProvisioningStatus = pd }, func(t *lb.Tree) error { return t.AddL7Policy(redirect("po")) }, lb.KindConflict, "Pool po is immutable and cannot be updated."},
		{"pool in use", nil, func(t *lb.Tree) error { return t.DeletePool("p2") }, lb.KindConflict, "Pool p2 is in use by L7 policy a"},
		{"pool in use by what is being deleted", func(t *lb.Tree) { t.Listeners[0].L7Policies[0].ProvisioningStatus = pd }, func(t *lb.Tree) error { return t.DeletePool("p2") }, lb.KindConflict, "Pool p2 is in use by L7 policy a"},
		{"PROMETHEUS", func(t *lb.Tree) { t.Listeners[0].Protocol, t.Listeners[0].L7Policies = lb.ProtocolPrometheus, nil }, func(t *lb.Tree) error { return t.AddL7Policy(lb.L7Policy{ID: "x", ListenerID: "li"}) }, lb.KindInvalid, "Protocol PROMETHEUS listeners cannot have child objects."},
		{"busy", busy, func(t *lb.Tree) error { return t.DeleteL7Policy("a") }, lb.KindConflict, "Load Balancer lb is immutable and cannot be updated."},
		{"busy for rules", busy, func(t *lb.Tree) error { return t.DeleteL7Rule("a", "a1") }, lb.KindConflict, "Load Balancer lb is immutable and cannot be updated."},
		{"busy for many", busy, func(t *lb.Tree) error { return t.Grow(lb.Growth{}) }, lb.KindConflict, "Load Balancer lb is immutable and cannot be updated."},
		{"rule of a policy in ERROR", func(t *lb.Tree) { t.Listeners[0].L7Policies[0].ProvisioningStatus = lb.Error }, func(t *lb.Tree) error { return t.AddL7Rule(lb.L7Rule{ID: "x", PolicyID: "a"}) }, lb.KindConflict, "L7Policy a is immutable and cannot be updated."},
		{"rule 51", nil, func(t *lb.Tree) error {
			return t.AddL7Policy(lb.L7Policy{ID: "x", ListenerID: "li", Action: lb.ActionReject, Rules: make([]lb.L7Rule, 51)})
		}, lb.KindConflict, "Too many rules on L7 policy x"},
		{"half of many", nil, func(t *lb.Tree) error {
			return t.Grow(lb.Growth{Pools: []lb.Pool{{ID: "n"}}, Policies: []lb.L7Policy{redirect("no")}})
		}, lb.KindNotFound, "Pool no not found."},
	} {
		t.Run(c.name, func(t *testing.T) {
			tree := shop(t)
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
}

func TestPoliciesSettle(t *testing.T) {
	tree := shop(t)
	l := &tree.Listeners[0]
	if a := l.L7Policies[0]; a.OperatingStatus != lb.Online || a.Rules[0].OperatingStatus != lb.Online || a.Rules[1].OperatingStatus != lb.Offline {
		t.Errorf("%+v", a)
	}
	ok(t, tree.DeleteL7Rule("a", "a1"))
	tree.Settle(lb.Settlement{Revision: 1, Failed: map[string]string{"a2": "bad"}})
	p, _, err := tree.L7Policy("a")
	ok(t, err)
	if len(p.Rules) != 1 || p.Rules[0].ProvisioningStatus != lb.Error || p.Rules[0].StatusReason != "bad" || p.ProvisioningStatus != lb.Active {
		t.Errorf("%+v", p)
	}
	ok(t, tree.DeleteL7Policy("a"))
	if d := cmp.Diff([]string{"a", "b"}, policies(tree, "li")); d != "" {
		t.Error("it has its position until it is gone: ", d)
	}
	tree.Settle(lb.Settlement{Revision: 1})
	if d := cmp.Diff([]string{"b"}, policies(tree, "li")); d != "" {
		t.Error(d)
	}
	ok(t, tree.DeletePool("p2"))
	ok(t, tree.Check())
}

func TestPoolUsers(t *testing.T) {
	tree := shop(t)
	a := &tree.Listeners[0].L7Policies[0]
	for _, c := range []struct {
		name   string
		change func()
		users  []string
	}{
		{"by a policy", func() {}, []string{"li"}},
		{"by a disabled one", func() { a.Enabled = false }, nil},
		{"by one whose rules are disabled", func() { a.Enabled = true; a.Rules[0].Enabled = false }, []string{"li"}},
		{"by one without rules", func() { a.Rules = nil }, nil},
		{"by default", func() { tree.Listeners[0].DefaultPoolID = "p2" }, []string{"li"}},
	} {
		c.change()
		if d := cmp.Diff(c.users, tree.PoolListeners("p2")); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
	}
}

func TestCheckNamesWhatIsBrokenInPolicies(t *testing.T) {
	for _, c := range []struct {
		name   string
		damage func(*lb.L7Policy)
		want   string
	}{
		{"id", func(p *lb.L7Policy) { p.ID = "li" }, "L7 policy has no id of its own"},
		{"rule id", func(p *lb.L7Policy) { p.Rules[0].ID = "b1" }, "L7 rule has no id of its own"},
		{"rule of another", func(p *lb.L7Policy) { p.Rules[0].PolicyID = "b" }, `L7 rule a1 is of policy "b"`},
		{"listener", func(p *lb.L7Policy) { p.ListenerID = "x" }, `L7 policy a: it is of listener "x"`},
		{"position", func(p *lb.L7Policy) { p.Position = 2 }, "L7 policy a: position 2 at place 1"},
		{"action without its target", func(p *lb.L7Policy) { p.Action = lb.ActionReject }, "action REJECT with \"p2\" for REDIRECT_TO_POOL"},
		{"pool", func(p *lb.L7Policy) { p.RedirectPoolID = "x" }, "L7 policy a: redirect pool: Pool x not found."},
		{"pool that does not fit", func(p *lb.L7Policy) { p.RedirectPoolID = "un" }, "redirect pool un: Validation failure"},
		{"too many rules", func(p *lb.L7Policy) { p.Rules = make([]lb.L7Rule, 51) }, "51 rules"},
		{"pending rule", func(p *lb.L7Policy) { p.Rules[0].ProvisioningStatus = pc }, "ACTIVE while a child is pending"},
		{"pending", func(p *lb.L7Policy) { p.ProvisioningStatus = pd }, "ACTIVE while a child is pending"},
	} {
		tree := shop(t)
		c.damage(&tree.Listeners[0].L7Policies[0])
		if err := tree.Check(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
	}
}

// Whatever is inserted, moved and deleted, positions are 1…n in the order that a list would have.
func TestPositionsAreDense(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tree, err := lb.NewTree(lb.LoadBalancer{ID: "lb"}, []lb.Listener{{ID: "li", Protocol: lb.ProtocolHTTP, ProtocolPort: 80}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		tree.AcceptPending = true
		var want []string
		put := func(id string, position int) {
			at := position - 1
			if position == 0 || at > len(want) {
				at = len(want)
			}
			want = slices.Insert(want, at, id)
		}
		for n := range rapid.IntRange(1, 30).Draw(t, "steps") {
			position := rapid.SampledFrom([]int{0, 1, 2, 3, 5, 2147483647}).Draw(t, "position")
			var err error
			switch what := rapid.IntRange(0, 3).Draw(t, "what"); {
			case what < 2 || len(want) == 0:
				id := fmt.Sprint("p", n)
				err = tree.AddL7Policy(lb.L7Policy{ID: id, ListenerID: "li", Action: lb.ActionReject, Position: position})
				put(id, position)
			case what == 2:
				id := rapid.SampledFrom(want).Draw(t, "moved")
				if p, _, _ := tree.L7Policy(id); p.ProvisioningStatus == lb.PendingDelete {
					continue
				}
				before := slices.Index(want, id)
				if position == 0 {
					position = before + 1
				}
				err = tree.UpdateL7Policy(id, func(p *lb.L7Policy) error { p.Position = position; return nil })
				want = slices.Delete(want, before, before+1)
				put(id, position)
			default:
				id := rapid.SampledFrom(want).Draw(t, "deleted")
				err = tree.DeleteL7Policy(id)
				if rapid.Bool().Draw(t, "settle") {
					tree.Settle(lb.Settlement{Revision: 1})
					want = policies(tree, "li")
					if slices.Contains(want, id) {
						t.Fatalf("%s is still there", id)
					}
				}
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := policies(tree, "li"); !slices.Equal(got, want) {
				t.Fatalf("%v, want %v", got, want)
			}
			if err := tree.Check(); err != nil {
				t.Fatal(err)
			}
		}
	})
}
