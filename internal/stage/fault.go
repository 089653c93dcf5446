package stage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"colonnade/internal/compute/netns"
	"colonnade/internal/config"
	"colonnade/internal/linuxnet"
	"colonnade/internal/network/bridge"
	"colonnade/internal/store"
)

// network opens the control plane's network driver beside it, over the same database.
func (s *Stage) network(ctx context.Context) (*bridge.Driver, func(), error) {
	conf, err := config.Load(s.configFile())
	if err != nil {
		return nil, nil, err
	}
	st, err := store.Open(ctx, cmp.Or(conf.Database.DSN, filepath.Join(s.StateDir(), "colonnade.db")))
	if err != nil {
		return nil, nil, err
	}
	d, err := bridge.New(bridge.Config{Prefix: s.prefix, StateDir: s.StateDir(), Store: st})
	if err != nil {
		return nil, nil, errors.Join(err, st.Close())
	}
	return d, func() { _ = st.Close() }, nil
}

func (s *Stage) compute(ctx context.Context) (*netns.Driver, func(), error) {
	n, done, err := s.network(ctx)
	if err != nil {
		return nil, nil, err
	}
	agent, err := filepath.Abs(filepath.Join(filepath.Dir(s.opts.Binary), "colonnade-agent"))
	if err != nil {
		return nil, nil, err
	}
	d, err := netns.New(netns.Config{Prefix: s.prefix, StateDir: s.StateDir(), AgentBinary: agent, Network: n})
	if err != nil {
		done()
		return nil, nil, err
	}
	return d, done, nil
}

// PowerCut ends an instance with everything in it and its links, without a goodbye.
func (s *Stage) PowerCut(ctx context.Context, id string) error {
	d, done, err := s.compute(ctx)
	if err != nil {
		return err
	}
	defer done()
	return d.PowerCut(ctx, id)
}

// CutLink takes the cable out of a port: its side of the bridge goes down.
func (s *Stage) CutLink(portID string) error {
	sw, err := linuxnet.Open(linuxnet.Path(s.prefix + "-switch"))
	if err != nil {
		return err
	}
	defer sw.Close()
	link, err := s.PortLink(portID)
	if err != nil {
		return err
	}
	return sw.SetDown(link)
}

// PortLink is the name of a port's device in the switch.
func (s *Stage) PortLink(portID string) (string, error) {
	sw, err := linuxnet.Open(linuxnet.Path(s.prefix + "-switch"))
	if err != nil {
		return "", err
	}
	defer sw.Close()
	links, err := sw.Links()
	if err != nil {
		return "", err
	}
	for _, l := range links {
		if strings.HasPrefix(l.Alias, portID+" ") {
			return l.Name, nil
		}
	}
	return "", fmt.Errorf("port %s is not plugged", portID)
}

// Signal sends a signal to every process of an instance whose command line contains part ("haproxy",
// "colonnade-agent amphora", …) and returns how many there were.
func (s *Stage) Signal(ctx context.Context, id, part string, signal syscall.Signal) (int, error) {
	d, done, err := s.compute(ctx)
	if err != nil {
		return 0, err
	}
	defer done()
	pids, err := d.Processes(id)
	if err != nil {
		return 0, err
	}
	n := 0
	for _, pid := range pids {
		raw, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
		if err != nil {
			continue // it ended meanwhile
		}
		if !strings.Contains(strings.ReplaceAll(string(raw), "\x00", " "), part) {
			continue
		}
		if err := syscall.Kill(pid, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
			return n, fmt.Errorf("signal process %d of %s: %w", pid, id, err)
		}
		n++
	}
	return n, nil
}

// Inventory counts what stands on the machine and in the database because of the control plane, by kind; names and ids
// are left out, so that two runs compare.
func (s *Stage) Inventory(ctx context.Context) (map[string]int, error) {
	n, done, err := s.network(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	comp, doneCompute, err := s.compute(ctx)
	if err != nil {
		return nil, err
	}
	defer doneCompute()
	out := map[string]int{}
	ports, err := n.Ports(ctx, "")
	if err != nil {
		return nil, err
	}
	for _, p := range ports {
		out["port "+string(p.Purpose)]++
	}
	names, err := linuxnet.Namespaces(s.prefix + "-")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		parts := strings.Split(strings.TrimPrefix(name, s.prefix+"-"), "-")
		out[fmt.Sprintf("namespace %s/%d", parts[0], len(parts))]++
	}
	sw, err := linuxnet.Open(linuxnet.Path(s.prefix + "-switch"))
	if err != nil {
		return nil, err
	}
	defer sw.Close()
	links, err := sw.Links()
	if err != nil {
		return nil, err
	}
	for _, l := range links {
		kind, _, _ := strings.Cut(l.Name, "-")
		out["link "+kind]++
	}
	instances, err := comp.List(ctx)
	if err != nil {
		return nil, err
	}
	for _, i := range instances {
		out[fmt.Sprintf("instance %s %s", i.Kind, i.State)]++
		pids, err := comp.Processes(i.ID)
		if err != nil {
			return nil, err
		}
		for _, pid := range pids {
			if comm, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "comm")); err == nil {
				out["process "+strings.TrimSpace(string(comm))]++
			}
		}
	}
	amphorae, err := s.client.Amphorae().List(ctx, nil)
	if err != nil {
		return nil, err
	}
	for _, a := range amphorae {
		out["row amphora "+a.Status]++
	}
	distributors, err := s.client.Distributors().List(ctx, nil)
	if err != nil {
		return nil, err
	}
	out["row distributor"] = len(distributors)
	return out, nil
}
