// Package stage sets up what the demo, the whole-system tests and the benchmarks play on: a control plane as a process
// of its own, tenant networks, and tenant machines (members on a back-end network, clients behind the gateway) in
// network namespaces. It drives the product through its API and command line only; what is added to the machine beside
// that, Close takes away.
package stage

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"colonnade/internal/client"
	"colonnade/internal/identity"
	"colonnade/internal/network/bridge"
)

// Options say what to set up.
type Options struct {
	// Binary is the colonnade program; colonnade-agent stands beside it.
	Binary string
	// Dir is an empty directory for state and logs.
	Dir string
	// Config is TOML that goes over the defaults.
	Config string
}

// Stage is a control plane and what surrounds it. It is used from one goroutine, but for clients and dials.
type Stage struct {
	opts     Options
	listen   string
	prefix   string
	client   *client.Client
	process  *exec.Cmd
	exited   chan error
	machines []*Machine
}

const (
	startTimeout = 30 * time.Second
	stopTimeout  = 30 * time.Second
	pollEvery    = 20 * time.Millisecond
)

// Open starts a control plane in opts.Dir and waits until its API answers.
func Open(ctx context.Context, opts Options) (*Stage, error) {
	dir, err := filepath.Abs(opts.Dir)
	if err != nil {
		return nil, fmt.Errorf("set stage: %w", err)
	}
	opts.Dir = dir
	listen, err := freeAddress()
	if err != nil {
		return nil, fmt.Errorf("set stage: %w", err)
	}
	s := &Stage{opts: opts, listen: listen}
	s.prefix = bridge.PrefixFor(s.StateDir())
	for _, d := range []string{dir, s.StateDir()} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return nil, fmt.Errorf("set stage: %w", err)
		}
	}
	if err := os.WriteFile(s.configFile(), []byte(opts.Config), 0o600); err != nil {
		return nil, fmt.Errorf("set stage: %w", err)
	}
	token, err := identity.EnsureToken(s.StateDir())
	if err != nil {
		return nil, fmt.Errorf("set stage: %w", err)
	}
	if s.client, err = client.New("http://"+listen, token, ""); err != nil {
		return nil, fmt.Errorf("set stage: %w", err)
	}
	return s, s.Start(ctx)
}

// StateDir is the control plane's state directory.
func (s *Stage) StateDir() string { return filepath.Join(s.opts.Dir, "state") }

func (s *Stage) configFile() string { return filepath.Join(s.opts.Dir, "colonnade.toml") }

// LogFile is where the control plane's log goes.
func (s *Stage) LogFile() string { return filepath.Join(s.opts.Dir, "colonnade.log") }

// Prefix begins the names of all namespaces of this control plane.
func (s *Stage) Prefix() string { return s.prefix }

// Client talks to the API.
func (s *Stage) Client() *client.Client { return s.client }

// URL is where the API answers.
func (s *Stage) URL() string { return "http://" + s.listen }

func freeAddress() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // nothing is waited for
	if err != nil {
		return "", err
	}
	addr := ln.Addr().String()
	return addr, ln.Close()
}

// Start starts the control plane, after Open or Kill, and waits until its API answers.
func (s *Stage) Start(ctx context.Context) error {
	log, err := os.OpenFile(s.LogFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("start control plane: %w", err)
	}
	defer func() { _ = log.Close() }()
	cmd := exec.Command(s.opts.Binary, "up", "--state-dir", s.StateDir(), "--config", s.configFile(), "--listen", s.listen) //nolint:noctx // it outlives ctx; Kill and Close end it
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start control plane: %w", err)
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	s.process, s.exited = cmd, exited
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		if _, err = s.client.Networks().List(ctx, nil); err == nil {
			return nil
		}
		select {
		case exit := <-exited:
			s.process = nil
			return fmt.Errorf("start control plane: it ended (%w):\n%s", exit, s.logTail())
		case <-ctx.Done():
			return fmt.Errorf("start control plane: its API does not answer (%w):\n%s", err, s.logTail())
		case <-time.After(pollEvery):
		}
	}
}

// logTail is the end of the control plane's log, for errors.
func (s *Stage) logTail() string {
	const tail = 4000
	raw, err := os.ReadFile(s.LogFile())
	if err != nil {
		return err.Error()
	}
	return string(raw[max(0, len(raw)-tail):])
}

// PID is the control plane's process.
func (s *Stage) PID() int { return s.process.Process.Pid }

// Kill ends the control plane without a goodbye; data planes go on.
func (s *Stage) Kill() error {
	if s.process == nil {
		return nil
	}
	if err := s.process.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill control plane: %w", err)
	}
	<-s.exited
	s.process = nil
	return nil
}

// Close removes everything that stands on the machine because of this stage, as an operator does: colonnade down. The
// directory stays.
func (s *Stage) Close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	var errs []error
	for _, m := range s.machines {
		errs = append(errs, m.remove())
	}
	s.machines = nil
	out, err := exec.CommandContext(ctx, s.opts.Binary, "down", "--state-dir", s.StateDir(), "--config", s.configFile()).CombinedOutput()
	if err != nil {
		errs = append(errs, fmt.Errorf("colonnade down: %w: %s", err, out), s.Kill())
	} else if s.process != nil {
		<-s.exited
		s.process = nil
	}
	return errors.Join(errs...)
}
