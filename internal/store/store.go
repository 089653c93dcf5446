// Package store holds all SQL but the queue's: tables, migrations, and the transactions in which rows, events and
// wakes are written together. The same queries serve SQLite (the embedded default) and PostgreSQL. Roles, API and
// network driver see it through interfaces of their own.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
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
	"golang.org/x/sys/unix"
	"modernc.org/sqlite"

	"colonnade/internal/lb"
	"colonnade/internal/queue"
)

// Store is the database. Its methods may be called from any number of goroutines.
type Store struct {
	writer   *bun.DB
	reader   *bun.DB // the same as writer on PostgreSQL
	bell     queue.Bell
	events   queue.Bell // rung when events were recorded
	turns    turns
	groups   groups    // of writers on SQLite
	listener *listener // nil on SQLite
	spill    *spill    // nil on PostgreSQL
	changes  *changes  // the same
	log      *slog.Logger
	quota    lb.Quota // of projects without their own; every limit is set
}

var _ queue.Database = (*Store)(nil)

const (
	sqliteReaders   = 8
	postgresMaxOpen = 16
	// postgresWork is how many of these write behind the scenes at a time.
	postgresWork = 8
)

// Option changes a store.
type Option func(*Store)

// WithLog gives the store a log for what it gets over by itself.
func WithLog(log *slog.Logger) Option { return func(s *Store) { s.log = log } }

// Open opens the database and migrates it to the newest schema. dsn is "postgres://…" or a SQLite file, with or
// without "sqlite:" before it. The caller closes the store.
func Open(ctx context.Context, dsn string, opts ...Option) (*Store, error) {
	s := &Store{log: slog.New(slog.DiscardHandler), quota: lb.NoQuota()}
	for _, o := range opts {
		o(s)
	}
	err := s.open(ctx, dsn)
	if err != nil {
		_ = s.Close()
		return nil, fmt.Errorf("open store: %w", err)
	}
	return s, nil
}

func (s *Store) open(ctx context.Context, dsn string) error {
	scheme, _, isURL := strings.Cut(dsn, "://")
	switch {
	case isURL && (scheme == "postgres" || scheme == "postgresql"):
		conf, err := s.openPostgres(ctx, dsn)
		if err != nil {
			return fmt.Errorf("PostgreSQL: %w", err)
		}
		if err := migrate(ctx, s.writer); err != nil {
			return err
		}
		s.listener = startListener(conf, &s.bell, s.log)
		return nil
	case isURL:
		return fmt.Errorf("unknown kind of database %q: want postgres://… or a file's name", scheme)
	}
	file := strings.TrimPrefix(dsn, "sqlite:")
	if err := s.openSQLite(ctx, file); err != nil {
		return fmt.Errorf("SQLite file %s: %w", file, err)
	}
	return migrate(ctx, s.writer)
}

// openSQLite opens one connection that writes and a pool that reads. Transactions of the writer are immediate, so what
// they read stays true until they commit. synchronous=FULL: a commit that was answered survives a power cut, because
// nothing a user saved is ever lost; NORMAL in WAL mode would lose the last ones.
func (s *Store) openSQLite(ctx context.Context, file string) error {
	if err := prepareFile(file); err != nil {
		return err
	}
	// wal_autocheckpoint 0: what a commit would now and then do for all commits before it, spill does beside them.
	pragmas := fmt.Sprintf("_pragma=busy_timeout(%d)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=foreign_keys(1)"+
		"&_pragma=wal_autocheckpoint(0)&_pragma=cache_size(-8000)", busyTimeout.Milliseconds())
	name := "file:" + (&url.URL{Path: file}).EscapedPath() + "?" + pragmas
	w, err := openPrepared(name + "&_txlock=immediate")
	if err != nil {
		return err
	}
	w.SetMaxOpenConns(1)
	s.writer = bun.NewDB(w, sqlitedialect.New())
	if err := retry(ctx, w.PingContext); err != nil { // the writer makes the file a WAL one before anybody reads
		return err
	}
	r, err := openPrepared(name + "&_pragma=query_only(1)")
	if err != nil {
		return err
	}
	r.SetMaxOpenConns(sqliteReaders)
	r.SetMaxIdleConns(sqliteReaders)
	s.reader = bun.NewDB(r, sqlitedialect.New())
	s.turns.all, s.turns.work = 1, 1
	c, err := sql.Open("sqlite", name+"&_pragma=query_only(1)")
	if err != nil {
		return err
	}
	c.SetMaxOpenConns(1)
	s.changes = &changes{db: c}
	s.spill, err = startSpill(name, file, s.log)
	return err
}

func openPrepared(name string) (*sql.DB, error) {
	c, err := sqlite.NewConnector(name)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(preparingSQLite{c}), nil
}

// prepareFile makes the file, readable by its owner alone: it holds probe and heartbeat keys, and -wal and -shm get its
// mode. One that is there must be writable; it is not opened, because closing it would drop the locks that this process
// may have on it.
func prepareFile(file string) error {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err == nil {
		return f.Close()
	}
	if !errors.Is(err, os.ErrExist) {
		return err
	}
	if err := unix.Access(file, unix.R_OK|unix.W_OK); err != nil {
		return fmt.Errorf("cannot be written: %w", err)
	}
	return nil
}

// guards bound what a process that is stopped in the middle of a transaction can keep from the others.
var guards = map[string]string{
	"application_name":                    "colonnade",
	"idle_in_transaction_session_timeout": "15000", // ms
	"default_transaction_isolation":       "read committed",
}

func (s *Store) openPostgres(ctx context.Context, dsn string) (*pgx.ConnConfig, error) {
	conf, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, err
	}
	if conf.ConnectTimeout == 0 {
		conf.ConnectTimeout = connectTimeout
	}
	for name, value := range guards {
		if _, ok := conf.RuntimeParams[name]; !ok {
			conf.RuntimeParams[name] = value
		}
	}
	connector := stdlib.GetConnector(*conf, stdlib.OptionAfterConnect(func(_ context.Context, c *pgx.Conn) error {
		c.TypeMap().RegisterType(&pgtype.Type{Name: "timestamptz", OID: pgtype.TimestamptzOID, Codec: &pgtype.TimestamptzCodec{ScanLocation: time.UTC}})
		return nil
	}))
	db := sql.OpenDB(liftingPostgres{connector})
	db.SetMaxOpenConns(postgresMaxOpen)
	db.SetMaxIdleConns(postgresMaxOpen)
	db.SetConnMaxIdleTime(5 * time.Minute)
	s.writer = bun.NewDB(db, pgdialect.New())
	s.reader = s.writer
	s.turns.all, s.turns.work = postgresMaxOpen, postgresWork
	return conf, retry(ctx, db.PingContext)
}

// Close ends all connections.
func (s *Store) Close() error {
	if s.listener != nil {
		s.listener.close()
	}
	err := errors.Join(s.spill.close(), s.changes.end())
	if s.reader != nil && s.reader != s.writer {
		if rerr := s.reader.Close(); rerr != nil {
			err = rerr
		}
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
// store itself: on SQLite that would wait for its own transaction. What the queue writes goes behind what API calls write.
func (s *Store) Write(ctx context.Context, f func(ctx context.Context, tx bun.Tx) error) error {
	return s.inTurn(ctx, behind, f)
}

func (s *Store) inTurn(ctx context.Context, class int, f func(ctx context.Context, tx bun.Tx) error) error {
	return retry(ctx, func(ctx context.Context) error {
		if !s.isPostgres() {
			return s.writeTogether(ctx, class, f)
		}
		if err := s.turns.take(ctx, class, nil); err != nil {
			return err
		}
		defer s.turns.give(class)
		return s.writer.RunInTx(ctx, nil, f)
	})
}

// snapshot runs several reads that see one state.
func (s *Store) snapshot(ctx context.Context, f func(ctx context.Context, tx bun.Tx) error) error {
	opts := &sql.TxOptions{ReadOnly: true}
	if s.isPostgres() {
		opts.Isolation = sql.LevelRepeatableRead
	}
	return retry(ctx, func(ctx context.Context) error { return s.reader.RunInTx(ctx, opts, f) })
}

// read runs one read.
func (s *Store) read(ctx context.Context, f func(ctx context.Context, db bun.IDB) error) error {
	return retry(ctx, func(ctx context.Context) error { return f(ctx, s.reader) })
}

// transaction is one writing transaction: the database's time at its start and what it brings beside rows.
type transaction struct {
	bun.Tx
	now   time.Time // the database's clock
	quota lb.Quota  // of projects without their own
	wakes []lb.Wake
	// recorded is how many events it brings; projects whose load balancers are.
	recorded int
	projects map[string]string
}

// write runs f in a transaction, enqueues the wakes it left and rings the bell after the commit.
func (s *Store) write(ctx context.Context, operation string, f func(ctx context.Context, tx *transaction) error) error {
	var rang bool
	var recorded int
	class := inFront
	if queue.IsWork(ctx) {
		class = behind
	}
	err := s.inTurn(ctx, class, func(ctx context.Context, btx bun.Tx) error {
		tx := &transaction{Tx: btx, quota: s.quota}
		if err := tx.readClock(ctx); err != nil {
			return err
		}
		if err := f(ctx, tx); err != nil {
			return err
		}
		rang, recorded = len(tx.wakes) > 0, tx.recorded
		return queue.EnqueueTx(ctx, btx, tx.wakes)
	})
	if err != nil {
		return explain(operation, err)
	}
	if rang {
		s.bell.Ring()
	}
	if recorded > 0 {
		s.events.Ring()
		if n := lb.CallerOf(ctx).Recorded; n != nil {
			n.Add(int64(recorded))
		}
	}
	return nil
}

func (s *Store) isPostgres() bool { return s.writer.Dialect().Name() == dialect.PG }

// readClock asks for the time. SQLite's is that of the machine it shares with us.
func (tx *transaction) readClock(ctx context.Context) error {
	if tx.Dialect().Name() != dialect.PG {
		tx.now = time.Now().UTC().Truncate(time.Millisecond)
		return nil
	}
	var ms int64
	if err := tx.NewRaw("SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)").Scan(ctx, &ms); err != nil {
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
	return tx.record(ctx, out.Events)
}
