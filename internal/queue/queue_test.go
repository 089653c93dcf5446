package queue_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect"

	"colonnade/internal/lb"
	"colonnade/internal/queue"
	"colonnade/internal/store"
	"colonnade/internal/store/storetest"
)

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// opener makes a store with load balancers lb0…lb(n-1) and an empty queue.
type opener func(t *testing.T, n int) *store.Store

// each runs f as a subtest on each database.
func each(t *testing.T, f func(t *testing.T, open opener)) {
	t.Helper()
	for _, d := range storetest.Databases {
		t.Run(d.Name, func(t *testing.T) {
			f(t, func(t *testing.T, n int) *store.Store {
				t.Helper()
				s := storetest.Open(t, d.New(t))
				fill(t, s, n)
				return s
			})
		})
	}
}

// fill makes load balancers lb0…lb(n-1) and empties the queue.
func fill(t *testing.T, s *store.Store, n int) {
	t.Helper()
	for i := range n {
		id := fmt.Sprint("lb", i)
		tree, err := lb.NewTree(lb.LoadBalancer{ID: id, ProjectID: "p"}, nil, nil)
		ok(t, err)
		ok(t, s.CreateTree(t.Context(), tree, lb.Cluster{ID: id, Affinity: lb.AffinitySourceIP, Sharing: lb.SharingProject}))
	}
	q := queue.New(s, quiet())
	for _, kind := range []string{lb.WorkWorker, lb.WorkACM} {
		for {
			h, err := q.Claim(t.Context(), kind)
			ok(t, err)
			if h == nil {
				break
			}
			ok(t, q.Done(t.Context(), h, 0))
		}
	}
}

func claim(t *testing.T, q *queue.Queue, kind string) *queue.Held {
	t.Helper()
	h, err := q.Claim(t.Context(), kind)
	ok(t, err)
	if h == nil {
		t.Fatalf("no %s work is due", kind)
	}
	return h
}

func wantNone(t *testing.T, q *queue.Queue, kind string) {
	t.Helper()
	h, err := q.Claim(t.Context(), kind)
	ok(t, err)
	if h != nil {
		t.Fatalf("claimed %+v", h)
	}
}

// clock is the database's time in Unix ms.
func clock(db bun.IDB) bun.Safe {
	if db.Dialect().Name() == dialect.PG {
		return "CAST(extract(epoch FROM statement_timestamp()) * 1000 AS BIGINT)"
	}
	return "CAST(unixepoch('subsec') * 1000 AS INTEGER)"
}

type row struct {
	Generation int64
	Attempt    int
	LastError  string
	DueIn      int64 // ms
}

func read(t *testing.T, s *store.Store, kind, key string) (r row, found bool) {
	t.Helper()
	var rows []row
	ok(t, s.Reader().NewRaw(`SELECT generation, attempt, last_error, due_at - ? AS due_in
FROM work_queue WHERE kind = ? AND key = ?`, clock(s.Reader()), kind, key).Scan(t.Context(), &rows))
	if len(rows) == 0 {
		return row{}, false
	}
	return rows[0], true
}

func TestEnqueue(t *testing.T) { each(t, enqueue) }

func enqueue(t *testing.T, open opener) {
	s := open(t, 1)
	q := queue.New(s, quiet())
	put := func(after time.Duration) {
		ok(t, q.Enqueue(t.Context(), lb.Wake{Kind: lb.WorkWorker, Key: "lb0", After: after}))
	}
	put(time.Hour)
	wantNone(t, q, lb.WorkWorker)
	put(time.Minute)
	put(2 * time.Hour)
	r, _ := read(t, s, lb.WorkWorker, "lb0")
	if r.Generation != 3 || r.DueIn > 60_000 || r.DueIn < 50_000 {
		t.Fatalf("the earliest due time is not kept: %+v", r)
	}
	put(0)
	h := claim(t, q, lb.WorkWorker)
	want := lb.Lease{Kind: lb.WorkWorker, Key: "lb0", Epoch: h.Lease.Epoch}
	if d := cmp.Diff(want, h.Lease); d != "" || h.Generation != 4 {
		t.Fatal(d, h.Generation)
	}
	if err := q.Enqueue(t.Context(), lb.Wake{Kind: "dance", Key: "lb0"}); err == nil {
		t.Fatal("an unknown kind was enqueued")
	}
}

func TestDone(t *testing.T) { each(t, done) }

func done(t *testing.T, open opener) {
	ctx := t.Context()
	wake := lb.Wake{Kind: lb.WorkWorker, Key: "lb0"}
	t.Run("removes the row", func(t *testing.T) {
		s := open(t, 1)
		q := queue.New(s, quiet())
		ok(t, q.Enqueue(ctx, wake))
		ok(t, q.Done(ctx, claim(t, q, lb.WorkWorker), 0))
		if r, found := read(t, s, lb.WorkWorker, "lb0"); found {
			t.Fatalf("%+v", r)
		}
	})
	t.Run("keeps what was enqueued since, due at once", func(t *testing.T) {
		q := queue.New(open(t, 1), quiet())
		ok(t, q.Enqueue(ctx, wake))
		h := claim(t, q, lb.WorkWorker)
		ok(t, q.Enqueue(ctx, wake))
		wantNone(t, q, lb.WorkWorker)
		ok(t, q.Done(ctx, h, time.Hour))
		ok(t, q.Done(ctx, claim(t, q, lb.WorkWorker), 0))
		wantNone(t, q, lb.WorkWorker)
	})
	t.Run("keeps what was enqueued since for later, due then", func(t *testing.T) {
		s := open(t, 1)
		q := queue.New(s, quiet())
		ok(t, q.Enqueue(ctx, wake))
		h := claim(t, q, lb.WorkWorker)
		ok(t, q.Enqueue(ctx, lb.Wake{Kind: lb.WorkWorker, Key: "lb0", After: time.Minute}))
		ok(t, q.Done(ctx, h, 0))
		if r, _ := read(t, s, lb.WorkWorker, "lb0"); r.DueIn < 50_000 || r.DueIn > 60_000 {
			t.Fatalf("%+v", r)
		}
	})
	t.Run("again is due then", func(t *testing.T) {
		s := open(t, 1)
		q := queue.New(s, quiet())
		ok(t, q.Enqueue(ctx, wake))
		ok(t, q.Done(ctx, claim(t, q, lb.WorkWorker), time.Minute))
		if r, _ := read(t, s, lb.WorkWorker, "lb0"); r.DueIn < 50_000 || r.DueIn > 60_000 {
			t.Fatalf("%+v", r)
		}
	})
	t.Run("of a lease that was taken over is ignored", func(t *testing.T) {
		q := queue.New(open(t, 1), quiet())
		ok(t, q.Enqueue(ctx, wake))
		old := claim(t, q, lb.WorkWorker)
		ok(t, q.ReleaseAll(ctx))
		young := claim(t, q, lb.WorkWorker)
		ok(t, q.Done(ctx, old, 0))
		ok(t, q.Fail(ctx, old, errors.New("late")))
		ok(t, q.Release(ctx, old))
		if err := q.Renew(ctx, old); !errors.Is(err, lb.ErrFenced) {
			t.Fatal(err)
		}
		wantNone(t, q, lb.WorkWorker)
		ok(t, q.Renew(ctx, young))
		if young.Lease.Epoch != old.Lease.Epoch+1 {
			t.Fatal("the epoch did not rise")
		}
	})
}

func TestFail(t *testing.T) { each(t, fail) }

func fail(t *testing.T, open opener) {
	ctx := t.Context()
	s := open(t, 1)
	q := queue.New(s, quiet(), queue.WithBackoff(time.Hour, 4*time.Hour))
	ok(t, q.Enqueue(ctx, lb.Wake{Kind: lb.WorkWorker, Key: "lb0"}))
	for attempt, longest := range []time.Duration{time.Hour, 2 * time.Hour, 4 * time.Hour, 4 * time.Hour} {
		h := claim(t, q, lb.WorkWorker)
		if h.Lease.Attempt != attempt {
			t.Fatalf("attempt %d, want %d", h.Lease.Attempt, attempt)
		}
		ok(t, q.Fail(ctx, h, errors.New("boom")))
		r, _ := read(t, s, lb.WorkWorker, "lb0")
		if due := time.Duration(r.DueIn) * time.Millisecond; due > longest || due < longest/2-time.Minute || r.LastError != "boom" || r.Attempt != attempt+1 {
			t.Fatalf("attempt %d: %+v", attempt, r)
		}
		due(t, s)
	}
	t.Run("keeps what can be kept of any error's text", func(t *testing.T) {
		h := claim(t, q, lb.WorkWorker)
		ok(t, q.Fail(ctx, h, errors.New("NUL \x00, half a character \xc3, "+strings.Repeat("é", 600))))
		want := "NUL , half a character , " + strings.Repeat("é", 487)
		if r, _ := read(t, s, lb.WorkWorker, "lb0"); r.LastError != want {
			t.Fatalf("%d bytes: %q", len(r.LastError), r.LastError)
		}
		due(t, s)
	})
	t.Run("of what was enqueued since starts attempts again but waits", func(t *testing.T) {
		h := claim(t, q, lb.WorkWorker)
		ok(t, q.Enqueue(ctx, lb.Wake{Kind: lb.WorkWorker, Key: "lb0"}))
		ok(t, q.Fail(ctx, h, errors.New("boom")))
		if r, _ := read(t, s, lb.WorkWorker, "lb0"); r.Attempt != 0 || r.DueIn < 1_700_000 || r.DueIn > 3_600_000 {
			t.Fatalf("%+v", r)
		}
		ok(t, q.Enqueue(ctx, lb.Wake{Kind: lb.WorkWorker, Key: "lb0"}))
		claim(t, q, lb.WorkWorker)
	})
}

// due makes everything in the queue due now without enqueueing it anew.
func due(t *testing.T, s *store.Store) {
	t.Helper()
	ok(t, s.Write(t.Context(), func(ctx context.Context, tx bun.Tx) error {
		_, err := tx.NewRaw("UPDATE work_queue SET due_at = 0").Exec(ctx)
		return err
	}))
}

func TestWorkerAndManagerNeverHoldOneKeyTogether(t *testing.T) { each(t, exclude) }

func exclude(t *testing.T, open opener) {
	ctx := t.Context()
	s := open(t, 2)
	q := queue.New(s, quiet())
	ok(t, q.Enqueue(ctx, lb.Wake{Kind: lb.WorkWorker, Key: "lb0"}, lb.Wake{Kind: lb.WorkACM, Key: "lb0"}))
	w := claim(t, q, lb.WorkWorker)
	wantNone(t, q, lb.WorkACM)
	ok(t, q.Enqueue(ctx, lb.Wake{Kind: lb.WorkACM, Key: "lb1"}))
	if other := claim(t, q, lb.WorkACM); other.Lease.Key != "lb1" {
		t.Fatalf("%+v", other)
	}
	ok(t, q.Done(ctx, w, 0))
	if a := claim(t, q, lb.WorkACM); a.Lease.Key != "lb0" || a.Lease.Epoch != w.Lease.Epoch+1 {
		t.Fatalf("%+v after %+v", a, w)
	}
}

func TestDeadOwnersLeaseIsTakenOverByTheClock(t *testing.T) { each(t, takeOver) }

func takeOver(t *testing.T, open opener) {
	ctx := t.Context()
	s := open(t, 1)
	q := queue.New(s, quiet(), queue.WithLease(150*time.Millisecond))
	ok(t, q.Enqueue(ctx, lb.Wake{Kind: lb.WorkWorker, Key: "lb0"}, lb.Wake{Kind: lb.WorkACM, Key: "lb0"}))
	dead := claim(t, q, lb.WorkWorker)
	wantNone(t, q, lb.WorkWorker)
	wantNone(t, q, lb.WorkACM)
	var young *queue.Held
	for deadline := time.Now().Add(10 * time.Second); young == nil && time.Now().Before(deadline); {
		var err error
		young, err = q.Claim(ctx, lb.WorkWorker)
		ok(t, err)
	}
	if young == nil || young.Lease.Epoch != dead.Lease.Epoch+1 || young.Lease.Attempt != 1 {
		t.Fatalf("%+v after %+v", young, dead)
	}
	if err := q.Renew(ctx, dead); !errors.Is(err, lb.ErrFenced) {
		t.Fatal(err)
	}
}

func TestKeysThatNameNothingAreDropped(t *testing.T) { each(t, dropGone) }

func dropGone(t *testing.T, open opener) {
	s := open(t, 0)
	q := queue.New(s, quiet())
	for _, kind := range []string{lb.WorkWorker, lb.WorkACM, lb.WorkDistributor} {
		ok(t, q.Enqueue(t.Context(), lb.Wake{Kind: kind, Key: "gone"}))
		wantNone(t, q, kind)
		if r, found := read(t, s, kind, "gone"); found {
			t.Fatalf("%+v", r)
		}
	}
}

type reconciler func(ctx context.Context, lease lb.Lease) (time.Duration, error)

func (f reconciler) Reconcile(ctx context.Context, lease lb.Lease) (time.Duration, error) {
	return f(ctx, lease)
}

// TestNothingIsLostAndNothingDoubled enqueues from several goroutines while two queues (as of two processes) run both
// kinds, and some reconciles fail or panic.
func TestNothingIsLostAndNothingDoubled(t *testing.T) { each(t, loseNothing) }

func loseNothing(t *testing.T, open opener) {
	const keys, writers, each = 6, 4, 60
	s := open(t, keys)
	var want, seen [keys]atomic.Int64
	var busy [keys]atomic.Int32
	var doubled, runs atomic.Int64
	index := map[string]int{}
	for i := range keys {
		index[fmt.Sprint("lb", i)] = i
	}
	var epochs sync.Map
	r := reconciler(func(_ context.Context, lease lb.Lease) (time.Duration, error) {
		i := index[lease.Key]
		if busy[i].Add(1) != 1 {
			doubled.Add(1)
		}
		defer busy[i].Add(-1)
		if _, twice := epochs.LoadOrStore(fmt.Sprint(lease.Key, lease.Epoch), true); twice {
			doubled.Add(1)
		}
		v := want[i].Load()
		switch n := runs.Add(1); {
		case n%11 == 0:
			return 0, errors.New("boom")
		case n%17 == 0:
			panic("boom")
		case n%5 == 0:
			time.Sleep(time.Millisecond) // so that enqueueing meets running
		}
		seen[i].Store(v)
		return 0, nil
	})
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	for range 2 {
		q := queue.New(s, quiet(), queue.WithBackoff(2*time.Millisecond, 10*time.Millisecond), queue.WithPoll(20*time.Millisecond))
		for _, kind := range []string{lb.WorkWorker, lb.WorkACM} {
			running.Go(func() { ok(t, q.Run(ctx, kind, 3, r)) })
		}
	}
	q := queue.New(s, quiet())
	var writing sync.WaitGroup
	for w := range writers {
		writing.Go(func() {
			for n := range each {
				i := (n*7 + w*5) % keys
				want[i].Add(1)
				kind := []string{lb.WorkWorker, lb.WorkACM}[n%2]
				if err := q.Enqueue(ctx, lb.Wake{Kind: kind, Key: fmt.Sprint("lb", i)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writing.Wait()
	var left int
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		ok(t, s.Reader().NewRaw("SELECT count(*) FROM work_queue").Scan(t.Context(), &left))
		if left == 0 {
			break
		}
	}
	stop()
	running.Wait()
	for i := range keys {
		if want[i].Load() != seen[i].Load() {
			t.Errorf("lb%d: saw %d of %d", i, seen[i].Load(), want[i].Load())
		}
	}
	if left != 0 || doubled.Load() != 0 {
		t.Fatalf("%d rows left, %d runs doubled", left, doubled.Load())
	}
}

func TestRun(t *testing.T) { each(t, run) }

func run(t *testing.T, open opener) {
	start := func(t *testing.T, q *queue.Queue, r reconciler) (stop func()) {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- q.Run(ctx, lb.WorkWorker, 2, r) }()
		stop = sync.OnceFunc(func() { cancel(); ok(t, <-done) })
		t.Cleanup(stop)
		return stop
	}
	wake := lb.Wake{Kind: lb.WorkWorker, Key: "lb0"}
	soon := func(t *testing.T, c <-chan lb.Lease) lb.Lease {
		t.Helper()
		select {
		case l := <-c:
			return l
		case <-time.After(10 * time.Second):
			t.Fatal("it was not reconciled")
		}
		return lb.Lease{}
	}
	t.Run("wakes by the bell and by the due time, not by the poll", func(t *testing.T) {
		q := queue.New(open(t, 1), quiet(), queue.WithPoll(time.Hour))
		ran := make(chan lb.Lease, 9)
		var n atomic.Int32
		start(t, q, func(_ context.Context, l lb.Lease) (time.Duration, error) {
			ran <- l
			if n.Add(1) == 1 {
				return 100 * time.Millisecond, nil
			}
			return 0, nil
		})
		ok(t, q.Enqueue(t.Context(), wake))
		soon(t, ran)
		soon(t, ran)
	})
	t.Run("renews the lease", func(t *testing.T) {
		s := open(t, 1)
		q := queue.New(s, quiet(), queue.WithLease(2*time.Second))
		ran, end := make(chan lb.Lease, 9), make(chan error, 1)
		release := make(chan struct{})
		start(t, q, func(ctx context.Context, l lb.Lease) (time.Duration, error) {
			ran <- l
			select {
			case <-release:
			case <-ctx.Done():
			}
			end <- ctx.Err()
			return 0, ctx.Err()
		})
		ok(t, q.Enqueue(t.Context(), wake))
		soon(t, ran)
		first := leaseUntil(t, s)
		for deadline := time.Now().Add(10 * time.Second); leaseUntil(t, s) < first+1000 && time.Now().Before(deadline); {
			wantNone(t, q, lb.WorkACM)
		}
		close(release)
		ok(t, <-end)
	})
	t.Run("ends the reconcile's context when the lease is lost, and leaves the row to its new holder", func(t *testing.T) {
		s := open(t, 1)
		q := queue.New(s, quiet(), queue.WithLease(200*time.Millisecond))
		ran, ended := make(chan lb.Lease, 9), make(chan struct{}, 9)
		stop := start(t, q, func(ctx context.Context, l lb.Lease) (time.Duration, error) {
			ran <- l
			<-ctx.Done()
			ended <- struct{}{}
			return 0, nil
		})
		ok(t, q.Enqueue(t.Context(), wake))
		first := soon(t, ran)
		ok(t, q.ReleaseAll(t.Context()))
		second := soon(t, ran)
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			t.Fatal("the context did not end")
		}
		if second.Epoch != first.Epoch+1 {
			t.Fatalf("%+v after %+v", second, first)
		}
		if _, found := read(t, s, lb.WorkWorker, "lb0"); !found {
			t.Fatal("the old holder removed the row")
		}
		stop()
	})
	t.Run("gives claims back when it stops", func(t *testing.T) {
		s := open(t, 1)
		q := queue.New(s, quiet())
		ran := make(chan lb.Lease, 1)
		stop := start(t, q, func(ctx context.Context, l lb.Lease) (time.Duration, error) {
			ran <- l
			<-ctx.Done()
			return 0, ctx.Err()
		})
		ok(t, q.Enqueue(t.Context(), wake))
		soon(t, ran)
		stop()
		if h := claim(t, q, lb.WorkWorker); h.Lease.Attempt != 0 {
			t.Fatalf("%+v", h)
		}
	})
	t.Run("a panic is an error that is tried again", func(t *testing.T) {
		q := queue.New(open(t, 1), quiet(), queue.WithBackoff(time.Millisecond, time.Millisecond))
		ran := make(chan lb.Lease, 9)
		start(t, q, func(_ context.Context, l lb.Lease) (time.Duration, error) {
			ran <- l
			if l.Attempt == 0 {
				panic("boom")
			}
			return 0, nil
		})
		ok(t, q.Enqueue(t.Context(), wake))
		soon(t, ran)
		if l := soon(t, ran); l.Attempt != 1 {
			t.Fatalf("%+v", l)
		}
	})
	if err := queue.New(open(t, 0), quiet()).Run(t.Context(), "dance", 1, nil); err == nil {
		t.Fatal("an unknown kind runs")
	}
}

func leaseUntil(t *testing.T, s *store.Store) (ms int64) {
	t.Helper()
	ok(t, s.Reader().NewRaw("SELECT max(lease_until) FROM work_queue").Scan(t.Context(), &ms))
	return ms
}
