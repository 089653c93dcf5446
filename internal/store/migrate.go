package store

import (
	"context"
	"database/sql/driver"
	"embed"
	"fmt"
	"io/fs"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect"
)

//go:embed migrations
var migrations embed.FS

// migrationLock is what processes that start at once exclude each other by on PostgreSQL.
const migrationLock = 0x636f6c6f6e6e // "colonn"

// migrationTimeout bounds all migrations of a start, and the wait for a process that makes them.
const migrationTimeout = 10 * time.Minute

// migrate brings the schema to the newest version. Each migration is a transaction; those applied are in
// goose_db_version. There is no way back: a program that meets a schema newer than its own refuses to work with it.
func migrate(ctx context.Context, db *bun.DB) error {
	ctx, cancel := context.WithTimeout(ctx, migrationTimeout)
	defer cancel()
	dir, kind := "sqlite", goose.DialectSQLite3
	if db.Dialect().Name() == dialect.PG {
		dir, kind = "postgres", goose.DialectPostgres
		conn, err := db.Conn(ctx)
		if err != nil {
			return fmt.Errorf("migrate: %w", err)
		}
		// Closed for good and not given back: with it ends the lock, however this goes.
		defer func() { _ = conn.Raw(func(any) error { return driver.ErrBadConn }); _ = conn.Close() }()
		if _, err := conn.ExecContext(ctx, "SELECT pg_advisory_lock(?)", migrationLock); err != nil {
			return fmt.Errorf("migrate: wait for the process that migrates: %w", err)
		}
	}
	files, err := fs.Sub(migrations, "migrations/"+dir)
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(kind, db.DB, files)
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	// On SQLite another process may migrate at this moment: a migration then finds its tables made, and the next look
	// finds its version noted.
	for range 2 * len(p.ListSources()) {
		if err = up(ctx, p); err == nil || db.Dialect().Name() == dialect.PG || ctx.Err() != nil {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return nil
}

func up(ctx context.Context, p *goose.Provider) error {
	return retryFor(ctx, migrationTimeout, func(ctx context.Context) error {
		if _, err := p.Up(ctx); err != nil {
			return err
		}
		has, err := p.GetDBVersion(ctx)
		if err != nil {
			return err
		}
		sources := p.ListSources()
		if newest := sources[len(sources)-1].Version; has > newest {
			return fmt.Errorf("the schema is version %d of a newer program, this one knows %d", has, newest)
		}
		return nil
	})
}
