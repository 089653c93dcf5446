package bridge

import (
	"context"

	"colonnade/internal/lb"
	"colonnade/internal/network"
)

// ClaimPort gives a tenant's port to a load balancer. Only one that is nobody's device will do.
func (d *Driver) ClaimPort(ctx context.Context, id, ownerID string) (network.Port, error) {
	return d.cfg.Store.UpdatePort(ctx, id, func(p *network.Port) error {
		if p.Purpose == network.PurposeVIP && p.OwnerID == ownerID {
			return nil
		}
		if p.Purpose != network.PurposeTenant || p.Namespace != "" {
			return lb.Faultf(lb.KindConflict, "Port %s is in use already. Please use another port.", id)
		}
		p.Purpose, p.OwnerID, p.TenantMade = network.PurposeVIP, ownerID, true
		return nil
	})
}

// ReleasePort gives a claimed port back to its tenant, unplugged, and deletes any other.
func (d *Driver) ReleasePort(ctx context.Context, id string) error {
	p, err := d.cfg.Store.Port(ctx, id)
	if isNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if !p.TenantMade {
		return d.DeletePort(ctx, id)
	}
	if err := d.Unplug(ctx, id); err != nil {
		return err
	}
	_, err = d.cfg.Store.UpdatePort(ctx, id, func(p *network.Port) error {
		if p.TenantMade {
			p.Purpose, p.OwnerID, p.TenantMade = network.PurposeTenant, machineOwner+p.Name, false
		}
		return nil
	})
	if isNotFound(err) {
		return nil
	}
	return err
}

// SecurityGroup looks a security group up.
func (d *Driver) SecurityGroup(ctx context.Context, id string) (network.SecurityGroup, error) {
	return d.cfg.Store.SecurityGroup(ctx, id)
}
