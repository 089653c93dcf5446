package neutron

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"

	"github.com/google/uuid"

	"colonnade/internal/lb"
	"colonnade/internal/network"
)

// sees reports whether the caller may know of the network.
func (a *API) sees(ctx context.Context, n network.Network) bool {
	return n.Shared || n.External || a.Who(ctx).Reads(n.ProjectID)
}

// uses reports whether the caller may put ports on the network.
func (a *API) uses(ctx context.Context, n network.Network) bool {
	return n.Shared || a.Who(ctx).Writes(n.ProjectID)
}

// network reads one that the caller may know of, and may change if to is write.
func (a *API) network(ctx context.Context, id string, to access) (network.Network, Networks, error) {
	all, err := a.networks(ctx) // the management network is none of these
	if err != nil {
		return network.Network{}, nil, err
	}
	i := slices.IndexFunc(all, func(n network.Network) bool { return n.ID == id })
	if i < 0 {
		return network.Network{}, nil, hidden(networkNotFound, networkMissing, id)
	}
	if to == write && !a.Who(ctx).Writes(all[i].ProjectID) {
		return all[i], nil, forbidden
	}
	return all[i], a.Networks, nil
}

// access is what a call is about to do to an object.
type access bool

const (
	read  access = false
	write access = true
)

func (a *API) networks(ctx context.Context) ([]network.Network, error) {
	d, err := a.driver()
	if err != nil {
		return nil, err
	}
	all, err := d.Networks(ctx)
	return slices.DeleteFunc(all, func(n network.Network) bool { return !a.sees(ctx, n) }), err
}

func (a *API) listNetworks(ctx context.Context, r Request) (any, error) {
	all, err := a.networks(ctx)
	if err != nil {
		return nil, err
	}
	views := make([]Network, len(all))
	for i, n := range all {
		views[i] = networkView(n)
	}
	return listed(r, "networks", views)
}

func (a *API) showNetwork(ctx context.Context, r Request) (any, error) {
	n, _, err := a.network(ctx, r.ID, read)
	if err != nil {
		return nil, err
	}
	return one(r, "network", networkView(n))
}

func (a *API) createNetwork(ctx context.Context, r Request) (any, error) {
	d, err := a.driver()
	if err != nil {
		return nil, err
	}
	var in NetworkCreate
	if err := a.Decode(r.Body, "network", "network", &in); err != nil {
		return nil, err
	}
	project, err := a.Project(ctx, in.ProjectID.Or(""), in.TenantID.Or(""))
	if err == nil {
		err = refused(
			option{"A network that is administratively down", !in.AdminStateUp.Or(true)},
			option{"A network without port security", !in.PortSecurityEnabled.Or(true)},
			option{"A default external network", in.IsDefault.Or(false)},
			option{"availability_zone_hints", len(in.AvailabilityZoneHints.V) > 0},
			option{"A provider network", in.NetworkType.Given() || in.PhysicalNetwork.Given() || in.SegmentationID.Given()},
			option{"qos_policy_id", in.QosPolicyID.Given()},
			option{"dns_domain", in.DNSDomain.Or("") != ""},
		)
	}
	admin := a.Who(ctx).Admin()
	if err == nil && !admin && (in.Shared.Or(false) || in.External.Or(false)) {
		err = forbidden
	}
	if err != nil {
		return nil, err
	}
	n, err := d.CreateNetwork(ctx, network.Network{
		ID: uuid.NewString(), Name: in.Name.Or(""), Description: in.Description.Or(""), ProjectID: project, MTU: in.MTU.Or(0),
		Shared: in.Shared.Or(false), External: in.External.Or(false),
		// What anybody may make must not draw the host's packets to it.
		Isolated: !admin,
	})
	if err != nil {
		return nil, err
	}
	return one(Request{}, "network", networkView(n))
}

func (a *API) updateNetwork(ctx context.Context, r Request) (any, error) {
	n, d, err := a.network(ctx, r.ID, write)
	if err != nil {
		return nil, err
	}
	var in NetworkUpdate
	if err := a.Decode(r.Body, "network", "network", &in); err != nil {
		return nil, err
	}
	if in.Shared.Given() && in.Shared.V != n.Shared && !a.Who(ctx).Admin() {
		return nil, forbidden
	}
	err = refused(
		option{"A network that is administratively down", !in.AdminStateUp.Or(true)},
		option{"Changing router:external", in.External.Or(n.External) != n.External},
		option{"Changing the MTU", in.MTU.Or(n.MTU) != n.MTU},
	)
	if err != nil {
		return nil, err
	}
	n, err = d.UpdateNetwork(ctx, r.ID, func(n *network.Network) error {
		in.Name.Into(&n.Name, "")
		in.Description.Into(&n.Description, "")
		in.Shared.Into(&n.Shared, n.Shared)
		return nil
	})
	if err != nil {
		return nil, typed(networkNotFound, err)
	}
	return one(Request{}, "network", networkView(n))
}

func (a *API) deleteNetwork(ctx context.Context, r Request) (any, error) {
	_, d, err := a.network(ctx, r.ID, write)
	if err == nil {
		err = inUse("NetworkInUse", d.DeleteNetwork(ctx, r.ID))
	}
	return nil, err
}

// inUse types a conflict of what has users.
func inUse(kind string, err error) error {
	if lb.KindOf(err) == lb.KindConflict {
		return typed(kind, err)
	}
	return err
}

// subnet reads one that the caller may know of, with its network.
func (a *API) subnet(ctx context.Context, id string, to access) (network.Subnet, network.Network, Networks, error) {
	all, err := a.networks(ctx)
	if err != nil {
		return network.Subnet{}, network.Network{}, nil, err
	}
	for _, n := range all {
		for _, s := range n.Subnets {
			if s.ID != id {
				continue
			}
			if to == write && !a.Who(ctx).Writes(n.ProjectID) {
				return s, n, nil, forbidden
			}
			return s, n, a.Networks, nil
		}
	}
	return network.Subnet{}, network.Network{}, nil, hidden(subnetNotFound, subnetMissing, id)
}

func (a *API) listSubnets(ctx context.Context, r Request) (any, error) {
	all, err := a.networks(ctx)
	if err != nil {
		return nil, err
	}
	views := []Subnet{}
	for _, n := range all {
		for _, s := range n.Subnets {
			views = append(views, subnetView(s, n))
		}
	}
	return listed(r, "subnets", views)
}

func (a *API) showSubnet(ctx context.Context, r Request) (any, error) {
	s, n, _, err := a.subnet(ctx, r.ID, read)
	if err != nil {
		return nil, err
	}
	return one(r, "subnet", subnetView(s, n))
}

func (in *SubnetCommon) refused() error {
	return refused(
		option{"dns_nameservers", len(in.DNSNameservers.V) > 0},
		option{"host_routes", len(in.HostRoutes.V) > 0},
		option{"service_types", len(in.ServiceTypes.V) > 0},
		option{"A subnet with several allocation pools", len(in.AllocationPools.V) > 1},
	)
}

func (a *API) createSubnet(ctx context.Context, r Request) (any, error) {
	if _, err := a.driver(); err != nil {
		return nil, err
	}
	var in SubnetCreate
	if err := a.Decode(r.Body, "subnet", "subnet", &in); err != nil {
		return nil, err
	}
	n, d, err := a.network(ctx, in.NetworkID.V, write)
	if err == nil {
		_, err = a.Project(ctx, in.ProjectID.Or(""), in.TenantID.Or(""))
	}
	if err == nil {
		err = in.refused()
	}
	if err == nil {
		err = refused(
			option{"An IPv6 subnet", in.IPVersion.Or(4) != 4 || in.IPv6RAMode.Given() || in.IPv6AddressMode.Given()},
			option{"A subnet pool", in.SubnetpoolID.Given() || in.UseDefaultPool.Or(false) || in.Prefixlen.Given()},
			option{"segment_id", in.SegmentID.Given()},
		)
	}
	if err == nil && in.CIDR.Or("") == "" {
		err = lb.Faultf(lb.KindInvalid, "a subnetpool must be specified in the absence of a cidr")
	}
	if err == nil {
		err = a.tenantRange(ctx, in.CIDR.V)
	}
	if err != nil {
		return nil, err
	}
	s := network.Subnet{
		ID: uuid.NewString(), NetworkID: n.ID, Name: in.Name.Or(""), Description: in.Description.Or(""), CIDR: in.CIDR.V,
		GatewayIP: in.GatewayIP.Or(""), NoDHCP: !in.EnableDHCP.Or(true), AmphoraPool: in.AmphoraAddressPool.Or(nil),
	}
	if in.GatewayIP.Null {
		s.GatewayIP = network.NoGateway
	}
	if len(in.AllocationPools.V) == 1 {
		s.AllocationStart, s.AllocationEnd = in.AllocationPools.V[0].Start.V, in.AllocationPools.V[0].End.V
	}
	if s, err = d.CreateSubnet(ctx, s); err != nil {
		return nil, a.discreet(ctx, in.CIDR.V, err)
	}
	return one(Request{}, "subnet", subnetView(s, n))
}

// tenantRange refuses subnets of projects that lie where the gateway may have to reach others.
func (a *API) tenantRange(ctx context.Context, cidr string) error {
	p, err := netip.ParsePrefix(cidr)
	if err != nil || a.Who(ctx).Admin() {
		return nil //nolint:nilerr // the driver says what is wrong with it
	}
	var all []string
	for _, r := range a.TenantRanges {
		if r.Contains(p.Addr()) && r.Bits() <= p.Bits() {
			return nil
		}
		all = append(all, r.String())
	}
	return lb.Faultf(lb.KindInvalid, "cidr %s is not in a range that projects may use: %s", cidr, strings.Join(all, ", "))
}

// discreet says no more of others' subnets than that they are in the way.
func (a *API) discreet(ctx context.Context, cidr string, err error) error {
	if lb.KindOf(err) == lb.KindConflict && !a.Who(ctx).Admin() {
		return lb.Faultf(lb.KindConflict, "Requested subnet with cidr: %s overlaps with another subnet", cidr)
	}
	return err
}

func (a *API) updateSubnet(ctx context.Context, r Request) (any, error) {
	s, n, d, err := a.subnet(ctx, r.ID, write)
	if err != nil {
		return nil, err
	}
	var in SubnetUpdate
	if err := a.Decode(r.Body, "subnet", "subnet", &in); err != nil {
		return nil, err
	}
	pools := in.AllocationPools.V
	err = errors.Join(in.refused(), refused(
		option{"Changing the gateway", in.GatewayIP.Set && in.GatewayIP.Or("") != s.GatewayIP},
		option{"Changing the allocation pool", len(pools) == 1 && (pools[0].Start.V != s.AllocationStart || pools[0].End.V != s.AllocationEnd)},
	))
	if err != nil {
		return nil, err
	}
	s, err = d.UpdateSubnet(ctx, r.ID, func(s *network.Subnet) error {
		in.Name.Into(&s.Name, "")
		in.Description.Into(&s.Description, "")
		in.AmphoraAddressPool.Into(&s.AmphoraPool, nil)
		if in.EnableDHCP.Given() {
			s.NoDHCP = !in.EnableDHCP.V
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return one(Request{}, "subnet", subnetView(s, n))
}

func (a *API) deleteSubnet(ctx context.Context, r Request) (any, error) {
	_, _, d, err := a.subnet(ctx, r.ID, write)
	if err == nil {
		err = inUse("SubnetInUse", d.DeleteSubnet(ctx, r.ID))
	}
	return nil, err
}
