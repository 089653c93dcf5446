package store_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"colonnade/internal/lb"
	"colonnade/internal/store"
)

// An event is written with the change, in the name of whoever asked for it.
func TestE22EventsSayWhoAskedForWhat(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *store.Store) {
		written, _, stop := s.ListenEvents()
		defer stop()
		var recorded atomic.Int64
		ctx := lb.WithCaller(lb.WithRequestID(t.Context(), "req-1"), lb.Caller{
			UserID: "ann", ProjectID: "p1", Roles: []string{"member"}, Address: "192.0.2.1", Operation: "create-load-balancer", Outcome: 201, Recorded: &recorded,
		})
		tree, cluster := newTree(t, "lb1")
		ok(t, s.CreateTree(ctx, tree, cluster))
		select {
		case <-written:
		default:
			t.Error("nobody was told")
		}
		settle(t, s, "lb1")
		_, err := s.ChangeTree(ctx, "lb1", "ann", func(tree *lb.Tree) error {
			return tree.UpdateListener("lb1-li", func(l *lb.Listener) error {
				l.ConnectionLimit, l.Enabled, l.AllowedCIDRs, l.Description = 7, false, nil, "new"
				return nil
			})
		})
		ok(t, err)
		got, err := s.ListEvents(t.Context(), store.Query{ProjectID: "p1"})
		ok(t, err)
		want := []lb.Event{
			{Action: "load balancer created", ObjectKind: "load balancer", ObjectID: "lb1", Reason: "with 1 listener, 1 pool, 2 members, 1 health monitor"},
			{Action: "listener updated", ObjectKind: "listener", ObjectID: "lb1-li", Changes: []lb.Change{
				{Field: "description", From: "", To: "new"},
				{Field: "admin_state_up", From: true, To: false},
				{Field: "connection_limit", From: -1.0, To: 7.0},
				{Field: "allowed_cidrs"},
			}},
		}
		for i := range want {
			e := &want[i]
			e.ID, e.At, e.LoadBalancerID, e.ProjectID, e.RequestID = got[i].ID, got[i].At, "lb1", "p1", "req-1"
			e.Actor, e.ActorProjectID, e.Roles, e.Address, e.Operation, e.Outcome = "ann", "p1", []string{"member"}, "192.0.2.1", "create-load-balancer", 201
		}
		if d := cmp.Diff(want, got); d != "" || recorded.Load() != 2 {
			t.Fatalf("%d recorded: %s", recorded.Load(), d)
		}

		// What fails leaves none, and is not counted.
		_, err = s.ChangeTree(ctx, "lb1", "ann", func(tree *lb.Tree) error { return tree.DeletePool("lb1-pool") })
		wantKind(t, err, lb.KindConflict)
		ok(t, s.RecordEvent(ctx, lb.Event{Action: "delete pool refused", ObjectID: "lb1-pool", Outcome: 409, ProjectID: "p1"}))
		got, err = s.ListEvents(t.Context(), store.Query{Sort: []store.SortKey{{Name: "id", Desc: true}}, Limit: 1})
		ok(t, err)
		if got[0].Outcome != 409 || got[0].Actor != "ann" || recorded.Load() != 3 {
			t.Fatalf("%+v", got)
		}
		// The system's own are of the project, too, and of the request that they are because of.
		ok(t, s.UpdateTree(lb.WithRequestID(t.Context(), "req-2"), lb.Lease{Kind: lb.WorkWorker, Key: "lb1", Epoch: epoch(t, s, "lb1")}, func(*lb.Tree) (lb.Outcome, error) {
			return lb.Outcome{Events: []lb.Event{{LoadBalancerID: "lb1", ObjectID: "lb1", Actor: "worker", Action: "left out"}}}, nil
		}))
		got, err = s.ListEvents(t.Context(), store.Query{Filters: map[string][]string{"actor": {"worker"}}})
		ok(t, err)
		if len(got) != 1 || got[0].ProjectID != "p1" || got[0].RequestID != "req-2" || got[0].Outcome != 0 || got[0].Address != "" {
			t.Fatalf("%+v", got)
		}
	})
}

func epoch(t *testing.T, s *store.Store, lbID string) int64 {
	t.Helper()
	tree, err := s.Tree(t.Context(), lbID)
	ok(t, err)
	return tree.LoadBalancer.Epoch
}

func TestE22EventsAreListedAndFollowed(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *store.Store) {
		day := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		for i := range 6 {
			ok(t, s.RecordEvent(t.Context(), lb.Event{At: day.AddDate(0, 0, i), ProjectID: fmt.Sprint("p", i%2), Actor: "ann", Action: fmt.Sprint("a", i), ObjectID: "o"}))
		}
		actions := func(events []lb.Event, err error) (s string) {
			t.Helper()
			ok(t, err)
			for _, e := range events {
				s += e.Action + " "
			}
			return s
		}
		first, err := s.LastEvents(t.Context(), 100)
		ok(t, err)
		two, err := s.LastEvents(t.Context(), 2)
		ok(t, err)
		if d := cmp.Diff(first[4:], two); d != "" || len(first) != 6 {
			t.Fatalf("%v, %v", first, two)
		}
		for want, got := range map[string]string{
			"a0 a2 a4 ":    actions(s.ListEvents(t.Context(), store.Query{ProjectID: "p0"})),
			"a2 a3 ":       actions(s.ListEvents(t.Context(), store.Query{Since: day.AddDate(0, 0, 2), Until: day.AddDate(0, 0, 4)})),
			"a4 a5 ":       actions(s.ListEvents(t.Context(), store.Query{AfterID: first[3]})),
			"a3 ":          actions(s.ListEvents(t.Context(), store.Query{Filters: map[string][]string{"action": {"a3"}, "object_id": {"o"}}})),
			"a3 a4 ":       actions(s.EventsAfter(t.Context(), first[2], nil, 2)),
			"a0 a4 a5 ":    actions(s.EventsAfter(t.Context(), first[3], []int64{first[0], 99}, 10)),
			"a5 a4 a3 a2 ": actions(s.ListEvents(t.Context(), store.Query{Sort: []store.SortKey{{Name: "id", Desc: true}}, Limit: 4})),
		} {
			if got != want {
				t.Errorf("%q, want %q", got, want)
			}
		}
	})
}

// A project's history is bounded whatever its age, others' is not touched.
func TestE22OldestEventsGo(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *store.Store) {
		for i := range 500 {
			ok(t, s.RecordEvent(t.Context(), lb.Event{ProjectID: "noisy", Action: fmt.Sprint(i)}))
		}
		ok(t, s.RecordEvent(t.Context(), lb.Event{ProjectID: "quiet", Action: "kept"}))
		n, err := store.TrimEvents(t.Context(), s, 30)
		ok(t, err)
		events, err := s.ListEvents(t.Context(), store.Query{})
		ok(t, err)
		if n != 470 || len(events) != 31 || events[0].Action != "470" || events[30].Action != "kept" {
			t.Fatalf("%d went, %d are left: %v", n, len(events), events[0])
		}
	})
}
