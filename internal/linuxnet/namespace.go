package linuxnet

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// RunDir is where named namespaces are bind mounts, as `ip netns` has it.
const RunDir = "/run/netns"

// Path is where the namespace of this name is mounted.
func Path(name string) string { return filepath.Join(RunDir, name) }

// EnsureNamespace makes the named network namespace exist, with its loopback up, and says whether it was made now. A
// file left without its mount by a crash is completed.
func EnsureNamespace(name string) (created bool, err error) {
	if err := checkName(name); err != nil {
		return false, err
	}
	path := Path(name)
	if NamespaceExists(path) {
		return false, nil
	}
	if err := os.MkdirAll(RunDir, 0o755); err != nil {
		return false, fail("create namespace", name, err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDONLY, 0o444)
	if err != nil {
		return false, fail("create namespace", name, err)
	}
	_ = f.Close() // nothing was written
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		origin, err := netns.Get()
		if err != nil {
			done <- err
			return // locked: the thread ends with the goroutine
		}
		defer func() { _ = origin.Close() }()
		if err = unix.Unshare(unix.CLONE_NEWNET); err == nil {
			err = unix.Mount("/proc/thread-self/ns/net", path, "none", unix.MS_BIND, "")
		}
		done <- err
		if netns.Set(origin) == nil {
			runtime.UnlockOSThread()
		}
	}()
	if err := <-done; err != nil {
		return false, fail("create namespace", name, errors.Join(err, os.Remove(path)))
	}
	h, err := Open(path)
	if err == nil {
		defer h.Close()
		err = h.SetUp("lo")
	}
	if err != nil {
		return false, errors.Join(fail("create namespace", name, err), DeleteNamespace(name))
	}
	return true, nil
}

// NamespaceExists reports whether a network namespace is mounted at path (or path is a process's). A mere file, as a
// crash half-way leaves it, is none.
func NamespaceExists(path string) bool {
	var st unix.Statfs_t
	return unix.Statfs(path, &st) == nil && st.Type == unix.NSFS_MAGIC
}

// DeleteNamespace takes the name away; the namespace goes when its last process and socket do. Deleting a half-made one
// or none at all is no error.
func DeleteNamespace(name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	path := Path(name)
	// Whatever was mounted over it goes too: a crash between two attempts may have left more than one layer.
	for NamespaceExists(path) {
		if err := unix.Unmount(path, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil {
			return fail("delete namespace", name, err)
		}
	}
	// Removing the file also detaches copies of the mount in other mount namespaces. It is busy, or not to be seen, when
	// it hangs in a layer of RunDir that is covered by another.
	err := os.Remove(path)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		var covered []string
		if covered, err = mountsAt(path); err == nil && len(covered) > 0 {
			err = deleteCovered(name)
		}
	} else if errors.Is(err, unix.EBUSY) {
		err = deleteCovered(name)
	}
	return fail("delete namespace", name, err)
}

// Namespaces lists names that begin with prefix, half-made ones and those covered by another layer of RunDir included,
// sorted.
func Namespaces(prefix string) ([]string, error) {
	entries, err := os.ReadDir(RunDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fail("list namespaces", prefix, err)
	}
	names, err := mountedNames()
	if err != nil {
		return nil, fail("list namespaces", prefix, err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	names = slices.DeleteFunc(names, func(n string) bool { return !strings.HasPrefix(n, prefix) })
	slices.Sort(names)
	return slices.Compact(names), nil
}

// SameNamespace reports whether two paths lead to one namespace; "" is the caller's own.
func SameNamespace(a, b string) (bool, error) {
	var sa, sb unix.Stat_t
	if err := unix.Stat(ownOr(a), &sa); err != nil {
		return false, namespaceError(a, err)
	}
	if err := unix.Stat(ownOr(b), &sb); err != nil {
		return false, namespaceError(b, err)
	}
	return sa.Dev == sb.Dev && sa.Ino == sb.Ino, nil
}

// In runs fn on an OS thread inside the namespace at nsPath and returns fn's error. What fn opens stays in that
// namespace; goroutines that fn starts do not run in it. A thread that cannot return to where it was is thrown away.
func In(nsPath string, fn func() error) error {
	if nsPath == "" {
		return fn()
	}
	target, err := netns.GetFromPath(nsPath)
	if err != nil {
		return namespaceError(nsPath, err)
	}
	defer func() { _ = target.Close() }()
	err = fmt.Errorf("enter namespace %s: the function did not return", nsPath)
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		origin, oerr := netns.Get()
		if oerr != nil {
			err = fail("enter namespace", nsPath, oerr)
			return // locked: the thread ends with the goroutine
		}
		defer func() { _ = origin.Close() }()
		if serr := netns.Set(target); serr != nil {
			err = fail("enter namespace", nsPath, serr)
			runtime.UnlockOSThread()
			return
		}
		err = fn()
		if netns.Set(origin) == nil {
			runtime.UnlockOSThread()
		}
	}()
	<-done
	return err
}

// InScratch runs fn on an OS thread inside a network namespace without a name, made for that, which goes when fn and all
// that it opened there are done.
func InScratch(fn func() error) error {
	err := errors.New("enter scratch namespace: the function did not return")
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		if uerr := unix.Unshare(unix.CLONE_NEWNET); uerr != nil {
			err = fail("enter", "scratch namespace", uerr)
			return
		}
		err = fn()
	}()
	<-done
	return err
}

// ownOr maps "" to the namespace of the calling thread.
func ownOr(nsPath string) string {
	if nsPath == "" {
		return "/proc/thread-self/ns/net"
	}
	return nsPath
}

func namespaceError(path string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		err = ErrNoNamespace
	}
	return fail("open namespace", path, err)
}

// checkName keeps names inside RunDir.
func checkName(name string) error {
	if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\x00") || len(name) > 200 {
		return fail("check namespace name", fmt.Sprintf("%q", name), unix.EINVAL)
	}
	return nil
}
