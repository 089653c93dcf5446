// Package storetest gives tests an empty store of their own, on every database there is. Only tests import it.
package storetest

import (
	"database/sql"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"

	"colonnade/internal/store"
	"colonnade/internal/testenv/postgres"
)

// Variable names the environment variable with the DSN of a PostgreSQL server to use in place of one that the tests
// start themselves. Its user may create databases.
const Variable = "COLONNADE_TEST_POSTGRES"

// Database is one of the databases that every test of the store runs on.
type Database struct {
	Name string
	// New makes an empty one, removed with the test, and returns its DSN.
	New func(t testing.TB) string
}

// Databases are all there are.
var Databases = []Database{{"sqlite", File}, {"postgres", Postgres}}

// Each runs f on each database, as a subtest with an empty store.
func Each(t *testing.T, f func(t *testing.T, s *store.Store)) {
	t.Helper()
	EachDSN(t, func(t *testing.T, dsn string) { f(t, Open(t, dsn)) })
}

// EachDSN runs f on each database, as a subtest with the DSN of an empty one.
func EachDSN(t *testing.T, f func(t *testing.T, dsn string)) {
	t.Helper()
	for _, d := range Databases {
		t.Run(d.Name, func(t *testing.T) { f(t, d.New(t)) })
	}
}

// File names a SQLite file that is not there yet, removed with the test.
func File(t testing.TB) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "colonnade.db")
}

// Open opens a store and closes it with the test.
func Open(t testing.TB, dsn string) *store.Store {
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

// Postgres makes an empty database of a random name, dropped with the test, and returns its DSN.
func Postgres(t testing.TB) string {
	t.Helper()
	dsn := os.Getenv(Variable)
	if dsn == "" {
		server, err := postgres.Shared()
		if err != nil {
			t.Fatal(err)
		}
		dsn = server.DSN("postgres")
	}
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	name := "t" + strings.ReplaceAll(uuid.NewString(), "-", "")
	administer(t, dsn, "CREATE DATABASE "+name)
	t.Cleanup(func() { administer(t, dsn, "DROP DATABASE "+name+" WITH (FORCE)") })
	u.Path = "/" + name
	return u.String()
}

func administer(t testing.TB, dsn, statement string) {
	t.Helper()
	db, err := sql.Open("pgx", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if _, err := db.Exec(statement); err != nil {
		t.Error(err)
	}
}
