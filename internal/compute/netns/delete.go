package netns

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"colonnade/internal/compute"
	"colonnade/internal/linuxnet"
)

// fenceLimit bounds how long Delete waits for killed processes; only one stuck in the kernel needs more than a moment.
const fenceLimit = 10 * time.Second

// Delete kills every process of the instance, waits until none is left, takes ports and namespaces away, and only then
// forgets it. Rows of ports are the caller's.
func (d *Driver) Delete(ctx context.Context, id string) error {
	if err := checkID(id); err != nil {
		return err
	}
	release, err := d.exclusive(id)
	if err != nil {
		return err
	}
	defer release()
	// A caller that gave up while waiting does not want the instance killed any more.
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("delete instance %s: %w", id, err)
	}
	ctx, cancel := context.WithTimeout(ctx, fenceLimit)
	defer cancel()

	kinds := []compute.Kind{compute.KindAmphora, compute.KindDistributor}
	r, err := d.readRecord(id)
	switch {
	case err == nil:
		kinds = []compute.Kind{r.Kind}
	case d.sharesName(id):
		// Nothing of it but, at most, its directory; what has its short name belongs to another.
		kinds = nil
	}
	for _, kind := range kinds {
		p := d.place(kind, id)
		for _, s := range []struct {
			name string
			do   func(context.Context, place) error
		}{
			{"fence", d.fence},
			{"ports", d.deletePorts},
			{"namespaces", d.deleteNamespaces},
			{"pins", d.deletePins},
		} {
			err := d.step(s.name)
			if err == nil {
				err = s.do(ctx, p)
			}
			if err != nil {
				return fmt.Errorf("delete %s %s: %s: %w", kind, id, s.name, err)
			}
		}
	}
	if err := d.step("forget"); err != nil {
		return fmt.Errorf("delete instance %s: %w", id, err)
	}
	if err := removeTree(filepath.Join(d.instancesDir(), id)); err != nil {
		return fmt.Errorf("delete instance %s: %w", id, err)
	}
	return nil
}

// sharesName reports whether another instance has the same short name.
func (d *Driver) sharesName(id string) bool {
	ids, err := d.directories()
	return err != nil || slices.ContainsFunc(ids, func(o string) bool { return o != id && o[:8] == id[:8] })
}

func (d *Driver) fence(ctx context.Context, p place) error {
	if err := killCgroup(ctx, p.cgroup); err != nil {
		return err
	}
	return removeCgroup(ctx, p.cgroup)
}

// deletePorts unplugs every port that was ever plugged: the devices would go with their namespaces, but some time later.
func (d *Driver) deletePorts(ctx context.Context, p place) error {
	var ids []string
	if r, err := d.readRecord(p.id); err == nil && r.ManagementPortID != "" {
		ids = append(ids, r.ManagementPortID)
	}
	entries, err := os.ReadDir(filepath.Join(p.dir, portsDir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") { // a file that was being written; nothing was plugged yet
			continue
		}
		b, err := os.ReadFile(filepath.Join(p.dir, portsDir, e.Name()))
		if err != nil {
			return err
		}
		ids = append(ids, string(b))
	}
	for _, id := range ids {
		if err := d.cfg.Network.Unplug(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// deleteNamespaces deletes the tenant namespaces first: of a half-deleted instance the management namespace tells.
func (d *Driver) deleteNamespaces(_ context.Context, p place) error {
	names, err := p.namespaces()
	if err != nil {
		return err
	}
	slices.Reverse(names)
	for _, n := range names {
		if err := linuxnet.DeleteNamespace(n); err != nil {
			return err
		}
	}
	return nil
}

func (d *Driver) deletePins(_ context.Context, p place) error { return os.RemoveAll(p.bpf) }

// removeTree removes a directory and whatever is mounted inside it (an agent's tmpfs for keys).
func removeTree(dir string) error {
	// The list of mounts knows no symbolic links, and writes blanks as octal numbers.
	real, err := filepath.EvalSymlinks(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	plain := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\134`, `\`)
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	var mounts []string
	for line := range strings.Lines(string(data)) {
		if f := strings.Fields(line); len(f) > 4 && strings.HasPrefix(plain.Replace(f[4]), real+"/") {
			mounts = append(mounts, plain.Replace(f[4]))
		}
	}
	slices.Reverse(mounts)
	for _, m := range mounts {
		if err := unix.Unmount(m, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil && !errors.Is(err, unix.EINVAL) {
			return fmt.Errorf("unmount %s: %w", m, err)
		}
	}
	return os.RemoveAll(dir)
}

// RemoveAll deletes every instance and what they had in common. It may be repeated.
func (d *Driver) RemoveAll(ctx context.Context) error {
	all, err := d.List(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, i := range all {
		errs = append(errs, d.Delete(ctx, i.ID))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if err := removeCgroup(ctx, d.cgroup); err != nil {
		return err
	}
	var st unix.Statfs_t
	for unix.Statfs(d.bpfDir(), &st) == nil && st.Type == unix.BPF_FS_MAGIC {
		if err := unix.Unmount(d.bpfDir(), unix.MNT_DETACH); err != nil {
			return fmt.Errorf("unmount %s: %w", d.bpfDir(), err)
		}
	}
	for _, dir := range []string{d.bpfDir(), d.instancesDir()} {
		if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
