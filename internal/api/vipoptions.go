package api

import (
	"context"
	"net/netip"

	"colonnade/internal/api/wire"
	"colonnade/internal/lb"
	"colonnade/internal/network"
)

// What a load balancer's VIPs have beside their place: more addresses, a quality of service, security groups and the
// kind of their ports.

// setVIPOptions puts what the request says of them into a new load balancer, whose primary VIP has its network.
func (s *server) setVIPOptions(ctx context.Context, l *lb.LoadBalancer, v *vip, in wire.LoadBalancerCreate, flavor lb.FlavorOptions) error {
	if err := s.checkQoSPolicy(ctx, in.VIPQosPolicyID); err != nil {
		return err
	}
	if err := s.checkSecurityGroups(ctx, in.VIPSgIDs.V); err != nil {
		return err
	}
	in.VIPQosPolicyID.Into(&l.VIPQoSPolicyID, "")
	in.VIPSgIDs.Into(&l.VIPSecurityGroups, nil)
	if flavor.SRIOVVIP != nil && *flavor.SRIOVVIP {
		l.VIPVnicType = lb.VnicDirect
		if len(l.VIPSecurityGroups) > 0 {
			return lb.Invalidf("VIP Security Groups are not allowed with VNIC direct type")
		}
	}
	return s.addVIPs(ctx, l, v, in.AdditionalVIPs.V)
}

// addVIPs finds the subnets of the additional VIPs. An address that is still to be allocated stands as its subnet's own.
func (s *server) addVIPs(ctx context.Context, l *lb.LoadBalancer, v *vip, wanted []wire.AdditionalVIP) error {
	if len(wanted) == 0 {
		return nil
	}
	for _, w := range wanted {
		s.invent("", v.NetworkID, w.SubnetID.V, w.IPAddress.Or(""))
	}
	if v.SubnetID == "" { // the driver would pick one, and perhaps one of these
		n, err := s.Networks.Network(ctx, v.NetworkID)
		if err != nil {
			return badReference(err)
		}
		v.SubnetID = firstSubnet(n)
	}
	l.VIPSubnetID = v.SubnetID
	for _, w := range wanted {
		s.invent("", v.NetworkID, w.SubnetID.V, w.IPAddress.Or(""))
		subnet, err := s.tenantSubnet(ctx, w.SubnetID.V)
		if err != nil {
			return badReference(err)
		}
		if subnet.NetworkID != v.NetworkID {
			return lb.Invalidf("All VIP subnets must belong to the same network.")
		}
		prefix, err := netip.ParsePrefix(subnet.CIDR)
		if err != nil {
			return err
		}
		address := prefix.Masked().Addr()
		if w.IPAddress.Given() {
			if address, err = netip.ParseAddr(w.IPAddress.V); err != nil || !prefix.Contains(address) {
				return lb.Invalidf("VIP address %s is not in subnet %s (%s).", w.IPAddress.V, subnet.ID, subnet.CIDR)
			}
		}
		l.AdditionalVIPs = append(l.AdditionalVIPs, lb.AdditionalVIP{
			SubnetID: subnet.ID, Address: address.String(), PortID: childID(l.ID, "vip "+subnet.ID),
		})
	}
	return lb.CheckAdditionalVIPs(*l)
}

// firstSubnet is the one that a VIP without a subnet goes to: the first IPv4 one, else the first.
func firstSubnet(n network.Network) string {
	for _, subnet := range n.Subnets {
		if p, err := netip.ParsePrefix(subnet.CIDR); err == nil && p.Addr().Is4() {
			return subnet.ID
		}
	}
	if len(n.Subnets) > 0 {
		return n.Subnets[0].ID
	}
	return ""
}

// plugVIPs makes the ports of the additional VIPs, with the addresses that the request names.
func (s *server) plugVIPs(ctx context.Context, l *lb.LoadBalancer, wanted []wire.AdditionalVIP) error {
	for i := range l.AdditionalVIPs {
		v := &l.AdditionalVIPs[i]
		port, err := s.Networks.EnsurePort(ctx, network.PortSpec{
			ID: v.PortID, NetworkID: l.VIPNetworkID, SubnetID: v.SubnetID, Address: wanted[i].IPAddress.Or(""),
			Purpose: network.PurposeVIP, OwnerID: l.ID, ProjectID: l.ProjectID,
		})
		if err != nil {
			return badReference(err)
		}
		v.Address = port.Address
	}
	return nil
}

// checkQoSPolicy refuses a policy that is not there, and any where the network service has no quality of service.
func (s *server) checkQoSPolicy(ctx context.Context, id wire.Opt[string]) error {
	if !id.Given() {
		return nil
	}
	d, able := s.Networks.(network.QoSPolicies)
	if !able {
		return lb.Invalidf("VIP QoS policy is not allowed in this deployment.")
	}
	return badReference(d.QoSPolicy(ctx, id.V))
}

// checkSecurityGroups refuses groups that are not there or not the caller's.
func (s *server) checkSecurityGroups(ctx context.Context, ids []string) error {
	for _, id := range ids {
		d, able := s.Networks.(network.SecurityGroups)
		if !able {
			return lb.Invalidf("VIP security groups are not allowed in this deployment.")
		}
		g, err := d.SecurityGroup(ctx, id)
		if lb.KindOf(err) == lb.KindNotFound || err == nil && g.ProjectID != "" && !principal(ctx).Writes(g.ProjectID) {
			err = lb.Faultf(lb.KindInvalid, "Security Group %s not found.", id)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// changeVIPOptions changes those that an update may change.
func changeVIPOptions(t *lb.Tree, l *lb.LoadBalancer, in wire.LoadBalancerUpdate) error {
	in.VIPQosPolicyID.Into(&l.VIPQoSPolicyID, "")
	in.VIPSgIDs.Into(&l.VIPSecurityGroups, nil)
	if len(l.VIPSecurityGroups) > 0 && l.VIPVnicType == lb.VnicDirect {
		return lb.Invalidf("VIP Security Groups are not allowed with VNIC direct type")
	}
	if in.VIPSgIDs.Set {
		for i := range t.Listeners {
			if err := lb.CheckAllowedCIDRs(t.Listeners[i].AllowedCIDRs, *l); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkSRIOV refuses members that ask for a port of their own kind where the load balancer's flavor does not allow it.
func (s *server) checkSRIOV(ctx context.Context, flavorID string, members []lb.Member) error {
	asked := false
	for _, m := range members {
		asked = asked || m.VnicType == lb.VnicDirect
	}
	if !asked {
		return nil
	}
	if flavorID != "" {
		_, p, err := s.Store.OfferWithProfile(ctx, lb.OfferFlavor, flavorID)
		if err != nil {
			return err
		}
		o, err := lb.ParseFlavorOptions(p.Data, s.Provider.FlavorCapabilities())
		if err != nil {
			return err
		}
		if o.AllowMemberSRIOV != nil && *o.AllowMemberSRIOV {
			return nil
		}
	}
	return lb.Invalidf("The load balancer flavor does not allow SR-IOV member ports.")
}

// checkSRIOVOf does the same for a load balancer that there is.
func (s *server) checkSRIOVOf(ctx context.Context, lbID string, members []lb.Member) error {
	for _, m := range members {
		if m.VnicType != lb.VnicDirect {
			continue
		}
		l, err := byID(ctx, s.Store.LoadBalancers, "Load Balancer", lbID)
		if err != nil {
			return err
		}
		return s.checkSRIOV(ctx, l.FlavorID, members)
	}
	return nil
}
