package noop

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/google/uuid"

	"colonnade/internal/lb"
	"colonnade/internal/network"
)

var _ network.Inventor = (*Driver)(nil)

// Invent makes what a request names together belong together: a subnet is on the network that it is named with and of
// the IP version of the address, and so is a port. What is used stays where it is.
func (d *Driver) Invent(spec network.PortSpec) {
	address, err := netip.ParseAddr(spec.Address)
	isIPv6 := err == nil && address.Is6()
	networkID, _ := named("network", spec.NetworkID)
	subnetID, _ := named("subnet", spec.SubnetID)
	d.mu.Lock()
	defer d.mu.Unlock()
	if portID, err := named("port", spec.ID); err == nil {
		_, deleted := d.gone[uuid.MustParse(portID)]
		if _, there := d.ports[portID]; !there && !deleted {
			_, _ = d.adopt(network.PortSpec{ID: portID, NetworkID: networkID, SubnetID: subnetID, Address: spec.Address})
		}
		return
	}
	switch {
	case subnetID != "":
	case networkID == "":
		return
	case isIPv6: // a network that only this address is named with has a subnet for it, beside its first one
		if d.segments[networkID] == nil {
			d.place(derived(networkID, "subnet"), networkID)
		}
		subnetID = derived(networkID, "subnet6")
	default:
		return // its first subnet will do
	}
	home := d.home[subnetID]
	if home != "" && !d.used(subnetID) { // it was looked up alone, before it is named with the rest
		d.segments[home].subnets = slices.DeleteFunc(d.segments[home].subnets, func(id string) bool { return id == subnetID })
		delete(d.home, subnetID)
		networkID = cmp.Or(networkID, home)
	}
	if d.home[subnetID] == "" {
		d.place(subnetID, cmp.Or(networkID, derived(subnetID, "network")))
		d.ipv6[subnetID] = isIPv6 || address == (netip.Addr{}) && d.ipv6[subnetID]
	}
}

// used reports whether a port is on the subnet.
func (d *Driver) used(subnetID string) bool {
	for _, p := range d.ports {
		if p.SubnetID == subnetID {
			return true
		}
	}
	return false
}

// adopt takes a port for one that somebody else made. mu is held.
func (d *Driver) adopt(spec network.PortSpec) (network.Port, error) {
	networkID := cmp.Or(spec.NetworkID, d.home[spec.SubnetID], derived(spec.ID, "network"))
	subnetID := cmp.Or(spec.SubnetID, derived(networkID, "subnet"))
	if d.home[subnetID] == "" {
		address, err := netip.ParseAddr(spec.Address)
		d.ipv6[subnetID] = err == nil && address.Is6()
	}
	segment := d.place(subnetID, networkID)
	p := d.port(spec.ID, subnetID)
	p.Purpose = network.PurposeTenant // nobody's, until a load balancer claims it
	var err error
	if p.Address, err = segment.take(spec.Address, d.family(subnetID)); err != nil {
		return network.Port{}, lb.Faultf(lb.KindNotFound, "port %s not found: %s", spec.ID, err)
	}
	d.ports[spec.ID], d.foreign[spec.ID] = p, true
	return p, nil
}
