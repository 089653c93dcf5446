package api_test

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/uptrace/bun"
)

// queries are those that a database was asked.
type queries struct {
	mu  sync.Mutex
	all []string
}

func (q *queries) BeforeQuery(ctx context.Context, e *bun.QueryEvent) context.Context {
	q.mu.Lock()
	defer q.mu.Unlock()
	if strings.HasPrefix(e.Query, "SELECT") {
		q.all = append(q.all, e.Query)
	}
	return ctx
}

func (q *queries) AfterQuery(context.Context, *bun.QueryEvent) {}

// Reads ask a fixed number of questions, however many children there are, and those that name what they want never
// look through a whole table.
func TestReadsAskLittle(t *testing.T) {
	l := newLab(t, nil)
	lbID, listenerID, poolID, memberID, monitorID := l.balancer()
	l.balancer()
	policyID := l.must(201, "POST", "/v2.0/lbaas/l7policies", `{"l7policy":{"listener_id":"`+listenerID+`","action":"REDIRECT_TO_POOL","redirect_pool_id":"`+poolID+`",
		"rules":[{"type":"PATH","compare_type":"EQUAL_TO","value":"/"}]}}`).id(t, "l7policy")
	ruleID := l.must(200, "GET", "/v2.0/lbaas/l7policies/"+policyID+"/rules?limit=5", "").id(t, "rules.0")
	db, ok := l.store.Reader().(*bun.DB)
	if !ok {
		t.Fatalf("reader is %T", l.store.Reader())
	}
	heard := &queries{}
	db.AddQueryHook(heard) //nolint:staticcheck // a clone of the database would hear nothing of the store's own
	for _, c := range []struct {
		path  string
		most  int
		scans bool // of the listed table alone
	}{
		{"loadbalancers/" + lbID, 1, false},
		{"listeners/" + listenerID, 1, false},
		{"pools/" + poolID, 1, false},
		{"pools/" + poolID + "/members/" + memberID, 2, false},
		{"healthmonitors/" + monitorID, 1, false},
		{"pools/" + poolID + "/members", 2, false},
		{"loadbalancers/" + lbID + "/status", 10, false},
		{"l7policies/" + policyID, 1, false},
		{"l7policies/" + policyID + "/rules", 2, false},
		{"l7policies/" + policyID + "/rules/" + ruleID, 2, false},
		{"l7policies", 1, true},
		{"l7policies?listener_id=" + listenerID, 1, false},
		{"loadbalancers", 1, true},
		{"listeners", 1, true},
		{"pools", 1, true},
		{"healthmonitors", 1, true},
		{"listeners?loadbalancer_id=" + lbID, 1, false},
		{"pools?loadbalancer_id=" + lbID, 1, false},
	} {
		heard.all = nil
		l.must(200, "GET", "/v2.0/lbaas/"+c.path, "")
		heard.mu.Lock()
		asked := heard.all
		heard.mu.Unlock()
		if len(asked) == 0 || len(asked) > c.most {
			t.Errorf("%s: %d queries, want 1 to %d: %q", c.path, len(asked), c.most, asked)
		}
		for i, q := range asked {
			var plan []struct {
				ID, Parent, Notused int
				Detail              string
			}
			if err := l.store.Reader().NewRaw("EXPLAIN QUERY PLAN "+q).Scan(t.Context(), &plan); err != nil {
				t.Fatalf("%s: %v", q, err)
			}
			for _, step := range plan {
				if strings.HasPrefix(step.Detail, "SCAN") && (!c.scans || i > 0) {
					t.Errorf("%s: %s: %s", c.path, step.Detail, q)
				}
			}
		}
	}
}
