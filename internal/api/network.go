package api

import (
	"context"
	"slices"

	"github.com/google/uuid"

	"colonnade/internal/api/wire"
	"colonnade/internal/lb"
	"colonnade/internal/network"
)

func networkView(n network.Network) wire.Network {
	v := wire.Network{ID: n.ID, Name: n.Name, ProjectID: n.ProjectID, MTU: n.MTU, External: n.External, Shared: n.Shared, CreatedAt: stamp(n.CreatedAt), Subnets: []wire.Subnet{}}
	for _, s := range n.Subnets {
		v.Subnets = append(v.Subnets, wire.Subnet{
			ID: s.ID, Name: s.Name, CIDR: s.CIDR, GatewayIP: s.GatewayIP,
			AllocationStart: s.AllocationStart, AllocationEnd: s.AllocationEnd, AmphoraAddressPool: list(s.AmphoraPool),
		})
	}
	return v
}

// operator returns the one who makes networks, if the caller may ask and there is one.
func (s *server) operator(ctx context.Context) (NetworkOperator, error) {
	return operatorOf(ctx, s.Operator, "Networks are made elsewhere in this deployment.")
}

func (s *server) listNetworks(ctx context.Context, c *call) (any, error) {
	op, err := s.operator(ctx)
	if err != nil {
		return nil, err
	}
	nets, err := op.Networks(ctx)
	if err != nil {
		return nil, err
	}
	if name := c.query.Get("name"); name != "" {
		nets = slices.DeleteFunc(nets, func(n network.Network) bool { return n.Name != name })
	}
	return map[string]any{"networks": views(nets, networkView), "networks_links": []wire.Link{}}, nil
}

func (s *server) showNetwork(ctx context.Context, c *call) (any, error) {
	if _, err := s.operator(ctx); err != nil {
		return nil, err
	}
	n, err := s.Networks.Network(ctx, c.id())
	if err != nil {
		return nil, err
	}
	return map[string]any{"network": networkView(n)}, nil
}

func (s *server) createNetwork(ctx context.Context, c *call) (any, error) {
	op, err := s.operator(ctx)
	if err != nil {
		return nil, err
	}
	var in wire.NetworkCreate
	if err := decodeBody(c.body, "network_", "network", &in); err != nil {
		return nil, err
	}
	project, err := projectFor(in.ProjectID.Or(principal(ctx).ProjectID))
	if err != nil {
		return nil, err
	}
	gateway := in.GatewayIP.Or("")
	if in.NoGateway.Or(false) {
		if gateway != "" {
			return nil, lb.InvalidField("gateway_ip", gateway, "Value should not be given with no_gateway")
		}
		gateway = network.NoGateway
	}
	id := uuid.NewString()
	n, err := op.CreateNetwork(ctx, network.Network{
		ID: id, Name: in.Name.V, ProjectID: project, MTU: in.MTU.Or(0), External: in.External.Or(false), Shared: in.Shared.Or(false),
		Subnets: []network.Subnet{{
			ID: uuid.NewString(), NetworkID: id, Name: in.Name.V, CIDR: in.CIDR.V, GatewayIP: gateway,
			AllocationStart: in.AllocationStart.Or(""), AllocationEnd: in.AllocationEnd.Or(""), AmphoraPool: in.AmphoraAddressPool.Or(nil),
		}},
	})
	if err != nil {
		return nil, err
	}
	return map[string]any{"network": networkView(n)}, nil
}

func (s *server) deleteNetwork(ctx context.Context, c *call) (any, error) {
	op, err := s.operator(ctx)
	if err == nil {
		err = op.DeleteNetwork(ctx, c.id())
	}
	return nil, err
}

// tenantSubnet reads a subnet that a tenant may name. Where networks are ours, what is not listed (the management
// network) is not there for tenants either.
func (s *server) tenantSubnet(ctx context.Context, id string) (network.Subnet, error) {
	subnet, err := s.Networks.Subnet(ctx, id)
	if err != nil || s.Operator == nil {
		return subnet, badReference(err)
	}
	nets, err := s.Operator.Networks(ctx)
	if err == nil && !slices.ContainsFunc(nets, func(n network.Network) bool { return n.ID == subnet.NetworkID && usable(ctx, n) }) {
		err = lb.Faultf(lb.KindInvalid, "Subnet %s not found.", id)
	}
	return subnet, err
}

// usable reports whether the caller may put something on the network: their own, a shared one, or one of nobody.
func usable(ctx context.Context, n network.Network) bool {
	return n.Shared || n.ProjectID == "" || principal(ctx).Writes(n.ProjectID)
}
