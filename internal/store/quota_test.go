package store_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"colonnade/internal/lb"
	"colonnade/internal/store"
	"colonnade/internal/store/storetest"
)

const metPrefix = "Quota has been met for resources: "

func limit(t *testing.T, s *store.Store, project string, change func(*lb.Quota)) {
	t.Helper()
	_, err := s.UpdateQuota(t.Context(), project, change)
	ok(t, err)
}

func TestQuotaIsTheProjectsOverTheDefaults(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		s, err := store.Open(t.Context(), dsn, store.WithQuota(lb.Quota{Pool: new(7), Listener: new(8)}))
		ok(t, err)
		defer func() { ok(t, s.Close()) }()
		want := lb.NoQuota()
		want.Pool, want.Listener = new(7), new(8)
		same := func(q lb.Quota) {
			t.Helper()
			if d := cmp.Diff(want, q); d != "" {
				t.Fatal(d)
			}
		}
		same(s.DefaultQuota())
		q, err := s.Quota(t.Context(), "p1")
		ok(t, err)
		same(q)
		items, err := s.Quotas(t.Context(), store.Query{})
		ok(t, err)
		if len(items) != 0 {
			t.Fatalf("%v", items)
		}
		wantFault(t, s.ResetQuota(t.Context(), "p1"), lb.KindNotFound, "Quotas p1 not found.")

		limit(t, s, "p1", func(q *lb.Quota) { q.Pool, q.Member = new(3), new(0) })
		limit(t, s, "p1", func(q *lb.Quota) { q.Pool = nil })
		want.Member = new(0)
		q, err = s.Quota(t.Context(), "p1")
		ok(t, err)
		same(q)
		items, err = s.Quotas(t.Context(), store.Query{Filters: map[string][]string{"member": {"0"}}})
		ok(t, err)
		if len(items) != 1 || items[0].ProjectID != "p1" {
			t.Fatalf("%v", items)
		}
		same(items[0].Quota)
		ok(t, s.ResetQuota(t.Context(), "p1"))
		want.Member = new(-1)
		q, err = s.Quota(t.Context(), "p1")
		ok(t, err)
		same(q)
	})
}

func TestQuotaLimitsEachKind(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *store.Store) {
		for kind, change := range map[string]func(*lb.Quota){
			"Load Balancer":  func(q *lb.Quota) { q.LoadBalancer = new(0) },
			"Listener":       func(q *lb.Quota) { q.Listener = new(0) },
			"Pool":           func(q *lb.Quota) { q.Pool = new(0) },
			"Member":         func(q *lb.Quota) { q.Member = new(1) },
			"Health Monitor": func(q *lb.Quota) { q.HealthMonitor = new(0) },
			"L7 Policy":      func(q *lb.Quota) { q.L7Policy = new(0) },
			"L7 Rule":        func(q *lb.Quota) { q.L7Rule = new(1) },
		} {
			tree, cluster := newTree(t, "lb1")
			tree.Listeners[0].L7Policies = []lb.L7Policy{{ID: "policy", ListenerID: "lb1-li", ProjectID: "p1", Action: "REJECT", Position: 1, ProvisioningStatus: lb.PendingCreate, Rules: []lb.L7Rule{
				{ID: "r1", PolicyID: "policy", ProjectID: "p1", Type: "PATH", CompareType: "EQUAL_TO", Value: "/a", ProvisioningStatus: lb.PendingCreate},
				{ID: "r2", PolicyID: "policy", ProjectID: "p1", Type: "PATH", CompareType: "EQUAL_TO", Value: "/b", ProvisioningStatus: lb.PendingCreate},
			}}}
			limit(t, s, "p1", change)
			wantFault(t, s.CreateTree(t.Context(), tree, cluster), lb.KindForbidden, metPrefix+kind)
			if _, err := s.Tree(t.Context(), "lb1"); lb.KindOf(err) != lb.KindNotFound {
				t.Fatalf("%s: it is there: %v", kind, err)
			}
			ok(t, s.ResetQuota(t.Context(), "p1"))
		}
		limit(t, s, "p1", func(q *lb.Quota) {
			q.LoadBalancer, q.Listener, q.Pool, q.Member, q.HealthMonitor = new(1), new(1), new(1), new(3), new(1)
		})
		create(t, s, "lb1")
		settle(t, s, "lb1")
		change := func(ctx context.Context, f func(*lb.Tree) error) error {
			_, err := s.ChangeTree(ctx, "lb1", "ann", func(tree *lb.Tree) error {
				tree.AcceptPending = true
				return f(tree)
			})
			return err
		}
		member := func(i int) lb.Member {
			return lb.Member{ID: fmt.Sprint("m", i), Address: fmt.Sprint("198.18.7.", i), ProtocolPort: 80, Weight: 1}
		}
		pool := lb.Pool{ID: "pool2", Enabled: true, Protocol: lb.ProtocolHTTP, Algorithm: lb.RoundRobin}
		wantFault(t, change(t.Context(), func(tree *lb.Tree) error { return tree.AddPool(pool, "") }), lb.KindForbidden, metPrefix+"Pool")
		ok(t, change(t.Context(), func(tree *lb.Tree) error { return tree.AddMember("lb1-pool", member(1)) }))
		wantFault(t, change(t.Context(), func(tree *lb.Tree) error { return tree.AddMember("lb1-pool", member(2)) }), lb.KindForbidden, metPrefix+"Member")
		// Who no quota holds for makes it, and what is over the limit may still be changed and made fewer.
		ok(t, change(lb.WithCaller(t.Context(), lb.Caller{NoQuota: true}), func(tree *lb.Tree) error { return tree.AddMember("lb1-pool", member(2)) }))
		ok(t, change(t.Context(), func(tree *lb.Tree) error {
			return tree.UpdateMember("lb1-pool", "m2", func(m *lb.Member) error { m.Weight = 9; return nil })
		}))
		ok(t, change(t.Context(), func(tree *lb.Tree) error { return tree.DeleteMember("lb1-pool", "m2") }))
		// A batch counts for what it adds: these three go, and three come.
		settle(t, s, "lb1")
		batch := func(n int) error {
			var all []lb.Member
			for i := range n {
				all = append(all, member(10+i))
			}
			return change(t.Context(), func(tree *lb.Tree) error { return tree.ReplaceMembers("lb1-pool", all, false) })
		}
		wantFault(t, batch(4), lb.KindForbidden, metPrefix+"Member")
		ok(t, batch(3))
		// Other projects have limits of their own.
		tree, cluster := newTree(t, "lb2")
		tree.LoadBalancer.ProjectID = "p2"
		tree, err := lb.NewTree(tree.LoadBalancer, tree.Listeners, tree.Pools)
		ok(t, err)
		ok(t, s.CreateTree(t.Context(), tree, cluster))
		// A deleted load balancer counts no more.
		tree, cluster = newTree(t, "lb3")
		wantFault(t, s.CreateTree(t.Context(), tree, cluster), lb.KindForbidden, metPrefix+"Load Balancer")
		ok(t, change(t.Context(), func(tree *lb.Tree) error { return tree.DeleteLoadBalancer(true) }))
		wantFault(t, s.CreateTree(t.Context(), tree, cluster), lb.KindForbidden, metPrefix+"Load Balancer")
		l, err := s.Tree(t.Context(), "lb1")
		ok(t, err)
		ok(t, s.FinishDelete(t.Context(), lb.Lease{Kind: lb.WorkWorker, Key: "lb1", Epoch: l.LoadBalancer.Epoch}))
		ok(t, s.CreateTree(t.Context(), tree, cluster))
	})
}

// However many ask at once, through however many processes, what there is never passes the limit, and reaches it.
func TestQuotaHoldsAgainstManyAtOnce(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		stores := []*store.Store{storetest.Open(t, dsn), storetest.Open(t, dsn)}
		create(t, stores[0], "first")
		settle(t, stores[0], "first")
		limit(t, stores[0], "p1", func(q *lb.Quota) { q.LoadBalancer, q.Member = new(5), new(11) })
		var made, refused atomic.Int32
		var all sync.WaitGroup
		count := func(err error) {
			switch lb.KindOf(err) {
			case lb.KindForbidden:
				refused.Add(1)
			default:
				if err != nil {
					t.Error(err)
				}
				made.Add(1)
			}
		}
		for i := range 16 {
			all.Go(func() {
				tree, cluster := newTree(t, fmt.Sprint("lb", i))
				count(stores[i%2].CreateTree(t.Context(), tree, cluster))
			})
		}
		all.Wait()
		if made.Load() != 4 || refused.Load() != 12 {
			t.Fatalf("%d made, %d refused", made.Load(), refused.Load())
		}
		made.Store(0)
		refused.Store(0)
		lbs, err := stores[0].LoadBalancers(t.Context(), store.Query{})
		ok(t, err)
		for i, l := range lbs { // each a tree of its own, and so a lock of its own
			all.Go(func() {
				_, err := stores[i%2].ChangeTree(t.Context(), l.ID, "ann", func(tree *lb.Tree) error {
					tree.AcceptPending = true
					return tree.AddMember(l.ID+"-pool", lb.Member{ID: l.ID + "x", Address: "198.18.9.9", ProtocolPort: 80, Weight: 1})
				})
				count(err)
			})
		}
		all.Wait()
		if made.Load() != 1 || refused.Load() != 4 {
			t.Fatalf("members: %d made, %d refused", made.Load(), refused.Load())
		}
	})
}
