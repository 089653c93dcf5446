package agentrun_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"colonnade/internal/agentrun"
)

func TestPause(t *testing.T) {
	for young, want := range []time.Duration{0, 0, 50e6, 100e6, 200e6, 400e6, 800e6, 1e9, 1e9} {
		if got := agentrun.Pause(young); got != want {
			t.Errorf("after %d young deaths: %v, want %v", young, got, want)
		}
	}
}

// fifo is read for what the agents of a test say; each line is awaited for 10 s.
func fifo(t *testing.T) (path string, line func() string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "said")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0) // read and write: never at its end
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	r := bufio.NewReader(f)
	return path, func() string {
		t.Helper()
		if err := f.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		s, err := r.ReadString('\n')
		if err != nil && err != io.EOF {
			t.Fatal("nothing said within 10 s: ", err)
		}
		return strings.TrimSpace(s)
	}
}

func start(t *testing.T, script string) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- agentrun.Parent{Command: []string{"/bin/sh", "-c", script}, Now: time.Now, Log: slog.New(slog.DiscardHandler)}.Run(ctx)
	}()
	var ended bool
	stop = func() error {
		if ended {
			return nil
		}
		ended = true
		cancel()
		return <-done
	}
	t.Cleanup(func() { _ = stop() })
	return stop
}

func TestAgentIsStartedAgain(t *testing.T) {
	defer goleak.VerifyNone(t)
	path, line := fifo(t)
	stop := start(t, fmt.Sprintf(`echo $$ >%s; while :; do read x <&0 || sleep 1; done`, path))
	first := line()
	pid, err := strconv.Atoi(first)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	second := line()
	if second == first {
		t.Errorf("process %s was started again under its own number", first)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	if pid, err = strconv.Atoi(second); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, 0); err != syscall.ESRCH {
		t.Errorf("agent %d outlives its parent's Run: %v", pid, err)
	}
}

func TestAgentThatKeepsDyingIsStartedAgain(t *testing.T) {
	path, line := fifo(t)
	stop := start(t, fmt.Sprintf(`echo died >%s; exit 0`, path))
	for range 4 {
		if got := line(); got != "died" {
			t.Fatalf("said %q", got)
		}
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestTermIsForwardedAndTheEndAwaited(t *testing.T) {
	path, line := fifo(t)
	stop := start(t, fmt.Sprintf(`trap 'echo last words >%[1]s; exit 0' TERM; echo ready >%[1]s; while :; do sleep 0.01; done`, path))
	if got := line(); got != "ready" {
		t.Fatalf("said %q", got)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	if got := line(); got != "last words" {
		t.Errorf("said %q", got)
	}
}

func TestProgramThatIsMissing(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	p := agentrun.Parent{Command: []string{"/nonexistent/agent"}, Now: time.Now, Log: slog.New(slog.DiscardHandler)}
	if err := p.Run(ctx); err != nil {
		t.Error(err) // it is tried again until it is told to end: the file may be about to be replaced
	}
}
