package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sys/unix"

	"colonnade/internal/testenv/postgres"
)

func ask(t *testing.T, s *postgres.Server, query string) (answer string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.DSN("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }()
	if err := conn.QueryRow(ctx, query).Scan(&answer); err != nil {
		t.Fatal(err)
	}
	return answer
}

func TestServer(t *testing.T) {
	s, err := postgres.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	if got := ask(t, s, "SELECT current_user || ' ' || current_setting('listen_addresses') || ' ' || current_setting('fsync')"); got != "postgres  off" {
		t.Fatal(got)
	}
	if left, _ := filepath.Glob("/var/lib/postgresql/.s.PGSQL.*"); len(left) > 0 {
		t.Fatalf("the server's files are visible outside: %v", left)
	}
	s.Stop()
	if !s.Ended() {
		t.Fatal("it runs")
	}
}

// ownerVariable makes TestKilledOwner the process that is killed.
const ownerVariable = "COLONNADE_TEST_POSTGRES_OWNER"

// TestKilledOwner kills the program that started a server and finds nothing of it left.
func TestKilledOwner(t *testing.T) {
	if os.Getenv(ownerVariable) != "" {
		s, err := postgres.Shared()
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println("\nserver", s.DSN(""))
		select {}
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestKilledOwner$")
	cmd.Env = append(os.Environ(), ownerVariable+"=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _, _ = io.Copy(io.Discard, out); _ = cmd.Wait() })
	var pid int
	var said strings.Builder
	for b := make([]byte, 1); pid == 0; {
		if _, err := out.Read(b); err != nil {
			t.Fatalf("%v after %q", err, &said)
		}
		said.Write(b)
		if b[0] == '\n' {
			line := said.String()
			_, _ = fmt.Sscanf(line[strings.LastIndex(line[:len(line)-1], "\n")+1:], "server postgres://postgres@/?host=/proc/%d/", &pid)
		}
	}
	// The server's process is the first of its process namespace: with it the kernel ends all others.
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(fd) }()
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); ; {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 1000)
		if n == 1 {
			return
		}
		if err != nil && !errors.Is(err, unix.EINTR) || time.Now().After(deadline) {
			t.Fatalf("the server outlives its owner: %v", err)
		}
	}
}
