package store

import (
	"context"
	"database/sql"
	"log/slog"
	"os"
	"time"
)

const (
	// spillAt is the length of SQLite's log from which on it is copied into the file, as SQLite itself would.
	spillAt = 4 << 20
	// spillEvery is how many commits there are between looks at it.
	spillEvery = 50
	// spillAnyway is how long a shorter log may lie there.
	spillAnyway = time.Minute
)

// spill copies SQLite's log into its file, on a connection of its own: readers and the writer go on meanwhile. SQLite
// would do it within a commit, for which somebody waits.
type spill struct {
	db      *sql.DB
	log     string // the log's file
	commits int    // since the last look; used by whoever writes
	kick    chan struct{}
	stop    context.CancelFunc
	done    chan struct{}
	report  *slog.Logger
}

func startSpill(name, file string, report *slog.Logger) (*spill, error) {
	db, err := sql.Open("sqlite", name)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	ctx, cancel := context.WithCancel(context.Background())
	s := &spill{db: db, log: file + "-wal", kick: make(chan struct{}, 1), stop: cancel, done: make(chan struct{}), report: report}
	go s.run(ctx)
	return s, nil
}

// written is told of each commit, by one writer at a time.
func (s *spill) written() {
	if s == nil {
		return
	}
	if s.commits++; s.commits < spillEvery {
		return
	}
	s.commits = 0
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

func (s *spill) run(ctx context.Context) {
	defer close(s.done)
	tick := time.NewTicker(spillAnyway)
	defer tick.Stop()
	for {
		least := int64(spillAt)
		select {
		case <-s.kick:
		case <-tick.C:
			least = 1
		case <-ctx.Done():
			return
		}
		if info, err := os.Stat(s.log); err != nil || info.Size() < least {
			continue
		}
		// One that finds the file busy leaves the rest to the next.
		if _, err := s.db.ExecContext(ctx, "PRAGMA wal_checkpoint(PASSIVE)"); err != nil && ctx.Err() == nil && !isRetryable(err) {
			s.report.WarnContext(ctx, "copying SQLite's log into its file failed", "error", err)
		}
	}
}

func (s *spill) close() error {
	if s == nil {
		return nil
	}
	s.stop()
	<-s.done
	return s.db.Close()
}
