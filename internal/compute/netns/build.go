package netns

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"colonnade/internal/agentconf"
	"colonnade/internal/compute"
	"colonnade/internal/lb"
	"colonnade/internal/linuxnet"
)

// managementDevice is the agent's own device in its management namespace.
const managementDevice = "eth0"

// Ensure builds what is missing of the instance and starts it. One that was built before is reported as it is: running,
// or gone when its processes are no more; whether to delete and build anew is the caller's choice.
func (d *Driver) Ensure(ctx context.Context, spec compute.Spec) (compute.Instance, error) {
	if err := checkID(spec.ID); err != nil {
		return compute.Instance{}, err
	}
	if spec.Kind != compute.KindAmphora && spec.Kind != compute.KindDistributor {
		return compute.Instance{}, lb.Faultf(lb.KindInvalid, "instance %s: kind %q is not known", spec.ID, spec.Kind)
	}
	release, err := d.exclusive(spec.ID)
	if err != nil {
		return compute.Instance{}, err
	}
	defer release()
	if err := ctx.Err(); err != nil { // waiting for the other took too long: leave nothing half-built
		return compute.Instance{}, err
	}
	p := d.place(spec.Kind, spec.ID)
	if built, err := d.built(p); err != nil || built {
		return d.observe(p), err
	}
	for _, s := range []struct {
		name string
		do   func(context.Context, place, compute.Spec) error
	}{
		{"directory", d.buildDirectory},
		{"files", d.buildFiles},
		{"cgroup", d.buildCgroup},
		{"namespace", d.buildNamespace},
		{"port", d.buildPort},
		{"bpf", d.buildBPF},
		{"configuration", d.buildConfiguration},
		{"start", d.start},
	} {
		err := d.step(s.name)
		if err == nil {
			err = s.do(ctx, p, spec)
		}
		if err != nil {
			return compute.Instance{ID: p.id, Kind: p.kind, ComputeID: p.namespace, State: compute.StateError, Reason: err.Error()},
				fmt.Errorf("build %s %s: %s: %w", p.kind, p.id, s.name, err)
		}
	}
	return d.observe(p), nil
}

// built reports whether the last step was done once; it refuses a second instance with the same short name.
func (d *Driver) built(p place) (bool, error) {
	ids, err := d.directories()
	if err != nil {
		return false, err
	}
	for _, id := range ids {
		if id == p.id {
			continue
		}
		if r, err := d.readRecord(id); id[:8] == p.short && (err != nil || r.Kind == p.kind) {
			return false, lb.Faultf(lb.KindConflict, "instance %s: its first 8 digits are those of instance %s", p.id, id)
		}
	}
	_, err = os.Stat(filepath.Join(p.dir, processFile))
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

func (d *Driver) buildDirectory(_ context.Context, p place, spec compute.Spec) error {
	if err := os.MkdirAll(p.dir, 0o700); err != nil {
		return err
	}
	return writeJSON(p.dir, recordFile, record{ID: p.id, Kind: p.kind, ManagementPortID: spec.ManagementPortID})
}

func (d *Driver) buildFiles(_ context.Context, p place, spec compute.Spec) error {
	for name, content := range spec.Files {
		if err := checkFileName(name); err != nil {
			return err
		}
		if err := writeFile(p.dir, name, content); err != nil {
			return err
		}
	}
	return nil
}

// buildCgroup also ends what a crash between start and the last file left running: nobody knows it. It makes the cgroup
// anew: into one that was killed before, a process can be cloned on some kernels only to be killed at once (seen on 6.18).
func (d *Driver) buildCgroup(ctx context.Context, p place, _ compute.Spec) error {
	if err := d.fence(ctx, p); err != nil {
		return err
	}
	return os.MkdirAll(p.cgroup, 0o755)
}

func (d *Driver) buildNamespace(_ context.Context, p place, _ compute.Spec) error {
	if _, err := linuxnet.EnsureNamespace(p.namespace); err != nil {
		return err
	}
	// A new namespace takes forwarding over from the host; an agent forwards nothing here.
	if err := linuxnet.SetSysctl(linuxnet.Path(p.namespace), "net.ipv4.ip_forward", "0"); err != nil {
		return err
	}
	for _, scope := range []string{"all", "default"} { // the management network speaks IPv4 alone
		err := linuxnet.SetSysctl(linuxnet.Path(p.namespace), "net.ipv6.conf."+scope+".disable_ipv6", "1")
		if err != nil && !errors.Is(err, linuxnet.ErrNotFound) {
			return err
		}
	}
	return nil
}

func (d *Driver) buildPort(ctx context.Context, p place, spec compute.Spec) error {
	if spec.ManagementPortID == "" {
		return lb.Faultf(lb.KindInvalid, "instance %s has no management port", p.id)
	}
	return d.cfg.Network.PlugNamespace(ctx, spec.ManagementPortID, linuxnet.Path(p.namespace), managementDevice)
}

// buildBPF mounts the file system for pins once for all instances; it outlives us, as they do.
func (d *Driver) buildBPF(_ context.Context, p place, _ compute.Spec) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := os.MkdirAll(d.bpfDir(), 0o700); err != nil {
		return err
	}
	var st unix.Statfs_t
	if err := unix.Statfs(d.bpfDir(), &st); err != nil {
		return err
	}
	if st.Type != unix.BPF_FS_MAGIC {
		if err := unix.Mount("bpf", d.bpfDir(), "bpf", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "mode=0700"); err != nil {
			return fmt.Errorf("mount bpf file system at %s: %w", d.bpfDir(), err)
		}
	}
	return os.MkdirAll(p.bpf, 0o700)
}

func (d *Driver) buildConfiguration(_ context.Context, p place, spec compute.Spec) error {
	conf := spec.Agent
	conf.Place = agentconf.Place{Dir: p.dir, BPFDir: p.bpf, TenantNamespace: p.tenantNamespace(), Cgroup: p.cgroup}
	return writeJSON(p.dir, agentconf.FileName, conf)
}

func (d *Driver) start(_ context.Context, p place, _ compute.Spec) error {
	proc, err := startAgent(p, d.cfg.AgentBinary)
	if err != nil {
		return err
	}
	if err := d.step("marker"); err != nil {
		return err
	}
	return writeJSON(p.dir, processFile, proc)
}
