package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// stateDir is what a control plane keeps on disk: the database, its authority, the API token, instances' files.
type stateDir string

func (s stateDir) path(name string) string { return filepath.Join(string(s), name) }

// Files and directories of a state directory.
const (
	databaseFile  = "colonnade.db"
	authorityDir  = "pki"
	lockFileName  = "lock" // held by the running control plane; holds its process id
	stateDirMode  = 0o700
	lockFileMode  = 0o600
	stopTimeout   = 20 * time.Second
	lockPollEvery = 50 * time.Millisecond
)

// open makes the directory and returns its absolute path.
func (s stateDir) open() (stateDir, error) {
	abs, err := filepath.Abs(string(s))
	if err != nil {
		return "", fmt.Errorf("open state directory: %w", err)
	}
	if err := os.MkdirAll(abs, stateDirMode); err != nil {
		return "", fmt.Errorf("open state directory: %w", err)
	}
	return stateDir(abs), nil
}

// lockedError says that another control plane runs on this state directory.
type lockedError struct {
	dir stateDir
	pid int // 0 when it could not be read
}

func (e *lockedError) Error() string {
	return fmt.Sprintf("a control plane (process %d) runs on %s; stop it, or use another --state-dir", e.pid, e.dir)
}

// lock makes sure that one control plane at a time runs on the directory. The kernel gives the lock back when the
// process ends, however it ends.
func (s stateDir) lock() (unlock func(), err error) {
	f, err := os.OpenFile(s.path(lockFileName), os.O_CREATE|os.O_RDWR, lockFileMode)
	if err != nil {
		return nil, fmt.Errorf("lock state directory: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		raw, _ := os.ReadFile(f.Name()) // an unreadable id shows as 0
		pid, _ := strconv.Atoi(strings.TrimSpace(string(raw)))
		_ = f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, &lockedError{dir: s, pid: pid}
		}
		return nil, fmt.Errorf("lock state directory: %w", err)
	}
	if err = f.Truncate(0); err == nil {
		_, err = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock state directory: %w", err), f.Close())
	}
	return func() { _ = f.Close() }, nil
}

// takeOver ends the control plane that runs on the directory, if one does, and locks it.
func (s stateDir) takeOver(ctx context.Context) (unlock func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	asked := 0
	for {
		unlock, err = s.lock()
		var locked *lockedError
		if !errors.As(err, &locked) {
			return unlock, err
		}
		// Only the process that holds the lock now is signalled, and only once.
		if locked.pid > 0 && locked.pid != asked {
			asked = locked.pid
			if err := syscall.Kill(locked.pid, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
				return nil, fmt.Errorf("stop control plane %d: %w", locked.pid, err)
			}
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: it did not stop within %s", err, stopTimeout)
		case <-time.After(lockPollEvery):
		}
	}
}
