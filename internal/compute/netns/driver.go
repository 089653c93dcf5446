// Package netns is the embedded compute driver: an instance is a set of network namespaces, a cgroup and supervised
// processes on this machine (docs/ARCHITECTURE.md, parts and processes). An instance's id begins with 8 hex digits, its short name:
//
//	<state>/instances/<id>/            agent.json, certificates, what the agent keeps; instance.json, process.json, ports/
//	<state>/bpf/<kind>-<short>/        the agent's pins
//	<prefix>-a-<short>, …-t            an amphora's management and tenant namespace
//	<prefix>-d-<short>, …-<lb>         a distributor's management namespace, and one for each load balancer
//	<cgroup2>/colonnade-<hex>/<kind>-<short>   every process of the instance, from birth
//
// Instances outlive the control plane. Every call can be repeated after a crash at any point: the directory is made
// first and removed last, process.json is written last of all.
package netns

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"colonnade/internal/bpf"
	"colonnade/internal/compute"
	"colonnade/internal/lb"
	"colonnade/internal/linuxnet"
	"colonnade/internal/network"
)

// Network is what the driver needs of the bridge driver.
type Network interface {
	Port(ctx context.Context, id string) (network.Port, error)
	PlugNamespace(ctx context.Context, portID, nsPath, ifname string) error
	Unplug(ctx context.Context, portID string) error
}

// Config of the driver; all but Log and CgroupMount are mandatory.
type Config struct {
	Prefix      string // bridge.PrefixFor(StateDir)
	StateDir    string // absolute
	AgentBinary string // absolute path of colonnade-agent
	Network     Network
	CgroupMount string // where cgroup v2 is mounted; "" finds it
	Log         *slog.Logger
}

// Driver is compute.Driver.
type Driver struct {
	cfg    Config
	cgroup string // <cgroup2>/colonnade-<hex>

	mu   sync.Mutex
	busy map[string]*sync.Mutex // by short name: one call at a time changes an instance

	// step is called before each step of building and deleting; an error stops there. Tests end the call like a crash.
	step func(name string) error
	// attachable is bpf.Attachable; tests have other kernels.
	attachable func() error
}

var _ compute.Driver = (*Driver)(nil)

// New checks the configuration; it touches nothing.
func New(cfg Config) (*Driver, error) {
	if cfg.Prefix == "" || cfg.Network == nil || !filepath.IsAbs(cfg.StateDir) || !filepath.IsAbs(cfg.AgentBinary) {
		return nil, fmt.Errorf("netns driver: prefix, network and absolute paths of state directory and agent are mandatory")
	}
	if cfg.CgroupMount == "" {
		mount, err := findCgroup2()
		if err != nil {
			return nil, err
		}
		cfg.CgroupMount = mount
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	return &Driver{
		cfg: cfg, cgroup: filepath.Join(cfg.CgroupMount, "colonnade-"+strings.TrimPrefix(cfg.Prefix, "cn")),
		busy: map[string]*sync.Mutex{}, step: func(string) error { return nil },
		attachable: func() error { return bpf.Attachable() },
	}, nil
}

// Probe says what is missing on this machine.
func (d *Driver) Probe(context.Context) error {
	unsupported := func(needs string) error { return &compute.UnsupportedError{Driver: "netns", Needs: needs} }
	if os.Geteuid() != 0 {
		return unsupported("root")
	}
	if _, err := exec.LookPath(d.cfg.AgentBinary); err != nil {
		return unsupported("the agent at " + d.cfg.AgentBinary + " (make build makes it; compute.agent_binary names it)")
	}
	probe := filepath.Join(d.cfg.CgroupMount, "colonnade-"+strings.TrimPrefix(d.cfg.Prefix, "cn")+"-probe")
	if err := os.Mkdir(probe, 0o755); err != nil && !os.IsExist(err) {
		return unsupported("a writable cgroup v2 hierarchy: " + err.Error())
	}
	defer func() { _ = os.Remove(probe) }() // of a moment; a second probe takes it over
	if _, err := os.Stat(filepath.Join(probe, "cgroup.kill")); err != nil {
		return unsupported("cgroup.kill (Linux 5.14)")
	}
	data, err := os.ReadFile("/proc/filesystems")
	if err != nil || !strings.Contains(string(data), "\tbpf\n") {
		return unsupported("the bpf file system in the kernel")
	}
	// Said now, and not a minute later by each load balancer that ends in ERROR.
	err = d.attachable()
	var lacks *bpf.UnsupportedError
	if errors.As(err, &lacks) {
		return unsupported(lacks.Needs + cause(lacks.Err))
	}
	return err
}

func cause(err error) string {
	if err == nil {
		return ""
	}
	return " (" + err.Error() + ")"
}

// BuildBudget is zero: processes start in a moment.
func (d *Driver) BuildBudget() time.Duration { return 0 }

// validID keeps ids inside their directories and gives every instance a short name; a bare short name is accepted where
// something is deleted of which no more than that is known.
var validID = regexp.MustCompile(`^[0-9a-f]{8}[0-9a-zA-Z-]{0,56}$`)

// place is where everything of one instance is.
type place struct {
	id, short string
	kind      compute.Kind
	dir       string // of the instance
	namespace string // name of the management namespace, and prefix of the others
	bpf       string
	cgroup    string
}

func (d *Driver) place(kind compute.Kind, id string) place {
	short := id[:8]
	return place{
		id: id, short: short, kind: kind,
		dir:       filepath.Join(d.instancesDir(), id),
		namespace: d.cfg.Prefix + "-" + string(kind[0]) + "-" + short,
		bpf:       filepath.Join(d.bpfDir(), string(kind)+"-"+short),
		cgroup:    filepath.Join(d.cgroup, string(kind)+"-"+short),
	}
}

// tenantNamespace is agentconf.Place.TenantNamespace.
func (p place) tenantNamespace() string {
	if p.kind == compute.KindAmphora {
		return linuxnet.Path(p.namespace + "-t")
	}
	return linuxnet.Path(p.namespace)
}

// namespaces lists all there are of the instance.
func (p place) namespaces() ([]string, error) {
	names, err := linuxnet.Namespaces(p.namespace)
	var own []string
	for _, n := range names {
		if n == p.namespace || strings.HasPrefix(n, p.namespace+"-") {
			own = append(own, n)
		}
	}
	return own, err
}

func (d *Driver) instancesDir() string { return filepath.Join(d.cfg.StateDir, "instances") }
func (d *Driver) bpfDir() string       { return filepath.Join(d.cfg.StateDir, "bpf") }

func checkID(id string) error {
	if !validID.MatchString(id) {
		return lb.Faultf(lb.KindInvalid, "instance id %q does not begin with 8 hex digits", id)
	}
	return nil
}

// Plug gives the instance a port: a device in its management namespace, bare and down, which the agent finds by MAC and
// moves on. A port that was plugged before is left where the agent put it.
func (d *Driver) Plug(ctx context.Context, id, portID string) error {
	p, err := d.existing(id)
	if err != nil {
		return err
	}
	release, err := d.exclusive(id)
	if err != nil {
		return err
	}
	defer release()
	// Written before it is true, so that Delete knows every port there may be.
	if err := writeFile(filepath.Join(p.dir, portsDir), portFile(portID), []byte(portID)); err != nil {
		return fmt.Errorf("plug port %s into %s: %w", portID, id, err)
	}
	if err := d.step("plug"); err != nil {
		return err
	}
	return d.cfg.Network.PlugNamespace(ctx, portID, linuxnet.Path(p.namespace), "t-"+portFile(portID)[:11])
}

// Unplug takes the port away, wherever in the instance it is.
func (d *Driver) Unplug(ctx context.Context, id, portID string) error {
	p, err := d.existing(id)
	if lb.KindOf(err) == lb.KindNotFound {
		return nil
	}
	if err != nil {
		return err
	}
	release, err := d.exclusive(id)
	if err != nil {
		return err
	}
	defer release()
	if err := d.cfg.Network.Unplug(ctx, portID); err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(p.dir, portsDir, portFile(portID))); err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("unplug port %s from %s: %w", portID, id, err)
	}
	return nil
}

// existing finds the place of an instance that has a directory.
func (d *Driver) existing(id string) (place, error) {
	if err := checkID(id); err != nil {
		return place{}, err
	}
	r, err := d.readRecord(id)
	if os.IsNotExist(err) {
		return place{}, lb.Faultf(lb.KindNotFound, "instance %s not found", id)
	}
	if err != nil {
		return place{}, fmt.Errorf("find instance %s: %w", id, err)
	}
	return d.place(r.Kind, id), nil
}
