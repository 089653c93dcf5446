package store_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"colonnade/internal/lb"
	"colonnade/internal/queue"
	"colonnade/internal/store"
	"colonnade/internal/store/storetest"
)

func TestCounts(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ok(t, s.Ping(t.Context()))
		create(t, s, "lb1")
		create(t, s, "lb2")
		q := queue.New(s, quiet())
		if h, err := q.Claim(t.Context(), lb.WorkACM); err != nil || h == nil {
			t.Fatal(h, err)
		}
		got, err := s.Counts(t.Context())
		ok(t, err)
		for _, c := range got {
			if c.Late() < 0 || c.Late() > time.Minute || c.LateMS != 0 && c.Object != "work_waiting" {
				t.Errorf("late: %+v", c)
			}
		}
		want := []store.Count{
			{Object: "cluster", State: "OFFLINE", Number: 2},
			{Object: "load_balancer", State: "PENDING_CREATE", Number: 2},
			{Object: "work_held", State: "acm", Number: 1},
			{Object: "work_waiting", State: "acm", Number: 1},
			{Object: "work_waiting", State: "worker", Number: 2},
		}
		if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(store.Count{}, "LateMS")); diff != "" {
			t.Error(diff)
		}
	})
}
