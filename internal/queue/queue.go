// Package queue is the durable, keyed work queue: one row for each (kind, key) in the table work_queue. What is
// enqueued is an identity, never an event, so a wake that comes twice or late does no harm, and none is lost: finishing
// removes a row only when nothing was enqueued since it was claimed. The roles and the store import it.
package queue

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/uptrace/bun"

	"colonnade/internal/lb"
)

// Database is what the queue needs of the store.
type Database interface {
	// Write runs f in a transaction that excludes other writers (SQLite) or whose row locks do (PostgreSQL), tries
	// again what the database asks to try again, and rings the bell after the commit.
	Write(ctx context.Context, f func(ctx context.Context, tx bun.Tx) error) error
	// Reader is for reads that need no transaction.
	Reader() bun.IDB
	Bell() *Bell
}

// Held is a claimed row.
type Held struct {
	Lease      lb.Lease
	Generation int64  // of the row when it was claimed
	LeaseID    string // names this claim
}

// Queue claims and finishes work.
type Queue struct {
	db  Database
	log *slog.Logger
}

// Option changes a queue's times.
type Option func(*Queue)

// New makes a queue over the store's database.
func New(db Database, log *slog.Logger, opts ...Option) *Queue { return &Queue{db: db, log: log} }

// Reconciler makes reality match one key. again > 0 asks for another run after that time; 0 means nothing more to do.
type Reconciler interface {
	Reconcile(ctx context.Context, lease lb.Lease) (again time.Duration, err error)
}

var errUnbuilt = errors.New("not built yet")

// EnqueueTx enqueues wakes in the caller's transaction.
func EnqueueTx(ctx context.Context, idb bun.IDB, wakes []lb.Wake) error { return errUnbuilt }

// Enqueue enqueues wakes in a transaction of its own.
func (q *Queue) Enqueue(ctx context.Context, wakes ...lb.Wake) error { return errUnbuilt }

// Claim leases the row of this kind that is due longest and whose key nobody holds, and raises the epoch; nil when
// there is none.
func (q *Queue) Claim(ctx context.Context, kind string) (*Held, error) { return nil, errUnbuilt }

// Renew extends the lease; lb.ErrFenced when it is held no more.
func (q *Queue) Renew(ctx context.Context, h *Held) error { return errUnbuilt }

// Done finishes a claim.
func (q *Queue) Done(ctx context.Context, h *Held, again time.Duration) error { return errUnbuilt }

// Fail gives a claim back to be tried again with backoff.
func (q *Queue) Fail(ctx context.Context, h *Held, cause error) error { return errUnbuilt }

// ReleaseAll gives back every lease. Only for a process that knows to be the only one on this database (`colonnade
// up` at its start): it saves waiting for the leases of the process before it to run out. Epochs fence a mistake.
func (q *Queue) ReleaseAll(ctx context.Context) error { return errUnbuilt }

// Run claims work of one kind and reconciles up to workers keys at once, until ctx ends.
func (q *Queue) Run(ctx context.Context, kind string, workers int, r Reconciler) error { return errUnbuilt }
