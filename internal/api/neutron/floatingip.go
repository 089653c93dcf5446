package neutron

import (
	"context"
	"slices"

	"github.com/google/uuid"

	"colonnade/internal/lb"
	"colonnade/internal/network"
)

// floatingIP reads one of the caller's.
func (a *API) floatingIP(ctx context.Context, id string, to access) (network.FloatingIP, Networks, error) {
	d, err := a.driver()
	if err != nil {
		return network.FloatingIP{}, nil, err
	}
	f, err := d.FloatingIP(ctx, id)
	if lb.KindOf(err) == lb.KindNotFound || err == nil && !a.Who(ctx).Reads(f.ProjectID) {
		return f, nil, hidden(floatingNotFound, floatingMissing, id)
	}
	if err == nil && to == write && !a.Who(ctx).Writes(f.ProjectID) {
		err = forbidden
	}
	return f, d, err
}

func (a *API) oneFloatingIP(ctx context.Context, r Request, f network.FloatingIP) (any, error) {
	ports := map[string]network.Port{}
	if f.PortID != "" {
		p, err := a.Networks.Port(ctx, f.PortID)
		if err == nil {
			p.Plugged, err = a.Networks.Plugged(p.ID)
		}
		if err != nil && lb.KindOf(err) != lb.KindNotFound { // gone since
			return nil, err
		}
		ports[p.ID] = p
	}
	return one(r, "floatingip", floatingView(f, ports))
}

func (a *API) listFloatingIPs(ctx context.Context, r Request) (any, error) {
	d, err := a.driver()
	if err != nil {
		return nil, err
	}
	all, err := d.FloatingIPs(ctx)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(f network.FloatingIP) bool { return !a.Who(ctx).Reads(f.ProjectID) })
	ports, err := d.AllPorts(ctx)
	if err != nil {
		return nil, err
	}
	byID := make(map[string]network.Port, len(ports))
	for _, p := range ports {
		byID[p.ID] = p
	}
	views := make([]FloatingIP, len(all))
	for i, f := range all {
		views[i] = floatingView(f, byID)
	}
	return listed(r, "floatingips", views)
}

func (a *API) showFloatingIP(ctx context.Context, r Request) (any, error) {
	f, _, err := a.floatingIP(ctx, r.ID, read)
	if err != nil {
		return nil, err
	}
	return a.oneFloatingIP(ctx, r, f)
}

// target checks the port that a floating IP is to stand for: one of the caller's, at the address that is named, if any.
func (a *API) target(ctx context.Context, in FloatingIPUpdate, projectID string) error {
	if !in.PortID.Given() {
		if in.FixedIPAddress.Given() {
			return lb.Faultf(lb.KindInvalid, "fixed_ip_address cannot be specified without a port_id")
		}
		return nil
	}
	p, err := a.port(ctx, in.PortID.V, write)
	switch {
	case err != nil:
		return err
	case p.ProjectID != projectID && !a.Who(ctx).Admin():
		return hidden(portNotFound, portMissing, p.ID)
	case in.FixedIPAddress.Or(p.Address) != p.Address:
		return lb.Faultf(lb.KindInvalid, "Port %s does not have fixed ip %s", p.ID, in.FixedIPAddress.V)
	case p.Gateway == "":
		return faultf("ExternalGatewayForFloatingIPNotFound", lb.KindNotFound,
			"External network is not reachable from subnet %s. Therefore, cannot associate Port %s with a Floating IP.", p.SubnetID, p.ID)
	}
	return nil
}

func (a *API) createFloatingIP(ctx context.Context, r Request) (any, error) {
	if _, err := a.driver(); err != nil {
		return nil, err
	}
	var in FloatingIPCreate
	if err := a.Decode(r.Body, "floatingip", "floatingip", &in); err != nil {
		return nil, err
	}
	project, err := a.Project(ctx, in.ProjectID.Or(""), in.TenantID.Or(""))
	if err != nil {
		return nil, err
	}
	n, d, err := a.network(ctx, in.FloatingNetworkID.V, read)
	if err == nil && !n.External {
		err = faultf("BadRequest", lb.KindInvalid, "Bad floatingip request: Network %s is not a valid external network.", n.ID)
	}
	if err == nil {
		err = refused(
			option{"qos_policy_id", in.QosPolicyID.Given()},
			option{"A DNS name", in.DNSName.Or("") != "" || in.DNSDomain.Or("") != ""},
			option{"A floating IP of IPv6", isIPv6(in.FloatingIPAddress.Or("")) || isIPv6(in.FixedIPAddress.Or(""))},
		)
	}
	if err == nil {
		err = a.target(ctx, in.FloatingIPUpdate, project)
	}
	if err != nil {
		return nil, err
	}
	f, err := d.EnsureFloatingIP(ctx, network.FloatingIPSpec{
		ID: uuid.NewString(), ProjectID: project, Description: in.Description.Or(""), NetworkID: n.ID, SubnetID: in.SubnetID.Or(""),
		Address: in.FloatingIPAddress.Or(""), PortID: in.PortID.Or(""),
	})
	if err != nil {
		kind := "IpAddressGenerationFailure"
		switch {
		case in.FloatingIPAddress.Given():
			kind = "IpAddressInUse"
		case in.PortID.Given():
			kind = "FloatingIPPortAlreadyAssociated"
		}
		return nil, inUse(kind, err)
	}
	return a.oneFloatingIP(ctx, Request{}, f)
}

func (a *API) updateFloatingIP(ctx context.Context, r Request) (any, error) {
	f, d, err := a.floatingIP(ctx, r.ID, write)
	if err != nil {
		return nil, err
	}
	var in FloatingIPUpdate
	if err := a.Decode(r.Body, "floatingip", "floatingip", &in); err != nil {
		return nil, err
	}
	err = refused(option{"qos_policy_id", in.QosPolicyID.Given()}, option{"A floating IP of IPv6", isIPv6(in.FixedIPAddress.Or(""))})
	if err == nil {
		err = a.target(ctx, in, f.ProjectID)
	}
	if err != nil {
		return nil, err
	}
	f, err = d.UpdateFloatingIP(ctx, r.ID, func(f *network.FloatingIP) error {
		in.Description.Into(&f.Description, "")
		in.PortID.Into(&f.PortID, "")
		return nil
	})
	if err != nil {
		return nil, inUse("FloatingIPPortAlreadyAssociated", err)
	}
	return a.oneFloatingIP(ctx, Request{}, f)
}

func (a *API) deleteFloatingIP(ctx context.Context, r Request) (any, error) {
	_, d, err := a.floatingIP(ctx, r.ID, write)
	if err == nil {
		err = d.DeleteFloatingIP(ctx, r.ID)
	}
	return nil, err
}
