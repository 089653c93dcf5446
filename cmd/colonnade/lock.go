package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// holder is a process that runs on a state directory.
type holder struct {
	pid  int
	role string
}

// lockedError says that other processes run on this state directory.
type lockedError struct {
	dir     stateDir
	holders []holder
}

func (e *lockedError) Error() string {
	if len(e.holders) == 0 {
		return fmt.Sprintf("another process just starts or stops on %s; try again", e.dir)
	}
	var who []string
	for _, h := range e.holders {
		who = append(who, fmt.Sprintf("%s (process %d)", h.role, h.pid))
	}
	return fmt.Sprintf("%s runs on %s; stop it, or use another --state-dir", strings.Join(who, ", "), e.dir)
}

// lock makes sure that "up" (or "down") is alone on the directory, or with shared that only single roles are. The kernel
// gives the lock back when the process ends, however it ends.
func (s stateDir) lock(role string, shared bool) (unlock func(), err error) {
	how := unix.LOCK_EX
	if shared {
		how = unix.LOCK_SH
	}
	whole, err := flock(s.path(lockFileName), how|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, &lockedError{dir: s, holders: s.holders()}
	}
	if err != nil {
		return nil, fmt.Errorf("lock state directory: %w", err)
	}
	own, err := s.announce(role, !shared)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock state directory: %w", err), whole.Close())
	}
	return func() {
		_ = os.Remove(own.Name()) // one that stays is not locked, and says nothing
		_ = own.Close()
		_ = whole.Close()
	}, nil
}

// announce writes the file by which others know this process. Who is alone removes what killed ones left.
func (s stateDir) announce(role string, alone bool) (*os.File, error) {
	dir := s.path(runningDir)
	if alone {
		if err := os.RemoveAll(dir); err != nil {
			return nil, err
		}
	}
	if err := os.MkdirAll(dir, stateDirMode); err != nil {
		return nil, err
	}
	f, err := flock(filepath.Join(dir, strconv.Itoa(os.Getpid())), unix.LOCK_EX)
	if err != nil {
		return nil, err
	}
	if err = f.Truncate(0); err == nil {
		_, err = f.WriteString(role + "\n")
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// holders lists the other processes that run on the directory. What cannot be read is left out: they are for messages,
// and to be told to stop.
func (s stateDir) holders() []holder {
	files, _ := os.ReadDir(s.path(runningDir))
	var all []holder
	for _, file := range files {
		pid, err := strconv.Atoi(file.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		path := filepath.Join(s.path(runningDir), file.Name())
		f, err := flock(path, unix.LOCK_SH|unix.LOCK_NB)
		if err == nil {
			_ = f.Close()
			continue // its process is gone
		}
		if raw, err := os.ReadFile(path); err == nil {
			all = append(all, holder{pid: pid, role: cmp.Or(strings.TrimSpace(string(raw)), "a process")})
		}
	}
	slices.SortFunc(all, func(a, b holder) int { return cmp.Compare(a.pid, b.pid) })
	return all
}

// takeOver ends every process that runs on the directory, and locks it.
func (s stateDir) takeOver(ctx context.Context, role string) (unlock func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	asked := map[int]bool{}
	for {
		unlock, err = s.lock(role, false)
		var locked *lockedError
		if !errors.As(err, &locked) {
			return unlock, err
		}
		// Only processes that hold the directory now are signalled, and only once.
		for _, h := range locked.holders {
			if asked[h.pid] {
				continue
			}
			asked[h.pid] = true
			if err := syscall.Kill(h.pid, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
				return nil, fmt.Errorf("stop %s (process %d): %w", h.role, h.pid, err)
			}
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: it did not stop within %s", err, stopTimeout)
		case <-time.After(lockPollEvery):
		}
	}
}

// starting lets one process at a time look at what is there and make what is missing: authority, token, schema,
// networks.
func (s stateDir) starting() (done func(), err error) {
	f, err := flock(s.path(startFileName), unix.LOCK_EX)
	if err != nil {
		return nil, fmt.Errorf("wait for others to start: %w", err)
	}
	return func() { _ = f.Close() }, nil
}

// flock opens a file, which is made when it is missing, and locks it; closing it gives the lock back.
func flock(path string, how int) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, lockFileMode)
	if err != nil {
		return nil, err
	}
	for {
		err = unix.Flock(int(f.Fd()), how)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, unix.EINTR) {
			_ = f.Close()
			return nil, err
		}
	}
}
