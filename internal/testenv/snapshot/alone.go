package snapshot

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// RunAlone runs a package's tests Alone and returns the exit status.
func RunAlone(m interface{ Run() int }) int {
	if err := Alone(); err != nil {
		fmt.Fprintln(os.Stderr, "be alone in the lab:", err)
		return 1
	}
	return m.Run()
}

// Alone is called inside a lab whose pictures are to be compared: what others on the machine change meanwhile is taken
// out of sight. /run becomes empty, and namespaces and BPF file systems of others are unmounted here.
func Alone() error {
	// The lab's own empty directory of namespaces hides those that were mounted before.
	_ = unix.Unmount("/run/netns", unix.MNT_DETACH)
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(data)) {
		before, after, _ := strings.Cut(line, " - ")
		f := strings.Fields(before)
		if len(f) < 5 || (!strings.HasPrefix(after, "bpf ") && !strings.HasPrefix(after, "nsfs ")) {
			continue
		}
		// One that its owner removed meanwhile went here too.
		err := unix.Unmount(f[4], unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
		if err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("unmount %s: %w", f[4], err)
		}
	}
	if err := unix.Mount("tmpfs", "/run", "tmpfs", 0, "mode=755"); err != nil {
		return fmt.Errorf("mount /run: %w", err)
	}
	return nil
}
