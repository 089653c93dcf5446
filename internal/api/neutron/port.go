package neutron

import (
	"context"
	"slices"

	"github.com/google/uuid"

	"colonnade/internal/lb"
	"colonnade/internal/network"
)

// ports lists those that the caller may know of: of tenants' networks all of their own, amphorae's for operators alone.
func (a *API) ports(ctx context.Context) ([]network.Port, error) {
	d, err := a.driver()
	if err != nil {
		return nil, err
	}
	all, err := d.AllPorts(ctx)
	return slices.DeleteFunc(all, func(p network.Port) bool { return !a.seesPort(ctx, p) }), err
}

func (a *API) seesPort(ctx context.Context, p network.Port) bool {
	switch who := a.Who(ctx); p.Purpose {
	case network.PurposeTenant, network.PurposeVIP:
		return who.Reads(p.ProjectID)
	case network.PurposeManagement:
		return false
	default:
		return who.ReadsAll()
	}
}

// port finds one of those.
func (a *API) port(ctx context.Context, id string, to access) (network.Port, error) {
	d, err := a.driver()
	if err != nil {
		return network.Port{}, err
	}
	p, err := d.Port(ctx, id)
	if lb.KindOf(err) == lb.KindNotFound || err == nil && !a.seesPort(ctx, p) {
		return network.Port{}, hidden(portNotFound, portMissing, id)
	}
	if err == nil && to == write && !a.Who(ctx).Writes(p.ProjectID) {
		err = forbidden
	}
	if err == nil {
		p.Plugged, err = d.Plugged(id)
	}
	return p, err
}

func (a *API) listPorts(ctx context.Context, r Request) (any, error) {
	all, err := a.ports(ctx)
	if err != nil {
		return nil, err
	}
	views := make([]Port, len(all))
	for i, p := range all {
		views[i] = portView(p)
	}
	return listed(r, "ports", views)
}

func (a *API) showPort(ctx context.Context, r Request) (any, error) {
	p, err := a.port(ctx, r.ID, read)
	if err != nil {
		return nil, err
	}
	return one(r, "port", portView(p))
}

// refused answers for what ports cannot have.
func (in *PortCommon) refused() error {
	return refused(
		option{"A port that is administratively down", !in.AdminStateUp.Or(true)},
		option{"A port with several addresses", len(in.FixedIPs.V) > 1},
		option{"Choosing a MAC address", in.MACAddress.Or("") != ""},
		option{"A port with security groups", len(in.SecurityGroups.V) > 0},
		option{"A port without port security", !in.PortSecurityEnabled.Or(true)},
		option{"allowed_address_pairs", len(in.AllowedAddressPairs.V) > 0},
		option{"extra_dhcp_opts", len(in.ExtraDHCPOpts.V) > 0},
		option{"A binding", in.VnicType.Or("normal") != "normal" || in.HostID.Or("") != "" || len(in.Profile.V) > 0},
		option{"qos_policy_id", in.QosPolicyID.Given()},
		option{"A DNS name", in.DNSName.Or("") != "" || in.DNSDomain.Or("") != ""},
	)
}

func (a *API) createPort(ctx context.Context, r Request) (any, error) {
	if _, err := a.driver(); err != nil {
		return nil, err
	}
	var in PortCreate
	if err := a.Decode(r.Body, "port", "port", &in); err != nil {
		return nil, err
	}
	n, d, err := a.network(ctx, in.NetworkID.V, read)
	if err == nil && !a.uses(ctx, n) {
		err = forbidden
	}
	project := ""
	if err == nil {
		project, err = a.Project(ctx, in.ProjectID.Or(""), in.TenantID.Or(""))
	}
	if err == nil {
		err = in.refused()
	}
	if err == nil && in.FixedIPs.Set && len(in.FixedIPs.V) == 0 {
		err = refused(option{"A port without an address", true})
	}
	if err == nil && len(n.Subnets) == 0 {
		err = refused(option{"A port on a network without a subnet", true})
	}
	if err != nil {
		return nil, err
	}
	spec := network.PortSpec{
		ID: uuid.NewString(), NetworkID: n.ID, ProjectID: project, Name: in.Name.Or(""), Description: in.Description.Or(""),
		DeviceID: in.DeviceID.Or(""), DeviceOwner: in.DeviceOwner.Or(""),
	}
	if len(in.FixedIPs.V) == 1 {
		spec.SubnetID, spec.Address = in.FixedIPs.V[0].SubnetID.Or(""), in.FixedIPs.V[0].IPAddress.Or("")
	}
	p, err := d.CreatePort(ctx, spec)
	if err != nil {
		kind := "IpAddressGenerationFailure"
		if spec.Address != "" {
			kind = "IpAddressInUse"
		}
		return nil, inUse(kind, err)
	}
	return one(Request{}, "port", portView(p))
}

func (a *API) updatePort(ctx context.Context, r Request) (any, error) {
	p, err := a.port(ctx, r.ID, write)
	if err != nil {
		return nil, err
	}
	var in PortUpdate
	if err := a.Decode(r.Body, "port", "port", &in); err != nil {
		return nil, err
	}
	if in.MACAddress.Or(p.MAC) == p.MAC {
		in.MACAddress.V = ""
	}
	if err := in.refused(); err != nil {
		return nil, err
	}
	same := len(in.FixedIPs.V) == 1 && in.FixedIPs.V[0].SubnetID.Or(p.SubnetID) == p.SubnetID && in.FixedIPs.V[0].IPAddress.Or(p.Address) == p.Address
	if in.FixedIPs.Set && !same {
		return nil, refused(option{"Changing the address of a port", true})
	}
	if p.Purpose != network.PurposeTenant && (in.Name.Set || in.DeviceID.Set || in.DeviceOwner.Set) && !p.TenantMade {
		return nil, faultf("PortInUse", lb.KindConflict, "Port %s belongs to a load balancer.", r.ID)
	}
	updated, err := a.Networks.UpdatePort(ctx, r.ID, func(p *network.Port) error {
		in.Name.Into(&p.Name, "")
		in.Description.Into(&p.Description, "")
		in.DeviceID.Into(&p.DeviceID, "")
		in.DeviceOwner.Into(&p.DeviceOwner, "")
		return nil
	})
	if err != nil {
		return nil, typed(portNotFound, err)
	}
	updated.Plugged = p.Plugged
	return one(Request{}, "port", portView(updated))
}

func (a *API) deletePort(ctx context.Context, r Request) (any, error) {
	p, err := a.port(ctx, r.ID, write)
	if err == nil && p.Purpose != network.PurposeTenant {
		view := portView(p)
		err = faultf("PortInUse", lb.KindConflict, "Port %s is used by %s %s and cannot be deleted directly.", r.ID, view.DeviceOwner, view.DeviceID)
	}
	if err == nil {
		err = a.Networks.DeletePort(ctx, r.ID)
	}
	return nil, err
}
