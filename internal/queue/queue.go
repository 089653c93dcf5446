// Package queue is the durable, keyed work queue: one row for each (kind, key) in the table work_queue. What is
// enqueued is an identity, never an event, so a wake that comes twice or late does no harm, and none is lost: finishing
// removes a row only when nothing was enqueued since it was claimed. The roles and the store import it.
//
// All times are the database's clock, in Unix ms, so that processes with different clocks agree about leases.
package queue

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect"

	"colonnade/internal/lb"
)

// Database is what the queue needs of the store.
type Database interface {
	// Write runs f in a transaction that excludes other writers (SQLite) or whose row locks do (PostgreSQL), and runs
	// it again when the database asks for that.
	Write(ctx context.Context, f func(ctx context.Context, tx bun.Tx) error) error
	// Reader is for reads outside a transaction.
	Reader() bun.IDB
	// Bell is rung after each commit that made work claimable: in this process, and on PostgreSQL in any.
	Bell() *Bell
}

// Queue claims and finishes work.
type Queue struct {
	db    Database
	log   *slog.Logger
	lease time.Duration // how long a claim lasts without Renew
	poll  time.Duration // longest sleep between looks, for what other processes enqueued
	first time.Duration // backoff after the first failure, doubled with each
	most  time.Duration // longest backoff
}

// Option changes a queue's times.
type Option func(*Queue)

// WithLease sets how long a claim lasts without renewal (15 s).
func WithLease(d time.Duration) Option { return func(q *Queue) { q.lease = d } }

// WithPoll sets the longest sleep between looks (1 s).
func WithPoll(d time.Duration) Option { return func(q *Queue) { q.poll = d } }

// WithBackoff sets the first and the longest backoff (250 ms, 30 s).
func WithBackoff(first, most time.Duration) Option {
	return func(q *Queue) { q.first, q.most = first, most }
}

// New makes a queue over the store's database.
func New(db Database, log *slog.Logger, opts ...Option) *Queue {
	q := &Queue{db: db, log: log, lease: 15 * time.Second, poll: time.Second, first: 250 * time.Millisecond, most: 30 * time.Second}
	for _, o := range opts {
		o(q)
	}
	return q
}

// subject says what a kind of work leases: the table whose epoch a claim raises, and the kinds that lease the same key.
type subject struct {
	table  string
	lives  string // condition on the table's row o; a key without such a row is dropped
	rivals []string
}

var subjects = map[string]subject{
	lb.WorkWorker:      {"load_balancer", "o.provisioning_status <> 'DELETED'", []string{lb.WorkACM}},
	lb.WorkACM:         {"load_balancer", "o.provisioning_status <> 'DELETED'", []string{lb.WorkWorker}},
	lb.WorkDistributor: {"distributor", "1 = 1", []string{""}},
}

// never is the due time of a claimed row; what is enqueued meanwhile sets an earlier one.
const never int64 = 253402300799999 // end of the year 9999

// atRest is how late somebody asks for another run whose work is done for now. What happens then is not on behalf of the
// request that began it any more.
const atRest = 2 * time.Minute

// clock is the database's time in Unix ms. One statement sees one time.
func clock(idb bun.IDB) bun.Safe {
	if idb.Dialect().Name() == dialect.PG {
		return "CAST(extract(epoch FROM statement_timestamp()) * 1000 AS BIGINT)"
	}
	return "CAST(unixepoch('subsec') * 1000 AS INTEGER)"
}

// Channel is the PostgreSQL channel that tells other processes of each commit that may have made work claimable.
const Channel = "colonnade_work"

// notify makes the commit of this transaction wake the sleepers of other processes. On SQLite they poll.
func notify(ctx context.Context, idb bun.IDB) error {
	if idb.Dialect().Name() != dialect.PG {
		return nil
	}
	if _, err := idb.NewRaw("SELECT pg_notify(?, '')", Channel).Exec(ctx); err != nil {
		return fmt.Errorf("notify: %w", err)
	}
	return nil
}

type passedOnKey struct{}

// passedOn says that the context is of work, so that its request is not a new one.
func passedOn(ctx context.Context) bool { return ctx.Value(passedOnKey{}) != nil }

// IsWork reports whether a context is that of work which the queue hands out: nobody waits for its answer.
func IsWork(ctx context.Context) bool { return passedOn(ctx) }

// EnqueueTx enqueues wakes in the caller's transaction: the generation rises, attempts start again, and of two due
// times the earlier is kept. The request id of ctx is kept with the work. Where the work has one
// already, a new request goes before it; one that work passes on does not: a later request may have come meanwhile.
// The caller rings the bell after the commit; processes elsewhere are told by it.
func EnqueueTx(ctx context.Context, idb bun.IDB, wakes []lb.Wake) error {
	if len(wakes) == 0 {
		return nil
	}
	wakes = slices.Clone(wakes)
	// In one order everywhere, or two transactions would wait for each other's rows.
	slices.SortStableFunc(wakes, func(a, b lb.Wake) int {
		return cmp.Or(strings.Compare(a.Key, b.Key), strings.Compare(a.Kind, b.Kind), cmp.Compare(a.After, b.After))
	})
	wakes = slices.CompactFunc(wakes, func(a, b lb.Wake) bool { return a.Key == b.Key && a.Kind == b.Kind }) // the earliest
	values := make([]string, 0, len(wakes))
	var args []any
	for _, w := range wakes {
		if _, ok := subjects[w.Kind]; !ok {
			return fmt.Errorf("enqueue %s: unknown kind of work %q", w.Key, w.Kind)
		}
		values = append(values, "(?, ?, 1, 0, ? + ?, 0, '', '', ?)")
		args = append(args, w.Kind, w.Key, clock(idb), w.After.Milliseconds(), lb.RequestID(ctx))
	}
	statement := `INSERT INTO work_queue (kind, key, generation, attempt, due_at, lease_until, lease_id, last_error, request_id)
VALUES ` + strings.Join(values, ", ") + `
ON CONFLICT (kind, key) DO UPDATE SET generation = work_queue.generation + 1, attempt = 0,
 due_at = CASE WHEN work_queue.due_at < excluded.due_at THEN work_queue.due_at ELSE excluded.due_at END,
 request_id = CASE WHEN excluded.request_id <> '' AND (? OR work_queue.request_id = '') THEN excluded.request_id ELSE work_queue.request_id END`
	args = append(args, !passedOn(ctx))
	if idb.Dialect().Name() == dialect.PG { // and tell of it in the same round trip
		statement = "WITH enqueued AS (" + statement + ") SELECT pg_notify(?, '')"
		args = append(args, Channel)
	}
	if _, err := idb.NewRaw(statement, args...).Exec(ctx); err != nil {
		return fmt.Errorf("enqueue %s %s and %d more: %w", wakes[0].Kind, wakes[0].Key, len(wakes)-1, err)
	}
	return nil
}

// Enqueue enqueues wakes in a transaction of its own.
func (q *Queue) Enqueue(ctx context.Context, wakes ...lb.Wake) error {
	err := q.db.Write(ctx, func(ctx context.Context, tx bun.Tx) error { return EnqueueTx(ctx, tx, wakes) })
	if err == nil {
		q.db.Bell().Ring()
	}
	return err
}
