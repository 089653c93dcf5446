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

	"colonnade/internal/compute"
	"colonnade/internal/linuxnet"
)

// List returns all instances, half-built ones and leftovers included, by id. A leftover of which only the short name is
// known has that for its id, and can be deleted by it.
func (d *Driver) List(ctx context.Context) ([]compute.Instance, error) {
	ids, err := d.directories()
	if err != nil {
		return nil, fmt.Errorf("list instances: %w", err)
	}
	var out []compute.Instance
	known := map[string]bool{} // by namespace name
	for _, id := range ids {
		r, err := d.readRecord(id)
		if err != nil {
			// A crash before the record was written, or while the directory was being removed.
			known[d.place(compute.KindAmphora, id).namespace] = true
			known[d.place(compute.KindDistributor, id).namespace] = true
			out = append(out, compute.Instance{ID: id, State: compute.StateGone, Reason: "half-built: " + err.Error()})
			continue
		}
		p := d.place(r.Kind, id)
		known[p.namespace] = true
		if err := trimLog(filepath.Join(p.dir, logFile)); err != nil {
			d.cfg.Log.WarnContext(ctx, "log not trimmed", "instance_id", id, "error", err)
		}
		out = append(out, d.observeUnlessBusy(p))
	}
	strays, err := d.strays()
	if err != nil {
		return nil, fmt.Errorf("list instances: %w", err)
	}
	for _, p := range strays {
		if !known[p.namespace] {
			known[p.namespace] = true
			out = append(out, compute.Instance{ID: p.id, Kind: p.kind, ComputeID: p.namespace, State: compute.StateGone, Reason: "its directory is missing"})
		}
	}
	slices.SortFunc(out, func(a, b compute.Instance) int { return strings.Compare(a.ID, b.ID) })
	return out, nil
}

// observeUnlessBusy does not call half-built what is just being built by this process or another.
func (d *Driver) observeUnlessBusy(p place) compute.Instance {
	release, free, err := d.take(p.id, false)
	if err == nil && !free {
		return compute.Instance{ID: p.id, Kind: p.kind, ComputeID: p.namespace, State: compute.StateRunning, Reason: "being changed"}
	}
	if err == nil { // one that cannot be locked can be looked at all the same
		defer release()
	}
	return d.observe(p)
}

// observe says how an instance is.
func (d *Driver) observe(p place) compute.Instance {
	i := compute.Instance{ID: p.id, Kind: p.kind, ComputeID: p.namespace, State: compute.StateGone}
	var proc process
	switch err := readJSON(filepath.Join(p.dir, processFile), &proc); {
	case errors.Is(err, fs.ErrNotExist):
		i.Reason = "half-built"
	case err != nil:
		i.Reason = err.Error()
	case !proc.runs():
		i.Reason = fmt.Sprintf("its process %d is gone", proc.PID)
	case !linuxnet.NamespaceExists(linuxnet.Path(p.namespace)):
		i.Reason = "its namespace is gone"
	default:
		i.State = compute.StateRunning
	}
	return i
}

// directories lists the ids that have a directory.
func (d *Driver) directories() ([]string, error) {
	entries, err := os.ReadDir(d.instancesDir())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var ids []string
	for _, e := range entries {
		if e.IsDir() && validID.MatchString(e.Name()) {
			ids = append(ids, e.Name())
		}
	}
	return ids, err
}

// strays lists places that namespaces, cgroups and pin directories with our names point to.
func (d *Driver) strays() ([]place, error) {
	var out []place
	add := func(kind compute.Kind, short string) {
		if len(short) == 8 && validID.MatchString(short) {
			out = append(out, d.place(kind, short))
		}
	}
	kinds := []compute.Kind{compute.KindAmphora, compute.KindDistributor}
	for _, kind := range kinds {
		prefix := d.cfg.Prefix + "-" + string(kind[0]) + "-"
		names, err := linuxnet.Namespaces(prefix)
		if err != nil {
			return nil, err
		}
		for _, n := range names {
			short, _, _ := strings.Cut(strings.TrimPrefix(n, prefix), "-")
			add(kind, short)
		}
	}
	for _, dir := range []string{d.cgroup, d.bpfDir()} {
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		for _, e := range entries {
			for _, kind := range kinds {
				if short, ok := strings.CutPrefix(e.Name(), string(kind)+"-"); ok {
					add(kind, short)
				}
			}
		}
	}
	return out, nil
}
