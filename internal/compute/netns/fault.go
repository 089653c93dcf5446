package netns

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// PowerCut ends an instance as a power cut does: its cables go first, so that not even the kernel says goodbye for it,
// then its processes and namespaces. What is on disk stays. Demonstrations and tests call it, nothing else does.
func (d *Driver) PowerCut(ctx context.Context, id string) error {
	p, err := d.existing(id)
	if err != nil {
		return err
	}
	for _, cut := range []func(context.Context, place) error{d.deletePorts, d.fence, d.deleteNamespaces} {
		if err := cut(ctx, p); err != nil {
			return fmt.Errorf("cut the power of %s: %w", id, err)
		}
	}
	return nil
}

// Processes lists the process ids of an instance, for whoever watches or hurts it.
func (d *Driver) Processes(id string) ([]int, error) {
	p, err := d.existing(id)
	if err != nil {
		return nil, err
	}
	raw, err := os.ReadFile(filepath.Join(p.cgroup, "cgroup.procs"))
	if err != nil {
		return nil, fmt.Errorf("list processes of %s: %w", id, err)
	}
	var pids []int
	for _, field := range strings.Fields(string(raw)) {
		pid, err := strconv.Atoi(field)
		if err != nil {
			return nil, fmt.Errorf("list processes of %s: %w", id, err)
		}
		pids = append(pids, pid)
	}
	return pids, nil
}
