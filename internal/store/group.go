package store

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"

	"github.com/uptrace/bun"
)

// mostTogether is how many writers share a transaction.
const mostTogether = 16

// writing is what one writer does in its transaction, or in its part of one that several share.
type writing struct {
	ctx      context.Context //nolint:containedctx // of the one who waits for it
	f        func(ctx context.Context, tx bun.Tx) error
	err      error
	panicked any
	again    bool          // another one broke the transaction; alone it may succeed
	done     chan struct{} // closed when it is committed or has failed
}

// errCutShort is for those whose transaction ended because the goroutine that made it did.
var errCutShort = errors.New("the transaction was cut short")

// groups lets writers on SQLite who wait at the same time share one transaction, so that they share what a commit costs:
// writing and syncing pages, most of which they change together. Each is in a savepoint of its own and fails alone; only
// when the commit fails do all. Whoever has the turn works for those who wait, in the order they came.
type groups struct {
	mu      sync.Mutex
	waiting [2][]*writing // by class
}

// add lets others do the writing.
func (g *groups) add(class int, w *writing) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting[class] = append(g.waiting[class], w)
}

// withdraw reports whether nobody has begun with the writing; nobody will.
func (g *groups) withdraw(class int, w *writing) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	i := slices.Index(g.waiting[class], w)
	if i >= 0 {
		g.waiting[class] = slices.Delete(g.waiting[class], i, i+1)
	}
	return i >= 0
}

// take takes those who waited longest, mine among them if nobody has it; nil when somebody does.
func (g *groups) take(class int, mine *writing) []*writing {
	g.mu.Lock()
	defer g.mu.Unlock()
	all := g.waiting[class]
	i := slices.Index(all, mine)
	if i < 0 {
		return nil
	}
	if i >= mostTogether {
		all[i], all[mostTogether-1] = all[mostTogether-1], all[i]
	}
	n := min(len(all), mostTogether)
	g.waiting[class] = slices.Clone(all[n:])
	return all[:n:n]
}

// writeTogether is one try of a write on SQLite.
func (s *Store) writeTogether(ctx context.Context, class int, f func(ctx context.Context, tx bun.Tx) error) error {
	w := &writing{ctx: ctx, f: f, done: make(chan struct{})}
	s.groups.add(class, w)
	switch err := s.turns.take(ctx, class, w.done); {
	case errors.Is(err, errNotNeeded): // somebody did it
	case err != nil:
		if s.groups.withdraw(class, w) {
			return err
		}
		<-w.done // what f sets is not f's caller's before
	default:
		if alone, err := s.work(ctx, class, w); alone {
			return err
		}
		<-w.done
	}
	switch {
	case w.panicked != nil:
		panic(w.panicked)
	case w.again:
		if err := s.turns.take(ctx, class, nil); err != nil {
			return err
		}
		defer s.turns.give(class)
		return s.transact(ctx, f)
	}
	return w.err
}

// work uses a turn for all who wait; alone when that is nobody but w.
func (s *Store) work(ctx context.Context, class int, w *writing) (alone bool, err error) {
	defer s.turns.give(class)
	all := s.groups.take(class, w)
	if len(all) == 1 {
		return true, s.transact(ctx, w.f)
	}
	if len(all) > 1 {
		s.transactAll(all)
	}
	return false, nil
}

// transact runs f in a transaction of its own.
func (s *Store) transact(ctx context.Context, f func(ctx context.Context, tx bun.Tx) error) error {
	err := s.writer.RunInTx(ctx, nil, f)
	if err == nil {
		s.spill.written()
	}
	return err
}

// transactAll runs all in one transaction.
func (s *Store) transactAll(all []*writing) {
	// Nobody's context ends it: SQLite rolls a whole transaction back when it is told to break off a change.
	ctx, cancel := context.WithTimeout(context.Background(), operationTimeout)
	defer cancel()
	err, broken := errCutShort, false
	defer func() {
		for _, w := range all {
			if w.err == nil && w.panicked == nil {
				w.err, w.again = err, broken
			}
			close(w.done)
		}
	}()
	err = s.writer.RunInTx(ctx, nil, func(ctx context.Context, tx bun.Tx) error {
		for _, w := range all {
			if err := w.part(ctx, tx); err != nil {
				broken = true
				return err
			}
		}
		return nil
	})
	if err == nil {
		s.spill.written()
	}
}

// part does the writing in a savepoint. An error is that of the transaction, w.err that of the writing.
func (w *writing) part(ctx context.Context, tx bun.Tx) error {
	if w.ctx.Err() != nil {
		w.err = w.ctx.Err()
		return nil //nolint:nilerr // it is the writing's, not the transaction's
	}
	if _, err := tx.ExecContext(ctx, "SAVEPOINT part"); err != nil {
		return fmt.Errorf("begin part of a transaction: %w", err)
	}
	w.err = errCutShort
	func() {
		defer func() {
			if p := recover(); p != nil {
				w.panicked = fmt.Sprintf("%v\n%s", p, debug.Stack())
			}
		}()
		w.err = w.f(context.WithoutCancel(w.ctx), tx)
	}()
	if w.err != nil || w.panicked != nil {
		if _, err := tx.ExecContext(ctx, "ROLLBACK TO part"); err != nil {
			return fmt.Errorf("take back part of a transaction: %w", err)
		}
	}
	if _, err := tx.ExecContext(ctx, "RELEASE part"); err != nil {
		return fmt.Errorf("end part of a transaction: %w", err)
	}
	return nil
}
