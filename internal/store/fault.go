package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"colonnade/internal/lb"
)

// explain says which operation failed; faults and lb.ErrFenced keep their own words. What a unique index or a reference
// forbids is a conflict, whoever asked first, and what the database cannot do now may be tried again later.
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
	if text := outage(err); text != "" {
		return fmt.Errorf("%s: %w: %w", operation, lb.Faultf(lb.KindUnavailable, "%s", text), err)
	}
	return fmt.Errorf("%s: %w", operation, err)
}

// codes are what the databases call an error: SQLite's extended result code, PostgreSQL's SQLSTATE.
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

// isRetryable reports that the transaction was rolled back and may succeed when it is run again at once. A commit whose
// outcome is unknown, because the connection broke, is none of these.
func isRetryable(err error) bool {
	lite, pg := codes(err)
	return lite&0xff == sqlite3.SQLITE_BUSY || pg == "40001" || pg == "40P01"
}

// outage says what keeps the database from working; "" when it is not known to be that.
func outage(err error) string {
	lite, pg := codes(err)
	var connect *pgconn.ConnectError
	var network net.Error
	switch lite &= 0xff; {
	case lite == sqlite3.SQLITE_FULL || pg == "53100":
		return "The database has no disk space left."
	case lite == sqlite3.SQLITE_READONLY || pg == "25006":
		return "The database is read-only."
	case lite == sqlite3.SQLITE_IOERR || lite == sqlite3.SQLITE_CANTOPEN:
		return "The database file cannot be read or written."
	case isRetryable(err):
		return "The database is busy."
	case errors.Is(err, context.DeadlineExceeded):
		return "The database did not answer in time."
	case pg == "25P03": // idle_in_transaction_session_timeout: this process was stopped meanwhile
		return "The database has ended a transaction that stood still."
	// Classes 08: connection lost, 57P: the server is stopping or starting; 53300: it has no connection to give.
	case strings.HasPrefix(pg, "08"), strings.HasPrefix(pg, "57P"), pg == "53300", errors.As(err, &connect), errors.As(err, &network),
		errors.Is(err, driver.ErrBadConn), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), pgconn.SafeToRetry(err):
		return "The database cannot be reached."
	}
	return ""
}
