// Package storetest gives tests an empty store of their own, on every database there is. Only tests import it.
package storetest

import (
	"database/sql"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"

	"colonnade/internal/store"
)

// Variable names the environment variable with the DSN of a PostgreSQL database whose user may create schemas. Without
// it tests run on SQLite alone.
const Variable = "COLONNADE_TEST_POSTGRES"

// Each runs f on each database, as a subtest with an empty store.
func Each(t *testing.T, f func(t *testing.T, s *store.Store)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { f(t, Open(t, File(t))) })
	if dsn := os.Getenv(Variable); dsn != "" {
		t.Run("postgres", func(t *testing.T) { f(t, Open(t, schema(t, dsn))) })
	}
}

// File names a SQLite file that is not there yet, removed with the test.
func File(t *testing.T) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "colonnade.db")
}

// Open opens a store and closes it with the test.
func Open(t *testing.T, dsn string) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close store: %v", err)
		}
	})
	return s
}

// schema makes an empty schema of a random name, dropped with the test, and returns a DSN that works in it.
func schema(t *testing.T, dsn string) string {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("pgx", dsn)
	if err != nil {
		t.Fatal(err)
	}
	name := "t" + strings.ReplaceAll(uuid.NewString(), "-", "")
	if _, err := db.Exec("CREATE SCHEMA " + name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_, err := db.Exec("DROP SCHEMA " + name + " CASCADE")
		if err := errors.Join(err, db.Close()); err != nil {
			t.Error(err)
		}
	})
	q := u.Query()
	q.Set("search_path", name)
	u.RawQuery = q.Encode()
	return u.String()
}
