package store_test

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/uptrace/bun"

	"colonnade/internal/lb"
	"colonnade/internal/queue"
	"colonnade/internal/store"
	"colonnade/internal/store/storetest"
)

var update = flag.Bool("update", false, "write the golden files")

const schemaFile = "schema.sqlite.sql"

func TestMigrationsEndInTheCommittedSchema(t *testing.T) {
	s := storetest.Open(t, storetest.File(t))
	var statements []string
	ok(t, s.Reader().NewRaw(`SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' AND tbl_name <> 'goose_db_version'
ORDER BY tbl_name, type DESC, name`).Scan(t.Context(), &statements))
	got := strings.Join(statements, ";\n\n") + ";\n"
	if *update {
		ok(t, os.WriteFile(schemaFile, []byte(got), 0o644))
	}
	want, err := os.ReadFile(schemaFile)
	ok(t, err)
	if d := cmp.Diff(string(want), got); d != "" {
		t.Fatalf("run go test ./internal/store -update\n%s", d)
	}
}

func TestOpeningAgainKeepsAll(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a dir?&#", "colonnade.db")
	ok(t, os.Mkdir(filepath.Dir(file), 0o700))
	s, err := store.Open(t.Context(), "sqlite:"+file)
	ok(t, err)
	want := create(t, s, "lb1")
	ok(t, s.Close())
	info, err := os.Stat(file)
	ok(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Fatalf("the keys in the file are readable by others: %v", info.Mode())
	}
	got, err := storetest.Open(t, file).Tree(t.Context(), "lb1")
	ok(t, err)
	if d := cmp.Diff(want, got); d != "" {
		t.Fatal(d)
	}
	if _, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "no", "such", "dir")); err == nil {
		t.Fatal("opened a file in a directory that is not there")
	}
}

// crashVariable makes TestKilledWriter the process that is killed.
const crashVariable = "COLONNADE_TEST_CRASH_FILE"

// TestKilledWriter kills a process in the middle of a transaction after several that it reported, and opens its file.
func TestKilledWriter(t *testing.T) {
	if file := os.Getenv(crashVariable); file != "" {
		writeUntilKilled(t, file)
		return
	}
	for round := range 3 {
		t.Run(fmt.Sprint("round ", round), func(t *testing.T) {
			file := storetest.File(t)
			cmd := exec.Command(os.Args[0], "-test.run=^TestKilledWriter$")
			cmd.Env = append(os.Environ(), crashVariable+"="+file)
			out, err := cmd.StdoutPipe()
			ok(t, err)
			ok(t, cmd.Start())
			t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
			saved := 0
			for lines := bufio.NewScanner(out); lines.Scan(); {
				if n, found := strings.CutPrefix(lines.Text(), "saved "); found {
					saved, err = strconv.Atoi(n)
					ok(t, err)
				}
				if lines.Text() == "in the middle" {
					break
				}
			}
			ok(t, cmd.Process.Kill())
			_ = cmd.Wait()
			if saved == 0 {
				t.Fatal("nothing was saved before the kill")
			}
			s := storetest.Open(t, file)
			got, err := s.Tree(t.Context(), "lb1")
			ok(t, err)
			// All that was answered is there, nothing of the transaction that was not finished.
			if n := len(got.Pools[0].Members); n != 2+saved || got.LoadBalancer.Revision != int64(1+saved) {
				t.Fatalf("%d members at revision %d after %d were saved", n, got.LoadBalancer.Revision, saved)
			}
			ok(t, got.Check())
			// The dead process's lease is given back by the only process there is, and its epoch is fenced.
			q := queue.New(s, quiet())
			if h, err := q.Claim(t.Context(), lb.WorkWorker); h != nil || err != nil {
				t.Fatalf("claimed what is leased: %v, %v", h, err)
			}
			ok(t, q.ReleaseAll(t.Context()))
			if h := claim(t, s, lb.WorkWorker, "lb1"); h.Lease.Epoch != 2 {
				t.Fatalf("epoch %d", h.Lease.Epoch)
			}
			var check string
			ok(t, s.Reader().NewRaw("PRAGMA integrity_check").Scan(t.Context(), &check))
			if check != "ok" {
				t.Fatal(check)
			}
		})
	}
}

func writeUntilKilled(t *testing.T, file string) {
	s := storetest.Open(t, file)
	create(t, s, "lb1")
	claim(t, s, lb.WorkWorker, "lb1")
	for i := 1; ; i++ {
		_, err := s.ChangeTree(t.Context(), "lb1", "ann", func(tree *lb.Tree) error {
			tree.AcceptPending = true
			return tree.AddMember("lb1-pool", lb.Member{ID: fmt.Sprint("x", i), Address: fmt.Sprint("198.18.4.", i), ProtocolPort: 1, Weight: 1})
		})
		ok(t, err)
		fmt.Println("saved", i)
		if i == 20 {
			break
		}
	}
	// Rows are written and the transaction is still open when the process is killed.
	_ = s.Write(t.Context(), func(ctx context.Context, tx bun.Tx) error {
		for _, query := range []string{
			"UPDATE load_balancer SET revision = 1000, epoch = 1000",
			"DELETE FROM member",
			"INSERT INTO event (at, load_balancer_id, object_id, actor, action, reason) SELECT created_at, id, id, '', 'unfinished', '' FROM load_balancer",
		} {
			_, err := tx.NewRaw(query).Exec(ctx)
			ok(t, err)
		}
		fmt.Println("in the middle")
		select {}
	})
}
