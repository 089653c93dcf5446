package bridge

import (
	"net/netip"
	"slices"
	"strings"

	"colonnade/internal/lb"
	"colonnade/internal/network"
)

// completeSubnet checks a requested subnet and fills in what it leaves open: gateway and allocation pool.
func completeSubnet(s network.Subnet) (network.Subnet, error) {
	invalid := func(format string, args ...any) (network.Subnet, error) {
		return s, lb.Faultf(lb.KindInvalid, format, args...)
	}
	cidr, err := netip.ParsePrefix(s.CIDR)
	switch {
	case err != nil:
		return invalid("cidr %q is not an address range", s.CIDR)
	case !cidr.Addr().Is4():
		return s, lb.Faultf(lb.KindUnsupported, "cidr %s: the bridge driver knows IPv4 subnets only", s.CIDR)
	case cidr != cidr.Masked():
		return invalid("cidr %s has host bits set, did you mean %s?", s.CIDR, cidr.Masked())
	case cidr.Bits() < 8 || cidr.Bits() > 29:
		return invalid("cidr %s: the prefix length has to be between 8 and 29", s.CIDR)
	case cidr.Addr().IsLoopback() || cidr.Addr().IsMulticast() || cidr.Addr().IsUnspecified() || cidr.Addr().IsLinkLocalUnicast():
		return invalid("cidr %s is reserved", s.CIDR)
	}
	first, last := cidr.Addr().Next(), network.LastOf(cidr).Prev()

	switch s.GatewayIP {
	case network.NoGateway:
		s.GatewayIP = ""
	case "":
		s.GatewayIP = first.String()
	default:
		gw, err := netip.ParseAddr(s.GatewayIP)
		if err != nil || !cidr.Contains(gw) || gw.Less(first) || last.Less(gw) {
			return invalid("gateway_ip %q is no host address in %s", s.GatewayIP, s.CIDR)
		}
		s.GatewayIP = gw.String()
	}
	if (s.AllocationStart == "") != (s.AllocationEnd == "") {
		return invalid("an allocation pool needs both start and end")
	}
	if s.AllocationStart == "" {
		if s.GatewayIP == first.String() {
			first = first.Next()
		}
		if s.GatewayIP == last.String() {
			last = last.Prev()
		}
		s.AllocationStart, s.AllocationEnd = first.String(), last.String()
		return s, checkAmphoraPool(s)
	}
	start, err1 := netip.ParseAddr(s.AllocationStart)
	end, err2 := netip.ParseAddr(s.AllocationEnd)
	if err1 != nil || err2 != nil || start.Less(first) || last.Less(end) || end.Less(start) {
		return invalid("allocation pool %s-%s is not inside %s", s.AllocationStart, s.AllocationEnd, s.CIDR)
	}
	if gw, err := netip.ParseAddr(s.GatewayIP); err == nil && !gw.Less(start) && !end.Less(gw) {
		return invalid("gateway_ip %s lies in the allocation pool %s-%s", s.GatewayIP, s.AllocationStart, s.AllocationEnd)
	}
	s.AllocationStart, s.AllocationEnd = start.String(), end.String()
	return s, checkAmphoraPool(s)
}

// checkAmphoraPool refuses ranges that the subnet has not.
func checkAmphoraPool(s network.Subnet) error {
	cidr, err := netip.ParsePrefix(s.CIDR)
	if err != nil {
		return err
	}
	for _, one := range s.AmphoraPool {
		r, err := network.ParseRange(one)
		if err != nil {
			return lb.Faultf(lb.KindInvalid, "amphora address pool: %s", err)
		}
		if !cidr.Contains(r.First) || !cidr.Contains(r.Last) {
			return lb.Faultf(lb.KindInvalid, "amphora address pool %s is not inside %s", one, s.CIDR)
		}
	}
	return nil
}

// checkOverlap refuses a subnet that shares addresses with another: one gateway namespace and one host route to all.
func checkOverlap(wanted network.Subnet, existing []network.Subnet) error {
	w, err := netip.ParsePrefix(wanted.CIDR)
	if err != nil {
		return err
	}
	for _, e := range existing {
		if p, err := netip.ParsePrefix(e.CIDR); err == nil && e.ID != wanted.ID && p.Overlaps(w) {
			return lb.Faultf(lb.KindConflict, "subnet %s overlaps subnet %s (%s)", wanted.CIDR, e.CIDR, e.ID)
		}
	}
	return nil
}

// chooseAddress decides subnet and address of a new port: the one asked for, or the lowest free one of the pool of the
// first subnet that has any.
func chooseAddress(spec network.PortSpec, subnets []network.Subnet, taken map[string]bool) (subnetID, address string, err error) {
	if spec.SubnetID != "" {
		i := slices.IndexFunc(subnets, func(s network.Subnet) bool { return s.ID == spec.SubnetID })
		if i < 0 {
			return "", "", lb.Faultf(lb.KindInvalid, "subnet %s is not on network %s", spec.SubnetID, spec.NetworkID)
		}
		subnets = subnets[i : i+1]
	}
	if spec.Address != "" {
		return fixedAddress(spec.Address, subnets, taken)
	}
	for _, s := range subnets {
		from, except := rangesOf(spec, s)
		for _, r := range from {
			for a := r.First; !r.Last.Less(a); a = a.Next() {
				skip := slices.ContainsFunc(except, func(r network.Range) bool { return r.Contains(a) })
				if !skip && a.String() != s.GatewayIP && !taken[a.String()] {
					return s.ID, a.String(), nil
				}
			}
		}
	}
	if pool := poolOf(spec, subnets); len(pool) > 0 {
		return "", "", lb.Faultf(lb.KindConflict, "the amphorae's address pool %s on network %s has no free address", strings.Join(pool, ", "), spec.NetworkID)
	}
	return "", "", lb.Faultf(lb.KindConflict, "network %s has no free address", spec.NetworkID)
}

// poolOf is the pool that an amphora's address on these subnets has to come from; empty when there is none.
func poolOf(spec network.PortSpec, subnets []network.Subnet) []string {
	if spec.Purpose != network.PurposeFrontEnd && spec.Purpose != network.PurposeBackEnd {
		return nil
	}
	for _, s := range subnets {
		if len(within(spec.Pool, s)) > 0 {
			return spec.Pool
		}
	}
	for _, s := range subnets {
		if len(s.AmphoraPool) > 0 {
			return s.AmphoraPool
		}
	}
	return nil
}

// rangesOf are the ranges of a subnet that an address for spec is taken from, but for those excepted: amphorae have their
// pool to themselves. Of an IPv6 subnet there are none.
func rangesOf(spec network.PortSpec, s network.Subnet) (from, except []network.Range) {
	own := within(s.AmphoraPool, s)
	if spec.Purpose == network.PurposeFrontEnd || spec.Purpose == network.PurposeBackEnd {
		if asked := within(spec.Pool, s); len(asked) > 0 {
			return asked, nil
		}
		if len(own) > 0 {
			return own, nil
		}
	}
	all, err := network.ParseRange(s.AllocationStart + "-" + s.AllocationEnd)
	if err != nil {
		return nil, nil
	}
	return []network.Range{all}, own
}

// within are the parts of a pool that are addresses of machines in the subnet.
func within(pool []string, s network.Subnet) (out []network.Range) {
	cidr, err := netip.ParsePrefix(s.CIDR)
	if err != nil || !cidr.Addr().Is4() {
		return nil
	}
	for _, one := range pool {
		if r, err := network.ParseRange(one); err == nil { // checked when it was set
			if r, ok := r.Within(network.Hosts(cidr)); ok {
				out = append(out, r)
			}
		}
	}
	return out
}

func fixedAddress(address string, subnets []network.Subnet, taken map[string]bool) (string, string, error) {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return "", "", lb.Faultf(lb.KindInvalid, "%q is not an IP address", address)
	}
	for _, s := range subnets {
		cidr, err := netip.ParsePrefix(s.CIDR)
		if err != nil || !cidr.Contains(a) {
			continue
		}
		switch {
		case a == cidr.Addr() || a == network.LastOf(cidr):
			return "", "", lb.Faultf(lb.KindInvalid, "address %s is no host address of subnet %s", a, s.CIDR)
		case a.String() == s.GatewayIP:
			return "", "", lb.Faultf(lb.KindConflict, "address %s is the gateway of subnet %s", a, s.CIDR)
		case taken[a.String()]:
			return "", "", lb.Faultf(lb.KindConflict, "address %s is in use", a)
		}
		return s.ID, a.String(), nil
	}
	return "", "", lb.Faultf(lb.KindInvalid, "address %s is in none of the subnets asked for", a)
}
