package netns

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"
)

// lockFile, in the state directory, keeps apart what several processes (the roles) do to one instance: each instance
// is one byte of it, chosen by its short name. The kernel gives a byte back when its holder dies.
const lockFile = "instances.lock"

// exclusive makes calls about one instance wait for each other, in this process and in others on the state directory.
func (d *Driver) exclusive(id string) (release func(), err error) {
	release, _, err = d.take(id, true)
	return release, err
}

// take is exclusive, or with wait false gives up at once (ok false) when another call is under way.
func (d *Driver) take(id string, wait bool) (release func(), ok bool, err error) {
	m := d.mutex(id)
	if wait {
		m.Lock()
	} else if !m.TryLock() {
		return nil, false, nil
	}
	f, ok, err := d.takeByte(id, wait)
	if err != nil || !ok {
		m.Unlock()
		return nil, false, err
	}
	return func() {
		_ = f.Close() // gives the byte back
		m.Unlock()
	}, true, nil
}

func (d *Driver) takeByte(id string, wait bool) (f *os.File, ok bool, err error) {
	at, err := strconv.ParseInt(id[:8], 16, 64)
	if err != nil {
		return nil, false, fmt.Errorf("lock instance %s: %w", id, err)
	}
	if f, err = os.OpenFile(filepath.Join(d.cfg.StateDir, lockFile), os.O_CREATE|os.O_RDWR, 0o600); err != nil {
		return nil, false, fmt.Errorf("lock instance %s: %w", id, err)
	}
	call := unix.F_OFD_SETLK // of the open file, not of the process: two calls here exclude each other too
	if wait {
		call = unix.F_OFD_SETLKW
	}
	for {
		err = unix.FcntlFlock(f.Fd(), call, &unix.Flock_t{Type: unix.F_WRLCK, Start: at, Len: 1})
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err == nil {
		return f, true, nil
	}
	_ = f.Close()
	if !wait && (errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES)) {
		return nil, false, nil
	}
	return nil, false, fmt.Errorf("lock instance %s: %w", id, err)
}

// mutex keeps calls of this process apart without each blocking a thread in the kernel.
func (d *Driver) mutex(id string) *sync.Mutex {
	d.mu.Lock()
	defer d.mu.Unlock()
	m := d.busy[id[:8]]
	if m == nil {
		m = &sync.Mutex{}
		d.busy[id[:8]] = m
	}
	return m
}
