package store_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"colonnade/internal/amphora"
	"colonnade/internal/cluster"
	"colonnade/internal/health"
	"colonnade/internal/lb"
	"colonnade/internal/network/bridge"
	"colonnade/internal/queue"
	"colonnade/internal/store"
	"colonnade/internal/worker"
)

var (
	_ cluster.Store = (*store.Store)(nil)
	_ worker.Store  = (*store.Store)(nil)
	_ health.Store  = (*store.Store)(nil)
	_ bridge.Store  = (*store.Store)(nil)
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func amp(id string, status lb.AmphoraStatus) lb.Amphora {
	return lb.Amphora{ID: id, Role: lb.RoleInClusterStandby, Status: status, Position: lb.NoPosition, HeartbeatKey: "k" + id, CreatedAt: noon}
}

func grow(amps ...lb.Amphora) func(*lb.ClusterState) (lb.Outcome, error) {
	return func(st *lb.ClusterState) (lb.Outcome, error) {
		st.Amphorae = append(st.Amphorae, amps...)
		return lb.Outcome{}, nil
	}
}

func TestClusterLife(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		create(t, s, "lb1")
		lease := claim(t, s, lb.WorkACM, "lb1").Lease
		ok(t, s.UpdateCluster(ctx, lease, grow(amp("a1", lb.AmphoraAllocated), amp("a2", lb.AmphoraBooting))))
		ok(t, s.UpdateCluster(ctx, lease, func(st *lb.ClusterState) (lb.Outcome, error) {
			st.Cluster.Table = "{}"
			st.Amphorae[0].Position, st.Amphorae[0].AppliedTable = 2, 7
			st.Ports = append(st.Ports, lb.AmphoraPort{PortID: "x1", AmphoraID: "a1", NetworkID: "n", SubnetID: "s"},
				lb.AmphoraPort{PortID: "x2", AmphoraID: "a2", NetworkID: "n", SubnetID: "s"})
			return lb.Outcome{Events: []lb.Event{{LoadBalancerID: "lb1", ObjectID: "a1", Actor: "acm", Action: "position filled", At: noon}}}, nil
		}))
		beat := lb.InstanceHealth{InstanceID: "a1", Kind: "amphora", State: lb.HealthAlive, Since: noon, LastSeen: noon, BootID: "b", Report: "{}"}
		gone := beat
		gone.InstanceID = "nobody"
		ok(t, s.SaveHealth(ctx, []lb.InstanceHealth{beat, gone}, nil))
		beat.State, beat.LastSeen = lb.HealthSilent, noon.Add(time.Second)
		ok(t, s.SaveHealth(ctx, []lb.InstanceHealth{beat}, nil))
		late := beat
		late.LastSeen = noon
		ok(t, s.SaveLastSeen(ctx, []lb.InstanceHealth{late}))
		all, err := s.Health(ctx)
		ok(t, err)
		if d := cmp.Diff([]lb.InstanceHealth{beat}, all); d != "" {
			t.Fatal("health: " + d)
		}
		got, err := s.ClusterState(ctx, "lb1")
		ok(t, err)
		want := amp("a1", lb.AmphoraAllocated)
		want.LoadBalancerID, want.ClusterID, want.Position, want.AppliedTable, want.UpdatedAt = "lb1", "lb1-cl", 2, 7, got.Amphorae[0].UpdatedAt
		if d := cmp.Diff(want, got.Amphorae[0]); d != "" || got.Cluster.Table != "{}" || len(got.Ports) != 2 {
			t.Fatalf("%s\n%+v", d, got)
		}
		if d := cmp.Diff(map[string]lb.InstanceHealth{"a1": beat}, got.Health); d != "" {
			t.Fatal(d)
		}
		subjects, err := s.Subjects(ctx)
		ok(t, err)
		wantSubjects := []lb.Subject{
			{ID: "a1", Kind: "amphora", HeartbeatKey: "ka1", LoadBalancers: []string{"lb1"}},
			{ID: "a2", Kind: "amphora", HeartbeatKey: "ka2", LoadBalancers: []string{"lb1"}},
		}
		if d := cmp.Diff(wantSubjects, subjects); d != "" {
			t.Fatal(d)
		}

		t.Run("what is read-only is refused", func(t *testing.T) {
			err := s.UpdateCluster(ctx, lease, func(st *lb.ClusterState) (lb.Outcome, error) {
				st.LoadBalancer.Name = "x"
				return lb.Outcome{}, nil
			})
			if err == nil {
				t.Fatal("accepted")
			}
		})
		t.Run("a DELETED amphora loses ports and health and is hidden", func(t *testing.T) {
			ok(t, s.UpdateCluster(ctx, lease, func(st *lb.ClusterState) (lb.Outcome, error) {
				st.Amphorae[0].Status = lb.AmphoraDeleted
				return lb.Outcome{}, nil
			}))
			got, err := s.ClusterState(ctx, "lb1")
			ok(t, err)
			if len(got.Amphorae) != 1 || len(got.Ports) != 1 || got.Ports[0].PortID != "x2" || len(got.Health) != 0 {
				t.Fatalf("%+v", got)
			}
			items, err := s.Amphorae(ctx, store.Query{})
			ok(t, err)
			if len(items) != 1 || items[0].ID != "a2" || items[0].ProjectID != "p1" {
				t.Fatalf("%+v", items)
			}
			ok(t, s.SaveHealth(ctx, []lb.InstanceHealth{beat}, nil))
			if all, err := s.Health(ctx); err != nil || len(all) != 0 {
				t.Fatalf("a late heartbeat left %v, %v", all, err)
			}
		})
		t.Run("an amphora that is left out is removed", func(t *testing.T) {
			ok(t, s.UpdateCluster(ctx, lease, func(st *lb.ClusterState) (lb.Outcome, error) {
				st.Amphorae = nil
				return lb.Outcome{}, nil
			}))
			got, err := s.ClusterState(ctx, "lb1")
			ok(t, err)
			if len(got.Amphorae)+len(got.Ports) != 0 {
				t.Fatalf("%+v", got)
			}
		})
	})
}

func TestFinishDelete(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		create(t, s, "lb1")
		settle(t, s, "lb1")
		acm := claim(t, s, lb.WorkACM, "lb1")
		ok(t, s.UpdateCluster(ctx, acm.Lease, grow(amp("a1", lb.AmphoraAllocated))))
		wantFault(t, s.FinishDelete(ctx, acm.Lease), lb.KindConflict, "Invalid state ACTIVE of loadbalancer resource lb1")
		ok(t, queue.New(s, quiet()).Done(ctx, acm, 0))
		_, err := s.ChangeTree(ctx, "lb1", "ann", func(tree *lb.Tree) error { return tree.DeleteLoadBalancer(false) })
		wantFault(t, err, lb.KindInvalid, "Validation failure: Cannot delete Load Balancer lb1 - it has children")
		_, err = s.ChangeTree(ctx, "lb1", "ann", func(tree *lb.Tree) error { return tree.DeleteLoadBalancer(true) })
		ok(t, err)
		acm = claim(t, s, lb.WorkACM, "lb1") // a deletion wakes the manager too
		wantFault(t, s.FinishDelete(ctx, acm.Lease), lb.KindConflict, "Load Balancer lb1 still has 1 amphorae.")
		ok(t, s.UpdateCluster(ctx, acm.Lease, func(st *lb.ClusterState) (lb.Outcome, error) {
			st.Amphorae[0].Status = lb.AmphoraDeleted
			return lb.Outcome{}, nil
		}))
		ok(t, queue.New(s, quiet()).Done(ctx, acm, time.Hour))
		w := claim(t, s, lb.WorkWorker, "lb1")
		ok(t, s.FinishDelete(ctx, w.Lease))
		ok(t, queue.New(s, quiet()).Done(ctx, w, time.Hour)) // what is gone cannot be due again
		var rows int
		ok(t, s.Reader().NewRaw("SELECT count(*) FROM work_queue").Scan(ctx, &rows))
		if rows != 0 {
			t.Fatalf("%d queue entries are left", rows)
		}
		_, err = s.Tree(ctx, "lb1")
		wantFault(t, err, lb.KindNotFound, "Load Balancer lb1 not found.")
		_, err = s.ClusterState(ctx, "lb1")
		wantKind(t, err, lb.KindNotFound)
		lbs, err := s.LoadBalancers(ctx, store.Query{})
		ok(t, err)
		ls, err := s.Listeners(ctx, store.Query{})
		ok(t, err)
		ps, err := s.Pools(ctx, store.Query{})
		ok(t, err)
		ms, err := s.Members(ctx, store.Query{})
		ok(t, err)
		cs, err := s.Clusters(ctx, store.Query{})
		ok(t, err)
		if n := len(lbs) + len(ls) + len(ps) + len(ms) + len(cs); n != 0 {
			t.Fatalf("%d rows are left", n)
		}
		events, err := s.Events(ctx, "lb1", 2)
		ok(t, err)
		if events[0].Action != "load balancer deleted" || events[1].Action != "load balancer deletion requested" {
			t.Fatalf("%+v", events)
		}
		// The port of a deleted load balancer can serve again.
		tree, c := newTree(t, "lb2")
		tree.LoadBalancer.VIPPortID = "lb1-port"
		ok(t, s.CreateTree(ctx, tree, c))
		tree, c = newTree(t, "lb3")
		tree.LoadBalancer.VIPPortID = "lb1-port"
		wantKind(t, s.CreateTree(ctx, tree, c), lb.KindConflict)
	})
}

func TestDistributorsAreSharedInAProject(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		create(t, s, "lb1")
		first := claim(t, s, lb.WorkACM, "lb1").Lease
		create(t, s, "lb2")
		second := claim(t, s, lb.WorkACM, "lb2").Lease
		d, err := s.AssignDistributor(ctx, first)
		ok(t, err)
		if d.Status != lb.AmphoraPendingCreate || d.ProjectID != "p1" || len(d.HeartbeatKey) != 64 {
			t.Fatalf("%+v", d)
		}
		for _, lease := range []lb.Lease{first, second} {
			again, err := s.AssignDistributor(ctx, lease)
			ok(t, err)
			if again.ID != d.ID {
				t.Fatal("the project got a second distributor")
			}
		}
		work := claim(t, s, lb.WorkDistributor, d.ID).Lease
		ok(t, s.SaveHealth(ctx, []lb.InstanceHealth{{InstanceID: d.ID, Kind: "distributor", State: lb.HealthAlive, Since: noon, LastSeen: noon}},
			[]lb.Wake{{Kind: lb.WorkACM, Key: "lb1"}}))
		got, h, lbs, err := s.Distributor(ctx, d.ID)
		ok(t, err)
		if got.Epoch != work.Epoch || h.State != lb.HealthAlive || !slices.Equal(lbs, []string{"lb1", "lb2"}) {
			t.Fatalf("%+v %+v %v", got, h, lbs)
		}
		items, err := s.Distributors(ctx, store.Query{})
		ok(t, err)
		if len(items) != 1 || !slices.Equal(items[0].LoadBalancerIDs, []string{"lb1", "lb2"}) {
			t.Fatalf("%+v", items)
		}
		remove := func(d *lb.Distributor) (lb.Outcome, error) { d.Status = lb.AmphoraDeleted; return lb.Outcome{}, nil }
		wantKind(t, s.UpdateDistributor(ctx, work, remove), lb.KindConflict)
		for _, lease := range []lb.Lease{first, second} {
			ok(t, s.UpdateCluster(ctx, lease, func(st *lb.ClusterState) (lb.Outcome, error) {
				st.Cluster.DistributorID = ""
				return lb.Outcome{}, nil
			}))
		}
		ok(t, s.UpdateDistributor(ctx, work, remove))
		_, _, _, err = s.Distributor(ctx, d.ID)
		wantKind(t, err, lb.KindNotFound)
		if all, err := s.Health(ctx); err != nil || len(all) != 0 {
			t.Fatalf("health is left: %v %v", all, err)
		}
	})
}

func TestFailoverRequests(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		create(t, s, "lb1")
		acm := claim(t, s, lb.WorkACM, "lb1")
		ok(t, s.UpdateCluster(ctx, acm.Lease, grow(amp("a1", lb.AmphoraAllocated))))
		ok(t, queue.New(s, quiet()).Done(ctx, acm, 0))
		wantFault(t, s.RequestAmphoraFailover(ctx, "a1"), lb.KindConflict, "Invalid state PENDING_CREATE of loadbalancer resource lb1")
		wantFault(t, s.RequestAmphoraFailover(ctx, "a9"), lb.KindNotFound, "Amphora a9 not found.")
		wantFault(t, s.RequestLoadBalancerFailover(ctx, "lb9"), lb.KindNotFound, "Load Balancer lb9 not found.")
		settle(t, s, "lb1")

		ok(t, s.RequestAmphoraFailover(ctx, "a1"))
		wantKind(t, s.RequestLoadBalancerFailover(ctx, "lb1"), lb.KindConflict)
		st, err := s.ClusterState(ctx, "lb1")
		ok(t, err)
		if st.Amphorae[0].FailoverRequestedAt.IsZero() || st.LoadBalancer.ProvisioningStatus != lb.PendingUpdate || st.LoadBalancer.Revision != 2 {
			t.Fatalf("%+v", st)
		}
		acm = claim(t, s, lb.WorkACM, "lb1")
		ok(t, queue.New(s, quiet()).Done(ctx, acm, 0))
		settle(t, s, "lb1")
		ok(t, s.RequestLoadBalancerFailover(ctx, "lb1"))
		st, err = s.ClusterState(ctx, "lb1")
		ok(t, err)
		if st.Cluster.FailoverRequestedAt.IsZero() || st.LoadBalancer.Revision != 3 {
			t.Fatalf("%+v", st)
		}
	})
}

func TestAmphoraRequests(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		create(t, s, "lb1")
		acm := claim(t, s, lb.WorkACM, "lb1")
		broken, told := amp("a1", lb.AmphoraError), amp("a2", lb.AmphoraAllocated)
		told.AppliedRevision = 1
		ok(t, s.UpdateCluster(ctx, acm.Lease, grow(broken, told)))
		ok(t, queue.New(s, quiet()).Done(ctx, acm, 0))
		settle(t, s, "lb1")
		wantFault(t, s.DeleteAmphora(ctx, "a2"), lb.KindConflict, "amphora a2 is immutable and cannot be updated.")
		wantFault(t, s.DeleteAmphora(ctx, "a9"), lb.KindNotFound, "Amphora a9 not found.")
		wantFault(t, s.RequestAmphoraConfiguration(ctx, "a9"), lb.KindNotFound, "Amphora a9 not found.")

		ok(t, s.DeleteAmphora(ctx, "a1"))
		ok(t, queue.New(s, quiet()).Done(ctx, claim(t, s, lb.WorkACM, "lb1"), 0))
		ok(t, s.RequestAmphoraConfiguration(ctx, "a2"))
		ok(t, queue.New(s, quiet()).Done(ctx, claim(t, s, lb.WorkWorker, "lb1"), 0))
		st, err := s.ClusterState(ctx, "lb1")
		ok(t, err)
		if a := st.Amphorae[0]; a.Status != lb.AmphoraPendingDelete || !a.OutOfService || a.StatusReason != "deleted by an operator" {
			t.Errorf("%+v", a)
		}
		if a := st.Amphorae[1]; a.AppliedRevision != 0 || a.Status != lb.AmphoraAllocated || st.LoadBalancer.ProvisioningStatus != lb.Active {
			t.Errorf("%+v", st)
		}
	})
}

func TestStatistics(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		create(t, s, "lb1")
		lease := claim(t, s, lb.WorkACM, "lb1").Lease
		ok(t, s.UpdateCluster(ctx, lease, grow(amp("a1", lb.AmphoraAllocated), amp("a2", lb.AmphoraAllocated))))
		one := amphora.ListenerStats{ListenerID: "lb1-li", BytesIn: 10, BytesOut: 20, ActiveConnections: 3, TotalConnections: 4, RequestErrors: 5}
		unknown := one
		unknown.ListenerID = "gone"
		save := func(ctx context.Context) {
			ok(t, s.SaveListenerStatistics(ctx, map[string][]amphora.ListenerStats{"a1": {one, unknown}, "a2": {one}, "nobody": {one}}))
		}
		save(ctx)
		one.BytesIn = 11
		save(ctx)
		ok(t, s.UpdateCluster(ctx, lease, func(st *lb.ClusterState) (lb.Outcome, error) {
			st.Amphorae[1].Status = lb.AmphoraDeleted
			return lb.Outcome{}, nil
		}))
		got, err := s.ListenerStatistics(ctx, "lb1")
		ok(t, err)
		want := map[string]amphora.ListenerStats{"lb1-li": {
			ListenerID: "lb1-li", BytesIn: 22, BytesOut: 40, ActiveConnections: 3, TotalConnections: 8, RequestErrors: 10,
		}}
		if d := cmp.Diff(want, got); d != "" {
			t.Fatal(d)
		}
		of, err := s.AmphoraStatistics(ctx, "a1")
		ok(t, err)
		if d := cmp.Diff([]amphora.ListenerStats{one}, of); d != "" {
			t.Fatal(d)
		}
	})
}

// TestFinishLateDelete: a deletion that showed ERROR for a while ends like any other once its cluster is down.
func TestFinishLateDelete(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		create(t, s, "lb1")
		settle(t, s, "lb1")
		_, err := s.ChangeTree(ctx, "lb1", "ann", func(tree *lb.Tree) error { return tree.DeleteLoadBalancer(true) })
		ok(t, err)
		w := claim(t, s, lb.WorkWorker, "lb1")
		ok(t, s.UpdateTree(ctx, w.Lease, func(tree *lb.Tree) (lb.Outcome, error) {
			tree.Settle(lb.Settlement{Revision: tree.LoadBalancer.Revision, LoadBalancerFailed: "late"})
			return lb.Outcome{}, nil
		}))
		wantFault(t, s.FinishDelete(ctx, w.Lease), lb.KindConflict, "Invalid state ERROR of loadbalancer resource lb1")
		ok(t, s.UpdateCluster(ctx, w.Lease, func(st *lb.ClusterState) (lb.Outcome, error) {
			st.Cluster.ProvisioningStatus = lb.PendingDelete
			return lb.Outcome{}, nil
		}))
		ok(t, s.FinishDelete(ctx, w.Lease))
		_, err = s.Tree(ctx, "lb1")
		wantFault(t, err, lb.KindNotFound, "Load Balancer lb1 not found.")
	})
}
