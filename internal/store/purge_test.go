package store_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/uptrace/bun"

	"colonnade/internal/amphora"
	"colonnade/internal/lb"
	"colonnade/internal/queue"
	"colonnade/internal/store"
)

// remove deletes a load balancer that has one amphora, as the roles do.
func remove(t *testing.T, s *store.Store, name string) {
	t.Helper()
	ctx := t.Context()
	create(t, s, name)
	settle(t, s, name)
	acm := claim(t, s, lb.WorkACM, name)
	ok(t, s.UpdateCluster(ctx, acm.Lease, grow(amp(name+"-a", lb.AmphoraAllocated))))
	ok(t, s.SaveListenerStatistics(ctx, map[string][]amphora.ListenerStats{name + "-a": {{ListenerID: name + "-li", BytesIn: 1}}}))
	ok(t, s.UpdateCluster(ctx, acm.Lease, func(st *lb.ClusterState) (lb.Outcome, error) {
		st.Amphorae[0].Status = lb.AmphoraDeleted
		return lb.Outcome{}, nil
	}))
	ok(t, queue.New(s, quiet()).Done(ctx, acm, 0))
	_, err := s.ChangeTree(ctx, name, "ann", func(tree *lb.Tree) error { return tree.DeleteLoadBalancer(true) })
	ok(t, err)
	ok(t, s.FinishDelete(ctx, claim(t, s, lb.WorkWorker, name).Lease))
}

func counts(t *testing.T, s *store.Store) map[string]int {
	t.Helper()
	n := map[string]int{}
	for _, table := range []string{"load_balancer", "listener", "amphora", "event"} {
		var rows int
		ok(t, s.Reader().NewRaw("SELECT count(*) FROM ?", bun.Ident(table)).Scan(t.Context(), &rows))
		n[table] = rows
	}
	return n
}

func TestPurge(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		remove(t, s, "lb1")
		create(t, s, "lb2")
		was := counts(t, s)
		purge := func(before time.Time, want int) {
			t.Helper()
			if n, err := s.Purge(ctx, before); n != want || err != nil {
				t.Fatalf("%d went, want %d; %v", n, want, err)
			}
		}
		t.Run("leaves what is younger", func(t *testing.T) {
			purge(time.Now().Add(-time.Hour), 0)
			if d := cmp.Diff(was, counts(t, s)); d != "" {
				t.Fatal(d)
			}
		})
		t.Run("removes what was deleted long ago, and what is left of it, and old events of what lives", func(t *testing.T) {
			purge(time.Now().Add(time.Hour), 1+1) // the other events go with their load balancer
			if d := cmp.Diff(map[string]int{"load_balancer": 1, "listener": 1, "amphora": 0, "event": 0}, counts(t, s)); d != "" {
				t.Fatal(d)
			}
			got, err := s.Tree(ctx, "lb2")
			ok(t, err)
			ok(t, got.Check())
			create(t, s, "lb1") // its identity is free again
		})
		t.Run("goes on batch by batch", func(t *testing.T) {
			ok(t, s.Write(ctx, func(ctx context.Context, tx bun.Tx) error {
				for i := range 450 {
					_, err := tx.NewRaw("INSERT INTO event (at, load_balancer_id, object_id, actor, action, reason) VALUES (?, 'lb2', ?, '', '', '')",
						noon.AddDate(-10, 0, 0), fmt.Sprint(i)).Exec(ctx)
					ok(t, err)
				}
				return nil
			}))
			purge(noon.AddDate(-9, 0, 0), 450)
			purge(noon.AddDate(-9, 0, 0), 0)
		})
		t.Run("ends with its context", func(t *testing.T) {
			over, cancel := context.WithCancel(ctx)
			cancel()
			if n, err := s.Purge(over, time.Now()); n != 0 || err == nil {
				t.Fatal(n, err)
			}
		})
	})
}
