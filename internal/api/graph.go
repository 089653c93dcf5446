package api

import (
	"context"
	"reflect"

	"colonnade/internal/api/wire"
	"colonnade/internal/lb"
)

// newTree makes the whole tree of a create: listeners with their pools, pools with members and monitors. Pools are
// known by name within the request; one that has nothing but a name stands for another that is spelled out.
func (s *server) newTree(ctx context.Context, l lb.LoadBalancer, in wire.LoadBalancerCreate) (lb.Tree, error) {
	g := graph{parent: l, rules: s.Settings.Rules, byName: map[string]string{}}
	for _, p := range in.Pools.V {
		if isReference(p) {
			return lb.Tree{}, lb.Invalidf("Pool '%s' of the load balancer has only a name; its protocol and lb_algorithm are missing.", p.Name.V)
		}
		if err := g.addPool(p); err != nil {
			return lb.Tree{}, err
		}
	}
	for _, li := range in.Listeners.V {
		if li.DefaultPool.Given() && !isReference(li.DefaultPool.V) {
			if err := g.addPool(li.DefaultPool.V); err != nil {
				return lb.Tree{}, err
			}
		}
	}
	for _, li := range in.Listeners.V {
		if err := g.addListener(li); err != nil {
			return lb.Tree{}, err
		}
	}
	for _, p := range g.pools {
		for _, m := range p.Members {
			if err := s.checkMemberSubnet(ctx, m); err != nil {
				return lb.Tree{}, err
			}
		}
	}
	t, err := lb.NewTree(l, g.listeners, g.pools)
	if err != nil {
		return lb.Tree{}, err
	}
	return t, s.Provider.Supports(&t)
}

// graph is a tree under construction.
type graph struct {
	parent    lb.LoadBalancer
	rules     lb.Rules
	listeners []lb.Listener
	pools     []lb.Pool
	byName    map[string]string // pool name -> id
}

// isReference reports whether a pool has only a name, so that it stands for another one of the request.
func isReference(p wire.PoolCreate) bool {
	return p.Name.Given() && reflect.DeepEqual(p, wire.PoolCreate{PoolFields: wire.PoolFields{Name: p.Name}})
}

func (g *graph) addPool(in wire.PoolCreate) error {
	name := in.Name.Or("")
	switch {
	case name == "":
		return lb.Invalidf("Pools in a load balancer that is created with its children need a name.")
	case g.byName[name] != "":
		return lb.Invalidf("Pool name '%s' is given twice; names are unique within a request.", name)
	case in.LoadBalancerID.Set || in.ListenerID.Set:
		return lb.Invalidf("Pool '%s' is created with its load balancer; loadbalancer_id and listener_id do not belong here.", name)
	}
	p, err := newPool(in, g.parent, g.rules)
	if err != nil {
		return err
	}
	g.byName[name] = p.ID
	for _, mi := range in.Members.V {
		m, err := newMember(mi, p.ProjectID)
		if err != nil {
			return err
		}
		m.PoolID = p.ID
		p.Members = append(p.Members, m)
	}
	if in.HealthMonitor.Given() {
		if in.HealthMonitor.V.PoolID.Set {
			return lb.Invalidf("The health monitor of pool '%s' is created with it; pool_id does not belong here.", name)
		}
		h, err := newMonitor(in.HealthMonitor.V, p, g.rules)
		if err != nil {
			return err
		}
		p.HealthMonitor = &h
	}
	g.pools = append(g.pools, p)
	return nil
}

func (g *graph) addListener(in wire.ListenerCreate) error {
	if in.LoadBalancerID.Set {
		return lb.Invalidf("A listener that is created with its load balancer has no loadbalancer_id.")
	}
	if len(in.L7Policies.V) > 0 {
		return lb.Unsupported("l7policies")
	}
	l, err := newListener(in, g.parent, g.rules)
	if err != nil {
		return err
	}
	if in.DefaultPool.Given() {
		if in.DefaultPoolID.Given() {
			return lb.Invalidf("A listener has default_pool or default_pool_id, not both.")
		}
		name := in.DefaultPool.V.Name.Or("")
		if l.DefaultPoolID = g.byName[name]; l.DefaultPoolID == "" {
			return lb.Invalidf("Listener names pool '%s', which the request does not spell out.", name)
		}
	}
	g.listeners = append(g.listeners, l)
	return nil
}
