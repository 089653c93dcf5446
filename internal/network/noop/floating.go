package noop

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/google/uuid"

	"colonnade/internal/lb"
	"colonnade/internal/network"
)

var _ network.FloatingIPs = (*Driver)(nil)

// ClaimPort gives a port that the driver did not make to a load balancer.
func (d *Driver) ClaimPort(ctx context.Context, id, ownerID string) (network.Port, error) {
	p, err := d.Port(ctx, id)
	if err != nil {
		return network.Port{}, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if p = d.ports[p.ID]; p.Purpose == network.PurposeVIP && p.OwnerID == ownerID {
		return p, nil
	}
	if !d.foreign[p.ID] || p.Purpose != network.PurposeTenant {
		return network.Port{}, lb.Faultf(lb.KindConflict, "Port %s is in use already. Please use another port.", id)
	}
	p.Purpose, p.OwnerID, p.TenantMade = network.PurposeVIP, ownerID, true
	d.ports[p.ID] = p
	return p, nil
}

// ReleasePort gives a claimed port back, and deletes any other.
func (d *Driver) ReleasePort(ctx context.Context, id string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if u, err := uuid.Parse(id); err == nil {
		d.mu.Lock()
		p := d.ports[u.String()]
		if p.TenantMade {
			p.Purpose, p.OwnerID, p.TenantMade = network.PurposeTenant, "", false
			d.ports[p.ID] = p
			d.mu.Unlock()
			return nil
		}
		d.mu.Unlock()
	}
	return d.DeletePort(ctx, id)
}

// SecurityGroup finds any security group.
func (d *Driver) SecurityGroup(ctx context.Context, id string) (network.SecurityGroup, error) {
	if err := ctx.Err(); err != nil {
		return network.SecurityGroup{}, err
	}
	id, err := named("security group", id)
	return network.SecurityGroup{ID: id, Name: "noop"}, err
}

// EnsureFloatingIP takes an address of any network.
func (d *Driver) EnsureFloatingIP(ctx context.Context, spec network.FloatingIPSpec) (network.FloatingIP, error) {
	if err := ctx.Err(); err != nil {
		return network.FloatingIP{}, err
	}
	id, err := named("floating IP", spec.ID)
	if err != nil {
		return network.FloatingIP{}, err
	}
	d.mu.Lock()
	if f, ok := d.floating[id]; ok {
		d.mu.Unlock()
		return d.shown(f), nil
	}
	d.mu.Unlock()
	if err := d.mayStandFor(ctx, id, spec.PortID); err != nil {
		return network.FloatingIP{}, err
	}
	p, err := d.EnsurePort(ctx, network.PortSpec{
		ID: id, NetworkID: spec.NetworkID, SubnetID: spec.SubnetID, Address: spec.Address, Purpose: network.PurposeFloating,
		OwnerID: id, ProjectID: spec.ProjectID,
	})
	if err != nil {
		return network.FloatingIP{}, err
	}
	now := time.Now().UTC()
	f := network.FloatingIP{
		ID: id, ProjectID: spec.ProjectID, Description: spec.Description, PortID: spec.PortID, CreatedAt: now, UpdatedAt: now,
		NetworkID: p.NetworkID, SubnetID: p.SubnetID, Address: p.Address,
	}
	d.mu.Lock()
	d.floating[id] = f
	d.mu.Unlock()
	return d.shown(f), nil
}

// mayStandFor refuses ports that are not there, and those that another floating IP stands for.
func (d *Driver) mayStandFor(ctx context.Context, id, portID string) error {
	if portID == "" {
		return nil
	}
	p, err := d.Port(ctx, portID)
	if err != nil {
		return err
	}
	if p.Purpose != network.PurposeVIP && p.Purpose != network.PurposeTenant {
		return lb.Faultf(lb.KindInvalid, "Port %s is not one that a floating IP can stand for.", portID)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, f := range d.floating {
		if f.ID != id && f.PortID == portID {
			return lb.Faultf(lb.KindConflict, "Port %s has a floating IP already.", portID)
		}
	}
	return nil
}

// shown adds what the port says that the floating IP stands for; one that is gone takes the floating IP off.
func (d *Driver) shown(f network.FloatingIP) network.FloatingIP {
	d.mu.Lock()
	defer d.mu.Unlock()
	p, ok := d.ports[f.PortID]
	if !ok {
		f.PortID = ""
	}
	f.FixedAddress, f.FixedNetwork = p.Address, p.NetworkID
	return f
}

// FloatingIP reads one.
func (d *Driver) FloatingIP(ctx context.Context, id string) (network.FloatingIP, error) {
	if err := ctx.Err(); err != nil {
		return network.FloatingIP{}, err
	}
	d.mu.Lock()
	f, ok := d.floating[id]
	d.mu.Unlock()
	if !ok {
		return network.FloatingIP{}, lb.Faultf(lb.KindNotFound, "Floating IP %s not found.", id)
	}
	return d.shown(f), nil
}

// FloatingIPs lists all.
func (d *Driver) FloatingIPs(ctx context.Context) ([]network.FloatingIP, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	d.mu.Lock()
	all := make([]network.FloatingIP, 0, len(d.floating))
	for _, f := range d.floating {
		all = append(all, f)
	}
	d.mu.Unlock()
	for i := range all {
		all[i] = d.shown(all[i])
	}
	slices.SortFunc(all, func(a, b network.FloatingIP) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
	return all, nil
}

// UpdateFloatingIP changes what a floating IP stands for, or its description.
func (d *Driver) UpdateFloatingIP(ctx context.Context, id string, change func(*network.FloatingIP) error) (network.FloatingIP, error) {
	f, err := d.FloatingIP(ctx, id)
	if err != nil {
		return network.FloatingIP{}, err
	}
	if err := change(&f); err != nil {
		return network.FloatingIP{}, err
	}
	if err := d.mayStandFor(ctx, id, f.PortID); err != nil {
		return network.FloatingIP{}, err
	}
	f.UpdatedAt = time.Now().UTC()
	d.mu.Lock()
	d.floating[id] = f
	d.mu.Unlock()
	return d.shown(f), nil
}

// DeleteFloatingIP gives the address back.
func (d *Driver) DeleteFloatingIP(ctx context.Context, id string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	d.mu.Lock()
	_, ok := d.floating[id]
	delete(d.floating, id)
	d.mu.Unlock()
	if !ok {
		return nil
	}
	return d.DeletePort(ctx, id)
}

// QoSPolicy finds any policy.
func (d *Driver) QoSPolicy(ctx context.Context, id string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	_, err := named("QoS policy", id)
	return err
}
