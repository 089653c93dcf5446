package api

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"colonnade/internal/lb"
)

// Times of the feed.
const (
	// An event whose id is free below others may still be on its way for that long before the others are sent.
	holdFor = time.Second
	// No transaction lives longer, so an id that is still free then stays so.
	missedFor = time.Minute
	// The feed looks that often when no bell rings, and never more often than pollAtMost.
	pollEvery  = time.Second
	pollAtMost = 50 * time.Millisecond
	pollFor    = 10 * time.Second // may one look last
)

const (
	feedPage   = 500 // events of one look
	feedRecent = 100 // newest events whose gaps a new feed watches
	maxMissed  = 1000
)

// sequence puts events in order and misses none. Ids are given before transactions commit, so an event may appear below
// those that were seen already; ids of transactions that were rolled back never do.
type sequence struct {
	last   int64               // highest id seen
	missed map[int64]time.Time // free ids below last, with when they were noticed
	held   []lb.Event          // seen and not yet given, by id
}

// start begins after ids, the newest there are, oldest first.
func (q *sequence) start(ids []int64, now time.Time) {
	*q = sequence{missed: map[int64]time.Time{}}
	for i, id := range ids {
		if i > 0 {
			q.skip(q.last, id, now)
		}
		q.last = id
	}
}

// skip notices the ids between two.
func (q *sequence) skip(from, to int64, now time.Time) {
	for id := max(from+1, to-maxMissed); id < to; id++ {
		q.missed[id] = now
	}
}

// take adds what was read, by id, and returns what may be given now.
func (q *sequence) take(read []lb.Event, now time.Time) (ready []lb.Event) {
	for _, e := range read {
		if _, late := q.missed[e.ID]; late {
			delete(q.missed, e.ID)
		} else if e.ID <= q.last {
			continue
		} else {
			if q.last > 0 {
				q.skip(q.last, e.ID, now)
			}
			q.last = e.ID
		}
		q.held = append(q.held, e)
	}
	slices.SortFunc(q.held, func(a, b lb.Event) int { return int(a.ID - b.ID) })
	barrier := int64(0) // the lowest id that is worth waiting for
	for id, since := range q.missed {
		if now.Sub(since) >= missedFor {
			delete(q.missed, id)
		} else if now.Sub(since) < holdFor && (barrier == 0 || id < barrier) {
			barrier = id
		}
	}
	n := len(q.held)
	if barrier > 0 {
		n = slices.IndexFunc(q.held, func(e lb.Event) bool { return e.ID > barrier })
		if n < 0 {
			n = len(q.held)
		}
	}
	ready = slices.Clone(q.held[:n])
	q.held = slices.Delete(q.held, 0, n)
	return ready
}

func (q *sequence) ids() (missed []int64) {
	for id := range q.missed {
		missed = append(missed, id)
	}
	slices.Sort(missed)
	return missed
}

// feedStore is what the feed reads.
type feedStore interface {
	EventsAfter(ctx context.Context, id int64, missed []int64, limit int) ([]lb.Event, error)
	LastEvents(ctx context.Context, n int) ([]int64, error)
	ListenEvents() (written, woken <-chan struct{}, stop func())
}

// feed gives new events to all who follow them. One goroutine reads for all, while there are any.
type feed struct {
	store feedStore
	log   *slog.Logger

	mu        sync.Mutex
	followers map[*follower]struct{}
	perUser   map[string]int
	stop      context.CancelFunc // of the goroutine; nil while there is none
	closed    bool
}

// follower is one who follows. events is closed when they are too slow, or the feed ends.
type follower struct {
	events chan lb.Event
	user   string
}

// Bounds of followers.
const (
	maxFollowers        = 256
	maxFollowersPerUser = 16
	followerBuffer      = 1024
)

var (
	errTooMany  = lb.Faultf(lb.KindUnavailable, "Too many follow the events already; please try again.")
	errFeedOver = lb.Faultf(lb.KindUnavailable, "The server is being stopped; please try again.")
)

// follow gives the caller all events from now on, until leave.
func (f *feed) follow(ctx context.Context, user string) (*follower, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.closed:
		return nil, errFeedOver
	case len(f.followers) >= maxFollowers, f.perUser[user] >= maxFollowersPerUser:
		return nil, errTooMany
	}
	if f.stop == nil {
		written, woken, quiet := f.store.ListenEvents() // before looking, so that nothing falls between
		ids, err := f.store.LastEvents(ctx, feedRecent)
		if err != nil {
			quiet()
			return nil, err
		}
		var q sequence
		q.start(ids, time.Now())
		ctx, cancel := context.WithCancel(context.WithoutCancel(ctx)) // it is everybody's, whoever came first
		f.stop = cancel
		go f.run(ctx, &q, written, woken, quiet)
	}
	if f.followers == nil {
		f.followers, f.perUser = map[*follower]struct{}{}, map[string]int{}
	}
	n := &follower{events: make(chan lb.Event, followerBuffer), user: user}
	f.followers[n] = struct{}{}
	f.perUser[user]++
	return n, nil
}

// leave ends following; the last one out ends the goroutine.
func (f *feed) leave(n *follower) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.remove(n)
}

func (f *feed) remove(n *follower) {
	if _, there := f.followers[n]; !there {
		return
	}
	delete(f.followers, n)
	close(n.events)
	if f.perUser[n.user]--; f.perUser[n.user] == 0 {
		delete(f.perUser, n.user)
	}
	if len(f.followers) == 0 && f.stop != nil {
		f.stop()
		f.stop = nil
	}
}

// close ends the feed and all who follow.
func (f *feed) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	for n := range f.followers {
		f.remove(n)
	}
}

// give hands events to all; whoever does not take them is let go and may come back for the rest.
func (f *feed) give(events []lb.Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for n := range f.followers {
		for _, e := range events {
			select {
			case n.events <- e:
				continue
			default:
			}
			f.remove(n)
			break
		}
	}
}

// run looks for events when a bell rings, and now and then: not everything that is written rings one here.
func (f *feed) run(ctx context.Context, q *sequence, written, woken <-chan struct{}, quiet func()) {
	defer quiet()
	failed := false
	for {
		more, err := f.look(ctx, q)
		if ctx.Err() != nil {
			return
		}
		if err != nil && !failed {
			f.log.ErrorContext(ctx, "events not read", "error", err)
		}
		failed = err != nil
		if !sleep(ctx, pollAtMost) {
			return
		}
		if more {
			continue
		}
		select {
		case <-written:
		case <-woken:
		case <-time.After(pollEvery):
		case <-ctx.Done():
			return
		}
	}
}

// look reads once and gives what may be given; more says that there is a reason to look again at once.
func (f *feed) look(ctx context.Context, q *sequence) (more bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, pollFor)
	defer cancel()
	read, err := f.store.EventsAfter(ctx, q.last, q.ids(), feedPage)
	if err != nil {
		return false, err
	}
	f.give(q.take(read, time.Now()))
	return len(read) == feedPage || len(q.held) > 0, nil
}

func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}
