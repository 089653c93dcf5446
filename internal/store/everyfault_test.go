package store_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/uptrace/bun"

	"colonnade/internal/amphora"
	"colonnade/internal/lb"
	"colonnade/internal/network"
	"colonnade/internal/queue"
	"colonnade/internal/store"
	"colonnade/internal/store/storetest"
)

// failing lets the statement of that number not reach the database.
type failing struct{ statement, at int }

func (f *failing) BeforeQuery(ctx context.Context, e *bun.QueryEvent) context.Context {
	if f.at == 0 || e.Operation() == "BEGIN" || e.Operation() == "COMMIT" || e.Operation() == "ROLLBACK" {
		return ctx
	}
	if f.statement++; f.statement != f.at {
		return ctx
	}
	over, cancel := context.WithCancel(ctx)
	cancel()
	return over
}

func (f *failing) AfterQuery(context.Context, *bun.QueryEvent) {}

// dump is all rows of all tables.
func dump(t *testing.T, s *store.Store) map[string][]string {
	t.Helper()
	var tables []string
	ok(t, s.Reader().NewRaw("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()").Scan(t.Context(), &tables))
	all := map[string][]string{}
	for _, table := range tables {
		var rows []string
		ok(t, s.Reader().NewRaw("SELECT o::text FROM ? AS o ORDER BY 1", bun.Ident(table)).Scan(t.Context(), &rows))
		all[table] = rows
	}
	return all
}

// TestEveryStatementMayFail lets each statement of each operation fail, one after the other: the operation says so, and
// nothing of it is kept. PostgreSQL stands for both: the statements are the same.
func TestEveryStatementMayFail(t *testing.T) {
	s := storetest.Open(t, storetest.Postgres(t))
	fault := &failing{}
	s.Reader().(*bun.DB).AddQueryHook(fault) //nolint:staticcheck // what shall replace it makes another DB
	ctx := t.Context()
	must := func(name string, operation func() error) {
		t.Helper()
		before := dump(t, s)
		for n := 1; ; n++ {
			*fault = failing{at: n}
			err := operation()
			reached := fault.statement >= n
			*fault = failing{}
			if !reached {
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				if n < 2 {
					t.Fatalf("%s: no statement was seen", name)
				}
				return
			}
			if !errors.Is(err, context.Canceled) {
				t.Fatalf("%s: its statement %d failed, and it says %v", name, n, err)
			}
			if d := cmp.Diff(before, dump(t, s)); d != "" {
				t.Fatalf("%s: its statement %d failed, and this is kept: %s", name, n, d)
			}
		}
	}
	q := queue.New(s, quiet())
	var held *queue.Held
	take := func(kind, key string) lb.Lease {
		t.Helper()
		must("claim", func() (err error) {
			held, err = q.Claim(ctx, kind)
			return err
		})
		if held == nil || held.Lease.Key != key {
			t.Fatalf("claimed %+v", held)
		}
		must("renew", func() error { return q.Renew(ctx, held) })
		return held.Lease
	}
	done := func() { must("done", func() error { return q.Done(ctx, held, 0) }) }

	must("CreateTree", func() error {
		tree, cluster := newTree(t, "lb1")
		return s.CreateTree(ctx, tree, cluster)
	})
	lease := take(lb.WorkWorker, "lb1")
	must("UpdateTree", func() error {
		return s.UpdateTree(ctx, lease, func(tree *lb.Tree) (lb.Outcome, error) {
			tree.Settle(lb.Settlement{Revision: tree.LoadBalancer.Revision})
			return lb.Outcome{Events: []lb.Event{{LoadBalancerID: "lb1", Actor: "worker", Action: "x"}}, Wakes: []lb.Wake{{Kind: lb.WorkACM, Key: "lb1"}}}, nil
		})
	})
	done()
	must("ChangeTree", func() error {
		_, err := s.ChangeTree(ctx, "lb1", "ann", func(tree *lb.Tree) error {
			tree.AcceptPending = true
			return errors.Join(tree.AddMember("lb1-pool", lb.Member{ID: "lb1-m3", Address: "198.18.1.3", ProtocolPort: 80, Weight: 1}),
				tree.UpdateLoadBalancer(func(l *lb.LoadBalancer) error { l.Name = "x"; return nil }))
		})
		return err
	})
	settle(t, s, "lb1")

	lease = take(lb.WorkACM, "lb1")
	acm := held
	must("UpdateCluster", func() error {
		return s.UpdateCluster(ctx, lease, func(st *lb.ClusterState) (lb.Outcome, error) {
			st.Cluster.Table = "{}"
			st.Ports = append(st.Ports, lb.AmphoraPort{PortID: "x1", AmphoraID: "a1", NetworkID: "n", SubnetID: "s"})
			return grow(amp("a1", lb.AmphoraAllocated), amp("a2", lb.AmphoraAllocated))(st)
		})
	})
	var d lb.Distributor
	must("AssignDistributor", func() (err error) {
		d, err = s.AssignDistributor(ctx, lease)
		return err
	})
	beat := lb.InstanceHealth{InstanceID: "a1", Kind: "amphora", State: lb.HealthAlive, Since: noon, LastSeen: noon}
	must("SaveHealth", func() error {
		return s.SaveHealth(ctx, []lb.InstanceHealth{beat}, []lb.Wake{{Kind: lb.WorkACM, Key: "lb1"}})
	})
	beat.LastSeen = noon.Add(time.Second)
	must("SaveLastSeen", func() error { return s.SaveLastSeen(ctx, []lb.InstanceHealth{beat}) })
	must("SaveListenerStatistics", func() error {
		return s.SaveListenerStatistics(ctx, map[string][]amphora.ListenerStats{"a1": {{ListenerID: "lb1-li", BytesIn: 1}}})
	})
	must("CreateNetwork", func() error {
		return s.CreateNetwork(ctx, network.Network{ID: "n1", Subnets: []network.Subnet{{ID: "s1"}}}, func([]network.Subnet) error { return nil })
	})
	must("CreateSubnet", func() error {
		return s.CreateSubnet(ctx, network.Subnet{ID: "s2", NetworkID: "n1"}, func([]network.Subnet) error { return nil })
	})
	must("InsertPort", func() error {
		_, err := s.InsertPort(ctx, network.Port{ID: "p1", NetworkID: "n1"}, func(map[string]bool) (string, string, error) { return "s1", "198.18.0.2", nil })
		return err
	})
	for name, read := range reads(s, d.ID) {
		must(name, func() error { return read(ctx) })
	}
	must("DeletePort", func() error { return s.DeletePort(ctx, "p1") })
	must("DeleteSubnet", func() error { return s.DeleteSubnet(ctx, "s2") })
	must("DeleteNetwork", func() error { return s.DeleteNetwork(ctx, "n1") })

	must("Fail", func() error { return q.Fail(ctx, acm, errors.New("boom")) })
	must("Enqueue", func() error { return q.Enqueue(ctx, lb.Wake{Kind: lb.WorkACM, Key: "lb1"}) })
	must("RequestAmphoraFailover", func() error { return s.RequestAmphoraFailover(ctx, "a1") })
	settle(t, s, "lb1")
	must("RequestLoadBalancerFailover", func() error { return s.RequestLoadBalancerFailover(ctx, "lb1") })
	settle(t, s, "lb1")
	_, err := s.ChangeTree(ctx, "lb1", "ann", func(tree *lb.Tree) error { return tree.DeleteLoadBalancer(true) })
	ok(t, err)
	lease = take(lb.WorkACM, "lb1")
	must("UpdateCluster at the end", func() error {
		return s.UpdateCluster(ctx, lease, func(st *lb.ClusterState) (lb.Outcome, error) {
			st.Cluster.DistributorID = ""
			st.Amphorae[0].Status = lb.AmphoraDeleted
			st.Amphorae = st.Amphorae[:1]
			return lb.Outcome{}, nil
		})
	})
	must("Release", func() error { return q.Release(ctx, held) })
	must("ReleaseAll", func() error { return q.ReleaseAll(ctx) })
	lease = take(lb.WorkWorker, "lb1")
	must("FinishDelete", func() error { return s.FinishDelete(ctx, lease) })
	lease = take(lb.WorkDistributor, d.ID)
	for _, status := range []lb.AmphoraStatus{lb.AmphoraBooting, lb.AmphoraDeleted} {
		must("UpdateDistributor", func() error {
			return s.UpdateDistributor(ctx, lease, func(d *lb.Distributor) (lb.Outcome, error) { d.Status = status; return lb.Outcome{}, nil })
		})
	}
	must("a queue of what is gone", func() error {
		_, err := q.Claim(ctx, lb.WorkDistributor)
		return err
	})
	for _, c := range []struct{ statement, left int }{
		{4, 1}, // of the first transaction
		{7, 0}, // of the second, which would find nothing more: the first is kept
	} {
		*fault = failing{at: c.statement}
		_, err := s.Purge(ctx, time.Now().Add(time.Hour))
		*fault = failing{}
		if n := counts(t, s)["load_balancer"]; !errors.Is(err, context.Canceled) || n != c.left {
			t.Fatalf("%d left after statement %d failed: %v", n, c.statement, err)
		}
	}
}

// reads are the operations that only read.
func reads(s *store.Store, distributor string) map[string]func(context.Context) error {
	one := store.Query{Marker: "", Sort: []store.SortKey{{Name: "id", Desc: true}}, Limit: 1}
	return map[string]func(context.Context) error{
		"Tree":               func(ctx context.Context) error { _, err := s.Tree(ctx, "lb1"); return err },
		"ClusterState":       func(ctx context.Context) error { _, err := s.ClusterState(ctx, "lb1"); return err },
		"Distributor":        func(ctx context.Context) error { _, _, _, err := s.Distributor(ctx, distributor); return err },
		"Subjects":           func(ctx context.Context) error { _, err := s.Subjects(ctx); return err },
		"Health":             func(ctx context.Context) error { _, err := s.Health(ctx); return err },
		"ListenerStatistics": func(ctx context.Context) error { _, err := s.ListenerStatistics(ctx, "lb1"); return err },
		"AmphoraStatistics":  func(ctx context.Context) error { _, err := s.AmphoraStatistics(ctx, "a1"); return err },
		"Events":             func(ctx context.Context) error { _, err := s.Events(ctx, "lb1", 1); return err },
		"EventsAfter":        func(ctx context.Context) error { _, err := s.EventsAfter(ctx, 0, []int64{1}, 10); return err },
		"LastEvents":         func(ctx context.Context) error { _, err := s.LastEvents(ctx, 10); return err },
		"Quota":              func(ctx context.Context) error { _, err := s.Quota(ctx, "p1"); return err },
		"Quotas":             func(ctx context.Context) error { _, err := s.Quotas(ctx, store.Query{Limit: 1}); return err },
		"LoadBalancers":      func(ctx context.Context) error { _, err := s.LoadBalancers(ctx, one); return err },
		"LoadBalancers, after": func(ctx context.Context) error {
			_, err := s.LoadBalancers(ctx, store.Query{Marker: "lb1"})
			return err
		},
		"Listeners":      func(ctx context.Context) error { _, err := s.Listeners(ctx, one); return err },
		"Pools":          func(ctx context.Context) error { _, err := s.Pools(ctx, one); return err },
		"Members":        func(ctx context.Context) error { _, err := s.Members(ctx, one); return err },
		"HealthMonitors": func(ctx context.Context) error { _, err := s.HealthMonitors(ctx, one); return err },
		"Amphorae":       func(ctx context.Context) error { _, err := s.Amphorae(ctx, one); return err },
		"Clusters":       func(ctx context.Context) error { _, err := s.Clusters(ctx, one); return err },
		"Distributors":   func(ctx context.Context) error { _, err := s.Distributors(ctx, one); return err },
		"L7Policies":     func(ctx context.Context) error { _, err := s.L7Policies(ctx, one); return err },
		"L7Rules":        func(ctx context.Context) error { _, err := s.L7Rules(ctx, one); return err },
		"FindL7Policy": func(ctx context.Context) error {
			if _, err := s.FindL7Policy(ctx, "x"); lb.KindOf(err) != lb.KindNotFound {
				return err
			}
			return nil
		},
		"FindMember": func(ctx context.Context) error { _, err := s.FindMember(ctx, "lb1-m1"); return err },
		"Networks":   func(ctx context.Context) error { _, err := s.Networks(ctx); return err },
		"Network":    func(ctx context.Context) error { _, err := s.Network(ctx, "n1"); return err },
		"Subnet":     func(ctx context.Context) error { _, err := s.Subnet(ctx, "s1"); return err },
		"Port":       func(ctx context.Context) error { _, err := s.Port(ctx, "p1"); return err },
		"Ports":      func(ctx context.Context) error { _, err := s.Ports(ctx, ""); return err },
	}
}
