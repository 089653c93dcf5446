package store

import (
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"colonnade/internal/lb"
)

// explain says which operation failed; faults and lb.ErrFenced keep their own words, and what a unique index or a
// reference forbids is a conflict, whoever asked first.
func explain(operation string, err error) error {
	var f *lb.Fault
	switch {
	case errors.As(err, &f), errors.Is(err, lb.ErrFenced):
		return err
	case isUnique(err):
		return fmt.Errorf("%s: %w: %w", operation, lb.Faultf(lb.KindConflict, "An object with the same identity already exists."), err)
	case isReference(err):
		return fmt.Errorf("%s: %w: %w", operation, lb.Faultf(lb.KindConflict, "The object is in use or refers to one that does not exist."), err)
	}
	return fmt.Errorf("%s: %w", operation, err)
}

func codes(err error) (lite int, pg string) {
	var s *sqlite.Error
	var p *pgconn.PgError
	switch {
	case errors.As(err, &s):
		return s.Code(), ""
	case errors.As(err, &p):
		return 0, p.Code
	}
	return 0, ""
}

func isUnique(err error) bool {
	lite, pg := codes(err)
	return lite == sqlite3.SQLITE_CONSTRAINT_UNIQUE || lite == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY || pg == "23505"
}

func isReference(err error) bool {
	lite, pg := codes(err)
	return lite == sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY || pg == "23503"
}

func isRetryable(err error) bool {
	lite, pg := codes(err)
	return lite&0xff == sqlite3.SQLITE_BUSY || pg == "40001" || pg == "40P01"
}
