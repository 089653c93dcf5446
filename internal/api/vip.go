package api

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"net/netip"
	"time"

	"github.com/google/uuid"

	"colonnade/internal/api/wire"
	"colonnade/internal/lb"
	"colonnade/internal/network"
	"colonnade/internal/store"
)

// vip is where a load balancer's VIP goes: an existing port, or one to be made.
type vip struct {
	network.Port      // with what is known so far
	owned        bool // the port is ours to make and to delete
}

// childID names a child of a load balancer so that a retry finds what the last try made.
func childID(lbID, what string) string {
	return uuid.NewSHA1(uuid.MustParse(lbID), []byte(what)).String()
}

// resolveVIP finds network and subnet of the VIP from port, network or subnet, in this order; it changes nothing.
func (s *server) resolveVIP(ctx context.Context, l lb.LoadBalancer, in wire.LoadBalancerCreate) (vip, error) {
	v := vip{owned: true, Port: network.Port{
		ID: childID(l.ID, "vip"), Address: in.VIPAddress.Or(""),
		NetworkID: in.VIPNetworkID.Or(""), SubnetID: in.VIPSubnetID.Or(""),
	}}
	s.invent(in.VIPPortID.Or(""), v.NetworkID, v.SubnetID, v.Address)
	var err error
	switch {
	case in.VIPPortID.Given():
		v, err = s.vipOfPort(ctx, v, in.VIPPortID.V)
	case v.NetworkID != "":
		err = s.vipOfNetwork(ctx, &v)
	case v.SubnetID != "":
		var subnet network.Subnet
		if subnet, err = s.tenantSubnet(ctx, v.SubnetID); err == nil {
			v.NetworkID, err = subnet.NetworkID, s.checkVIP(v.Address, subnet)
		}
	default:
		err = lb.Invalidf("VIP must contain one of: vip_port_id, vip_network_id, vip_subnet_id.")
	}
	if err != nil {
		return v, badReference(err)
	}
	return v, nil
}

// invent tells a driver whose networks exist because they are named what a request names together.
func (s *server) invent(portID, networkID, subnetID, address string) {
	if d, ok := s.Networks.(network.Inventor); ok {
		d.Invent(network.PortSpec{ID: portID, NetworkID: networkID, SubnetID: subnetID, Address: address})
	}
}

// vipOfPort takes a port that the tenant made; network, subnet and address of the request have to agree with it.
func (s *server) vipOfPort(ctx context.Context, want vip, portID string) (vip, error) {
	p, err := s.Networks.Port(ctx, portID)
	if err != nil {
		return want, err
	}
	switch {
	case p.ProjectID != "" && !principal(ctx).Writes(p.ProjectID):
		return want, lb.Faultf(lb.KindNotFound, "Port %s not found.", portID)
	case p.Purpose != network.PurposeTenant || p.Namespace != "":
		return want, lb.Faultf(lb.KindConflict, "VIP port %s is already used by '%s'. Please use another port.", portID, p.OwnerID)
	case want.NetworkID != "" && want.NetworkID != p.NetworkID:
		return want, lb.Invalidf("Port %s is not on network %s.", portID, want.NetworkID)
	case want.SubnetID != "" && want.SubnetID != p.SubnetID:
		return want, lb.Invalidf("Port %s is not on subnet %s.", portID, want.SubnetID)
	case want.Address != "" && want.Address != p.Address:
		return want, lb.Invalidf("Port %s does not have the address %s.", portID, want.Address)
	}
	users, err := s.Store.LoadBalancers(ctx, store.Query{Filters: map[string][]string{"vip_port_id": {portID}}, Limit: 1})
	if err == nil && len(users) > 0 {
		err = lb.Faultf(lb.KindConflict, "VIP port %s is already used by '%s'. Please use another port.", portID, users[0].ID)
	}
	return vip{Port: p}, err
}

// vipOfNetwork picks the subnet that has the address; without an address the driver picks one with room.
func (s *server) vipOfNetwork(ctx context.Context, v *vip) error {
	n, err := s.Networks.Network(ctx, v.NetworkID)
	if err == nil && !usable(ctx, n) {
		err = lb.Faultf(lb.KindNotFound, "Network %s not found.", v.NetworkID)
	}
	if err != nil {
		return err
	}
	for _, subnet := range n.Subnets {
		if v.SubnetID != "" && subnet.ID != v.SubnetID {
			continue
		}
		if v.Address == "" && v.SubnetID == "" {
			return nil // any
		}
		if err := s.checkVIP(v.Address, subnet); err == nil || v.SubnetID != "" {
			v.SubnetID = subnet.ID
			return err
		}
	}
	if v.SubnetID != "" {
		return lb.Invalidf("Subnet %s is not on network %s.", v.SubnetID, v.NetworkID)
	}
	return lb.Invalidf("Network %s has no subnet for VIP address '%s'.", v.NetworkID, v.Address)
}

// checkVIP refuses a subnet that does not have the address, or whose addresses cannot be VIPs here.
func (s *server) checkVIP(address string, subnet network.Subnet) error {
	p, err := netip.ParsePrefix(subnet.CIDR)
	if err != nil {
		return err
	}
	if a, err := netip.ParseAddr(address); err == nil && !p.Contains(a) {
		return lb.Invalidf("VIP address %s is not in subnet %s (%s).", address, subnet.ID, subnet.CIDR)
	}
	return s.Provider.Supports(&lb.Tree{LoadBalancer: lb.LoadBalancer{VIPAddress: p.Addr().String()}})
}

// plant makes the VIP's port and writes the tree and its cluster; the port goes again when that fails.
func (s *server) plant(ctx context.Context, t *lb.Tree, v vip, more []wire.AdditionalVIP, o lb.FlavorOptions) error {
	l := &t.LoadBalancer
	if !v.owned {
		if _, err := s.Networks.ClaimPort(ctx, v.ID, l.ID); err != nil {
			return badReference(err)
		}
	} else {
		port, err := s.Networks.EnsurePort(ctx, network.PortSpec{
			ID: v.ID, NetworkID: v.NetworkID, SubnetID: v.SubnetID, Address: v.Address,
			Purpose: network.PurposeVIP, OwnerID: l.ID, ProjectID: l.ProjectID,
		})
		if err != nil {
			return badReference(err)
		}
		l.VIPAddress, l.VIPSubnetID, l.VIPNetworkID, l.VIPPortID = port.Address, port.SubnetID, port.NetworkID, port.ID
	}
	key := make([]byte, 16)
	_, err := rand.Read(key)
	if err == nil {
		err = s.plugVIPs(ctx, l, more)
	}
	if err == nil {
		err = s.Store.CreateTree(ctx, *t, s.newCluster(*l, o, hex.EncodeToString(key)))
	}
	if err == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	for _, id := range l.VIPPorts() {
		if gone := s.Networks.ReleasePort(ctx, id); gone != nil {
			s.Log.ErrorContext(ctx, "port of a rejected load balancer left behind", "port_id", id, "lb_id", l.ID, "error", gone)
		}
	}
	return err
}

// newCluster is the cluster of a new load balancer, by its flavor and the operator's defaults.
func (s *server) newCluster(l lb.LoadBalancer, o lb.FlavorOptions, probeKey string) lb.Cluster {
	shape := s.Settings.With(o)
	c := lb.Cluster{
		ID: childID(l.ID, "cluster"), LoadBalancerID: l.ID, ProjectID: l.ProjectID, Name: "cluster-" + l.ID[:8], Type: shape.Type,
		DesiredSize: shape.DesiredSize, MinSize: shape.MinSize, StandbySize: shape.StandbySize, Affinity: shape.Affinity, Sharing: shape.Sharing,
		Cooldown: s.Settings.Cooldown, ProvisioningStatus: lb.PendingCreate, OperatingStatus: lb.Offline,
		Enabled: true, ProbeKey: probeKey,
	}
	if o.ComputeFlavor != nil {
		c.ComputeFlavor = *o.ComputeFlavor
	}
	if o.ImageTag != nil {
		c.ImageTag = *o.ImageTag
	}
	return c
}
