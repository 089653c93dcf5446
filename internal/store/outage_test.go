package store_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect"
	"golang.org/x/sys/unix"

	"colonnade/internal/lb"
	"colonnade/internal/store"
	"colonnade/internal/store/storetest"
)

func rename(name string) func(*lb.Tree) error {
	return func(tree *lb.Tree) error {
		tree.AcceptPending = true
		tree.LoadBalancer.Name = name
		return nil
	}
}

// TestTwoProcessesWriteOneAtATime reads in a transaction and lets another process write before it writes itself. What
// it read must still be true then: on SQLite because its transaction was a writing one from its first word.
func TestTwoProcessesWriteOneAtATime(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		ctx := t.Context()
		a, b := storetest.Open(t, dsn), storetest.Open(t, dsn)
		create(t, a, "lb1")
		tries := 0
		_, err := a.ChangeTree(ctx, "lb1", "ann", func(tree *lb.Tree) error {
			tries++
			other, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
			defer cancel()
			_, err := b.ChangeTree(other, "lb1", "bob", func(tree *lb.Tree) error {
				t.Error("the other process read while this one was about to write")
				return rename("bob")(tree)
			})
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("the other process: %v", err)
			}
			wantFault(t, unwrapFault(err), lb.KindUnavailable, "The database is busy.", "The database did not answer in time.")
			return rename("ann")(tree)
		})
		ok(t, err)
		if tries != 1 {
			t.Errorf("it took %d tries", tries)
		}
		_, err = b.ChangeTree(ctx, "lb1", "bob", func(tree *lb.Tree) error {
			if tree.LoadBalancer.Name != "ann" {
				t.Errorf("the other process reads %q", tree.LoadBalancer.Name)
			}
			return rename("bob")(tree)
		})
		ok(t, err)
	})
}

func TestProcessesMayMigrateAtOnce(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		const processes = 6
		opened := make(chan error, processes)
		for range processes {
			go func() {
				s, err := store.Open(t.Context(), dsn)
				if err == nil {
					err = s.Close()
				}
				opened <- err
			}()
		}
		for range processes {
			if err := <-opened; err != nil {
				t.Error(err)
			}
		}
	})
}

func TestSchemaOfANewerProgramIsRefused(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		s := storetest.Open(t, dsn)
		ok(t, s.Write(t.Context(), func(ctx context.Context, tx bun.Tx) error {
			_, err := tx.NewRaw("INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, TRUE)").Exec(ctx)
			return err
		}))
		_, err := store.Open(t.Context(), dsn)
		if err == nil || !strings.Contains(err.Error(), "the schema is version 99999 of a newer program") {
			t.Fatal(err)
		}
	})
}

// TestTransactionsThatTheDatabaseWantsAgain lets two lock each other's rows: PostgreSQL breaks one off, SQLite never
// lets it come that far. Both end well.
func TestTransactionsThatTheDatabaseWantsAgain(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *store.Store) {
		create(t, s, "lb1")
		create(t, s, "lb2")
		isPostgres := s.Reader().Dialect().Name() == dialect.PG
		patience := 100 * time.Millisecond // for what does not come on SQLite
		if isPostgres {
			patience = 20 * time.Second
		}
		var tries, haveOne atomic.Int32
		errs := make(chan error, 2)
		for _, order := range [][]string{{"lb1", "lb2"}, {"lb2", "lb1"}} {
			go func() {
				errs <- s.Write(t.Context(), func(ctx context.Context, tx bun.Tx) error {
					tries.Add(1)
					for _, id := range order {
						if _, err := tx.NewRaw("UPDATE load_balancer SET revision = revision + 1 WHERE id = ?", id).Exec(ctx); err != nil {
							return err
						}
						// Until the other has a row too, which on SQLite it cannot have.
						haveOne.Add(1)
						for deadline := time.Now().Add(patience); haveOne.Load() < 2 && time.Now().Before(deadline); {
							time.Sleep(time.Millisecond)
						}
					}
					return nil
				})
			}()
		}
		ok(t, <-errs)
		ok(t, <-errs)
		// The one that was broken off may be quicker than the one that waits, and meet it again.
		if n := tries.Load(); isPostgres && n < 3 || !isPostgres && n != 2 {
			t.Errorf("%d tries", n)
		}
		for _, id := range []string{"lb1", "lb2"} {
			if tree, err := s.Tree(t.Context(), id); err != nil || tree.LoadBalancer.Revision != 3 {
				t.Fatalf("%s is at revision %d: %v", id, tree.LoadBalancer.Revision, err)
			}
		}
	})
}

func TestOpenSaysWhyItCannot(t *testing.T) {
	dir := t.TempDir()
	silent, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and says nothing
	ok(t, err)
	t.Cleanup(func() { _ = silent.Close() })
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	ok(t, err)
	ok(t, closed.Close())
	noDatabase := filepath.Join(dir, "text")
	ok(t, os.WriteFile(noDatabase, []byte(strings.Repeat("this is no database ", 100)), 0o600))
	for name, c := range map[string]struct {
		dsn  string
		want []string
	}{
		"nobody listens":          {"postgres://u:secret@" + closed.Addr().String() + "/x", []string{"PostgreSQL", closed.Addr().String(), "connection refused"}},
		"nobody answers":          {"postgres://u:secret@" + silent.Addr().String() + "/x", []string{"PostgreSQL", "deadline exceeded"}},
		"no such database":        {strings.Replace(storetest.Postgres(t), "?", "_no?", 1), []string{"does not exist"}},
		"no PostgreSQL DSN":       {"postgres://u:secret@h:port/x", []string{"PostgreSQL", "port"}},
		"another kind":            {"mysql://u:secret@h/x", []string{`unknown kind of database "mysql"`}},
		"no such directory":       {filepath.Join(dir, "no", "file"), []string{filepath.Join(dir, "no", "file"), "no such file or directory"}},
		"a directory":             {dir, []string{"SQLite file " + dir}},
		"a file of another kind":  {noDatabase, []string{"SQLite file " + noDatabase, "not a database"}},
		"an impossible directory": {filepath.Join(noDatabase, "file"), []string{"not a directory"}},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			s, err := store.Open(ctx, c.dsn)
			if err == nil {
				_ = s.Close()
				t.Fatal("opened")
			}
			for _, want := range append(c.want, "open store: ") {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("the password is in %q", err)
			}
		})
	}
}

// said is a log that is asked what it said.
type said struct {
	mu  sync.Mutex
	log strings.Builder
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.Write(p)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.String()
}

func TestPostgresGoesAway(t *testing.T) {
	dsn := storetest.Postgres(t)
	var log said
	s, err := store.Open(t.Context(), dsn, store.WithLog(slog.New(slog.NewTextHandler(&log, nil))))
	ok(t, err)
	t.Cleanup(func() { ok(t, s.Close()) })
	create(t, s, "lb1")
	// All connections break at once: those waiting in the pool are noticed and replaced.
	for range 3 {
		_ = s.Write(t.Context(), func(ctx context.Context, tx bun.Tx) error {
			_, err := tx.NewRaw("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()").Exec(ctx)
			return err
		})
	}
	var tree lb.Tree
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		if tree, err = s.Tree(t.Context(), "lb1"); err == nil {
			break
		}
		wantKind(t, err, lb.KindUnavailable)
	}
	ok(t, err)
	ok(t, tree.Check())
	for deadline := time.Now().Add(20 * time.Second); !strings.Contains(log.String(), "listening for work broke off"); {
		if time.Now().After(deadline) {
			t.Fatalf("the log says %q", &log)
		}
		_ = s.Write(t.Context(), func(ctx context.Context, tx bun.Tx) error {
			_, err := tx.NewRaw("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'").Exec(ctx)
			return err
		})
	}
	// The connection of a transaction breaks in its middle: nothing of it is kept, and it is not run again blindly.
	runs := 0
	_, err = s.ChangeTree(t.Context(), "lb1", "ann", func(tree *lb.Tree) error {
		runs++
		other := storetest.Open(t, dsn)
		ok(t, other.Write(t.Context(), func(ctx context.Context, tx bun.Tx) error {
			_, err := tx.NewRaw("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle in transaction'").Exec(ctx)
			return err
		}))
		return rename("x")(tree)
	})
	wantFault(t, unwrapFault(err), lb.KindUnavailable, "The database cannot be reached.")
	if tree, err = s.Tree(t.Context(), "lb1"); err != nil || tree.LoadBalancer.Name != "lb1" || runs != 1 {
		t.Fatalf("%q after %d runs: %v", tree.LoadBalancer.Name, runs, err)
	}
}

// TestStalledProcessInATransaction stops in the middle of a transaction: PostgreSQL gives its locks to the others, and
// what it wanted to write is not kept.
func TestStalledProcessInATransaction(t *testing.T) {
	dsn := storetest.Postgres(t)
	s := storetest.Open(t, dsn)
	create(t, s, "lb1")
	stalled := storetest.Open(t, dsn+"&idle_in_transaction_session_timeout=200")
	_, err := stalled.ChangeTree(t.Context(), "lb1", "ann", func(tree *lb.Tree) error {
		_, err := s.ChangeTree(t.Context(), "lb1", "bob", rename("bob"))
		ok(t, err)
		return rename("ann")(tree)
	})
	wantFault(t, unwrapFault(err), lb.KindUnavailable, "The database has ended a transaction that stood still.", "The database cannot be reached.")
	if tree, err := s.Tree(t.Context(), "lb1"); err != nil || tree.LoadBalancer.Name != "bob" {
		t.Fatal(tree.LoadBalancer.Name, err)
	}
}

// unwrapFault is the fault in an error's chain.
func unwrapFault(err error) error {
	var f *lb.Fault
	if errors.As(err, &f) {
		return f
	}
	return err
}

func TestReadOnlyPostgres(t *testing.T) {
	dsn := storetest.Postgres(t)
	s := storetest.Open(t, dsn)
	want := create(t, s, "lb1")
	ro := storetest.Open(t, dsn+"&default_transaction_read_only=on")
	_, err := ro.ChangeTree(t.Context(), "lb1", "ann", rename("x"))
	wantFault(t, unwrapFault(err), lb.KindUnavailable, "The database is read-only.")
	if got, err := ro.Tree(t.Context(), "lb1"); err != nil || got.LoadBalancer.Name != want.LoadBalancer.Name {
		t.Fatal(got.LoadBalancer.Name, err)
	}
}

// smallDiskVariable makes TestSmallDisk the process that has a small disk of its own mounted at that directory.
const smallDiskVariable = "COLONNADE_TEST_SMALL_DISK"

// TestSmallDisk fills the disk under an open SQLite file, frees it, and makes it read-only, in a process with mounts of
// its own.
func TestSmallDisk(t *testing.T) {
	if dir := os.Getenv(smallDiskVariable); dir != "" {
		onSmallDisk(t, dir)
		return
	}
	if os.Geteuid() != 0 {
		t.Fatal("this needs root, to mount a small disk; run it with sudo")
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestSmallDisk$", "-test.v", "-test.coverprofile=")
	cmd.Env = append(os.Environ(), smallDiskVariable+"="+t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "all is seen on the small disk") {
		t.Fatalf("%v\n%s", err, out)
	}
}

func onSmallDisk(t *testing.T, dir string) {
	ok(t, unix.Mount("tmpfs", dir, "tmpfs", 0, "size=4m"))
	file := filepath.Join(dir, "colonnade.db")
	s := storetest.Open(t, file)
	create(t, s, "lb1")
	saved := "lb1"
	ballast := filepath.Join(dir, "ballast")
	f, err := os.Create(ballast)
	ok(t, err)
	for _, err = f.Write(make([]byte, 4096)); err == nil; _, err = f.Write(make([]byte, 4096)) {
	}
	ok(t, f.Close())
	for i := 0; ; i++ {
		name := fmt.Sprint("name ", i)
		_, err := s.ChangeTree(t.Context(), "lb1", "ann", rename(name))
		if err != nil {
			wantFault(t, unwrapFault(err), lb.KindUnavailable, "The database has no disk space left.")
			break
		}
		if saved = name; i > 10_000 {
			t.Fatal("the disk never was full")
		}
	}
	reads := func(s *store.Store) {
		t.Helper()
		tree, err := s.Tree(t.Context(), "lb1")
		ok(t, err)
		ok(t, tree.Check())
		if tree.LoadBalancer.Name != saved {
			t.Fatalf("reads %q, %q was saved last", tree.LoadBalancer.Name, saved)
		}
	}
	reads(s) // the full disk is no hindrance
	ok(t, os.Remove(ballast))
	_, err = s.ChangeTree(t.Context(), "lb1", "ann", rename("after"))
	ok(t, err)
	saved = "after"
	reads(s)
	ok(t, s.Close())

	ok(t, unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""))
	_, err = store.Open(t.Context(), file)
	if err == nil || !strings.Contains(err.Error(), file) || !strings.Contains(err.Error(), "read-only file system") {
		t.Fatalf("on a read-only disk: %v", err)
	}
	ok(t, unix.Mount("", dir, "", unix.MS_REMOUNT, ""))
	reads(storetest.Open(t, file))
	fmt.Println("all is seen on the small disk")
}
