package stage

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"time"
)

// process is one process of the control plane.
type process struct {
	cmd    *exec.Cmd
	exited chan struct{}
	err    error // of cmd.Wait, once exited is closed
}

// Roles are the control plane's processes: "up", or every role.
func (s *Stage) Roles() []string {
	if !s.opts.Separate {
		return []string{"up"}
	}
	return []string{"api", "worker", "acm", "health", "housekeeping"}
}

// Start starts every process of the control plane that does not run, and waits until all answer.
func (s *Stage) Start(ctx context.Context) error {
	for _, role := range s.Roles() {
		if s.processes[role] != nil {
			continue
		}
		if err := s.launch(role); err != nil {
			return err
		}
	}
	return s.await(ctx)
}

// StartRole starts one process again after KillRole.
func (s *Stage) StartRole(ctx context.Context, role string) error {
	if err := s.launch(role); err != nil {
		return err
	}
	return s.await(ctx)
}

func (s *Stage) launch(role string) error {
	log, err := os.OpenFile(s.LogFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("start control plane: %w", err)
	}
	defer func() { _ = log.Close() }()
	args := []string{role, "--state-dir", s.StateDir(), "--config", s.configFile(), "--metrics-listen", s.metrics[role]}
	if role == "up" || role == "api" {
		args = append(args, "--listen", s.listen)
	}
	cmd := exec.Command(s.opts.Binary, args...) //nolint:noctx // it outlives ctx; Kill and Close end it
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start control plane: %w", err)
	}
	p := &process{cmd: cmd, exited: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.exited)
	}()
	s.processes[role] = p
	return nil
}

// await waits until every process that runs shows its metrics, which comes after all its sockets are open, and none ends.
func (s *Stage) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		var waiting error
		for role, p := range s.processes {
			select {
			case <-p.exited:
				delete(s.processes, role)
				return fmt.Errorf("start control plane: %s ended (%v):\n%s", role, p.err, s.logTail()) //nolint:errorlint // nil is an end, too
			default:
			}
			if err := answers(ctx, s.MetricsURL(role)); err != nil {
				waiting = fmt.Errorf("%s: %w", role, err)
			}
		}
		if waiting == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("start control plane: no answer from %w:\n%s", waiting, s.logTail())
		case <-time.After(pollEvery):
		}
	}
}

func answers(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	return res.Body.Close()
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

// PID is the process of the control plane that serves the API.
func (s *Stage) PID() int { return s.processes[s.Roles()[0]].cmd.Process.Pid }

// Kill ends every process of the control plane without a goodbye; data planes go on.
func (s *Stage) Kill() error {
	var errs []error
	for _, role := range s.Roles() {
		if s.processes[role] != nil {
			errs = append(errs, s.KillRole(role))
		}
	}
	return errors.Join(errs...)
}

// KillRole ends one process of the control plane without a goodbye.
func (s *Stage) KillRole(role string) error {
	p := s.processes[role]
	if p == nil {
		return fmt.Errorf("kill control plane: no %s among %v runs", role, slices.Sorted(slices.Values(s.Roles())))
	}
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill control plane: %w", err)
	}
	<-p.exited
	delete(s.processes, role)
	return nil
}
