package store_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"colonnade/internal/lb"
	"colonnade/internal/queue"
	"colonnade/internal/store"
	"colonnade/internal/store/storetest"
)

// eachDatabase runs a conformance test on every database there is, each time on an empty one.
func eachDatabase(t *testing.T, f func(t *testing.T, s *store.Store)) {
	t.Helper()
	storetest.Each(t, f)
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantKind(t *testing.T, err error, kind lb.Kind) {
	t.Helper()
	if err == nil || lb.KindOf(err) != kind {
		t.Fatalf("error %v is of kind %d, want %d", err, lb.KindOf(err), kind)
	}
}

// wantFault wants a fault of this kind that says one of these texts.
func wantFault(t *testing.T, err error, kind lb.Kind, texts ...string) {
	t.Helper()
	wantKind(t, err, kind)
	if !slices.Contains(texts, err.Error()) {
		t.Fatalf("fault says %q, want %q", err, texts)
	}
}

// newTree is a load balancer "<name>" with a listener, its pool, two members and a monitor.
func newTree(t testing.TB, name string) (lb.Tree, lb.Cluster) {
	t.Helper()
	l := lb.LoadBalancer{
		ID: name, ProjectID: "p1", Name: name, Enabled: true, Provider: "amphora", VIPAddress: "198.18.0.10",
		VIPPortID: name + "-port", VIPSubnetID: "s1", VIPNetworkID: "n1", VIPPortOwned: true, Tags: []string{"blue", "a_b"},
	}
	pool := lb.Pool{
		ID: name + "-pool", Name: "web", Enabled: true, Protocol: lb.ProtocolHTTP, Algorithm: lb.RoundRobin,
		SessionPersistence: &lb.SessionPersistence{Type: lb.PersistHTTPCookie},
		HealthMonitor: &lb.HealthMonitor{
			ID: name + "-hm", Enabled: true, Type: lb.MonitorHTTP, Delay: 5, Timeout: 3, MaxRetries: 2, MaxRetriesDown: 3,
			HTTPMethod: "GET", URLPath: "/", ExpectedCodes: "200",
		},
		Members: []lb.Member{
			{ID: name + "-m1", Enabled: true, Address: "198.18.1.1", ProtocolPort: 80, Weight: 1},
			{ID: name + "-m2", Enabled: true, Address: "198.18.1.2", ProtocolPort: 80, Weight: 2, SubnetID: "s2", MonitorPort: 81},
		},
	}
	listener := lb.Listener{
		ID: name + "-li", Name: "http", Enabled: true, Protocol: lb.ProtocolHTTP, ProtocolPort: 80, ConnectionLimit: -1,
		DefaultPoolID: pool.ID, InsertHeaders: map[string]string{"X-Forwarded-For": "true"}, AllowedCIDRs: []string{"198.18.0.0/16"},
		TimeoutClientData: 50000,
	}
	tree, err := lb.NewTree(l, []lb.Listener{listener}, []lb.Pool{pool})
	ok(t, err)
	return tree, lb.Cluster{
		Affinity: lb.AffinitySourceIP, Sharing: lb.SharingProject,
		ID: name + "-cl", Name: name, Type: "fixed", DesiredSize: 3, MinSize: 1, StandbySize: 1, Cooldown: 5 * time.Second,
		ProvisioningStatus: lb.PendingCreate, OperatingStatus: lb.Offline, Enabled: true, ProbeKey: "00",
	}
}

func create(t *testing.T, s *store.Store, name string) lb.Tree {
	t.Helper()
	tree, cluster := newTree(t, name)
	ok(t, s.CreateTree(t.Context(), tree, cluster))
	got, err := s.Tree(t.Context(), name)
	ok(t, err)
	return got
}

// claim claims the one due row of this kind and fails when it is another.
func claim(t *testing.T, s *store.Store, kind, key string) *queue.Held {
	t.Helper()
	h, err := queue.New(s, quiet()).Claim(t.Context(), kind)
	ok(t, err)
	if h == nil || h.Lease.Key != key {
		t.Fatalf("claimed %+v, want %s %s", h, kind, key)
	}
	return h
}

// settle makes everything of the load balancer ACTIVE, as the worker does, and ends its claim.
func settle(t *testing.T, s *store.Store, name string) {
	t.Helper()
	h := claim(t, s, lb.WorkWorker, name)
	ok(t, s.UpdateTree(t.Context(), h.Lease, func(tree *lb.Tree) (lb.Outcome, error) {
		tree.Settle(lb.Settlement{Revision: tree.LoadBalancer.Revision})
		return lb.Outcome{}, nil
	}))
	ok(t, queue.New(s, quiet()).Done(t.Context(), h, 0))
}

func TestTreeIsReadAsItWasWritten(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *store.Store) {
		want, cluster := newTree(t, "lb1")
		ok(t, s.CreateTree(t.Context(), want, cluster))
		got, err := s.Tree(t.Context(), "lb1")
		ok(t, err)
		created := got.LoadBalancer.CreatedAt
		if d := time.Since(created); d < -time.Minute || d > time.Minute {
			t.Fatalf("created at %v", created)
		}
		want.LoadBalancer.CreatedAt, want.LoadBalancer.PendingSince = created, created
		want.Listeners[0].CreatedAt, want.Pools[0].CreatedAt = created, created
		want.Pools[0].HealthMonitor.CreatedAt = created
		for i := range want.Pools[0].Members {
			want.Pools[0].Members[i].CreatedAt = created
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Fatal(d)
		}
		state, err := s.ClusterState(t.Context(), "lb1")
		ok(t, err)
		cluster.LoadBalancerID, cluster.ProjectID, cluster.CreatedAt = "lb1", "p1", created
		wantState := lb.ClusterState{LoadBalancer: want.LoadBalancer, Cluster: cluster, Health: map[string]lb.InstanceHealth{}}
		if d := cmp.Diff(wantState, state); d != "" {
			t.Fatal(d)
		}
		if _, err := s.Tree(t.Context(), "nobody"); err == nil {
			t.Fatal("a load balancer that is not there was read")
		} else {
			wantFault(t, err, lb.KindNotFound, "Load Balancer nobody not found.")
		}
		wantKind(t, s.CreateTree(t.Context(), want, cluster), lb.KindConflict)
	})
}

func TestChangeTree(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		before := create(t, s, "lb1")
		change := func(f func(*lb.Tree) error) (lb.Tree, error) { return s.ChangeTree(ctx, "lb1", "ann", f) }

		t.Run("is refused while another is pending", func(t *testing.T) {
			_, err := change(func(tree *lb.Tree) error { return tree.DeleteListener("lb1-li") })
			wantFault(t, err, lb.KindConflict, "Load Balancer lb1 is immutable and cannot be updated.")
			_, err = change(func(tree *lb.Tree) error {
				return tree.UpdateLoadBalancer(func(l *lb.LoadBalancer) error { l.Name = "x"; return nil })
			})
			wantFault(t, err, lb.KindConflict, "Invalid state PENDING_CREATE of loadbalancer resource lb1")
			after, err := s.Tree(ctx, "lb1")
			ok(t, err)
			if d := cmp.Diff(before, after); d != "" {
				t.Fatal(d)
			}
		})
		settle(t, s, "lb1")
		t.Run("that changes nothing raises nothing", func(t *testing.T) {
			was, err := s.Tree(ctx, "lb1")
			ok(t, err)
			got, err := change(func(tree *lb.Tree) error {
				tree.LoadBalancer.Tags = append([]string{}, tree.LoadBalancer.Tags...)
				tree.Listeners[0].Tags = []string{}
				return tree.ReplaceMembers("lb1-pool", nil, true)
			})
			ok(t, err)
			if d := cmp.Diff(was, got); d != "" {
				t.Fatal(d)
			}
			if h, err := queue.New(s, quiet()).Claim(ctx, lb.WorkWorker); h != nil || err != nil {
				t.Fatalf("worker was woken: %v, %v", h, err)
			}
		})
		t.Run("that fails writes nothing", func(t *testing.T) {
			boom := errors.New("boom")
			_, err := change(func(tree *lb.Tree) error {
				ok(t, tree.DeletePool("lb1-pool"))
				return boom
			})
			if !errors.Is(err, boom) {
				t.Fatal(err)
			}
			got, err := s.Tree(ctx, "lb1")
			ok(t, err)
			if got.Pools[0].ProvisioningStatus != lb.Active {
				t.Fatal("it was written")
			}
		})
		t.Run("writes the difference, raises the revision, wakes the worker and tells of it", func(t *testing.T) {
			got, err := change(func(tree *lb.Tree) error {
				return tree.AddMember("lb1-pool", lb.Member{ID: "lb1-m3", Address: "198.18.1.3", ProtocolPort: 80, Weight: 1})
			})
			ok(t, err)
			read, err := s.Tree(ctx, "lb1")
			ok(t, err)
			if d := cmp.Diff(read, got); d != "" {
				t.Fatal(d)
			}
			m := got.Pools[0].Members[2]
			if m.ServerID != 3 || m.ProvisioningStatus != lb.PendingCreate || m.OperatingStatus != lb.Offline {
				t.Fatalf("member %+v", m)
			}
			if l := got.LoadBalancer; l.Revision != 2 || l.ProvisioningStatus != lb.PendingUpdate || l.PendingSince.IsZero() {
				t.Fatalf("load balancer %+v", l)
			}
			events, err := s.Events(ctx, "lb1", 1)
			ok(t, err)
			want := []lb.Event{{ID: events[0].ID, At: events[0].At, LoadBalancerID: "lb1", ProjectID: "p1", ObjectKind: "member", ObjectID: "lb1-m3", Actor: "ann", Action: "member created"}}
			if d := cmp.Diff(want, events); d != "" {
				t.Fatal(d)
			}
			settle(t, s, "lb1")
		})
		t.Run("removes children when it is settled, a pool from its listener too", func(t *testing.T) {
			_, err := change(func(tree *lb.Tree) error { return tree.DeletePool("lb1-pool") })
			ok(t, err)
			settle(t, s, "lb1")
			got, err := s.Tree(ctx, "lb1")
			ok(t, err)
			if len(got.Pools) != 0 || got.Listeners[0].DefaultPoolID != "" || got.LoadBalancer.ProvisioningStatus != lb.Active ||
				!got.LoadBalancer.PendingSince.IsZero() {
				t.Fatalf("%+v", got)
			}
			for _, find := range []func(context.Context, string) (string, error){s.FindPool} {
				_, err := find(ctx, "lb1-pool")
				wantKind(t, err, lb.KindNotFound)
			}
		})
	})
}

func TestFencing(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		create(t, s, "lb1")
		q := queue.New(s, quiet())
		old := claim(t, s, lb.WorkWorker, "lb1")
		ok(t, q.Release(ctx, old))
		young := claim(t, s, lb.WorkWorker, "lb1")
		if young.Lease.Epoch != old.Lease.Epoch+1 {
			t.Fatalf("epoch %d after %d", young.Lease.Epoch, old.Lease.Epoch)
		}
		rename := func(tree *lb.Tree) (lb.Outcome, error) {
			tree.LoadBalancer.StatusReason = "written"
			return lb.Outcome{Wakes: []lb.Wake{{Kind: lb.WorkACM, Key: "lb1"}}}, nil
		}
		grow := func(st *lb.ClusterState) (lb.Outcome, error) {
			st.Amphorae = append(st.Amphorae, lb.Amphora{ID: "a1", Role: lb.RoleInCluster, Status: lb.AmphoraPendingCreate, Position: lb.NoPosition})
			return lb.Outcome{}, nil
		}
		writes := map[string]func(lb.Lease) error{
			"tree":        func(l lb.Lease) error { return s.UpdateTree(ctx, l, rename) },
			"cluster":     func(l lb.Lease) error { return s.UpdateCluster(ctx, l, grow) },
			"distributor": func(l lb.Lease) error { _, err := s.AssignDistributor(ctx, l); return err },
			"delete":      func(l lb.Lease) error { return s.FinishDelete(ctx, l) },
		}
		for name, write := range writes {
			if err := write(old.Lease); !errors.Is(err, lb.ErrFenced) {
				t.Errorf("%s with the old lease: %v", name, err)
			}
		}
		got, err := s.ClusterState(ctx, "lb1")
		ok(t, err)
		if got.LoadBalancer.StatusReason != "" || len(got.Amphorae) != 0 || got.Distributor != nil {
			t.Fatalf("a fenced write was made: %+v", got)
		}
		ok(t, writes["tree"](young.Lease))
		ok(t, writes["cluster"](young.Lease))
		d, err := s.AssignDistributor(ctx, young.Lease)
		ok(t, err)

		dOld := claim(t, s, lb.WorkDistributor, d.ID)
		ok(t, q.Release(ctx, dOld))
		dYoung := claim(t, s, lb.WorkDistributor, d.ID)
		boot := func(d *lb.Distributor) (lb.Outcome, error) { d.Status = lb.AmphoraBooting; return lb.Outcome{}, nil }
		if err := s.UpdateDistributor(ctx, dOld.Lease, boot); !errors.Is(err, lb.ErrFenced) {
			t.Fatal(err)
		}
		ok(t, s.UpdateDistributor(ctx, dYoung.Lease, boot))
	})
}

func TestConcurrentChangesAreAllKept(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		create(t, s, "lb1")
		settle(t, s, "lb1")
		const writers, each = 8, 10
		errs := make(chan error, writers)
		for w := range writers {
			go func() {
				var err error
				for i := range each {
					_, cerr := s.ChangeTree(ctx, "lb1", "ann", func(tree *lb.Tree) error {
						tree.AcceptPending = true
						return tree.AddMember("lb1-pool", lb.Member{
							ID: fmt.Sprintf("w%d-%d", w, i), Address: fmt.Sprintf("198.18.2.%d", w), ProtocolPort: 1 + i, Weight: 1,
						})
					})
					_, rerr := s.LoadBalancers(ctx, store.Query{})
					err = errors.Join(err, cerr, rerr)
				}
				errs <- err
			}()
		}
		for range writers {
			ok(t, <-errs)
		}
		got, err := s.Tree(ctx, "lb1")
		ok(t, err)
		if n, rev := len(got.Pools[0].Members), got.LoadBalancer.Revision; n != 2+writers*each || rev != 1+writers*each {
			t.Fatalf("%d members at revision %d", n, rev)
		}
	})
}
