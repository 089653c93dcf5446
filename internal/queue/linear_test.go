package queue_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/uptrace/bun"

	"colonnade/internal/lb"
	"colonnade/internal/queue"
	"colonnade/internal/store"
	"colonnade/internal/store/storetest"
)

// What clients do with the lock that a key is. A finish (done, fail or release) has no answer; a claim that got nothing
// says nothing about any key.
type lockCall struct {
	op    string // claim, renew, write, finish, expire
	key   string
	epoch int64 // of the claim that calls; counted from the history's begin
}

type lockAnswer struct {
	epoch int64 // what a claim got
	ok    bool  // renew, write: not fenced
}

// lockState is a lock with a lease, and an epoch that rises with each grant.
type lockState struct {
	epoch, holder int64 // holder is an epoch, 0 for nobody
	expired       bool
}

// lock is what worker and manager see of one key, whichever of their rows in the queue carries the lease.
var lock = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		byKey := map[string][]porcupine.Operation{}
		for _, o := range history {
			key := o.Input.(lockCall).key
			byKey[key] = append(byKey[key], o)
		}
		var parts [][]porcupine.Operation
		for _, p := range byKey {
			parts = append(parts, p)
		}
		return parts
	},
	Init: func() any { return lockState{} },
	Step: func(state, input, output any) (bool, any) {
		s, call, answer := state.(lockState), input.(lockCall), output.(lockAnswer)
		switch call.op {
		case "claim":
			free := s.holder == 0 || s.expired
			return free && answer.epoch == s.epoch+1, lockState{epoch: answer.epoch, holder: answer.epoch}
		case "renew":
			return answer.ok == (s.holder == call.epoch && !s.expired), s
		case "write":
			return answer.ok == (s.epoch == call.epoch), s
		case "finish":
			if s.holder == call.epoch {
				s.holder, s.expired = 0, false
			}
			return true, s
		case "expire":
			s.expired = s.holder != 0
			return true, s
		}
		panic(call.op)
	},
	DescribeOperation: func(input, output any) string { return fmt.Sprintf("%+v -> %+v", input, output) },
}

// slowDatabase waits a little before each commit, so that transactions meet.
type slowDatabase struct{ *store.Store }

func (d slowDatabase) Write(ctx context.Context, f func(context.Context, bun.Tx) error) error {
	return d.Store.Write(ctx, func(ctx context.Context, tx bun.Tx) error {
		err := f(ctx, tx)
		time.Sleep(rand.N(2 * time.Millisecond))
		return err
	})
}

// history is what several clients did, all at once.
type history struct {
	t     *testing.T
	began time.Time
	base  map[string]int64 // epochs at the begin

	mu       sync.Mutex
	ops      []porcupine.Operation
	enqueued map[place]time.Duration // when the newest wake was asked for
	ran      map[place]time.Duration // when the newest claim that was finished by Done had been granted
}

func (h *history) now() time.Duration { return time.Since(h.began) }

func (h *history) note(client int, call lockCall, answer lockAnswer, at time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ops = append(h.ops, porcupine.Operation{ClientId: client, Input: call, Output: answer, Call: int64(at), Return: int64(h.now())})
}

// later keeps the latest time of each place.
func (h *history) later(m map[place]time.Duration, p place, at time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	m[p] = max(m[p], at)
}

// client is one role of one process, which may forget what it holds (it dies) and use it when it is long lost (it stalls).
type client struct {
	*history
	id      int
	rand    *rand.Rand
	store   *store.Store
	queue   *queue.Queue
	handles []*queue.Held
	granted map[*queue.Held]time.Duration
}

func (c *client) ok(err error) {
	if err != nil {
		c.t.Error(err)
	}
}

func (c *client) step(ctx context.Context) {
	switch n := c.rand.IntN(10); {
	case n < 1:
		c.enqueue(ctx)
	case n < 4:
		c.claim(ctx, kinds[c.rand.IntN(len(kinds))])
	case len(c.handles) == 0:
		c.enqueue(ctx)
	default:
		h := c.handles[max(0, len(c.handles)-1-c.rand.IntN(3))]
		call := lockCall{key: h.Lease.Key, epoch: h.Lease.Epoch - c.base[h.Lease.Key]}
		at := c.now()
		switch {
		case n < 6:
			call.op = "renew"
			err := c.queue.Renew(ctx, h)
			c.fencedOrNot(call, err, at)
		case n < 8:
			call.op = "write"
			err := writeAs(ctx, c.store, h.Lease, fmt.Sprint(c.id, " ", at))
			c.fencedOrNot(call, err, at)
		default:
			c.finish(ctx, h, call)
		}
	}
}

func (c *client) fencedOrNot(call lockCall, err error, at time.Duration) {
	if err != nil && !errors.Is(err, lb.ErrFenced) {
		c.ok(err)
	}
	c.note(c.id, call, lockAnswer{ok: err == nil}, at)
}

func (c *client) enqueue(ctx context.Context) {
	p := place{kinds[c.rand.IntN(len(kinds))], keys[c.rand.IntN(len(keys))]}
	at := c.now()
	c.ok(c.queue.Enqueue(ctx, lb.Wake{Kind: p.kind, Key: p.key}))
	c.later(c.enqueued, p, at)
}

func (c *client) claim(ctx context.Context, kind string) *queue.Held {
	at := c.now()
	h, err := c.queue.Claim(ctx, kind)
	c.ok(err)
	if h != nil {
		c.note(c.id, lockCall{op: "claim", key: h.Lease.Key}, lockAnswer{epoch: h.Lease.Epoch - c.base[h.Lease.Key]}, at)
		c.handles = append(c.handles, h)
		c.granted[h] = c.now()
	}
	return h
}

func (c *client) finish(ctx context.Context, h *queue.Held, call lockCall) {
	call.op = "finish"
	at := c.now()
	switch c.rand.IntN(4) {
	case 0:
		c.ok(c.queue.Fail(ctx, h, errors.New("boom")))
	case 1:
		c.ok(c.queue.Release(ctx, h))
	default:
		// Counted as a run even when the claim was taken over by then, which nobody can know here; the model's test can.
		c.later(c.ran, place{h.Lease.Kind, h.Lease.Key}, c.granted[h])
		c.ok(c.queue.Done(ctx, h, 0))
	}
	c.note(c.id, call, lockAnswer{}, at)
}

// TestLeasesAreLinearizable lets clients of two processes loose on two keys while leases run out, and looks for an order
// in which a lock with a lease and an epoch would have given the same answers. Whatever was enqueued is run afterwards.
func TestLeasesAreLinearizable(t *testing.T) {
	for _, d := range storetest.Databases {
		t.Run(d.Name, func(t *testing.T) {
			a, b := twoProcesses(t, d, len(keys))
			rounds := 15
			if os.Getenv("COLONNADE_LONG") != "" {
				rounds = 1000
			} else if testing.Short() {
				rounds = 5
			}
			for seed := range rounds {
				linearHistory(t, uint64(seed), a, b)
				if t.Failed() {
					return
				}
			}
		})
	}
}

func linearHistory(t *testing.T, seed uint64, stores ...*store.Store) {
	const clients, steps = 4, 12
	ctx := t.Context()
	h := &history{t: t, began: time.Now(), base: map[string]int64{}, enqueued: map[place]time.Duration{}, ran: map[place]time.Duration{}}
	for _, key := range keys {
		tree, err := stores[0].Tree(ctx, key)
		ok(t, err)
		h.base[key] = tree.LoadBalancer.Epoch
	}
	newClient := func(id int, db *store.Store) *client {
		return &client{
			history: h, id: id, rand: rand.New(rand.NewPCG(seed, uint64(id))), store: db, granted: map[*queue.Held]time.Duration{},
			queue: queue.New(slowDatabase{db}, quiet(), queue.WithLease(time.Hour), queue.WithBackoff(time.Millisecond, time.Millisecond)),
		}
	}
	expire := func(id int, db *store.Store) {
		at := h.now()
		ok(t, passTime(ctx, db, 2*time.Hour))
		for _, key := range keys {
			h.note(id, lockCall{op: "expire", key: key}, lockAnswer{}, at)
		}
	}
	var running sync.WaitGroup
	for id := range clients {
		c := newClient(id, stores[id%len(stores)])
		running.Go(func() {
			for range steps {
				c.step(ctx)
			}
		})
	}
	running.Go(func() {
		for range 3 {
			time.Sleep(3 * time.Millisecond)
			expire(clients, stores[0])
		}
	})
	running.Wait()
	last := newClient(clients+1, stores[0]) // takes over from all that died
	for left := 1; left > 0; {
		expire(last.id, stores[0])
		for _, kind := range kinds {
			for held := last.claim(ctx, kind); held != nil; held = last.claim(ctx, kind) {
				at := h.now()
				ok(t, last.queue.Done(ctx, held, 0))
				h.note(last.id, lockCall{op: "finish", key: held.Lease.Key, epoch: held.Lease.Epoch - h.base[held.Lease.Key]}, lockAnswer{}, at)
				h.later(h.ran, place{held.Lease.Kind, held.Lease.Key}, last.granted[held])
			}
		}
		ok(t, stores[0].Reader().NewRaw("SELECT count(*) FROM work_queue").Scan(ctx, &left))
	}
	for p, at := range h.enqueued {
		if h.ran[p] < at {
			t.Errorf("seed %d: %v was asked for at %v, its last run began at %v", seed, p, at, h.ran[p])
		}
	}
	if result, info := porcupine.CheckOperationsVerbose(lock, h.ops, 30*time.Second); result != porcupine.Ok {
		file := t.ArtifactDir() + "/history.html"
		ok(t, porcupine.VisualizePath(lock, info, file))
		t.Errorf("seed %d: the history of %d calls is %s: see %s (go test -artifacts)", seed, len(h.ops), result, file)
	}
}
