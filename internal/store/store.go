// Package store holds all SQL but the queue's: tables, migrations, and the transactions in which rows, events and
// wakes are written together. The same queries serve SQLite (the embedded default) and PostgreSQL. Roles, API and
// network driver see it through interfaces of their own.
package store

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect"
	"github.com/uptrace/bun/dialect/pgdialect"
	"github.com/uptrace/bun/dialect/sqlitedialect"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"colonnade/internal/lb"
	"colonnade/internal/queue"
)

// Store is the database. Its methods may be called from any number of goroutines.
type Store struct {
	writer *bun.DB
	reader *bun.DB // the same as writer on PostgreSQL
	bell   queue.Bell
}

var _ queue.Database = (*Store)(nil)

const (
	sqliteReaders   = 8
	postgresMaxOpen = 16
	// Attempts of a transaction that the database wants run again (PostgreSQL: deadlock, serialization; SQLite: the file
	// was locked by another process for longer than busy_timeout).
	attempts = 8
)

// Open opens the database and migrates it to the newest schema. dsn is "postgres://…" or a SQLite file, with or
// without "sqlite:" before it. The caller closes the store.
func Open(ctx context.Context, dsn string) (*Store, error) {
	s := &Store{}
	var err error
	if strings.HasPrefix(dsn, "postgres://") || strings.HasPrefix(dsn, "postgresql://") {
		err = s.openPostgres(dsn)
	} else {
		err = s.openSQLite(ctx, strings.TrimPrefix(dsn, "sqlite:"))
	}
	if err == nil {
		err = migrate(ctx, s.writer)
	}
	if err != nil {
		_ = s.Close()
		return nil, fmt.Errorf("open store: %w", err)
	}
	return s, nil
}

// openSQLite opens one connection that writes and a pool that reads. Transactions of the writer are immediate, so what
// they read stays true until they commit. synchronous=FULL: a commit that was answered survives a power cut, because
// nothing a user saved is ever lost; NORMAL in WAL mode would lose the last ones.
func (s *Store) openSQLite(ctx context.Context, file string) error {
	// The file holds probe and heartbeat keys; -wal and -shm get its mode.
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	const pragmas = "_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=foreign_keys(1)"
	name := "file:" + (&url.URL{Path: file}).EscapedPath() + "?" + pragmas
	w, err := sql.Open("sqlite", name+"&_txlock=immediate")
	if err != nil {
		return err
	}
	w.SetMaxOpenConns(1)
	s.writer = bun.NewDB(w, sqlitedialect.New())
	if err := w.PingContext(ctx); err != nil { // the writer makes the file a WAL one before anybody reads
		return err
	}
	r, err := sql.Open("sqlite", name+"&_pragma=query_only(1)")
	if err != nil {
		return err
	}
	r.SetMaxOpenConns(sqliteReaders)
	r.SetMaxIdleConns(sqliteReaders)
	s.reader = bun.NewDB(r, sqlitedialect.New())
	return nil
}

func (s *Store) openPostgres(dsn string) error {
	conf, err := pgx.ParseConfig(dsn)
	if err != nil {
		return err
	}
	db := stdlib.OpenDB(*conf, stdlib.OptionAfterConnect(func(_ context.Context, c *pgx.Conn) error {
		c.TypeMap().RegisterType(&pgtype.Type{Name: "timestamptz", OID: pgtype.TimestamptzOID, Codec: &pgtype.TimestamptzCodec{ScanLocation: time.UTC}})
		return nil
	}))
	db.SetMaxOpenConns(postgresMaxOpen)
	s.writer = bun.NewDB(db, pgdialect.New())
	s.reader = s.writer
	return nil
}

// Close ends all connections.
func (s *Store) Close() error {
	var err error
	if s.reader != nil && s.reader != s.writer {
		err = s.reader.Close()
	}
	if s.writer != nil {
		if werr := s.writer.Close(); werr != nil { // last: closing the writer checkpoints the WAL
			err = werr
		}
	}
	return err
}

// Bell is rung after each commit that enqueued something.
func (s *Store) Bell() *queue.Bell { return &s.bell }

// Reader is for reads outside a transaction.
func (s *Store) Reader() bun.IDB { return s.reader }

// Write runs f in a transaction that excludes other writers (SQLite), or whose row locks do (PostgreSQL). f may be run
// again, so what it leaves behind outside the transaction must be set afresh each time. It must not write through the
// store itself: on SQLite that would wait for its own transaction.
func (s *Store) Write(ctx context.Context, f func(ctx context.Context, tx bun.Tx) error) error {
	var err error
	for n := range attempts {
		if n > 0 {
			select {
			case <-time.After(time.Duration(n*n) * 5 * time.Millisecond):
			case <-ctx.Done():
				return err
			}
		}
		if err = s.writer.RunInTx(ctx, nil, f); err == nil || !isRetryable(err) {
			return err
		}
	}
	return err
}

// snapshot runs several reads that see one state.
func (s *Store) snapshot(ctx context.Context, f func(ctx context.Context, tx bun.Tx) error) error {
	opts := &sql.TxOptions{ReadOnly: true}
	if s.isPostgres() {
		opts.Isolation = sql.LevelRepeatableRead
	}
	return s.reader.RunInTx(ctx, opts, f)
}

// transaction is one writing transaction: the database's time at its start and what it brings beside rows.
type transaction struct {
	bun.Tx
	now   time.Time // the database's clock
	wakes []lb.Wake
}

// write runs f in a transaction, enqueues the wakes it left and rings the bell after the commit.
func (s *Store) write(ctx context.Context, operation string, f func(ctx context.Context, tx *transaction) error) error {
	var rang bool
	err := s.Write(ctx, func(ctx context.Context, btx bun.Tx) error {
		tx := &transaction{Tx: btx}
		if err := tx.readClock(ctx); err != nil {
			return err
		}
		if err := f(ctx, tx); err != nil {
			return err
		}
		rang = len(tx.wakes) > 0
		return queue.EnqueueTx(ctx, btx, tx.wakes)
	})
	if err != nil {
		return explain(operation, err)
	}
	if rang {
		s.bell.Ring()
	}
	return nil
}

func (s *Store) isPostgres() bool { return s.writer.Dialect().Name() == dialect.PG }

func (tx *transaction) readClock(ctx context.Context) error {
	now := "CAST(unixepoch('subsec') * 1000 AS INTEGER)"
	if tx.Dialect().Name() == dialect.PG {
		now = "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)"
	}
	var ms int64
	if err := tx.NewRaw("SELECT "+now).Scan(ctx, &ms); err != nil {
		return fmt.Errorf("read the database's clock: %w", err)
	}
	tx.now = time.UnixMilli(ms).UTC()
	return nil
}

// lock makes a query lock the rows it reads; SQLite's one writer needs no lock.
func lock(q *bun.SelectQuery) *bun.SelectQuery {
	if q.Dialect().Name() == dialect.PG {
		return q.For("UPDATE")
	}
	return q
}

// finish records an outcome's events and keeps its wakes for the end of the transaction.
func (tx *transaction) finish(ctx context.Context, out lb.Outcome) error {
	tx.wakes = append(tx.wakes, out.Wakes...)
	for _, e := range out.Events {
		e.ID = 0
		if e.At.IsZero() {
			e.At = tx.now
		}
		if _, err := tx.NewInsert().Model(&eventRow{Event: e}).Exec(ctx); err != nil {
			return fmt.Errorf("record event %q: %w", e.Action, err)
		}
	}
	return nil
}
