package haproxy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"colonnade/internal/atomicfile"
	"colonnade/internal/linuxnet"
)

// Files in an instance's directory. HAProxy runs with it as working directory, so its paths are relative and short.
const (
	configFile   = "haproxy.cfg"
	nextFile     = "haproxy.cfg.next"
	stateFile    = "servers.state"
	runSocket    = "run.sock"
	masterSocket = "master.sock"
	recordFile   = "haproxy.pid"
	logFile      = "haproxy.log"
	chrootDir    = "empty"
	// halfwayFile stands while a change is being made: whoever finds it reloads, so that file and process agree.
	halfwayFile = "halfway"
)

// record names a process beyond doubt: pids are used again, a pid with its start time is not.
type record struct {
	PID   int    `json:"pid"`
	Start uint64 `json:"start"` // clock ticks after boot
}

// startOf reads a process's start time; an error when there is no such process or it is a zombie.
func startOf(pid int) (uint64, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The command's name, in parentheses, may hold anything.
	f := strings.Fields(string(raw[strings.LastIndexByte(string(raw), ')')+1:]))
	if len(f) < 20 || f[0] == "Z" || f[0] == "X" {
		return 0, os.ErrProcessDone
	}
	return strconv.ParseUint(f[19], 10, 64)
}

// process is a running master, started or adopted.
type process struct {
	record
	cmd *exec.Cmd // nil when adopted
}

// launch starts a master in the tenant namespace, detached from the agent and born in the instance's cgroup.
func (b *Balancer) launch(ctx context.Context) (*process, error) {
	for _, s := range []string{runSocket, masterSocket} {
		if err := os.Remove(b.path(s)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("start haproxy: %w", err)
		}
	}
	log, err := os.OpenFile(b.path(logFile), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("start haproxy: %w", err)
	}
	defer func() { _ = log.Close() }() // the child has its own
	// No context ends it: HAProxy outlives the call and the agent.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), "haproxy", "-W", "-S", "unix@"+masterSocket+",mode,600", "-f", configFile)
	cmd.Dir, cmd.Stdout, cmd.Stderr = b.place.Dir, log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if b.place.Cgroup != "" {
		cgroup, err := os.Open(b.place.Cgroup)
		if err != nil {
			return nil, fmt.Errorf("start haproxy: %w", err)
		}
		defer func() { _ = cgroup.Close() }()
		cmd.SysProcAttr.UseCgroupFD, cmd.SysProcAttr.CgroupFD = true, int(cgroup.Fd())
	}
	if err := linuxnet.In(b.place.Namespace, cmd.Start); err != nil {
		return nil, fmt.Errorf("start haproxy: %w", err)
	}
	p := &process{record: record{PID: cmd.Process.Pid}, cmd: cmd}
	if p.Start, err = startOf(p.PID); err == nil {
		err = b.keep(recordFile, p.record)
	}
	if err == nil {
		err = b.awaitReady(ctx, p)
	}
	if err != nil {
		p.kill()
		return nil, fmt.Errorf("start haproxy: %w (%s)", err, b.lastWords())
	}
	return p, nil
}

// awaitReady returns when the worker answers, or the master is gone.
func (b *Balancer) awaitReady(ctx context.Context, p *process) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	gone, stop, err := watch(p.PID)
	if err != nil {
		return err
	}
	defer stop()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		select {
		case <-gone:
			return errors.New("haproxy ended at once")
		case <-ctx.Done():
			return fmt.Errorf("haproxy does not answer: %w", ctx.Err())
		case <-tick.C:
			if _, err := os.Stat(b.path(masterSocket)); err != nil {
				continue
			}
			if ps, err := b.ctl.processes(ctx); err == nil && ps.current != 0 && b.Answers(ctx) == nil {
				return nil
			}
		}
	}
}

// find adopts the master that a former agent started; nil when it does not run any more.
func (b *Balancer) find(ctx context.Context) *process {
	var r record
	raw, err := os.ReadFile(b.path(recordFile))
	if err != nil || json.Unmarshal(raw, &r) != nil || r.PID <= 1 {
		return nil
	}
	if start, err := startOf(r.PID); err != nil || start != r.Start {
		return nil
	}
	p := &process{record: r}
	if ps, err := b.ctl.processes(ctx); err != nil || ps.current == 0 {
		// It runs, and is not to be talked to: nothing to build on.
		p.kill()
		return nil
	}
	return p
}

// kill ends the master and every worker: they are one process group. The group's number cannot be another's while the
// master is not reaped; an adopted one is reaped by somebody else, moments before at the earliest.
func (p *process) kill() {
	_ = syscall.Kill(-p.PID, syscall.SIGKILL)
	p.reap()
}

// reap takes the exit status of a child; an adopted process has another parent.
func (p *process) reap() {
	if p.cmd != nil {
		_ = p.cmd.Wait()
	}
}

// watch returns a channel that is closed when the process ends, by its pidfd: at once, whoever its parent is.
func watch(pid int) (gone <-chan struct{}, stop func(), err error) {
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	if err != nil {
		return nil, nil, fmt.Errorf("watch process %d: %w", pid, err)
	}
	f := os.NewFile(uintptr(fd), "pidfd")
	conn, err := f.SyscallConn()
	if err != nil {
		_ = f.Close()
		return nil, nil, fmt.Errorf("watch process %d: %w", pid, err)
	}
	ended := make(chan struct{})
	go func() {
		err := conn.Read(func(fd uintptr) bool {
			poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
			n, err := unix.Poll(poll, 0)
			return err == nil && n > 0
		})
		if err == nil { // an error: stop closed the descriptor
			close(ended)
		}
	}()
	return ended, func() { _ = f.Close() }, nil
}

func (b *Balancer) path(name string) string { return filepath.Join(b.place.Dir, name) }

// keep writes JSON; what it is about runs on this machine only, so no power loss is minded.
func (b *Balancer) keep(name string, v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return b.replace(name, raw)
}

// replace makes the file appear whole.
func (b *Balancer) replace(name string, content []byte) error {
	return atomicfile.Replace(b.path(name), content, 0o600)
}

// lastWords is the end of HAProxy's log, for an error's text.
func (b *Balancer) lastWords() string {
	raw, err := os.ReadFile(b.path(logFile))
	if err != nil {
		return ""
	}
	lines := strings.Split(strings.TrimSpace(string(raw)), "\n")
	return strings.Join(lines[max(0, len(lines)-3):], "; ")
}
