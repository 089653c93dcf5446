package queue_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/uptrace/bun"
	"pgregory.net/rapid"

	"colonnade/internal/lb"
	"colonnade/internal/queue"
	"colonnade/internal/store"
)

// The times of the model, in minutes: so coarse that the real time that passes during a history does not matter.
const (
	modelLease        = 60
	modelFirst        = 20
	modelMost         = 80
	modelNever  int64 = 1 << 40
	modelSecond       = 1.0 / 60
)

// modelRow is a row of work_queue as it should be; times are minutes of the model.
type modelRow struct {
	generation int64
	attempt    int
	due        int64
	holder     *queue.Held // nil: nobody
	leaseUntil int64
}

type place struct{ kind, key string }

// model is what the queue, its leases and the epochs should be, and the real one beside it. Time passes by moving all
// times of the real one into the past.
type model struct {
	*rapid.T
	ctx      context.Context
	store    *store.Store
	queue    *queue.Queue
	now      int64
	rows     map[place]*modelRow
	epochs   map[string]int64
	written  map[string]string // what an accepted write left in the load balancer, by key
	handles  []*queue.Held     // all ever claimed: those of the dead and of the stalled too
	asked    map[place]int     // step of the newest enqueue
	started  map[*queue.Held]int
	finished map[place]int // step at which the newest run that was finished had been claimed
	step     int
}

var rivals = map[string]string{lb.WorkWorker: lb.WorkACM, lb.WorkACM: lb.WorkWorker}

var (
	kinds = []string{lb.WorkWorker, lb.WorkACM}
	keys  = []string{"lb0", "lb1"}
)

// checks sets how many histories rapid makes.
func checks(t *testing.T, short, long int) {
	t.Helper()
	n := short
	if os.Getenv("COLONNADE_LONG") != "" {
		n = long
	}
	if testing.Short() {
		n = min(n, 10)
	}
	ok(t, flag.Set("rapid.checks", fmt.Sprint(n)))
	ok(t, flag.Set("rapid.nofailfile", "true")) // the seed is printed
}

// TestQueueIsItsModel takes random steps of producers, workers, managers, of those that die and of those that stall and
// come back, and compares every answer and the whole table with the model after each.
func TestQueueIsItsModel(t *testing.T) { each(t, isItsModel) }

func isItsModel(t *testing.T, open opener) {
	checks(t, 50, 1500)
	s := open(t, len(keys))
	q := queue.New(s, quiet(), queue.WithLease(modelLease*time.Minute), queue.WithBackoff(modelFirst*time.Minute, modelMost*time.Minute))
	rapid.Check(t, func(rt *rapid.T) {
		m := &model{
			T: rt, ctx: t.Context(), store: s, queue: q, rows: map[place]*modelRow{}, epochs: map[string]int64{}, written: map[string]string{},
			asked: map[place]int{}, started: map[*queue.Held]int{}, finished: map[place]int{},
		}
		m.sql("DELETE FROM work_queue")
		for _, key := range keys {
			tree, err := s.Tree(m.ctx, key)
			m.ok(err)
			m.epochs[key], m.written[key] = tree.LoadBalancer.Epoch, tree.LoadBalancer.StatusReason
		}
		m.Repeat(map[string]func(*rapid.T){
			"enqueue": m.enqueue,
			"claim":   m.claim,
			"claim2":  m.claim, // twice as often
			"done":    m.done,
			"fail":    m.fail,
			"release": m.release,
			"renew":   m.renew,
			"write":   m.write,
			"advance": m.advance,
			"":        m.compare,
		})
		m.drain()
	})
}

func (m *model) ok(err error) {
	m.Helper()
	if err != nil {
		m.Fatal(err)
	}
}

func (m *model) sql(query string, args ...any) {
	m.Helper()
	m.ok(m.store.Write(m.ctx, func(ctx context.Context, tx bun.Tx) error {
		_, err := tx.NewRaw(query, args...).Exec(ctx)
		return err
	}))
}

func (m *model) enqueue(t *rapid.T) {
	p := place{rapid.SampledFrom(kinds).Draw(t, "kind"), rapid.SampledFrom(keys).Draw(t, "key")}
	after := rapid.SampledFrom([]int64{0, 0, 5, 100}).Draw(t, "after")
	m.ok(m.queue.Enqueue(m.ctx, lb.Wake{Kind: p.kind, Key: p.key, After: time.Duration(after) * time.Minute}))
	r := m.rows[p]
	if r == nil {
		r = &modelRow{due: modelNever}
		m.rows[p] = r
	}
	r.generation++
	r.attempt = 0
	r.due = min(r.due, m.now+after)
	m.asked[p] = m.step
}

// claimable lists the places of this kind that may be claimed next: those that are due longest.
func (m *model) claimable(kind string) (first []place) {
	var longest int64
	for p, r := range m.rows {
		since := r.due
		if r.holder != nil {
			since = r.leaseUntil
		}
		rival := m.rows[place{rivals[kind], p.key}]
		if p.kind != kind || since > m.now || rival != nil && rival.leaseUntil > m.now {
			continue
		}
		switch {
		case len(first) == 0 || since < longest:
			first, longest = []place{p}, since
		case since == longest:
			first = append(first, p)
		}
	}
	return first
}

func (m *model) claim(t *rapid.T) { m.claimKind(rapid.SampledFrom(kinds).Draw(t, "kind")) }

func (m *model) claimKind(kind string) *queue.Held {
	h, err := m.queue.Claim(m.ctx, kind)
	m.ok(err)
	first := m.claimable(kind)
	if h == nil {
		if len(first) > 0 {
			m.Fatalf("claimed nothing while %v is due", first)
		}
		return nil
	}
	p := place{kind, h.Lease.Key}
	if !slices.Contains(first, p) {
		m.Fatalf("claimed %v, want one of %v", p, first)
	}
	r := m.rows[p]
	m.epochs[p.key]++
	if r.holder != nil {
		r.attempt++ // the one before died
	} else {
		r.due = modelNever
	}
	if h.Generation != r.generation || h.Lease.Attempt != r.attempt || h.Lease.Epoch != m.epochs[p.key] {
		m.Fatalf("claimed %+v, want %+v at epoch %d", h, r, m.epochs[p.key])
	}
	r.holder, r.leaseUntil = h, m.now+modelLease
	m.handles = append(m.handles, h)
	m.started[h] = m.step
	return h
}

// held draws a claim, of whoever ever made one, and its row when that claim still stands.
func (m *model) held(t *rapid.T) (*queue.Held, *modelRow) {
	if len(m.handles) == 0 {
		t.Skip("nobody ever claimed")
	}
	// Mostly one of the last, else somebody who was stalled for long.
	back := rapid.SampledFrom([]int{1, 1, 1, 2, 2, 3, 5, 9}).Draw(t, "back")
	h := m.handles[max(0, len(m.handles)-back)]
	if r := m.rows[place{h.Lease.Kind, h.Lease.Key}]; r != nil && r.holder == h {
		return h, r
	}
	return h, nil
}

func (m *model) done(t *rapid.T) {
	h, r := m.held(t)
	again := rapid.SampledFrom([]int64{0, 0, 30}).Draw(t, "again")
	m.ok(m.queue.Done(m.ctx, h, time.Duration(again)*time.Minute))
	m.markDone(h, r, again)
}

func (m *model) markDone(h *queue.Held, r *modelRow, again int64) {
	if r == nil {
		return
	}
	p := place{h.Lease.Kind, h.Lease.Key}
	m.finished[p] = m.started[h]
	if again == 0 && r.generation == h.Generation && r.due == modelNever {
		delete(m.rows, p)
		return
	}
	if again > 0 {
		r.due = min(r.due, m.now+again)
	}
	r.holder, r.leaseUntil, r.attempt = nil, 0, 0
}

func (m *model) fail(t *rapid.T) {
	h, r := m.held(t)
	m.ok(m.queue.Fail(m.ctx, h, errors.New("boom")))
	if r == nil {
		return
	}
	r.holder, r.leaseUntil = nil, 0
	// The backoff is drawn by the queue: it is seen to be in its range, and then made its longest.
	var shortest, longest int64
	if r.generation == h.Generation {
		backoff := min(modelFirst<<h.Lease.Attempt, modelMost)
		r.attempt++
		shortest, longest = m.now+int64(backoff/2), m.now+int64(backoff)
	} else {
		r.attempt = 0
		shortest, longest = max(r.due, m.now+modelFirst/2), max(r.due, m.now+modelFirst)
	}
	p := place{h.Lease.Kind, h.Lease.Key}
	real, found := m.table()[p]
	if due := float64(m.now) + real.Due; !found || due < float64(shortest)-1 || due > float64(longest)+1 {
		t.Fatalf("failed: due at %.1f, want %d to %d", due, shortest, longest)
	}
	r.due = longest
	m.sql("UPDATE work_queue SET due_at = ? + ? WHERE kind = ? AND key = ?", clock(m.store.Reader()), (longest-m.now)*60_000, p.kind, p.key)
}

func (m *model) release(t *rapid.T) {
	h, r := m.held(t)
	m.ok(m.queue.Release(m.ctx, h))
	if r != nil {
		r.holder, r.leaseUntil, r.due = nil, 0, m.now
	}
}

func (m *model) renew(t *rapid.T) {
	h, r := m.held(t)
	err := m.queue.Renew(m.ctx, h)
	if r == nil || r.leaseUntil <= m.now {
		if !errors.Is(err, lb.ErrFenced) {
			t.Fatalf("renewed a lease that is lost: %v", err)
		}
		return
	}
	m.ok(err)
	r.leaseUntil = m.now + modelLease
}

// write is refused by the database unless the claim is the newest of its key, whatever its kind.
func (m *model) write(t *rapid.T) {
	h, _ := m.held(t)
	text := fmt.Sprintf("step %d by epoch %d", m.step, h.Lease.Epoch)
	err := writeAs(m.ctx, m.store, h.Lease, text)
	if h.Lease.Epoch != m.epochs[h.Lease.Key] {
		if !errors.Is(err, lb.ErrFenced) {
			t.Fatalf("epoch %d wrote while %d holds the key: %v", h.Lease.Epoch, m.epochs[h.Lease.Key], err)
		}
		return
	}
	m.ok(err)
	if h.Lease.Kind == lb.WorkWorker {
		m.written[h.Lease.Key] = text
	}
}

// writeAs writes what a role writes: the worker the tree, the manager the cluster.
func writeAs(ctx context.Context, s *store.Store, lease lb.Lease, text string) error {
	if lease.Kind == lb.WorkWorker {
		return s.UpdateTree(ctx, lease, func(tree *lb.Tree) (lb.Outcome, error) {
			tree.LoadBalancer.StatusReason = text
			return lb.Outcome{}, nil
		})
	}
	return s.UpdateCluster(ctx, lease, func(st *lb.ClusterState) (lb.Outcome, error) {
		st.Cluster.Table = text
		return lb.Outcome{}, nil
	})
}

func (m *model) advance(t *rapid.T) {
	m.pass(rapid.SampledFrom([]int64{5, 30, modelLease, 90}).Draw(t, "minutes"))
}

func (m *model) pass(minutes int64) {
	m.now += minutes
	m.ok(passTime(m.ctx, m.store, time.Duration(minutes)*time.Minute))
}

// passTime moves all times of the queue into the past.
func passTime(ctx context.Context, s *store.Store, d time.Duration) error {
	return s.Write(ctx, func(ctx context.Context, tx bun.Tx) error {
		_, err := tx.NewRaw(`UPDATE work_queue SET due_at = CASE WHEN due_at > 200000000000000 THEN due_at ELSE due_at - ?0 END,
 lease_until = CASE WHEN lease_until = 0 THEN 0 ELSE lease_until - ?0 END`, d.Milliseconds()).Exec(ctx)
		return err
	})
}

type realRow struct {
	Kind, Key  string
	Generation int64
	Attempt    int
	LeaseID    string
	Due, Lease float64 // minutes from now
}

func (m *model) table() map[place]realRow {
	var rows []realRow
	m.ok(m.store.Reader().NewRaw(`SELECT kind, key, generation, attempt, lease_id, (due_at - ?0) / 60000.0 AS due, (lease_until - ?0) / 60000.0 AS lease
FROM work_queue`, clock(m.store.Reader())).Scan(m.ctx, &rows))
	table := make(map[place]realRow, len(rows))
	for _, r := range rows {
		table[place{r.Kind, r.Key}] = r
	}
	return table
}

func (m *model) compare(*rapid.T) {
	m.step++
	near := func(real float64, want int64) bool {
		return real > float64(want)-30*modelSecond && real < float64(want)+modelSecond
	}
	table := m.table()
	owners := map[string]int{}
	for p, real := range table {
		if real.Lease > 0 {
			owners[p.key]++
		}
		want, known := m.rows[p]
		if !known {
			m.Fatalf("%v is still there: %+v", p, real)
		}
		holder := ""
		if want.holder != nil {
			holder = want.holder.LeaseID
		}
		if real.Generation != want.generation || real.Attempt != want.attempt || real.LeaseID != holder ||
			holder != "" && !near(real.Lease, want.leaseUntil-m.now) ||
			want.due != modelNever && !near(real.Due, want.due-m.now) || want.due == modelNever && real.Due < 1e6 {
			m.Fatalf("%v is %+v, want %+v at %d", p, real, *want, m.now)
		}
	}
	for key, n := range owners {
		if n > 1 {
			m.Fatalf("%s has %d owners", key, n)
		}
	}
	if len(table) != len(m.rows) {
		m.Fatalf("%d rows, want %d: work is lost", len(table), len(m.rows))
	}
}

// drain lets everybody who holds something be dead, and does all work that is left: after that there has been a whole
// run of everything since it was last asked for, and the last accepted write stands.
func (m *model) drain() {
	for round := 0; len(m.rows) > 0; round++ {
		if round > 20 {
			m.Fatalf("work is never done: %v", m.rows)
		}
		m.pass(modelLease + 100)
		for _, kind := range kinds {
			for h := m.claimKind(kind); h != nil; h = m.claimKind(kind) {
				m.ok(m.queue.Done(m.ctx, h, 0))
				m.markDone(h, m.rows[place{h.Lease.Kind, h.Lease.Key}], 0)
			}
		}
		m.compare(nil)
	}
	for p, asked := range m.asked {
		if m.finished[p] < asked {
			m.Fatalf("%v: asked for at step %d, last run began at %d", p, asked, m.finished[p])
		}
	}
	for _, key := range keys {
		tree, err := m.store.Tree(m.ctx, key)
		m.ok(err)
		if got := tree.LoadBalancer.StatusReason; got != m.written[key] {
			m.Fatalf("%s: a stalled owner wrote %q over %q", key, got, m.written[key])
		}
	}
}
