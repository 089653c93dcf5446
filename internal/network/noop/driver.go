// Package noop is a network driver without a network: whatever network, subnet or port is named exists, and ports get
// addresses that nobody uses. It keeps what it said, so that it never says anything else, and forgets it with the
// process. For tests of clients and for measuring the control plane alone.
package noop

import (
	"cmp"
	"context"
	"crypto/sha256"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/google/uuid"

	"colonnade/internal/lb"
	"colonnade/internal/network"
)

// mtu is every network's.
const mtu = 1500

// family is what every subnet of an IP version looks like: any address of it is in the subnet, so that a request may
// name any. The gateway is one that nobody names.
type family struct{ cidr, gateway, first, last string }

var (
	ipv4 = &family{"0.0.0.0/0", "10.255.255.255", "10.0.0.2", "10.255.255.254"}
	ipv6 = &family{"::/0", "fd00::ffff:ffff", "fd00::2", "fd00::ffff:fffe"}
)

// managementID is the network of agents that are not there either.
var managementID = derived(uuid.NameSpaceOID.String(), "colonnade management")

// Driver implements network.Driver. It is safe for concurrent use.
type Driver struct {
	mu       sync.Mutex
	segments map[string]*segment // networks by id
	home     map[string]string   // networks' ids by their subnets'
	ipv6     map[string]bool     // subnets' ids; all others are of IPv4
	ports    map[string]network.Port
	foreign  map[string]bool        // ports that the driver did not make: they were named, and so they exist
	gone     map[uuid.UUID]struct{} // ports that were deleted: they do not come back by being named
	floating map[string]network.FloatingIP
}

// segment is one network.
type segment struct {
	subnets []string
	used    map[string]bool // addresses
	next    map[*family]netip.Addr
}

var (
	_ network.Driver     = (*Driver)(nil)
	_ network.Management = (*Driver)(nil)
)

// New makes a driver.
func New() *Driver {
	d := &Driver{
		segments: map[string]*segment{}, home: map[string]string{}, ipv6: map[string]bool{}, ports: map[string]network.Port{},
		foreign: map[string]bool{}, gone: map[uuid.UUID]struct{}{}, floating: map[string]network.FloatingIP{},
	}
	d.place(derived(managementID, "subnet"), managementID)
	return d
}

// derived is an id that follows from another one.
func derived(id, what string) string {
	space, err := uuid.Parse(id)
	if err != nil {
		space = uuid.NameSpaceOID
	}
	return uuid.NewSHA1(space, []byte(what)).String()
}

// named returns the one form of an id, or that what it names does not exist: only UUIDs do.
func named(what, id string) (string, error) {
	u, err := uuid.Parse(id)
	if err != nil {
		return "", lb.Faultf(lb.KindNotFound, "%s %s not found", what, id)
	}
	return u.String(), nil
}

// place puts a subnet on a network. mu is held, or nobody else is there yet.
func (d *Driver) place(subnetID, networkID string) *segment {
	s := d.segments[networkID]
	if s == nil {
		s = &segment{used: map[string]bool{}, next: map[*family]netip.Addr{
			ipv4: netip.MustParseAddr(ipv4.first), ipv6: netip.MustParseAddr(ipv6.first),
		}}
		d.segments[networkID] = s
	}
	if d.home[subnetID] == "" {
		d.home[subnetID] = networkID
		s.subnets = append(s.subnets, subnetID)
	}
	return s
}

// Probe is content everywhere.
func (d *Driver) Probe(ctx context.Context) error { return ctx.Err() }

// Subnet finds any subnet: on the network it was first named with, or on one of its own.
func (d *Driver) Subnet(ctx context.Context, id string) (network.Subnet, error) {
	if err := ctx.Err(); err != nil {
		return network.Subnet{}, err
	}
	id, err := named("subnet", id)
	if err != nil {
		return network.Subnet{}, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.home[id] == "" {
		d.place(id, derived(id, "network"))
	}
	return d.subnet(id), nil
}

func (d *Driver) subnet(id string) network.Subnet {
	f := d.family(id)
	return network.Subnet{
		ID: id, NetworkID: d.home[id], Name: "noop", CIDR: f.cidr, GatewayIP: f.gateway, AllocationStart: f.first, AllocationEnd: f.last,
	}
}

func (d *Driver) family(subnetID string) *family {
	if d.ipv6[subnetID] {
		return ipv6
	}
	return ipv4
}

// Network finds any network, with the subnets that were named on it and at least one.
func (d *Driver) Network(ctx context.Context, id string) (network.Network, error) {
	if err := ctx.Err(); err != nil {
		return network.Network{}, err
	}
	id, err := named("network", id)
	if err != nil {
		return network.Network{}, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.segments[id] == nil {
		d.place(derived(id, "subnet"), id)
	}
	n := network.Network{ID: id, Name: "noop", MTU: mtu}
	for _, s := range d.segments[id].subnets {
		n.Subnets = append(n.Subnets, d.subnet(s))
	}
	return n, nil
}

// EnsurePort makes a port.
func (d *Driver) EnsurePort(ctx context.Context, spec network.PortSpec) (network.Port, error) {
	if err := ctx.Err(); err != nil {
		return network.Port{}, err
	}
	id, err := named("port", spec.ID)
	if err != nil {
		return network.Port{}, lb.Faultf(lb.KindInvalid, "port id %q is not a UUID", spec.ID)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if p, ok := d.ports[id]; ok {
		return p, nil
	}
	subnetID, err := d.choose(spec)
	if err != nil {
		return network.Port{}, err
	}
	p := d.port(id, subnetID)
	p.Purpose, p.OwnerID, p.ProjectID = spec.Purpose, spec.OwnerID, spec.ProjectID
	if p.Address, err = d.segments[p.NetworkID].takeFor(spec, d.family(subnetID)); err != nil {
		return network.Port{}, err
	}
	d.ports[id] = p
	delete(d.gone, uuid.MustParse(id))
	return p, nil
}

// choose decides a new port's subnet.
func (d *Driver) choose(spec network.PortSpec) (subnetID string, err error) {
	networkID := spec.NetworkID
	if spec.Purpose == network.PurposeManagement && networkID == "" && spec.SubnetID == "" {
		networkID = managementID
	}
	if networkID != "" {
		if networkID, err = named("network", networkID); err != nil {
			return "", err
		}
	}
	if (networkID == managementID) != (spec.Purpose == network.PurposeManagement) {
		return "", lb.Faultf(lb.KindInvalid, "network %s is not for %s ports", networkID, spec.Purpose)
	}
	if spec.SubnetID == "" {
		if networkID == "" {
			return "", lb.Faultf(lb.KindInvalid, "a port needs a network or a subnet")
		}
		if d.segments[networkID] == nil {
			d.place(derived(networkID, "subnet"), networkID)
		}
		return d.segments[networkID].subnets[0], nil
	}
	if subnetID, err = named("subnet", spec.SubnetID); err != nil {
		return "", err
	}
	if networkID == "" {
		networkID = cmp.Or(d.home[subnetID], derived(subnetID, "network"))
	}
	if home := d.home[subnetID]; home != "" && home != networkID {
		return "", lb.Faultf(lb.KindInvalid, "subnet %s is not on network %s", subnetID, networkID)
	}
	d.place(subnetID, networkID)
	return subnetID, nil
}

// port is one without address and owner.
func (d *Driver) port(id, subnetID string) network.Port {
	sum := sha256.Sum256([]byte(id))
	mac := net.HardwareAddr(sum[:6])
	mac[0] = mac[0]&^1 | 2 // of one station, locally administered
	f := d.family(subnetID)
	return network.Port{ID: id, NetworkID: d.home[subnetID], SubnetID: subnetID, MAC: mac.String(), CIDR: f.cidr, Gateway: f.gateway, MTU: mtu}
}

// takeFor gives an amphora an address of its pool, and anybody else any.
func (s *segment) takeFor(spec network.PortSpec, f *family) (string, error) {
	amphora := spec.Purpose == network.PurposeFrontEnd || spec.Purpose == network.PurposeBackEnd
	if spec.Address != "" || !amphora || len(spec.Pool) == 0 {
		return s.take(spec.Address, f)
	}
	for _, one := range spec.Pool {
		r, err := network.ParseRange(one)
		if err != nil {
			return "", lb.Faultf(lb.KindInvalid, "amphora address pool: %s", err)
		}
		for a := r.First; !r.Last.Less(a); a = a.Next() {
			if !s.used[a.String()] && a.String() != f.gateway {
				return s.take(a.String(), f)
			}
		}
	}
	return "", lb.Faultf(lb.KindConflict, "the amphorae's address pool %s has no free address", strings.Join(spec.Pool, ", "))
}

// take gives out an address, the one asked for or the next free one.
func (s *segment) take(wanted string, f *family) (string, error) {
	if wanted != "" {
		a, err := netip.ParseAddr(wanted)
		switch {
		case err != nil:
			return "", lb.Faultf(lb.KindInvalid, "%q is not an IP address", wanted)
		case a.Is4() != (f == ipv4) || !a.IsGlobalUnicast() && !a.IsLinkLocalUnicast():
			return "", lb.Faultf(lb.KindInvalid, "address %s is no host address of subnet %s", a, f.cidr)
		case a.String() == f.gateway:
			return "", lb.Faultf(lb.KindConflict, "address %s is the gateway of subnet %s", a, f.cidr)
		case s.used[a.String()]:
			return "", lb.Faultf(lb.KindConflict, "address %s is in use", a)
		}
		s.used[a.String()] = true
		return a.String(), nil
	}
	for end := netip.MustParseAddr(f.last); !end.Less(s.next[f]); s.next[f] = s.next[f].Next() {
		if a := s.next[f].String(); !s.used[a] {
			s.used[a], s.next[f] = true, s.next[f].Next()
			return a, nil
		}
	}
	return "", lb.Faultf(lb.KindConflict, "no free address")
}

// Port finds a port that was made, or takes any other UUID for a port that somebody else made.
func (d *Driver) Port(ctx context.Context, id string) (network.Port, error) {
	if err := ctx.Err(); err != nil {
		return network.Port{}, err
	}
	id, err := named("port", id)
	if err != nil {
		return network.Port{}, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if p, ok := d.ports[id]; ok {
		return p, nil
	}
	if _, deleted := d.gone[uuid.MustParse(id)]; deleted {
		return network.Port{}, lb.Faultf(lb.KindNotFound, "port %s not found", id)
	}
	return d.adopt(network.PortSpec{ID: id})
}

// DeletePort gives the address back.
func (d *Driver) DeletePort(ctx context.Context, id string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	u, err := uuid.Parse(id)
	if err != nil {
		return nil // nothing has such an id
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if p, ok := d.ports[u.String()]; ok {
		s, f := d.segments[p.NetworkID], d.family(p.SubnetID)
		delete(s.used, p.Address)
		if a := netip.MustParseAddr(p.Address); a.Less(s.next[f]) && !a.Less(netip.MustParseAddr(f.first)) {
			s.next[f] = a
		}
		delete(d.ports, p.ID)
		delete(d.foreign, p.ID)
	}
	d.gone[u] = struct{}{}
	return nil
}

// Ports lists the ports that the driver made.
func (d *Driver) Ports(ctx context.Context, ownerID string) ([]network.Port, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []network.Port
	for id, p := range d.ports {
		if !d.foreign[id] && (ownerID == "" || p.OwnerID == ownerID) {
			out = append(out, p)
		}
	}
	slices.SortFunc(out, func(a, b network.Port) int { return cmp.Compare(a.ID, b.ID) })
	return out, nil
}
