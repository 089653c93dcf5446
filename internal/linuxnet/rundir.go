package linuxnet

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// ShareRunDir makes RunDir a shared mount of its own where it is none yet, as iproute2 does at its first `ip netns add`.
// Without that iproute2 would do it later, on top of what we mounted: names would hang in two layers of which it, and we,
// reach the upper one only. A directory that is a mount is left as it is. before is called first when something is about
// to be mounted, so that the caller can note it; its error ends the call.
func ShareRunDir(before func() error) error {
	if err := os.MkdirAll(RunDir, 0o755); err != nil {
		return fail("share", RunDir, err)
	}
	unlock := lockRunDir()
	defer unlock()
	mounted, err := isMount(RunDir)
	if err != nil || mounted {
		return fail("share", RunDir, err)
	}
	if err := before(); err != nil {
		return err
	}
	// With what was mounted there without a mount of its own: an older version of ours did that.
	if err := unix.Mount(RunDir, RunDir, "none", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fail("share", RunDir, err)
	}
	return fail("share", RunDir, unix.Mount("", RunDir, "none", unix.MS_SHARED|unix.MS_REC, ""))
}

// UnshareRunDir takes the mount that ShareRunDir made away, unless somebody has a namespace in it or has mounted over it;
// it says whether the mount is gone.
func UnshareRunDir() (gone bool, err error) {
	mounted, err := isMount(RunDir)
	if err != nil || !mounted {
		return err == nil, fail("unshare", RunDir, err)
	}
	layers, err := mountsAt(RunDir)
	if err != nil {
		return false, fail("unshare", RunDir, err)
	}
	entries, err := os.ReadDir(RunDir)
	if err != nil {
		return false, fail("unshare", RunDir, err)
	}
	if len(layers) > 1 || len(entries) > 0 {
		return false, nil
	}
	// Not detached: who is about to make a name in it keeps it.
	err = unix.Unmount(RunDir, unix.UMOUNT_NOFOLLOW)
	if errors.Is(err, unix.EBUSY) {
		return false, nil
	}
	return err == nil, fail("unshare", RunDir, err)
}

// lockLimit is more than `ip netns add` needs; one that hangs must not hang us.
const lockLimit = 2 * time.Second

// lockRunDir waits for iproute2, which holds this lock while it makes the mount. Without the lock we go on: older
// versions know none.
func lockRunDir() (unlock func()) {
	f, err := os.Open(RunDir)
	if err != nil {
		return func() {}
	}
	for end := time.Now().Add(lockLimit); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
			break
		}
	}
	return func() { _ = f.Close() } // gives the lock back
}

// isMount reports whether a path is where something is mounted; one that does not exist is not.
func isMount(path string) (bool, error) {
	var st unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW, 0, &st)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return st.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0, err
}

// mountsAt lists the mounts at a path, those that others cover too.
func mountsAt(path string) ([]string, error) {
	return mounts(func(point string) bool { return point == path })
}

// mountedNames lists names in RunDir that are mount points, those under another layer included.
func mountedNames() ([]string, error) {
	points, err := mounts(func(point string) bool { return filepath.Dir(point) == RunDir })
	names := make([]string, 0, len(points))
	for _, p := range points {
		names = append(names, filepath.Base(p))
	}
	slices.Sort(names)
	return slices.Compact(names), err
}

func mounts(match func(point string) bool) ([]string, error) {
	data, err := os.ReadFile("/proc/thread-self/mountinfo")
	if err != nil {
		return nil, err
	}
	var out []string
	for line := range strings.Lines(string(data)) {
		if f := strings.Fields(line); len(f) > 4 {
			if point := unescape.Replace(f[4]); match(point) {
				out = append(out, point)
			}
		}
	}
	return out, nil
}

// unescape reads what mountinfo writes for blanks.
var unescape = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)

// deleteCovered takes a name away that hangs in a layer under another, where no call of ours reaches it. In a copy of
// our mounts that nobody sees, layer after layer is taken off; a file removed there takes along whatever is mounted on it
// anywhere.
func deleteCovered(name string) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with its copy
		done <- func() error {
			if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
				return err
			}
			if err := unix.Mount("", "/", "none", unix.MS_PRIVATE|unix.MS_REC, ""); err != nil {
				return err
			}
			for {
				if err := dropMounts(Path(name)); err != nil {
					return err
				}
				removed := os.Remove(Path(name))
				if errors.Is(removed, fs.ErrNotExist) {
					removed = nil
				}
				// It stays busy while a layer below shows the same file with a mount on it.
				if removed != nil && !errors.Is(removed, unix.EBUSY) {
					return removed
				}
				if mounted, err := isMount(RunDir); err != nil || !mounted {
					return errors.Join(removed, err)
				}
				if err := unix.Unmount(RunDir, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil {
					return err
				}
			}
		}()
	}()
	return <-done
}

// dropMounts takes off all that is mounted at a path.
func dropMounts(path string) error {
	for {
		err := unix.Unmount(path, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
		switch {
		case errors.Is(err, unix.EINVAL), errors.Is(err, fs.ErrNotExist): // not a mount, or no more
			return nil
		case err != nil:
			return err
		}
	}
}
