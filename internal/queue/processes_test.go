package queue_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/uptrace/bun"

	"colonnade/internal/lb"
	"colonnade/internal/queue"
	"colonnade/internal/store"
	"colonnade/internal/store/storetest"
)

// twoProcesses opens one database twice, as two processes do, with load balancers lb0…lb(n-1) in it.
func twoProcesses(t *testing.T, d storetest.Database, n int) (a, b *store.Store) {
	t.Helper()
	dsn := d.New(t)
	a = storetest.Open(t, dsn)
	b = storetest.Open(t, dsn)
	fill(t, a, n)
	return a, b
}

// start runs work of one kind until the test ends; what it reconciles comes out of ran.
func start(t *testing.T, q *queue.Queue, kind string) (ran <-chan lb.Lease) {
	t.Helper()
	c := make(chan lb.Lease, 100)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- q.Run(ctx, kind, 2, reconciler(func(_ context.Context, l lb.Lease) (time.Duration, error) {
			c <- l
			return 0, nil
		}))
	}()
	t.Cleanup(func() { cancel(); ok(t, <-done) })
	return c
}

func soon[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(20 * time.Second):
		t.Fatal("it did not happen")
	}
	panic("unreachable")
}

func TestAnotherProcessIsWokenByNotify(t *testing.T) {
	a, b := twoProcesses(t, storetest.Database{Name: "postgres", New: storetest.Postgres}, 1)
	here, there := queue.New(a, quiet()), queue.New(b, quiet(), queue.WithPoll(time.Hour))
	ran := start(t, there, lb.WorkACM)
	wake := lb.Wake{Kind: lb.WorkACM, Key: "lb0"}

	t.Run("when work is enqueued", func(t *testing.T) {
		ok(t, here.Enqueue(t.Context(), wake))
		soon(t, ran)
	})
	t.Run("when a rival kind gives the key back", func(t *testing.T) {
		for _, finish := range []func(*queue.Held) error{
			func(h *queue.Held) error { return here.Done(t.Context(), h, 0) },
			func(h *queue.Held) error { return here.Fail(t.Context(), h, errors.New("boom")) },
			func(h *queue.Held) error { return here.Release(t.Context(), h) },
			func(*queue.Held) error { return here.ReleaseAll(t.Context()) },
		} {
			ok(t, here.Enqueue(t.Context(), lb.Wake{Kind: lb.WorkWorker, Key: "lb0"}))
			held := awaited(t, here, lb.WorkWorker) // the manager's last run is just ending
			ok(t, here.Enqueue(t.Context(), wake))
			ok(t, finish(held))
			if l := soon(t, ran); l.Epoch != held.Lease.Epoch+1 {
				t.Fatalf("%+v after %+v", l, held.Lease)
			}
		}
	})
	t.Run("again after its connection broke", func(t *testing.T) {
		for range 3 {
			var broken int
			ok(t, a.Reader().NewRaw(`SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE query LIKE 'LISTEN %' AND datname = current_database() AND pid <> pg_backend_pid()`).Scan(t.Context(), &broken))
			ok(t, here.Enqueue(t.Context(), wake))
			soon(t, ran)
		}
	})
}

func TestPollingFindsWhatAnotherProcessEnqueued(t *testing.T) {
	for _, d := range storetest.Databases {
		t.Run(d.Name, func(t *testing.T) {
			a, b := twoProcesses(t, d, 1)
			ran := start(t, queue.New(b, quiet(), queue.WithPoll(20*time.Millisecond)), lb.WorkWorker)
			for range 5 {
				ok(t, queue.New(a, quiet()).Enqueue(t.Context(), lb.Wake{Kind: lb.WorkWorker, Key: "lb0"}))
				soon(t, ran)
			}
		})
	}
}

// lateDatabase commits only when it is told to.
type lateDatabase struct {
	*store.Store
	written chan struct{} // sent when all is written
	commit  chan struct{} // received before the commit
}

func (d lateDatabase) Write(ctx context.Context, f func(context.Context, bun.Tx) error) error {
	return d.Store.Write(ctx, func(ctx context.Context, tx bun.Tx) error {
		err := f(ctx, tx)
		d.written <- struct{}{}
		<-d.commit
		return err
	})
}

// TestRenewalThatCommitsLate renews just in time, but commits when the lease it extends has run out: the manager must
// not take the key over in between, or both would hold it.
func TestRenewalThatCommitsLate(t *testing.T) {
	for _, d := range storetest.Databases {
		t.Run(d.Name, func(t *testing.T) {
			a, b := twoProcesses(t, d, 1)
			const lease = 400 * time.Millisecond
			late := lateDatabase{a, make(chan struct{}), make(chan struct{})}
			here := queue.New(a, quiet(), queue.WithLease(lease))
			ok(t, here.Enqueue(t.Context(), lb.Wake{Kind: lb.WorkWorker, Key: "lb0"}, lb.Wake{Kind: lb.WorkACM, Key: "lb0"}))
			held := claim(t, here, lb.WorkWorker)
			renewed := make(chan error, 1)
			go func() { renewed <- queue.New(late, quiet(), queue.WithLease(time.Hour)).Renew(t.Context(), held) }()
			<-late.written
			// Another connection sees the row as it was, and by and by its lease has run out.
			for until := leaseUntil(t, b); ; {
				var now int64
				ok(t, b.Reader().NewRaw("SELECT ?", clock(b.Reader())).Scan(t.Context(), &now))
				if now > until {
					break
				}
			}
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond) // on SQLite there is only one writer
			defer cancel()
			taken, err := queue.New(b, quiet()).Claim(ctx, lb.WorkACM)
			if err != nil && !errors.Is(err, context.DeadlineExceeded) {
				t.Fatal(err)
			}
			late.commit <- struct{}{}
			if err := soon(t, renewed); err != nil || taken != nil {
				t.Fatalf("renewed: %v, while the manager had claimed %+v", err, taken)
			}
			wantNone(t, queue.New(b, quiet()), lb.WorkACM)
		})
	}
}

// TestManyClaimAtOnce lets many claim, from so long a queue that choosing takes a while: what was chosen may have been
// claimed and given back, or claimed by a rival, before it is locked.
func TestManyClaimAtOnce(t *testing.T) {
	const load, claimers = 80, 8
	for _, d := range storetest.Databases {
		t.Run(d.Name, func(t *testing.T) {
			a, b := twoProcesses(t, d, load)
			ctx := t.Context()
			var wakes []lb.Wake
			for i := range load {
				key := fmt.Sprint("lb", i)
				wakes = append(wakes, lb.Wake{Kind: lb.WorkWorker, Key: key}, lb.Wake{Kind: lb.WorkACM, Key: key})
			}
			ok(t, queue.New(a, quiet()).Enqueue(ctx, wakes...))
			var owners sync.Map
			var claims, doubled atomic.Int64
			var running sync.WaitGroup
			for i := range claimers {
				q := queue.New([]*store.Store{a, b}[i%2], quiet())
				kind := kinds[i/2%2]
				running.Go(func() {
					for range load / 5 {
						h, err := q.Claim(ctx, kind)
						if err != nil {
							t.Error(err)
						}
						if h == nil {
							continue
						}
						claims.Add(1)
						if _, held := owners.LoadOrStore(h.Lease.Key, true); held {
							doubled.Add(1)
						}
						owners.Delete(h.Lease.Key)
						if err := q.Done(ctx, h, time.Hour); err != nil {
							t.Error(err)
						}
					}
				})
			}
			running.Wait()
			var lost int
			ok(t, a.Reader().NewRaw("SELECT count(*) FROM work_queue WHERE generation <> 1 OR lease_id <> ''").Scan(ctx, &lost))
			var done int64
			ok(t, a.Reader().NewRaw("SELECT count(*) FROM work_queue WHERE due_at > ? + 60000", clock(a.Reader())).Scan(ctx, &done))
			if doubled.Load() > 0 || lost > 0 || done != claims.Load() || done < load/5 {
				t.Fatalf("%d claims, %d of keys that were held, %d rows done, %d in disorder", claims.Load(), doubled.Load(), done, lost)
			}
		})
	}
}
