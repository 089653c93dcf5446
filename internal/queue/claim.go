package queue

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect"

	"colonnade/internal/lb"
)

// Held is a claimed row.
type Held struct {
	Lease      lb.Lease
	Generation int64  // of the row when it was claimed
	LeaseID    string // names this claim; a claim that was taken over finds another name in the row

	since time.Time // this process's clock, no later than the lease began
}

const (
	// A row is due by its time, or because its holder let the lease run out.
	isDue = `q.look_at <= ?now`
	// A key is free when no rival kind holds it. An aggregate, because PostgreSQL, which cannot know how many rows a queue
	// has, would make a join of all with all out of NOT EXISTS.
	isFree = `COALESCE((SELECT MAX(r.lease_until) FROM work_queue AS r WHERE r.kind IN (?rivals) AND r.key = q.key), 0) <= ?now`
)

// arguments are the named ones of this package's queries.
type arguments struct {
	Now     bun.Safe
	Table   bun.Ident
	Lives   bun.Safe
	Rivals  any
	Kind    string
	Key     string
	LeaseID string
	Lease   int64 // ms
	Never   int64
	// How rows of the object's table are locked. SQLite has one writer and needs no locks.
	Lock, LockShared bun.Safe
}

func (q *Queue) arguments(idb bun.IDB, kind string) (*arguments, error) {
	s, ok := subjects[kind]
	if !ok {
		return nil, fmt.Errorf("unknown kind of work %q", kind)
	}
	a := &arguments{
		Now: clock(idb), Table: bun.Ident(s.table), Lives: bun.Safe(s.lives), Rivals: bun.List(s.rivals),
		Kind: kind, Lease: q.lease.Milliseconds(), Never: never,
	}
	if idb.Dialect().Name() == dialect.PG {
		a.Lock, a.LockShared = "FOR UPDATE OF o SKIP LOCKED", "FOR SHARE OF o"
	}
	return a, nil
}

// nextDue returns how long until a row of this kind is due, 0 when one is; ok is false when there is none. Rows of
// held keys do not count: their end rings the bell.
func (q *Queue) nextDue(ctx context.Context, kind string) (wait time.Duration, ok bool, err error) {
	a, err := q.arguments(q.db.Reader(), kind)
	if err != nil {
		return 0, false, err
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	var ms sql.NullInt64
	err = q.db.Reader().NewRaw(`SELECT q.look_at - ?now FROM work_queue AS q
WHERE q.kind = ?kind AND `+isFree+` ORDER BY q.look_at LIMIT 1`, a).Scan(ctx, &ms)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, false, fmt.Errorf("look for due work: %w", err)
	}
	return max(0, time.Duration(ms.Int64)*time.Millisecond), ms.Valid, nil
}

var errTaken = errors.New("taken meanwhile")

// Claim leases the row of this kind that is due longest and whose key nobody holds, and raises the epoch of what the
// key names in the same transaction; nil when there is none. Keys that name nothing any more are dropped.
func (q *Queue) Claim(ctx context.Context, kind string) (*Held, error) {
	// Most looks find nothing: they must not take the writer's turn.
	if wait, ok, err := q.nextDue(ctx, kind); err != nil || !ok || wait > 0 {
		return nil, err
	}
	h := &Held{}
	err := q.db.Write(ctx, func(ctx context.Context, tx bun.Tx) error {
		a, err := q.arguments(tx, kind)
		if err != nil {
			return err
		}
		*h = Held{Lease: lb.Lease{Kind: kind}, LeaseID: uuid.NewString(), since: time.Now()}
		a.LeaseID = h.LeaseID
		err = tx.NewRaw(`SELECT q.key FROM work_queue AS q JOIN ?table AS o ON o.id = q.key
WHERE q.kind = ?kind AND ?lives AND `+isDue+` AND `+isFree+` ORDER BY q.look_at LIMIT 1 ?lock`, a).
			Scan(ctx, &h.Lease.Key)
		if errors.Is(err, sql.ErrNoRows) {
			h.Lease.Key = ""
			return dropGone(ctx, tx, a)
		}
		if err != nil {
			return fmt.Errorf("choose: %w", err)
		}
		a.Key = h.Lease.Key
		if err := tx.NewRaw(`UPDATE ?table SET epoch = epoch + 1 WHERE id = ?key RETURNING epoch`, a).Scan(ctx, &h.Lease.Epoch); err != nil {
			return fmt.Errorf("raise epoch: %w", err)
		}
		// Looked at again under the lock of the object's row: on PostgreSQL a rival may have been quicker. A lease that
		// ran out was an attempt.
		err = tx.NewRaw(`UPDATE work_queue AS q SET attempt = q.attempt + CASE WHEN q.lease_id <> '' THEN 1 ELSE 0 END,
 lease_until = ?now + ?lease, lease_id = ?lease_id, due_at = CASE WHEN q.lease_id <> '' THEN q.due_at ELSE ?never END
WHERE q.kind = ?kind AND q.key = ?key AND `+isDue+` AND `+isFree+` RETURNING generation, attempt, request_id`, a).
			Scan(ctx, &h.Generation, &h.Lease.Attempt, &h.Lease.RequestID)
		if errors.Is(err, sql.ErrNoRows) {
			return errTaken
		}
		return err
	})
	switch {
	case errors.Is(err, errTaken):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("claim %s: %w", kind, err)
	case h.Lease.Key == "":
		return nil, nil
	}
	return h, nil
}

// dropGone drops what is due and names nothing any more.
func dropGone(ctx context.Context, tx bun.Tx, a *arguments) error {
	_, err := tx.NewRaw(`DELETE FROM work_queue AS q WHERE q.kind = ?kind AND `+isDue+`
AND NOT EXISTS (SELECT 1 FROM ?table AS o WHERE o.id = q.key AND ?lives)`, a).Exec(ctx)
	if err != nil {
		return fmt.Errorf("drop keys that are gone: %w", err)
	}
	return nil
}

// Renew extends the lease; lb.ErrFenced when it is held no more. A lease that ran out and that nobody took is lost
// too: a rival kind may have been at work since.
func (q *Queue) Renew(ctx context.Context, h *Held) error {
	return q.db.Write(ctx, func(ctx context.Context, tx bun.Tx) error {
		a, err := q.arguments(tx, h.Lease.Kind)
		if err != nil {
			return err
		}
		a.Key, a.LeaseID = h.Lease.Key, h.LeaseID
		// A rival's claim changes another row of the queue, so on PostgreSQL it would not see a renewal that is not yet
		// committed, nor this one the claim. The object's row, locked by both, puts one after the other.
		var epoch int64
		if err := tx.NewRaw(`SELECT o.epoch FROM ?table AS o WHERE o.id = ?key ?lock_shared`, a).Scan(ctx, &epoch); errors.Is(err, sql.ErrNoRows) {
			return lb.ErrFenced
		} else if err != nil {
			return fmt.Errorf("renew %s %s: %w", h.Lease.Kind, h.Lease.Key, err)
		}
		res, err := tx.NewRaw(`UPDATE work_queue SET lease_until = ?now + ?lease
WHERE kind = ?kind AND key = ?key AND lease_id = ?lease_id AND lease_until > ?now`, a).Exec(ctx)
		if err != nil {
			return fmt.Errorf("renew %s %s: %w", h.Lease.Kind, h.Lease.Key, err)
		}
		if n, err := res.RowsAffected(); err != nil {
			return err
		} else if n == 0 || epoch != h.Lease.Epoch {
			return lb.ErrFenced
		}
		return nil
	})
}

// Done finishes a claim: the row goes, unless something was enqueued since, which is then due as it was enqueued, or
// again > 0 asks for another run by then. A claim that is held no more is left to its new holder.
func (q *Queue) Done(ctx context.Context, h *Held, again time.Duration) error {
	return q.finish(ctx, "done", h, func(ctx context.Context, tx bun.Tx) error {
		due := "due_at" // as it was enqueued since
		if again > 0 {
			due = "CASE WHEN due_at < ?0 + ?1 THEN due_at ELSE ?0 + ?1 END"
		} else if _, err := tx.NewRaw(`DELETE FROM work_queue WHERE kind = ? AND key = ? AND lease_id = ? AND generation = ? AND due_at = ?`,
			h.Lease.Kind, h.Lease.Key, h.LeaseID, h.Generation, never).Exec(ctx); err != nil {
			return err
		}
		_, err := tx.NewRaw(`UPDATE work_queue SET lease_id = '', lease_until = 0, last_error = '', attempt = 0, due_at = `+due+`,
 request_id = CASE WHEN generation = ?5 AND ?6 THEN '' ELSE request_id END
WHERE kind = ?2 AND key = ?3 AND lease_id = ?4`,
			clock(tx), again.Milliseconds(), h.Lease.Kind, h.Lease.Key, h.LeaseID, h.Generation, again >= atRest).Exec(ctx)
		return err
	})
}

// Fail gives a claim back to be tried again after a backoff that doubles with each attempt. When something was
// enqueued since, attempts start again, but no sooner than the first backoff: what fails and wakes itself must not spin.
func (q *Queue) Fail(ctx context.Context, h *Held, cause error) error {
	return q.finish(ctx, "fail", h, func(ctx context.Context, tx bun.Tx) error {
		_, err := tx.NewRaw(`UPDATE work_queue SET lease_id = '', lease_until = 0, last_error = ?0,
 attempt = CASE WHEN generation = ?1 THEN attempt + 1 ELSE 0 END,
 due_at = CASE WHEN generation = ?1 THEN ?2 + ?3 WHEN due_at > ?2 + ?4 THEN due_at ELSE ?2 + ?4 END
WHERE kind = ?5 AND key = ?6 AND lease_id = ?7`,
			storable(cause.Error()), h.Generation, clock(tx), q.backoff(h.Lease.Attempt).Milliseconds(), q.backoff(0).Milliseconds(),
			h.Lease.Kind, h.Lease.Key, h.LeaseID).Exec(ctx)
		return err
	})
}

// storable makes an error's text short, and such that PostgreSQL takes it: whole characters, none of them NUL. What
// could not be written down would never be tried again before its lease runs out.
func storable(text string) string {
	const most = 1000
	text = strings.ReplaceAll(text, "\x00", "")
	if len(text) > most {
		text = text[:most]
	}
	return strings.ToValidUTF8(text, "")
}

// Release gives a claim back undone, due at once: the holder stops for reasons of its own.
func (q *Queue) Release(ctx context.Context, h *Held) error {
	return q.finish(ctx, "release", h, func(ctx context.Context, tx bun.Tx) error {
		_, err := tx.NewRaw(`UPDATE work_queue SET lease_id = '', lease_until = 0, due_at = ? WHERE kind = ? AND key = ? AND lease_id = ?`,
			clock(tx), h.Lease.Kind, h.Lease.Key, h.LeaseID).Exec(ctx)
		return err
	})
}

// finish ends a claim by f: this kind's next run of the key, and what a rival kind wants with it, can go on.
func (q *Queue) finish(ctx context.Context, operation string, h *Held, f func(context.Context, bun.Tx) error) error {
	err := q.db.Write(ctx, func(ctx context.Context, tx bun.Tx) error {
		if err := f(ctx, tx); err != nil {
			return err
		}
		return notify(ctx, tx)
	})
	if err != nil {
		return fmt.Errorf("%s %s %s: %w", operation, h.Lease.Kind, h.Lease.Key, err)
	}
	q.db.Bell().Ring()
	return nil
}

// ReleaseAll gives back every lease. Only for a process that knows to be the only one on this database (`colonnade
// up` at its start): it saves waiting for the leases of the process before it to run out. Epochs fence a mistake.
func (q *Queue) ReleaseAll(ctx context.Context) error {
	err := q.db.Write(ctx, func(ctx context.Context, tx bun.Tx) error {
		_, err := tx.NewRaw(`UPDATE work_queue SET lease_id = '', lease_until = 0, due_at = ? WHERE lease_id <> ''`, clock(tx)).Exec(ctx)
		if err != nil {
			return err
		}
		return notify(ctx, tx)
	})
	if err != nil {
		return fmt.Errorf("release all leases: %w", err)
	}
	q.db.Bell().Ring()
	return nil
}

// backoff is between half and all of first·2^attempt, at most q.most: many that failed together do not return together.
func (q *Queue) backoff(attempt int) time.Duration {
	d := q.first << min(attempt, 20)
	if d <= 0 || d > q.most {
		d = q.most
	}
	return d/2 + rand.N(d/2+1) //nolint:gosec // spreads load, guards nothing
}
