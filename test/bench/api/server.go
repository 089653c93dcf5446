package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"colonnade/internal/identity"
)

// server is a control plane with the no-op drivers, "colonnade up", as a process of its own.
type server struct {
	url, metrics, token string
	dir                 string
	cmd                 *exec.Cmd
	output              bytes.Buffer
}

// One amphora a load balancer and no standby is Octavia's SINGLE, which it was measured with.
const config = `
[api]
accept_while_pending = true
[cluster]
desired_size = 1
standby_size = 0
[network]
driver = "noop"
[compute]
driver = "noop"
[log]
level = "warn"
[metrics]
profile = true
[database]
dsn = %q
[noop]
stay_pending = %v
`

// start starts a control plane over an empty database; "" is SQLite's. alone is the API without worker and cluster
// manager: what it accepts stays PENDING_*.
func start(binary, dsn string, alone bool) (*server, error) {
	dir, err := os.MkdirTemp("", "colonnade-bench-")
	if err != nil {
		return nil, err
	}
	s := &server{dir: dir}
	if err := s.start(binary, fmt.Sprintf(config, dsn, alone)); err != nil {
		return nil, errors.Join(fmt.Errorf("start control plane: %w", err), s.stop())
	}
	return s, nil
}

func (s *server) start(binary, config string) (err error) {
	state, file := filepath.Join(s.dir, "state"), filepath.Join(s.dir, "colonnade.toml")
	if err := os.Mkdir(state, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return err
	}
	if s.token, err = identity.EnsureToken(state); err != nil {
		return err
	}
	var addresses [2]string
	for i := range addresses {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		addresses[i] = l.Addr().String()
		if err := l.Close(); err != nil {
			return err
		}
	}
	s.url, s.metrics = "http://"+addresses[0], "http://"+addresses[1]
	cmd := exec.Command(binary, "up", "--state-dir", state, "--config", file, "--listen", addresses[0], "--metrics-listen", addresses[1])
	cmd.Stdout, cmd.Stderr = &s.output, &s.output
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return err
	}
	s.cmd = cmd
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/", nil)
		if err != nil {
			return err
		}
		if resp, err := http.DefaultClient.Do(r); err == nil {
			return resp.Body.Close()
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (s *server) pid() int { return s.cmd.Process.Pid }

// stop ends the process and removes what it left; what it said of failures is in the error.
func (s *server) stop() error {
	var errs []error
	if s.cmd != nil {
		errs = append(errs, s.cmd.Process.Signal(syscall.SIGTERM))
		if err := s.cmd.Wait(); err != nil {
			errs = append(errs, fmt.Errorf("control plane: %w: %.2000s", err, s.output.Bytes()))
		}
	}
	return errors.Join(append(errs, os.RemoveAll(s.dir))...)
}
