// Package server runs `colonnade up` with the no-op drivers, as a process of its own, for suites of real clients. The
// programs are built from the source beside it, so that no suite judges an old one.
package server

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"colonnade/internal/identity"
)

// Drivers are the lines of the configuration that leave the machine alone.
const Drivers = "[network]\ndriver = \"noop\"\n[compute]\ndriver = \"noop\"\n"

// stopTimeout is how long a server may take to end.
const stopTimeout = 15 * time.Second

// Server is a running control plane.
type Server struct {
	URL   string // http://127.0.0.1:PORT
	Token string // of the state directory, an administrator's
	Dir   string // with colonnade.toml and the state directory "state"
}

// Build makes the program once per test process and returns its path.
var Build = sync.OnceValues(func() (string, error) {
	root, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return "", fmt.Errorf("find the module: %w", err)
	}
	dir, err := os.MkdirTemp("", "colonnade-conformance-")
	if err != nil {
		return "", err
	}
	cmd := exec.Command("go", "build", "-trimpath", "-o", dir+string(filepath.Separator), "./cmd/...")
	cmd.Dir = strings.TrimSpace(string(root))
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the programs: %w\n%s", err, out)
	}
	return filepath.Join(dir, "colonnade"), nil
})

// Wanted is the environment variable that asks for the suites; `make conformance` sets it.
const Wanted = "COLONNADE_CONFORMANCE"

// Main runs a suite's tests and removes what Start built for them.
func Main(m *testing.M) int {
	if os.Getenv(Wanted) == "" {
		return 0
	}
	defer func() {
		if binary, err := Build(); err == nil {
			_ = os.RemoveAll(filepath.Dir(binary))
		}
	}()
	return m.Run()
}

// Start runs a control plane until the test ends. more is configuration beside Drivers; its tables come after it, so
// that it may not name those of Drivers.
func Start(t testing.TB, more string) *Server {
	t.Helper()
	binary, err := Build()
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{Dir: t.TempDir()}
	config := filepath.Join(s.Dir, "colonnade.toml")
	if err := os.WriteFile(config, []byte(Drivers+more), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary, "up", "--config", config, "--state-dir", s.State(), "--listen", "127.0.0.1:0", "--metrics-listen=")
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := &tail{}
	ready, ended := make(chan string, 1), make(chan error, 1)
	go func() {
		s.watch(io.TeeReader(log, said), ready)
		ended <- cmd.Wait()
	}()
	t.Cleanup(func() { stop(t, cmd, ended, said) })
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	select {
	case s.URL = <-ready:
	case err := <-ended:
		ended <- err
		t.Fatalf("the control plane did not start: %v\n%s", err, said)
	case <-ctx.Done():
		t.Fatalf("the control plane does not start\n%s", said)
	}
	if s.Token, err = identity.ReadToken(s.State()); err != nil {
		t.Fatal(err)
	}
	return s
}

// State is the state directory.
func (s *Server) State() string { return filepath.Join(s.Dir, "state") }

var listens = regexp.MustCompile(`api listens.* listen=(\S+)`)

// watch reads the log to its end and tells when the server serves.
func (s *Server) watch(log io.Reader, ready chan<- string) {
	url := ""
	lines := bufio.NewReader(log)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return
		}
		if m := listens.FindStringSubmatch(line); m != nil {
			url = "http://" + m[1]
		}
		if strings.Contains(line, "health role listens") { // the last to say so
			ready <- url
		}
	}
}

// stop ends a server; one that had errors of its own fails the test.
func stop(t testing.TB, cmd *exec.Cmd, ended <-chan error, said *tail) {
	t.Helper()
	_ = cmd.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("the control plane ended with %v\n%s", err, said)
		}
	case <-time.After(stopTimeout):
		_ = cmd.Process.Kill()
		t.Errorf("the control plane does not stop\n%s", said)
	}
	if errs := said.errors(); errs != "" {
		t.Errorf("the control plane logged errors:\n%s", errs)
	}
}

// tail keeps what a log said: its end, and its errors.
type tail struct {
	mu    sync.Mutex
	last  []byte
	wrong []string
	line  []byte
}

// Write takes part of a log.
func (l *tail) Write(p []byte) (int, error) {
	const most = 8000
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = append(l.last, p...)
	l.last = l.last[max(0, len(l.last)-most):]
	for _, b := range p {
		if l.line = append(l.line, b); b == '\n' {
			if strings.Contains(string(l.line), "level=ERROR") && len(l.wrong) < 20 {
				l.wrong = append(l.wrong, string(l.line))
			}
			l.line = l.line[:0]
		}
	}
	return len(p), nil
}

// String is the end of the log.
func (l *tail) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.last)
}

func (l *tail) errors() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.wrong, "")
}
