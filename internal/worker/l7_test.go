package worker_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"colonnade/internal/amphora"
	"colonnade/internal/health"
	"colonnade/internal/lb"
	"colonnade/internal/worker"
)

// policed is an ACTIVE load balancer with pools "d" (default), "r" and "u" and one listener with policies.
func policed(t *testing.T, policies ...lb.L7Policy) lb.Tree {
	t.Helper()
	var pools []lb.Pool
	for _, id := range []string{"d", "r", "u"} {
		pools = append(pools, lb.Pool{ID: id, Protocol: lb.ProtocolHTTP, Enabled: true})
	}
	tree, err := lb.NewTree(lb.LoadBalancer{ID: "lb", Enabled: true}, []lb.Listener{{ID: "li", Protocol: lb.ProtocolHTTP, ProtocolPort: 80, Enabled: true, DefaultPoolID: "d", L7Policies: policies}}, pools)
	if err != nil {
		t.Fatal(err)
	}
	tree.Settle(lb.Settlement{Revision: 1})
	return tree
}

func rule(id string) lb.L7Rule {
	return lb.L7Rule{ID: id, Enabled: true, Type: lb.RulePath, CompareType: lb.CompareEqualTo, Value: "/" + id}
}

func TestDocumentOfPolicies(t *testing.T) {
	off := rule("off")
	off.Enabled = false
	to := func(id, pool string, rules ...lb.L7Rule) lb.L7Policy {
		return lb.L7Policy{ID: id, Enabled: true, Action: lb.ActionRedirectPool, RedirectPoolID: pool, Rules: rules}
	}
	disabled := to("disabled", "u", rule("x"))
	disabled.Enabled = false
	tree := policed(
		t,
		to("b", "r", rule("b1"), off, rule("b2")),
		lb.L7Policy{ID: "a", Position: 1, Enabled: true, Action: lb.ActionRedirectURL, RedirectURL: "http://a", RedirectHTTPCode: 301, Rules: []lb.L7Rule{rule("a1")}},
		disabled,
		to("no rule", "u"),
		to("no rule that is on", "u", lb.L7Rule{ID: "off2"}),
	)
	document := func(change func(*lb.Tree), failed map[string]string) (policies []string, pools []string) {
		changed := tree.Clone()
		if change != nil {
			change(&changed)
		}
		d := worker.Document(changed, lb.Cluster{}, worker.Settings{}, failed)
		for _, p := range d.Listeners[0].L7Policies {
			word := p.ID
			for _, r := range p.Rules {
				word += " " + r.ID
			}
			policies = append(policies, word)
		}
		for _, p := range d.Pools {
			pools = append(pools, p.ID)
		}
		return policies, pools
	}
	pool := func(ps lb.ProvisioningStatus) func(*lb.Tree) {
		return func(t *lb.Tree) { t.Pools[1].ProvisioningStatus = ps }
	}
	for _, c := range []struct {
		name     string
		change   func(*lb.Tree)
		failed   map[string]string
		policies []string
		pools    []string
	}{
		{"all, by position", nil, nil, []string{"a a1", "b b1 b2"}, []string{"d", "r"}},
		{"one that is being deleted", func(t *lb.Tree) { t.Listeners[0].L7Policies[0].ProvisioningStatus = lb.PendingDelete }, nil, []string{"b b1 b2"}, []string{"d", "r"}},
		{"one at fault", nil, map[string]string{"b": "bad"}, []string{"a a1"}, []string{"d"}},
		{"one in ERROR", func(t *lb.Tree) { t.Listeners[0].L7Policies[1].ProvisioningStatus = lb.Error }, nil, []string{"a a1"}, []string{"d"}},
		{"a rule that is being deleted", func(t *lb.Tree) { t.Listeners[0].L7Policies[1].Rules[2].ProvisioningStatus = lb.PendingDelete }, nil, []string{"a a1", "b b1"}, []string{"d", "r"}},
		{"a rule at fault takes its policy along", nil, map[string]string{"b2": "bad"}, []string{"a a1"}, []string{"d"}},
		{"a rule in ERROR does, too", func(t *lb.Tree) { t.Listeners[0].L7Policies[1].Rules[0].ProvisioningStatus = lb.Error }, nil, []string{"a a1"}, []string{"d"}},
		{"a disabled pool", func(t *lb.Tree) { t.Pools[1].Enabled = false }, nil, []string{"a a1"}, []string{"d"}},
		{"a pool in ERROR", pool(lb.Error), nil, []string{"a a1"}, []string{"d"}},
		{"a new pool", pool(lb.PendingCreate), nil, []string{"a a1", "b b1 b2"}, []string{"d", "r"}},
		{"no default pool", func(t *lb.Tree) { t.Listeners[0].DefaultPoolID = "" }, nil, []string{"a a1", "b b1 b2"}, []string{"r"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			policies, pools := document(c.change, c.failed)
			if d := cmp.Diff(c.policies, policies); d != "" {
				t.Error(d)
			}
			if d := cmp.Diff(c.pools, pools); d != "" {
				t.Error(d)
			}
		})
	}
	d := worker.Document(tree, lb.Cluster{}, worker.Settings{}, nil)
	want := amphora.L7Policy{
		ID: "a", Action: lb.ActionRedirectURL, RedirectURL: "http://a", RedirectHTTPCode: 301,
		Rules: []amphora.L7Rule{{ID: "a1", Type: lb.RulePath, CompareType: lb.CompareEqualTo, Value: "/a1"}},
	}
	if d := cmp.Diff(want, d.Listeners[0].L7Policies[0]); d != "" {
		t.Error(d)
	}
}

// A pool that a policy alone uses is in use; one that no policy with rules uses is OFFLINE.
func TestPoolsOfPoliciesAreInUse(t *testing.T) {
	tree := policed(t, lb.L7Policy{ID: "a", Enabled: true, Action: lb.ActionRedirectPool, RedirectPoolID: "r", Rules: []lb.L7Rule{rule("a1")}})
	worker.Operate(&tree, worker.View{
		Reports: []health.AmphoraReport{{Listeners: map[string]bool{"li": false}}}, Cluster: lb.Online, Created: true,
	})
	for i, want := range []lb.OperatingStatus{lb.Online, lb.Online, lb.Offline} {
		if p := tree.Pools[i]; p.OperatingStatus != want {
			t.Errorf("pool %s is %s, want %s", p.ID, p.OperatingStatus, want)
		}
	}
	if p := tree.Listeners[0].L7Policies[0]; p.OperatingStatus != lb.Online || p.Rules[0].OperatingStatus != lb.Online {
		t.Errorf("%+v", p)
	}
}
