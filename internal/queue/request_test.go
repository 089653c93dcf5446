package queue_test

import (
	"context"
	"testing"
	"time"

	"colonnade/internal/lb"
	"colonnade/internal/queue"
)

func TestRequestIDs(t *testing.T) { each(t, requestIDs) }

func requestIDs(t *testing.T, open opener) {
	wake := lb.Wake{Kind: lb.WorkWorker, Key: "lb0"}
	t.Run("are kept with the work", func(t *testing.T) {
		q := queue.New(open(t, 1), quiet())
		wake := func(id string) {
			t.Helper()
			ok(t, q.Enqueue(lb.WithRequestID(t.Context(), id), wake))
		}
		wants := func(id string) *queue.Held {
			t.Helper()
			h := claim(t, q, lb.WorkWorker)
			if h.Lease.RequestID != id {
				t.Fatalf("request %q, want %q", h.Lease.RequestID, id)
			}
			return h
		}
		wake("req-1")
		wake("") // somebody else's wake does not hide whom the work is for
		h := wants("req-1")
		ok(t, q.Fail(t.Context(), h, context.DeadlineExceeded))

		h = awaited(t, q, lb.WorkWorker)
		if h.Lease.RequestID != "req-1" {
			t.Fatalf("a failure lost the request: %+v", h.Lease)
		}
		ok(t, q.Done(t.Context(), h, time.Millisecond))
		h = awaited(t, q, lb.WorkWorker)
		if h.Lease.RequestID != "req-1" {
			t.Fatalf("looking again soon lost the request: %+v", h.Lease)
		}
		ok(t, q.Done(t.Context(), h, time.Hour))
		wake("")
		h = wants("")
		wake("req-2") // while it is held
		ok(t, q.Done(t.Context(), h, time.Hour))
		h = wants("req-2")
		ok(t, q.Done(t.Context(), h, 0))
		wake("")
		wants("")
	})
	t.Run("a reconcile runs under its request", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		q := queue.New(open(t, 1), quiet())
		ok(t, q.Enqueue(lb.WithRequestID(ctx, "req-3"), wake))
		got := make(chan string, 1)
		done := make(chan error, 1)
		go func() {
			done <- q.Run(ctx, lb.WorkWorker, 1, reconciler(func(ctx context.Context, _ lb.Lease) (time.Duration, error) {
				// Meanwhile somebody asks for more: what this run passes on does not hide that.
				if err := q.Enqueue(lb.WithRequestID(t.Context(), "req-4"), lb.Wake{Kind: lb.WorkACM, Key: "lb0"}); err != nil {
					return 0, err
				}
				if err := q.Enqueue(ctx, lb.Wake{Kind: lb.WorkACM, Key: "lb0"}); err != nil {
					return 0, err
				}
				got <- lb.RequestID(ctx)
				return 0, nil
			}))
		}()
		if id := <-got; id != "req-3" {
			t.Fatalf("request %q", id)
		}
		cancel()
		ok(t, <-done)
		if h := claim(t, q, lb.WorkACM); h.Lease.RequestID != "req-4" {
			t.Fatalf("request %q", h.Lease.RequestID)
		}
	})
}

// awaited claims what is due soon.
func awaited(t *testing.T, q *queue.Queue, kind string) *queue.Held {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		h, err := q.Claim(t.Context(), kind)
		ok(t, err)
		if h != nil {
			return h
		}
	}
	t.Fatalf("no %s work is due", kind)
	return nil
}
