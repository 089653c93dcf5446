package bridge

import (
	"context"

	"github.com/google/uuid"

	"colonnade/internal/lb"
	"colonnade/internal/network"
)

// UpdateNetwork changes a network's texts, and who may use it.
func (d *Driver) UpdateNetwork(ctx context.Context, id string, change func(*network.Network) error) (network.Network, error) {
	if id == ManagementNetworkID {
		return network.Network{}, lb.Faultf(lb.KindForbidden, "the management network cannot be changed")
	}
	return d.cfg.Store.UpdateNetwork(ctx, id, func(n *network.Network) error {
		old := *n
		err := change(n)
		n.MTU, n.External, n.Isolated, n.ProjectID, n.CreatedAt = old.MTU, old.External, old.Isolated, old.ProjectID, old.CreatedAt
		return err
	})
}

// UpdateSubnet changes a subnet's texts, what amphorae take addresses from, and whether machines get theirs configured;
// for those that are plugged in already nothing changes.
func (d *Driver) UpdateSubnet(ctx context.Context, id string, change func(*network.Subnet) error) (network.Subnet, error) {
	if id == ManagementNetworkID {
		return network.Subnet{}, lb.Faultf(lb.KindForbidden, "the management network's subnet cannot be changed")
	}
	return d.cfg.Store.UpdateSubnet(ctx, id, func(s *network.Subnet, _ []string) error {
		old := *s
		err := change(s)
		s.CIDR, s.GatewayIP, s.AllocationStart, s.AllocationEnd = old.CIDR, old.GatewayIP, old.AllocationStart, old.AllocationEnd
		if err != nil {
			return err
		}
		return checkAmphoraPool(*s)
	})
}

// UpdatePort changes a port's texts.
func (d *Driver) UpdatePort(ctx context.Context, id string, change func(*network.Port) error) (network.Port, error) {
	return d.cfg.Store.UpdatePort(ctx, id, func(p *network.Port) error {
		next := *p
		if err := change(&next); err != nil {
			return err
		}
		p.Name, p.Description, p.DeviceID, p.DeviceOwner = next.Name, next.Description, next.DeviceID, next.DeviceOwner
		return nil
	})
}

// SecurityGroups lists all security groups.
func (d *Driver) SecurityGroups(ctx context.Context) ([]network.SecurityGroup, error) {
	return d.cfg.Store.SecurityGroups(ctx)
}

// CreateSecurityGroup makes a security group; one with this id is returned as it is.
func (d *Driver) CreateSecurityGroup(ctx context.Context, g network.SecurityGroup) (network.SecurityGroup, error) {
	if g.ID == "" {
		g.ID = uuid.NewString()
	}
	return d.cfg.Store.InsertSecurityGroup(ctx, g)
}

// UpdateSecurityGroup changes name and description.
func (d *Driver) UpdateSecurityGroup(ctx context.Context, id string, change func(*network.SecurityGroup) error) (network.SecurityGroup, error) {
	return d.cfg.Store.UpdateSecurityGroup(ctx, id, func(g *network.SecurityGroup) error {
		next := *g
		err := change(&next)
		g.Name, g.Description = next.Name, next.Description
		return err
	})
}

// DeleteSecurityGroup removes one.
func (d *Driver) DeleteSecurityGroup(ctx context.Context, id string) error {
	return d.cfg.Store.DeleteSecurityGroup(ctx, id)
}
