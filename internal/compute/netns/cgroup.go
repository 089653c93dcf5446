package netns

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"colonnade/internal/compute"
)

// findCgroup2 finds where cgroup v2 is mounted: alone, or beside v1 on a hybrid machine.
func findCgroup2() (string, error) {
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "", fmt.Errorf("find cgroup v2: %w", err)
	}
	for line := range strings.Lines(string(data)) {
		before, after, ok := strings.Cut(line, " - ")
		fields := strings.Fields(before)
		if ok && strings.HasPrefix(after, "cgroup2 ") && len(fields) > 4 {
			return fields[4], nil
		}
	}
	return "", &compute.UnsupportedError{Driver: "netns", Needs: "a mounted cgroup v2 hierarchy"}
}

// killCgroup ends every process in the cgroup and below, children being born included, and waits until none is left.
// A cgroup that does not exist is empty.
func killCgroup(ctx context.Context, dir string) error {
	err := os.WriteFile(filepath.Join(dir, "cgroup.kill"), []byte("1"), 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("kill cgroup %s: %w", dir, err)
	}
	f, err := os.Open(filepath.Join(dir, "cgroup.events"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("kill cgroup %s: %w", dir, err)
	}
	defer func() { _ = f.Close() }() // read only
	for {
		populated, err := isPopulated(f)
		if err != nil || !populated {
			return err
		}
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("kill cgroup %s: processes are left: %w", dir, err)
		}
		// The kernel says POLLPRI when the file changes; the timeout is for a context that ends.
		_, err = unix.Poll([]unix.PollFd{{Fd: int32(f.Fd()), Events: unix.POLLPRI}}, 100)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("kill cgroup %s: %w", dir, err)
		}
	}
}

func isPopulated(events *os.File) (bool, error) {
	buf := make([]byte, 256)
	n, err := events.ReadAt(buf, 0)
	if n == 0 && err != nil {
		if errors.Is(err, unix.ENODEV) { // the cgroup went meanwhile
			return false, nil
		}
		return false, err
	}
	return bytes.Contains(buf[:n], []byte("populated 1")), nil
}

// removeCgroup removes an empty cgroup and those below it.
func removeCgroup(ctx context.Context, dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			if err := removeCgroup(ctx, filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	// "Not populated" comes a moment before the last task lets go.
	for {
		err := unix.Rmdir(dir)
		switch {
		case err == nil || errors.Is(err, unix.ENOENT):
			return nil
		case !errors.Is(err, unix.EBUSY) && !errors.Is(err, unix.EINTR):
			return fmt.Errorf("remove cgroup %s: %w", dir, err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("remove cgroup %s: %w", dir, err)
		case <-time.After(time.Millisecond):
		}
	}
}
