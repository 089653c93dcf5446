package bridge

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// lockFile, in the state directory, keeps apart what several processes (the roles) do to the same bridges.
const lockFile = "network.lock"

// exclusive keeps plugs, networks and Ensure apart, in this process and in others on the state directory; each is a few
// milliseconds. The kernel gives the lock back when a process dies.
func (d *Driver) exclusive() (release func(), err error) {
	d.mu.Lock()
	defer func() {
		if err != nil {
			d.mu.Unlock()
			err = fmt.Errorf("lock networks: %w", err)
		}
	}()
	f, err := os.OpenFile(filepath.Join(d.cfg.StateDir, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		if err = unix.Flock(int(f.Fd()), unix.LOCK_EX); err != unix.EINTR { //nolint:errorlint // an errno, never wrapped
			break
		}
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return func() {
		_ = f.Close() // gives the lock back
		d.mu.Unlock()
	}, nil
}
