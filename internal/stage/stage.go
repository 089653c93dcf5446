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
	// Separate runs each role as a process of its own in place of "up".
	Separate bool
}

// Stage is a control plane and what surrounds it. It is used from one goroutine, but for clients and dials.
type Stage struct {
	opts      Options
	listen    string
	prefix    string
	client    *client.Client
	processes map[string]*process // by role
	metrics   map[string]string   // addresses by role
	machines  []*Machine
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
	s := &Stage{opts: opts, listen: listen, processes: map[string]*process{}, metrics: map[string]string{}}
	for _, role := range s.Roles() {
		if s.metrics[role], err = freeAddress(); err != nil {
			return nil, fmt.Errorf("set stage: %w", err)
		}
	}
	s.prefix = bridge.PrefixFor(s.StateDir())
	for _, d := range []string{dir, s.StateDir()} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return nil, fmt.Errorf("set stage: %w", err)
		}
	}
	if err := s.Configure(opts.Config); err != nil {
		return nil, err
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

// Configure replaces the configuration; what is started from now on reads it.
func (s *Stage) Configure(config string) error {
	if err := os.WriteFile(s.configFile(), []byte(config), 0o600); err != nil {
		return fmt.Errorf("configure stage: %w", err)
	}
	return nil
}

// LogFile is where the control plane's log goes.
func (s *Stage) LogFile() string { return filepath.Join(s.opts.Dir, "colonnade.log") }

// Prefix begins the names of all namespaces of this control plane.
func (s *Stage) Prefix() string { return s.prefix }

// Client talks to the API.
func (s *Stage) Client() *client.Client { return s.client }

// URL is where the API answers.
func (s *Stage) URL() string { return "http://" + s.listen }

// MetricsURL is where a role shows its metrics.
func (s *Stage) MetricsURL(role string) string { return "http://" + s.metrics[role] + "/metrics" }

func freeAddress() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // nothing is waited for
	if err != nil {
		return "", err
	}
	addr := ln.Addr().String()
	return addr, ln.Close()
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
	}
	for role, p := range s.processes { // down told them to stop
		<-p.exited
		delete(s.processes, role)
	}
	return errors.Join(errs...)
}
