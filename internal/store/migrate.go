package store

import (
	"context"
	"embed"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect"
)

//go:embed migrations
var migrations embed.FS

// migrate brings the schema to the newest version. Each migration is a transaction; those applied are in
// goose_db_version.
func migrate(ctx context.Context, db *bun.DB) error {
	dir, kind := "sqlite", goose.DialectSQLite3
	if db.Dialect().Name() == dialect.PG {
		dir, kind = "postgres", goose.DialectPostgres
	}
	files, err := fs.Sub(migrations, "migrations/"+dir)
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(kind, db.DB, files)
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return nil
}
