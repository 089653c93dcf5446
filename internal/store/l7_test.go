package store_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"colonnade/internal/lb"
	"colonnade/internal/store"
)

// withPolicies is a load balancer with two listeners and three policies on the first: b (2, of a pool), a (1, of a URL)
// and c (3, of a pool, without rules).
func withPolicies(t *testing.T, s *store.Store, name string) lb.Tree {
	t.Helper()
	tree, cluster := newTree(t, name)
	tree.AcceptPending = true
	for _, id := range []string{name + "-p2", name + "-p3"} {
		ok(t, tree.AddPool(lb.Pool{ID: id, Protocol: lb.ProtocolHTTP, Algorithm: lb.RoundRobin, Enabled: true}, ""))
	}
	ok(t, tree.AddListener(lb.Listener{ID: name + "-li2", Protocol: lb.ProtocolHTTP, ProtocolPort: 81, DefaultPoolID: name + "-p2"}))
	rule := func(id string) lb.L7Rule {
		return lb.L7Rule{ID: name + id, Enabled: true, Type: lb.RuleHeader, CompareType: lb.CompareEqualTo, Key: "X-" + id, Value: "1", Invert: true, Tags: []string{"t"}}
	}
	for _, p := range []lb.L7Policy{
		{ID: name + "-b", Action: lb.ActionRedirectPool, RedirectPoolID: name + "-p2", Enabled: true, Rules: []lb.L7Rule{rule("-b1"), rule("-b2")}},
		{ID: name + "-a", Action: lb.ActionRedirectURL, RedirectURL: "http://a/", RedirectHTTPCode: 308, Position: 1, Tags: []string{"x"}, Rules: []lb.L7Rule{rule("-a1")}},
		{ID: name + "-c", Action: lb.ActionRedirectPool, RedirectPoolID: name + "-p3", Enabled: true, Position: 9},
	} {
		p.ListenerID = name + "-li"
		ok(t, tree.AddL7Policy(p))
	}
	ok(t, s.CreateTree(t.Context(), tree, cluster))
	got, err := s.Tree(t.Context(), name)
	ok(t, err)
	return got
}

func policyIDs(items []store.L7PolicyItem) (ids []string) {
	for _, p := range items {
		ids = append(ids, p.ID)
	}
	return ids
}

func TestPoliciesAndRulesAreKept(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		made := withPolicies(t, s, "lb1")
		want := map[string]int{"lb1-a": 1, "lb1-b": 2, "lb1-c": 3}
		positions := func(tree lb.Tree) map[string]int {
			got := map[string]int{}
			for _, p := range tree.Listeners[0].L7Policies {
				got[p.ID] = p.Position
			}
			return got
		}
		if d := cmp.Diff(want, positions(made)); d != "" {
			t.Fatal(d)
		}
		a, b := made.Listeners[0].L7Policies[0], made.Listeners[0].L7Policies[1]
		if a.RedirectHTTPCode != 308 || a.RedirectURL != "http://a/" || a.RedirectPoolID != "" || len(b.Rules) != 2 || b.Rules[0].Key != "X--b1" || !b.Rules[0].Invert {
			t.Fatalf("%+v\n%+v", a, b)
		}
		// A move writes those that it moves; a rule goes with its policy, and a listener with all of them.
		settle(t, s, "lb1")
		_, err := s.ChangeTree(ctx, "lb1", "ann", func(tree *lb.Tree) error {
			return tree.UpdateL7Policy("lb1-c", func(p *lb.L7Policy) error { p.Position = 1; return nil })
		})
		ok(t, err)
		settle(t, s, "lb1")
		_, err = s.ChangeTree(ctx, "lb1", "ann", func(tree *lb.Tree) error { return tree.DeleteL7Policy("lb1-a") })
		ok(t, err)
		settle(t, s, "lb1")
		tree, err := s.Tree(ctx, "lb1")
		ok(t, err)
		if d := cmp.Diff(map[string]int{"lb1-c": 1, "lb1-b": 2}, positions(tree)); d != "" {
			t.Fatal(d)
		}
		rules, err := s.L7Rules(ctx, store.Query{})
		ok(t, err)
		if len(rules) != 2 {
			t.Fatalf("%+v", rules)
		}
		_, err = s.ChangeTree(ctx, "lb1", "ann", func(tree *lb.Tree) error { return tree.DeleteListener("lb1-li") })
		ok(t, err)
		settle(t, s, "lb1")
		policies, err := s.L7Policies(ctx, store.Query{})
		ok(t, err)
		rules, err = s.L7Rules(ctx, store.Query{})
		ok(t, err)
		if len(policies)+len(rules) != 0 {
			t.Fatalf("%+v %+v", policies, rules)
		}
	})
}

func TestListsOfPolicies(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		withPolicies(t, s, "lb1")
		listeners, err := s.Listeners(ctx, store.Query{Sort: []store.SortKey{{Name: "protocol_port"}}})
		ok(t, err)
		if d := cmp.Diff([][]string{{"lb1-a", "lb1-b", "lb1-c"}, nil}, [][]string{listeners[0].PolicyIDs, listeners[1].PolicyIDs}); d != "" {
			t.Error(d)
		}
		// What a pool's users are, the tree and the lists say alike.
		tree, err := s.Tree(ctx, "lb1")
		ok(t, err)
		pools, err := s.Pools(ctx, store.Query{})
		ok(t, err)
		for _, p := range pools {
			if d := cmp.Diff(tree.PoolListeners(p.ID), p.ListenerIDs); d != "" {
				t.Errorf("%s: %s", p.ID, d)
			}
		}
		if d := cmp.Diff([]string{"lb1-li", "lb1-li2"}, tree.PoolListeners("lb1-p2")); d != "" {
			t.Error(d)
		}
		if got := tree.PoolListeners("lb1-p3"); got != nil {
			t.Errorf("a policy without rules makes its listener a user: %v", got)
		}
		for _, c := range []struct {
			name, value string
			want        []string
		}{
			{"action", lb.ActionRedirectPool, []string{"lb1-b", "lb1-c"}},
			{"position", "1", []string{"lb1-a"}},
			{"redirect_pool_id", "lb1-p3", []string{"lb1-c"}},
			{"redirect_http_code", "308", []string{"lb1-a"}},
			{"listener_id", "lb1-li2", nil},
			{"tags", "x", []string{"lb1-a"}},
			{"not-tags-any", "x", []string{"lb1-b", "lb1-c"}},
		} {
			items, err := s.L7Policies(ctx, store.Query{Filters: map[string][]string{c.name: {c.value}}})
			ok(t, err)
			if d := cmp.Diff(c.want, policyIDs(items)); d != "" {
				t.Errorf("%s: %s", c.name, d)
			}
		}
		one, err := s.L7Policies(ctx, store.Query{Sort: []store.SortKey{{Name: "position", Desc: true}}, Limit: 2})
		ok(t, err)
		if d := cmp.Diff([]string{"lb1-c", "lb1-b"}, policyIDs(one)); d != "" || len(one[1].RuleIDs) != 2 {
			t.Error(d, one[1].RuleIDs)
		}
		rules, err := s.L7Rules(ctx, store.Query{Filters: map[string][]string{"l7policy_id": {"lb1-b"}, "key": {"X--b2"}, "invert": {"true"}, "tags": {"t"}}})
		ok(t, err)
		if len(rules) != 1 || rules[0].ID != "lb1-b2" {
			t.Errorf("%+v", rules)
		}
		if id, err := s.FindL7Policy(ctx, "lb1-b"); id != "lb1" || err != nil {
			t.Error(id, err)
		}
		_, err = s.FindL7Policy(ctx, "x")
		wantFault(t, err, lb.KindNotFound, "L7 Policy x not found.")
	})
}
