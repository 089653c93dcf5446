package api

import (
	"context"
	"reflect"

	"colonnade/internal/api/wire"
	"colonnade/internal/lb"
)

// newTree makes the whole tree of a create: listeners with their pools, policies and rules, pools with members and
// monitors. Pools are known by name within the request; one that has nothing but a name stands for another that is
// spelled out.
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
		if li.LoadBalancerID.Set {
			return lb.Tree{}, lb.Invalidf("A listener that is created with its load balancer has no loadbalancer_id.")
		}
	}
	if err := g.addListeners(in.Listeners.V...); err != nil {
		return lb.Tree{}, err
	}
	if err := s.checkMemberSubnets(ctx, g.pools); err != nil {
		return lb.Tree{}, err
	}
	if err := s.checkSRIOV(ctx, l.FlavorID, membersOf(g.pools)); err != nil {
		return lb.Tree{}, err
	}
	t, err := lb.NewTree(l, g.listeners, g.pools)
	if err != nil {
		return lb.Tree{}, err
	}
	if err := s.checkSecrets(ctx, l.ProjectID, t.Listeners, t.Pools); err != nil {
		return lb.Tree{}, err
	}
	return t, s.Provider.Supports(&t)
}

func (s *server) checkMemberSubnets(ctx context.Context, pools []lb.Pool) error {
	for _, p := range pools {
		for _, m := range p.Members {
			if err := s.checkMemberSubnet(ctx, m); err != nil {
				return err
			}
		}
	}
	return nil
}

func membersOf(pools []lb.Pool) (members []lb.Member) {
	for _, p := range pools {
		members = append(members, p.Members...)
	}
	return members
}

// grow adds what a request spells out to a load balancer.
func (s *server) grow(ctx context.Context, lbID, projectID string, growth lb.Growth) (lb.Tree, error) {
	if err := s.checkMemberSubnets(ctx, growth.Pools); err != nil {
		return lb.Tree{}, err
	}
	if err := s.checkSecrets(ctx, projectID, growth.Listeners, growth.Pools); err != nil {
		return lb.Tree{}, err
	}
	if err := s.checkSRIOVOf(ctx, lbID, membersOf(growth.Pools)); err != nil {
		return lb.Tree{}, err
	}
	return s.change(ctx, lbID, func(t *lb.Tree) error { return t.Grow(growth) })
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
		return lb.Invalidf("Pools that are created with what they are in need a name.")
	case g.byName[name] != "":
		return lb.Invalidf("Pool names must be unique when creating a fully populated loadbalancer.")
	case in.LoadBalancerID.Set || in.ListenerID.Set:
		return lb.Invalidf("Pool '%s' is created with what it is in; loadbalancer_id and listener_id do not belong here.", name)
	}
	p, err := newPool(in, g.parent, g.rules)
	if err != nil {
		return err
	}
	g.byName[name] = p.ID
	if err := fillPool(&p, in, g.rules); err != nil {
		return err
	}
	g.pools = append(g.pools, p)
	return nil
}

// fillPool gives a new pool the members and the monitor it was spelled out with.
func fillPool(p *lb.Pool, in wire.PoolCreate, rules lb.Rules) error {
	for _, mi := range in.Members.V {
		m, err := newMember(mi, p.ProjectID)
		if err != nil {
			return err
		}
		m.PoolID = p.ID
		p.Members = append(p.Members, m)
	}
	if !in.HealthMonitor.Given() {
		return nil
	}
	if in.HealthMonitor.V.PoolID.Set {
		return lb.Invalidf("The health monitor of pool '%s' is created with it; pool_id does not belong here.", p.Name)
	}
	h, err := newMonitor(in.HealthMonitor.V, *p, rules)
	if err != nil {
		return err
	}
	p.HealthMonitor = &h
	return nil
}

// addListeners adds listeners with what is inside them: first all pools, which any of them may name, then the rest.
func (g *graph) addListeners(listeners ...wire.ListenerCreate) error {
	for _, li := range listeners {
		if err := g.spellOut(li.DefaultPool); err != nil {
			return err
		}
		for _, p := range li.L7Policies.V {
			if err := g.spellOut(p.RedirectPool); err != nil {
				return err
			}
		}
	}
	for _, li := range listeners {
		if err := g.addListener(li); err != nil {
			return err
		}
	}
	return nil
}

// spellOut adds a pool where a reference may stand too.
func (g *graph) spellOut(p wire.Opt[wire.PoolCreate]) error {
	if !p.Given() || isReference(p.V) {
		return nil
	}
	return g.addPool(p.V)
}

// named is the id of the pool that a place in the request spells out or names.
func (g *graph) named(p wire.PoolCreate) (string, error) {
	name := p.Name.Or("")
	if g.byName[name] == "" {
		return "", lb.Invalidf("Pool '%s' was referenced but no full definition was found.", name)
	}
	return g.byName[name], nil
}

func (g *graph) addListener(in wire.ListenerCreate) error {
	l, err := newListener(in, g.parent, g.rules)
	if err != nil {
		return err
	}
	if in.DefaultPool.Given() {
		if in.DefaultPoolID.Given() {
			return lb.Invalidf("A listener has default_pool or default_pool_id, not both.")
		}
		if l.DefaultPoolID, err = g.named(in.DefaultPool.V); err != nil {
			return err
		}
	}
	for _, pi := range in.L7Policies.V {
		if pi.ListenerID.Set {
			return lb.Invalidf("An L7 policy that is created with its listener has no listener_id.")
		}
		p, err := g.newPolicy(pi)
		if err != nil {
			return err
		}
		l.L7Policies = append(l.L7Policies, p)
	}
	g.listeners = append(g.listeners, l)
	return nil
}
