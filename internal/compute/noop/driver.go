// Package noop is a compute driver without machines: an instance is a line in memory and an agent that says that all is
// well. Its heartbeats are real: signed with the instance's key and sent to the health role's socket, so that cluster
// manager, worker and health role work as always. For tests of clients and for measuring the control plane alone.
package noop

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"colonnade/internal/agentconf"
	"colonnade/internal/compute"
	"colonnade/internal/health/heartbeat"
	"colonnade/internal/lb"
	"colonnade/internal/network"
)

// Settings are the operator's.
type Settings struct {
	// StayPending leaves everything as it was accepted: the control plane then has to run neither worker nor cluster
	// manager, so that load balancers stay PENDING_*. What waits in the queue is worked off once it is off again.
	StayPending bool `toml:"stay_pending"`
}

// Agents are the agents of instances of one kind.
type Agents interface {
	// Start begins an agent's life; changed is called whenever its next heartbeat should go out at once, and must not
	// call back.
	Start(conf agentconf.Config, changed func())
	// Stop ends it; one that does not live is no error.
	Stop(id string)
	// Beat is its present heartbeat; false when it does not live.
	Beat(id string) (heartbeat.Beat, bool)
}

// Driver implements compute.Driver. It is safe for concurrent use.
type Driver struct {
	network network.Driver
	agents  map[compute.Kind]Agents
	fleet   *fleet

	mu        sync.Mutex
	instances map[string]*instance
}

type instance struct {
	compute.Instance
	ports map[string]bool
}

var _ compute.Driver = (*Driver)(nil)

// New makes a driver whose instances have these agents. Nothing is heard of them before Run.
func New(net network.Driver, amphorae, distributors Agents) *Driver {
	agents := map[compute.Kind]Agents{compute.KindAmphora: amphorae, compute.KindDistributor: distributors}
	return &Driver{network: net, agents: agents, fleet: newFleet(), instances: map[string]*instance{}}
}

// Run sends the instances' heartbeats until ctx ends and returns nil then.
func (d *Driver) Run(ctx context.Context) error { return d.fleet.run(ctx) }

// Probe is content everywhere.
func (d *Driver) Probe(ctx context.Context) error { return ctx.Err() }

// BuildBudget is zero: there is nothing to build.
func (d *Driver) BuildBudget() time.Duration { return 0 }

// Ensure makes an instance and starts its agent.
func (d *Driver) Ensure(ctx context.Context, spec compute.Spec) (compute.Instance, error) {
	agents := d.agents[spec.Kind]
	if agents == nil || spec.ID == "" {
		return compute.Instance{}, lb.Faultf(lb.KindInvalid, "instance %q of kind %q", spec.ID, spec.Kind)
	}
	if _, err := d.network.Port(ctx, spec.ManagementPortID); err != nil {
		return compute.Instance{}, err
	}
	sender, err := newSender(spec.Agent.Heartbeat, agents, spec.ID)
	if err != nil {
		return compute.Instance{}, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if i, ok := d.instances[spec.ID]; ok {
		return i.Instance, nil
	}
	i := &instance{
		Instance: compute.Instance{ID: spec.ID, Kind: spec.Kind, ComputeID: "noop-" + spec.ID, State: compute.StateRunning},
		ports:    map[string]bool{spec.ManagementPortID: true},
	}
	d.instances[spec.ID] = i
	conf := spec.Agent
	conf.ID = spec.ID
	agents.Start(conf, func() { d.fleet.kick(sender) })
	d.fleet.add(sender)
	return i.Instance, nil
}

// List returns all instances.
func (d *Driver) List(ctx context.Context) ([]compute.Instance, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	out := make([]compute.Instance, 0, len(d.instances))
	for _, i := range d.instances {
		out = append(out, i.Instance)
	}
	slices.SortFunc(out, func(a, b compute.Instance) int { return cmp.Compare(a.ID, b.ID) })
	return out, nil
}

// Delete ends an instance.
func (d *Driver) Delete(ctx context.Context, id string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if i, ok := d.instances[id]; ok {
		d.stop(i)
		delete(d.instances, id)
	}
	return nil
}

func (d *Driver) stop(i *instance) {
	d.agents[i.Kind].Stop(i.ID)
	d.fleet.remove(i.ID)
}

// Kill ends what runs in an instance, behind the control plane's back: for tests of failures.
func (d *Driver) Kill(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if i, ok := d.instances[id]; ok {
		d.stop(i)
		i.State = compute.StateGone
	}
}

// Plug notes a port.
func (d *Driver) Plug(ctx context.Context, id, portID string) error {
	if _, err := d.network.Port(ctx, portID); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	i, ok := d.instances[id]
	if !ok {
		return lb.Faultf(lb.KindNotFound, "instance %s not found", id)
	}
	i.ports[portID] = true
	return nil
}

// Unplug forgets a port.
func (d *Driver) Unplug(ctx context.Context, id, portID string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if i, ok := d.instances[id]; ok {
		delete(i.ports, portID)
	}
	return nil
}

// Plugged reports whether a port is in an instance.
func (d *Driver) Plugged(portID string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, i := range d.instances {
		if i.ports[portID] {
			return true
		}
	}
	return false
}
