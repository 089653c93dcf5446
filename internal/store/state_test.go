package store_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"colonnade/internal/lb"
	"colonnade/internal/store"
	"colonnade/internal/store/storetest"
)

// TestState sees a state that stays while nothing is written, and another one after each commit, of this process and of
// others.
func TestState(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		s, other := storetest.Open(t, dsn), storetest.Open(t, dsn)
		create(t, s, "lb1")
		state := func() string {
			t.Helper()
			now, err := s.State(t.Context())
			ok(t, err)
			return now
		}
		last := state()
		if _, err := s.Tree(t.Context(), "lb1"); err != nil || state() != last {
			t.Fatalf("a read made it %s after %s: %v", state(), last, err)
		}
		for i := range 6 {
			writer := []*store.Store{s, other}[i%2]
			_, err := writer.ChangeTree(t.Context(), "lb1", "ann", func(tree *lb.Tree) error {
				tree.AcceptPending = true
				return tree.UpdateLoadBalancer(func(l *lb.LoadBalancer) error { l.Name = fmt.Sprint(i); return nil })
			})
			ok(t, err)
			now := state()
			if now == last {
				t.Fatalf("write %d left it %s", i, now)
			}
			if last = now; state() != last {
				t.Fatalf("it changes by itself")
			}
		}
	})
}

// TestEqualStatesShowTheSame reads while others write: what was read after a state was named, and before the same one was
// named again, is all the same.
func TestEqualStatesShowTheSame(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *store.Store) {
		create(t, s, "lb1")
		var all sync.WaitGroup
		done := make(chan struct{})
		for range 2 {
			all.Go(func() {
				for i := range 60 {
					_, err := s.ChangeTree(t.Context(), "lb1", "ann", func(tree *lb.Tree) error {
						tree.AcceptPending = true
						if i%5 == 0 {
							return errors.New("nothing is committed")
						}
						return tree.UpdateLoadBalancer(func(l *lb.LoadBalancer) error { l.Name += "x"; return nil })
					})
					if err != nil && i%5 != 0 {
						t.Error(err)
					}
				}
			})
		}
		go func() { all.Wait(); close(done) }()
		same := 0
		for end := false; !end; {
			select {
			case <-done:
				end = true
			default:
			}
			var revisions [2]int64
			before, err := s.State(t.Context())
			ok(t, err)
			for i := range revisions {
				list, err := s.LoadBalancers(t.Context(), store.Query{})
				ok(t, err)
				revisions[i] = list[0].Revision
			}
			after, err := s.State(t.Context())
			ok(t, err)
			if before != after {
				continue
			}
			if same++; revisions[0] != revisions[1] {
				t.Fatalf("state %s shows revisions %v", before, revisions)
			}
		}
		if same == 0 {
			t.Error("no state was met twice")
		}
	})
}
