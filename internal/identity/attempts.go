package identity

import (
	"context"
	"runtime"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// How many wrong passwords are looked at: of one user from one address, and of one user from anywhere. The second is
// wide, so that strangers can hardly lock somebody out.
const (
	attemptsHere      = 10 // at once, and then one every attemptsHereEvery
	attemptsHereEvery = 5 * time.Second
	attemptsAnywhere  = 100
	attemptsAnyEvery  = 500 * time.Millisecond
	attemptsKept      = 8192 // users and addresses remembered
)

// attempts bounds what guessing passwords costs, and how fast it goes. Only failures count.
type attempts struct {
	now   func() time.Time
	slots chan struct{} // comparisons at a time

	mu     sync.Mutex
	failed map[[2]string]*rate.Limiter // by user and address; address "" is anywhere
}

func newAttempts(now func() time.Time) *attempts {
	return &attempts{now: now, slots: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2)), failed: map[[2]string]*rate.Limiter{}}
}

// try runs one comparison, if the user's failures leave any. It waits for its turn as long as ctx lives.
func (a *attempts) try(ctx context.Context, user, address string, compare func() (bool, error)) (bool, error) {
	here, anywhere := [2]string{user, address}, [2]string{user, ""}
	if a.exhausted(here) || a.exhausted(anywhere) {
		return false, ErrTooManyAttempts
	}
	return a.turn(ctx, func() (bool, error) {
		if a.exhausted(here) || a.exhausted(anywhere) { // others failed meanwhile
			return false, ErrTooManyAttempts
		}
		same, err := compare()
		if err == nil && !same {
			a.fail(here, attemptsHere, attemptsHereEvery)
			a.fail(anywhere, attemptsAnywhere, attemptsAnyEvery)
		}
		return same, err
	})
}

// turn runs f when few enough others run.
func (a *attempts) turn(ctx context.Context, f func() (bool, error)) (bool, error) {
	select {
	case a.slots <- struct{}{}:
	case <-ctx.Done():
		return false, ctx.Err()
	}
	defer func() { <-a.slots }()
	return f()
}

func (a *attempts) exhausted(who [2]string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	l := a.failed[who]
	return l != nil && l.TokensAt(a.now()) < 1
}

func (a *attempts) fail(who [2]string, burst int, every time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now()
	if a.failed[who] == nil {
		a.forget(now)
		a.failed[who] = rate.NewLimiter(rate.Every(every), burst)
	}
	a.failed[who].AllowN(now, 1)
}

// forget makes room: first who has not failed for long, then anybody.
func (a *attempts) forget(now time.Time) {
	if len(a.failed) < attemptsKept {
		return
	}
	for who, l := range a.failed {
		if l.TokensAt(now) >= float64(l.Burst()) {
			delete(a.failed, who)
		}
	}
	for who := range a.failed {
		if len(a.failed) < attemptsKept*3/4 {
			return
		}
		delete(a.failed, who)
	}
}
