package neutron

import (
	"context"

	"colonnade/internal/lb"
	"colonnade/internal/network"
)

// Named finds by id what nobody lists: with the no-op driver whatever is named exists, and clients look things up before
// they name them.
type Named interface {
	Network(ctx context.Context, id string) (network.Network, error)
	Subnet(ctx context.Context, id string) (network.Subnet, error)
	Port(ctx context.Context, id string) (network.Port, error)
}

// readable gives kinds, where networks are made elsewhere, the calls that need no more than Named.
func (a *API) readable(all []kind) []kind {
	if a.Networks != nil || a.Named == nil {
		return all
	}
	for i := range all {
		switch k := &all[i]; k.path {
		case "networks":
			k.list, k.show = lookUp(*k, a.Named.Network, networkNotFound, networkMissing, func(ctx context.Context, n network.Network) (Network, error) {
				return networkView(n), a.open(ctx, n)
			})
		case "subnets":
			k.list, k.show = lookUp(*k, a.Named.Subnet, subnetNotFound, subnetMissing, func(ctx context.Context, s network.Subnet) (Subnet, error) {
				n, err := a.Named.Network(ctx, s.NetworkID)
				if err == nil {
					err = a.open(ctx, n)
				}
				return subnetView(s, n), err
			})
		case "ports":
			k.list, k.show = lookUp(*k, a.Named.Port, portNotFound, portMissing, func(ctx context.Context, p network.Port) (Port, error) {
				if p.ProjectID != "" && !a.seesPort(ctx, p) {
					return Port{}, hidden(portNotFound, portMissing, p.ID)
				}
				return portView(p), nil
			})
		}
	}
	return all
}

// open refuses a network of a project that the caller does not see; one of no project is everybody's.
func (a *API) open(ctx context.Context, n network.Network) error {
	if n.ProjectID != "" && !a.sees(ctx, n) {
		return hidden(networkNotFound, networkMissing, n.ID)
	}
	return nil
}

// lookUp makes a list of those whose ids the query names, and a show.
func lookUp[T, V any](k kind, find func(context.Context, string) (T, error), word, missing string, view func(context.Context, T) (V, error)) (list, show Handler) {
	get := func(ctx context.Context, id string) (v V, err error) {
		found, err := find(ctx, id)
		if err == nil {
			v, err = view(ctx, found)
		}
		if kind := lb.KindOf(err); kind == lb.KindNotFound || kind == lb.KindInvalid {
			err = hidden(word, missing, id)
		}
		return v, err
	}
	list = func(ctx context.Context, r Request) (any, error) {
		views := []V{}
		for _, id := range r.Query["id"] {
			v, err := get(ctx, id)
			if lb.KindOf(err) == lb.KindNotFound {
				continue
			}
			if err != nil {
				return nil, err
			}
			views = append(views, v)
		}
		return listed(r, k.plural, views)
	}
	show = func(ctx context.Context, r Request) (any, error) {
		v, err := get(ctx, r.ID)
		if err != nil {
			return nil, err
		}
		return one(r, k.root, v)
	}
	return list, show
}
