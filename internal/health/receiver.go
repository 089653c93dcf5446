package health

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"colonnade/internal/health/heartbeat"
	"colonnade/internal/lb"
)

// Deps is what the health role works with.
type Deps struct {
	Store Store
	// Listen opens the socket that heartbeats come to: network.Management.ListenHeartbeats, or a socket opened before.
	Listen func(ctx context.Context) (net.PacketConn, string, error)
	Now    func() time.Time
	Log    *slog.Logger
}

// Intervals of the role's own work.
const (
	lookEvery     = 200 * time.Millisecond
	batchEvery    = 10 * time.Second
	subjectsEvery = 5 * time.Second
	// askAgain bounds how often an unknown sender makes the role read the list of instances: a new amphora is
	// heard at once, a stranger costs little.
	askAgain     = 50 * time.Millisecond
	storeTimeout = 5 * time.Second
)

// Role receives heartbeats, keeps them in memory and writes what changes.
type Role struct {
	Deps
	counters Counters

	mu   sync.Mutex
	view *View
	keys map[string][]byte // decoded, by their text

	pending   chan Change
	strangers chan stranger
	warn      *rate.Limiter
}

// stranger is a datagram of an instance that is not known, or not yet.
type stranger struct {
	datagram []byte
	from     net.Addr
}

// Counters count datagrams, by what became of them.
type Counters struct {
	Accepted, Malformed, Unknown, BadSignature, Replayed atomic.Uint64
}

// New makes the health role.
func New(d Deps) *Role {
	if d.Now == nil {
		d.Now = time.Now
	}
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	return &Role{
		Deps: d, keys: map[string][]byte{}, pending: make(chan Change, 1024),
		strangers: make(chan stranger, 512), warn: rate.NewLimiter(rate.Every(10*time.Second), 3),
	}
}

// Counters of this role, to be read at any time.
func (r *Role) Counters() *Counters { return &r.counters }

// Run works until ctx ends and returns nil then.
func (r *Role) Run(ctx context.Context) error {
	conn, addr, err := r.Listen(ctx)
	if err != nil {
		return fmt.Errorf("listen for heartbeats: %w", err)
	}
	defer func() { _ = conn.Close() }()
	subjects, err := r.Store.Subjects(ctx)
	var stored []lb.InstanceHealth
	if err == nil {
		stored, err = r.Store.Health(ctx)
	}
	if ctx.Err() != nil {
		return nil // told to stop before it began
	}
	if err != nil {
		return err
	}
	r.mu.Lock()
	r.view = NewView(stored, subjects, r.Now())
	r.mu.Unlock()
	r.Log.InfoContext(ctx, "health role listens", "address", addr, "instances", len(subjects))

	g, ctx := errgroup.WithContext(ctx)
	stop := context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	g.Go(func() error { return r.receive(ctx, conn) })
	g.Go(func() error { return r.meet(ctx) })
	g.Go(func() error { return r.save(ctx) })
	g.Go(func() error { return r.every(ctx, lookEvery, r.look) })
	g.Go(func() error { return r.every(ctx, batchEvery, r.batch) })
	g.Go(func() error { return r.every(ctx, subjectsEvery, func(ctx context.Context) { r.refresh(ctx) }) })
	return g.Wait()
}

func (r *Role) every(ctx context.Context, d time.Duration, f func(context.Context)) error {
	t := time.NewTicker(d)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
			f(ctx)
		}
	}
}

func (r *Role) receive(ctx context.Context, conn net.PacketConn) error {
	buf := make([]byte, heartbeat.MaxDatagram+1)
	for {
		n, from, err := conn.ReadFrom(buf)
		if err != nil && ctx.Err() == nil {
			return fmt.Errorf("receive heartbeats: %w", err)
		}
		if err != nil {
			return nil //nolint:nilerr // told to stop
		}
		if err := r.hear(ctx, buf[:n]); errors.Is(err, heartbeat.ErrUnknown) {
			select {
			case r.strangers <- stranger{bytes.Clone(buf[:n]), from}:
			default:
				r.drop(ctx, from, err)
			}
		} else if err != nil {
			r.drop(ctx, from, err)
		}
	}
}

// meet reads the list of instances anew for senders that were not known, and hears them then: the first word of a new
// instance is not lost, or it would be a second late. A stranger costs one reading each askAgain at most.
func (r *Role) meet(ctx context.Context) error {
	asks := rate.NewLimiter(rate.Every(askAgain), 1)
	for {
		var waiting []stranger
		select {
		case <-ctx.Done():
			return nil
		case s := <-r.strangers:
			waiting = append(waiting, s)
		}
		if asks.Wait(ctx) != nil {
			return nil //nolint:nilerr // told to stop
		}
		for more := true; more; {
			select {
			case s := <-r.strangers:
				waiting = append(waiting, s)
			default:
				more = false
			}
		}
		r.refresh(ctx)
		for _, s := range waiting {
			if err := r.hear(ctx, s.datagram); err != nil {
				r.drop(ctx, s.from, err)
			}
		}
	}
}

// hear takes one datagram; an error says why it cannot be used.
func (r *Role) hear(ctx context.Context, datagram []byte) error {
	b, err := heartbeat.Decode(datagram, r.key)
	if err != nil {
		return err
	}
	r.mu.Lock()
	change, ok := r.view.Hear(b, r.Now())
	r.mu.Unlock()
	if !ok {
		r.counters.Replayed.Add(1)
		return nil
	}
	r.counters.Accepted.Add(1)
	if change != nil {
		r.note(ctx, *change)
	}
	return nil
}

func (r *Role) drop(ctx context.Context, from net.Addr, err error) {
	r.count(err)
	if r.warn.Allow() {
		r.Log.WarnContext(ctx, "heartbeat dropped", "from", from.String(), "error", err)
	}
}

func (r *Role) count(err error) {
	switch {
	case errors.Is(err, heartbeat.ErrUnknown):
		r.counters.Unknown.Add(1)
	case errors.Is(err, heartbeat.ErrSignature):
		r.counters.BadSignature.Add(1)
	default:
		r.counters.Malformed.Add(1)
	}
}

// key finds an instance's key; decoded keys are kept.
func (r *Role) key(kind, id string) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	text := r.view.Key(kind, id)
	if text == "" {
		return nil
	}
	if k, ok := r.keys[text]; ok {
		return k
	}
	k, err := hex.DecodeString(text)
	if err != nil {
		return nil
	}
	if len(r.keys) > 1<<17 {
		clear(r.keys)
	}
	r.keys[text] = k
	return k
}

func (r *Role) look(ctx context.Context) {
	r.mu.Lock()
	changes := r.view.Look(r.Now())
	r.mu.Unlock()
	if len(changes) == 0 {
		return
	}
	// Another health role may have heard what we did not. If the database cannot say so we speak for
	// ourselves: the cluster manager wants a second witness anyway.
	readCtx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	stored, err := r.Store.Health(readCtx)
	if err != nil {
		r.Log.ErrorContext(ctx, "last-seen times of other health roles not read", "error", err)
	}
	seen := map[string]time.Time{}
	for _, h := range stored {
		seen[h.InstanceID] = h.LastSeen
	}
	for _, c := range changes {
		r.mu.Lock()
		heard := r.view.HeardElsewhere(c.Health.InstanceID, seen[c.Health.InstanceID], r.Now())
		r.mu.Unlock()
		if !heard {
			r.note(ctx, c)
		}
	}
}

func (r *Role) refresh(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	subjects, err := r.Store.Subjects(ctx)
	if err != nil {
		if ctx.Err() == nil {
			r.Log.ErrorContext(ctx, "instances not read", "error", err)
		}
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.view.SetSubjects(subjects, r.Now())
}

// note hands a change to the writer.
func (r *Role) note(ctx context.Context, c Change) {
	if c.Reason != "report changed" {
		r.Log.InfoContext(ctx, "instance health", "kind", c.Health.Kind, "instance_id", c.Health.InstanceID, "state", c.Health.State, "reason", c.Reason)
	}
	select {
	case r.pending <- c:
	case <-ctx.Done():
	}
}

// save writes changes, all that wait in one transaction: when a third of everybody dies at once, that is one write.
func (r *Role) save(ctx context.Context) error {
	for {
		var batch []Change
		select {
		case <-ctx.Done():
			return nil
		case c := <-r.pending:
			batch = append(batch, c)
		}
		for more := true; more && len(batch) < 500; {
			select {
			case c := <-r.pending:
				batch = append(batch, c)
			default:
				more = false
			}
		}
		r.write(ctx, batch)
	}
}

// write saves a batch, the latest health of each instance; it is tried until it works, because nothing would say the
// same again.
func (r *Role) write(ctx context.Context, batch []Change) {
	latest := map[string]int{}
	var rows []lb.InstanceHealth
	woken := map[lb.Wake]bool{}
	var wakes []lb.Wake
	for _, c := range batch {
		if at, ok := latest[c.Health.InstanceID]; ok {
			rows[at] = c.Health
		} else {
			latest[c.Health.InstanceID] = len(rows)
			rows = append(rows, c.Health)
		}
		for _, w := range c.Wakes {
			if !woken[w] {
				woken[w] = true
				wakes = append(wakes, w)
			}
		}
	}
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		writeCtx, cancel := context.WithTimeout(ctx, storeTimeout)
		err := r.Store.SaveHealth(writeCtx, rows, wakes)
		cancel()
		if err == nil || ctx.Err() != nil {
			return
		}
		r.Log.ErrorContext(ctx, "health not written", "error", err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// batch writes what need not be written at once.
func (r *Role) batch(ctx context.Context) {
	r.mu.Lock()
	seen, stats := r.view.Seen(), r.view.Statistics()
	r.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	if err := r.Store.SaveLastSeen(ctx, seen); err != nil {
		r.Log.ErrorContext(ctx, "last-seen times not written", "error", err)
	}
	if len(stats) == 0 {
		return
	}
	if err := r.Store.SaveListenerStatistics(ctx, stats); err != nil {
		r.Log.ErrorContext(ctx, "statistics not written", "error", err)
	}
}
