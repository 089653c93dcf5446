package store

import (
	"context"
	"database/sql"
	"fmt"
	"sync"

	"github.com/uptrace/bun"
)

// State names what is committed: as long as it stays the same, every read shows the same. It may change without that
// anything did.
func (s *Store) State(ctx context.Context) (state string, err error) {
	if s.changes != nil {
		state, err = s.changes.state(ctx)
	} else {
		// Two equal snapshots have the same transactions before them, those of other processes too.
		err = s.read(ctx, func(ctx context.Context, db bun.IDB) error {
			return db.NewRaw("SELECT CAST(pg_current_snapshot() AS TEXT)").Scan(ctx, &state)
		})
	}
	if err != nil {
		return "", explain("look for changes", err)
	}
	return state, nil
}

// changes sees those of a SQLite file, on a connection that makes none: SQLite tells a connection how often others made
// some.
type changes struct {
	db *sql.DB

	mu         sync.Mutex
	stmt       *sql.Stmt // of the one connection, nil before the first
	conn       *sql.Conn
	generation int // of the connection: the next one begins to count anew
}

func (c *changes) state(ctx context.Context) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	// It takes no time, and who breaks it off would break the connection.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), operationTimeout)
	defer cancel()
	var n int64
	err := retry(ctx, func(ctx context.Context) error {
		if err := c.connect(ctx); err != nil {
			return err
		}
		err := c.stmt.QueryRowContext(ctx).Scan(&n)
		if err != nil {
			c.close()
		}
		return err
	})
	return fmt.Sprintf("%d.%d", c.generation, n), err
}

func (c *changes) connect(ctx context.Context) (err error) {
	if c.stmt != nil {
		return nil
	}
	c.generation++
	if c.conn, err = c.db.Conn(ctx); err != nil {
		return err
	}
	if c.stmt, err = c.conn.PrepareContext(ctx, "PRAGMA data_version"); err != nil {
		c.close()
	}
	return err
}

// close ends the connection.
func (c *changes) close() {
	if c.stmt != nil {
		_ = c.stmt.Close() // it goes with its connection in any case
		c.stmt = nil
	}
	if c.conn != nil {
		_ = c.conn.Close()
		c.conn = nil
	}
}

func (c *changes) end() error {
	if c == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.close()
	return c.db.Close()
}
