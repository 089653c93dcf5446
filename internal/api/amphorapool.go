package api

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	"colonnade/internal/api/wire"
	"colonnade/internal/lb"
	"colonnade/internal/network"
)

// maxPool is how many ranges a pool has at most; all are walked for each amphora.
const maxPool = 16

// amphoraPool reads the ranges that a load balancer's amphorae take their addresses from. Each has to lie in a subnet that
// the caller may use: one that lies nowhere would do nothing, and nobody would know.
func (s *server) amphoraPool(ctx context.Context, given wire.Opt[[]string]) ([]string, error) {
	const field = "amphora_address_pool"
	if len(given.V) > maxPool {
		return nil, lb.Invalidf("Invalid input for field/attribute %s. Value should be a list of at most %d ranges", field, maxPool)
	}
	var nets []network.Network
	if len(given.V) > 0 && s.Operator != nil {
		var err error
		if nets, err = s.Operator.Networks(ctx); err != nil {
			return nil, err
		}
	}
	var pool []string
	for _, one := range given.V {
		one = strings.TrimSpace(one)
		r, err := network.ParseRange(one)
		if err != nil {
			return nil, lb.InvalidField(field, one, "Value should be a range of IPv4 addresses, as 198.18.10.192/27 or 198.18.10.200-198.18.10.220")
		}
		if s.Operator != nil && !slices.ContainsFunc(nets, func(n network.Network) bool { return usable(ctx, n) && has(n, r) }) {
			return nil, lb.InvalidField(field, one, "Value should lie in a subnet")
		}
		pool = append(pool, one)
	}
	return pool, nil
}

// has reports whether a subnet of the network has the whole range.
func has(n network.Network, r network.Range) bool {
	return slices.ContainsFunc(n.Subnets, func(s network.Subnet) bool {
		cidr, err := netip.ParsePrefix(s.CIDR)
		return err == nil && cidr.Contains(r.First) && cidr.Contains(r.Last)
	})
}
