// Package agentrun is the small parent of an agent: it starts it again when it dies, and ends when it is told to. It
// keeps little memory, because there is one for every amphora and distributor. Only cmd/colonnade-agent imports it.
package agentrun

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// An agent that lived this long did not die of its start.
const healthyLife = time.Second

// The pauses between starts of an agent that keeps dying young.
const (
	firstPause = 50 * time.Millisecond
	maxPause   = time.Second
)

// Pause is how long to wait before the next start after so many young deaths in a row. The first start again is at
// once: an amphora whose agent is away for a second counts as silent.
func Pause(young int) time.Duration {
	if young < 2 {
		return 0
	}
	d := firstPause
	for i := 2; i < young && d < maxPause; i++ {
		d *= 2
	}
	return min(d, maxPause)
}

// Parent says what to keep running.
type Parent struct {
	Command []string // program and arguments
	Now     func() time.Time
	Log     *slog.Logger
}

// Run keeps the command running until ctx ends; then it sends SIGTERM and waits for its end, however long that takes:
// whoever is in a hurry kills the cgroup. It returns nil then. The command never outlives this process: it would go on
// without anyone who starts it again.
func (p Parent) Run(ctx context.Context) error {
	// The kernel ties a child's parent-death signal to the thread that made it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	young := 0
	for {
		began := p.Now()
		err := p.once(ctx)
		if ctx.Err() != nil {
			return nil
		}
		lived := p.Now().Sub(began)
		if young++; lived >= healthyLife {
			young = 0
		}
		pause := Pause(young)
		p.Log.WarnContext(ctx, "agent died", "error", err, "lived", lived, "pause", pause)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}

// errExited is an agent that ended without being told to, with status 0.
var errExited = errors.New("exit status 0")

// once runs the command to its end.
func (p Parent) once(ctx context.Context) error {
	//nolint:noctx // the command is ours, and it is ended by SIGTERM, never by a context's SIGKILL
	cmd := exec.Command(p.Command[0], p.Command[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start agent: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Signal(syscall.SIGTERM) }) // one that is gone needs no signal
	defer stop()
	if err := cmd.Wait(); err != nil {
		return err
	}
	return errExited
}
