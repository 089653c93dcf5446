package api

import (
	"context"
	"slices"

	"github.com/google/uuid"

	"colonnade/internal/api/wire"
	"colonnade/internal/network"
)

// PortOperator puts machines of tenants on networks, where the driver has networks of its own (bridge). It knows no ports
// but theirs. It checks what it is given and answers with *lb.Fault.
type PortOperator interface {
	CreateTenantPort(ctx context.Context, spec network.PortSpec) (network.Port, error)
	TenantPorts(ctx context.Context) ([]network.Port, error)
	TenantPort(ctx context.Context, id string) (network.Port, error)
	DeleteTenantPort(ctx context.Context, id string) error
}

func portView(p network.Port) wire.Port {
	v := wire.Port{
		ID: p.ID, Name: p.Name, ProjectID: p.ProjectID, NetworkID: p.NetworkID, SubnetID: p.SubnetID, IPAddress: p.Address,
		CIDR: p.CIDR, GatewayIP: p.Gateway, MACAddress: p.MAC, MTU: p.MTU, Namespace: orNull(p.Namespace),
		Interface: orNull(p.Interface), Status: "DOWN",
	}
	if p.Plugged {
		v.Status = "ACTIVE"
	}
	return v
}

// ports returns the one who puts machines on networks, if the caller may ask and there is one.
func (s *server) ports(ctx context.Context) (PortOperator, error) {
	return operatorOf(ctx, s.Ports, "Ports of machines are made elsewhere in this deployment.")
}

func (s *server) listPorts(ctx context.Context, c *call) (any, error) {
	op, err := s.ports(ctx)
	if err != nil {
		return nil, err
	}
	all, err := op.TenantPorts(ctx)
	if err != nil {
		return nil, err
	}
	for filter, of := range map[string]func(network.Port) string{
		"name":       func(p network.Port) string { return p.Name },
		"network_id": func(p network.Port) string { return p.NetworkID },
	} {
		if want := c.query.Get(filter); want != "" {
			all = slices.DeleteFunc(all, func(p network.Port) bool { return of(p) != want })
		}
	}
	return map[string]any{"ports": views(all, portView), "ports_links": []wire.Link{}}, nil
}

func (s *server) showPort(ctx context.Context, c *call) (any, error) {
	op, err := s.ports(ctx)
	if err != nil {
		return nil, err
	}
	p, err := op.TenantPort(ctx, c.id())
	if err != nil {
		return nil, err
	}
	return map[string]any{"port": portView(p)}, nil
}

func (s *server) createPort(ctx context.Context, c *call) (any, error) {
	op, err := s.ports(ctx)
	if err != nil {
		return nil, err
	}
	var in wire.PortCreate
	if err := decodeBody(c.body, "port_", "port", &in); err != nil {
		return nil, err
	}
	n, err := s.Networks.Network(ctx, in.NetworkID.V)
	if err != nil {
		return nil, badReference(err)
	}
	project, err := projectFor(in.ProjectID.Or(n.ProjectID))
	if err != nil {
		return nil, err
	}
	p, err := op.CreateTenantPort(ctx, network.PortSpec{
		ID: uuid.NewString(), NetworkID: n.ID, SubnetID: in.SubnetID.Or(""), Address: in.IPAddress.Or(""), ProjectID: project,
		Name: in.Name.Or(""), Namespace: in.Namespace.Or(""), Interface: in.Interface.Or(""),
	})
	if err != nil {
		return nil, err
	}
	return map[string]any{"port": portView(p)}, nil
}

func (s *server) deletePort(ctx context.Context, c *call) (any, error) {
	op, err := s.ports(ctx)
	if err == nil {
		err = op.DeleteTenantPort(ctx, c.id())
	}
	return nil, err
}
