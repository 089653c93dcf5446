package queue

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"colonnade/internal/lb"
)

// Reconciler makes reality match one key. again > 0 asks for another run after that time; 0 means nothing more to do.
// Its context ends when the lease is lost.
type Reconciler interface {
	Reconcile(ctx context.Context, lease lb.Lease) (again time.Duration, err error)
}

// storeTimeout bounds a look for work, and a call that must still be made when the surrounding context has ended.
const storeTimeout = 5 * time.Second

// Run claims work of one kind and reconciles up to workers keys side by side, until ctx ends; then it waits for them.
func (q *Queue) Run(ctx context.Context, kind string, workers int, r Reconciler) error {
	if _, ok := subjects[kind]; !ok {
		return fmt.Errorf("run queue: unknown kind of work %q", kind)
	}
	rung, stop := q.db.Bell().Listen()
	defer stop()
	slots := make(chan struct{}, workers)
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
		h, err := q.Claim(ctx, kind)
		if ctx.Err() != nil && h == nil {
			return nil
		}
		if err != nil {
			q.log.ErrorContext(ctx, "claiming work failed", "kind", kind, "error", err)
		}
		if h == nil {
			<-slots
			if !q.sleep(ctx, kind, rung) {
				return nil
			}
			continue
		}
		wg.Go(func() {
			defer func() { <-slots }()
			q.hold(ctx, h, r)
		})
	}
}

// sleep waits until the next row is due, the bell rings, or it is time to look for what other processes enqueued.
func (q *Queue) sleep(ctx context.Context, kind string, rung <-chan struct{}) bool {
	d := q.poll
	if wait, ok, err := q.nextDue(ctx, kind); err == nil && ok {
		// Never quite nothing: a row whose claim another process is just committing is still due here.
		d = min(d, max(wait, 2*time.Millisecond))
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-rung:
	case <-t.C:
	case <-ctx.Done():
		return false
	}
	return true
}

// hold reconciles one key under its lease and finishes the claim.
func (q *Queue) hold(ctx context.Context, h *Held, r Reconciler) {
	ctx = lb.WithRequestID(context.WithValue(ctx, passedOnKey{}, true), h.Lease.RequestID)
	held, lost := context.WithCancelCause(ctx)
	renewed := make(chan struct{})
	go func() {
		defer close(renewed)
		q.renew(held, h, lost)
	}()
	again, err := reconcile(held, h.Lease, r)
	cause := context.Cause(held)
	lost(nil)
	<-renewed

	log := q.log.With("kind", h.Lease.Kind, "key", h.Lease.Key, "epoch", h.Lease.Epoch, "attempt", h.Lease.Attempt)
	after, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	switch {
	case errors.Is(cause, lb.ErrFenced) || errors.Is(err, lb.ErrFenced):
		log.WarnContext(ctx, "lease lost")
		return
	case err == nil:
		err = q.Done(after, h, again)
	case ctx.Err() != nil:
		err = q.Release(after, h)
	default:
		log.WarnContext(ctx, "reconciling failed", "error", err)
		err = q.Fail(after, h, err)
	}
	if err != nil {
		log.ErrorContext(ctx, "finishing work failed", "error", err) // the lease will run out
	}
}

// renew keeps the lease alive, and calls lost when it is not ours any more or may not be for all we know.
func (q *Queue) renew(ctx context.Context, h *Held, lost context.CancelCauseFunc) {
	// Clocks of two machines do not run alike: a tenth is given up for that.
	sure := q.lease - q.lease/10
	expiry := time.AfterFunc(time.Until(h.since.Add(sure)), func() { lost(lb.ErrFenced) })
	defer expiry.Stop()
	tick := time.NewTicker(q.lease / 3)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		granted := time.AfterFunc(sure, func() { lost(lb.ErrFenced) }) // counted from before the call
		switch err := q.Renew(ctx, h); {
		case err == nil:
			expiry.Stop()
			expiry = granted
		case errors.Is(err, lb.ErrFenced):
			granted.Stop()
			lost(lb.ErrFenced)
			return
		default:
			granted.Stop() // tried again at the next tick, until the old lease runs out
		}
	}
}

// reconcile turns a panic into an error: one broken load balancer must not stop the others.
func reconcile(ctx context.Context, lease lb.Lease, r Reconciler) (again time.Duration, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("reconcile %s %s: panic: %v\n%s", lease.Kind, lease.Key, p, debug.Stack())
		}
	}()
	return r.Reconcile(ctx, lease)
}
