package api

import (
	"context"

	"github.com/google/uuid"

	"colonnade/internal/api/wire"
	"colonnade/internal/lb"
	"colonnade/internal/store"
)

func poolItemView(p store.PoolItem) wire.Pool {
	return poolView(p.Pool, p.ListenerIDs, p.MemberIDs, p.HealthMonitorID)
}

func (s *server) listPools(ctx context.Context, c *call) (any, error) {
	return listed(ctx, c, "pools", s.Store.Pools, each(poolItemView), func(p store.PoolItem) string { return p.ID })
}

func (s *server) showPool(ctx context.Context, c *call) (any, error) {
	p, err := byID(ctx, s.Store.Pools, "Pool", c.id())
	if err == nil {
		err = mayRead(ctx, p.ProjectID)
	}
	if err != nil {
		return nil, err
	}
	return one(c, "pool", poolItemView(p))
}

// writablePool reads the pool of the path, for changing it.
func (s *server) writablePool(ctx context.Context, id string) (store.PoolItem, error) {
	p, err := byID(ctx, s.Store.Pools, "Pool", id)
	if err != nil {
		return p, err
	}
	return p, mayWrite(ctx, p.ProjectID)
}

func (s *server) createPool(ctx context.Context, c *call) (any, error) {
	var in wire.PoolCreate
	if err := decodeBody(c.body, "pool_", "pool", &in); err != nil {
		return nil, err
	}
	lbID := in.LoadBalancerID.V
	if in.ListenerID.Given() {
		l, err := byID(ctx, s.Store.Listeners, "Listener", in.ListenerID.V)
		if err != nil {
			return nil, err
		}
		if lbID != "" && lbID != l.LoadBalancerID {
			return nil, notFound("Listener", in.ListenerID.V) // none of that load balancer
		}
		lbID = l.LoadBalancerID
	}
	if lbID == "" {
		return nil, lb.Invalidf("Must provide at least one of: loadbalancer_id, listener_id")
	}
	parent, err := byID(ctx, s.Store.LoadBalancers, "Load Balancer", lbID)
	if err == nil {
		err = mayWrite(ctx, parent.ProjectID)
	}
	if err != nil {
		return nil, err
	}
	p, err := newPool(in, parent.LoadBalancer, s.Settings.Rules)
	if err != nil {
		return nil, err
	}
	if err := fillPool(&p, in, s.Settings.Rules); err != nil {
		return nil, err
	}
	tree, err := s.grow(ctx, lbID, parent.ProjectID, lb.Growth{Pools: []lb.Pool{p}, DefaultOf: in.ListenerID.V})
	if err != nil {
		return nil, err
	}
	return poolFrom(&tree, p.ID)
}

func poolFrom(t *lb.Tree, id string) (any, error) {
	p, err := t.Pool(id)
	if err != nil {
		return nil, err
	}
	return map[string]any{"pool": poolOf(t, *p)}, nil
}

// newPool makes a pool of a request, with an id and without children.
func newPool(in wire.PoolCreate, parent lb.LoadBalancer, rules lb.Rules) (lb.Pool, error) {
	switch {
	case !in.Protocol.Given():
		return lb.Pool{}, lb.InvalidField("protocol", "None", "Mandatory field missing.")
	case !in.LBAlgorithm.Given():
		return lb.Pool{}, lb.InvalidField("lb_algorithm", "None", "Mandatory field missing.")
	}
	p := lb.Pool{
		ID: uuid.NewString(), LoadBalancerID: parent.ID, ProjectID: parent.ProjectID, Enabled: true,
		Protocol: in.Protocol.V, Algorithm: in.LBAlgorithm.V,
	}
	return p, setPool(&p, in.PoolFields, rules)
}

// setPool puts the fields that are there into the pool and checks the result.
func setPool(p *lb.Pool, in wire.PoolFields, rules lb.Rules) error {
	in.Name.Into(&p.Name, "")
	in.Description.Into(&p.Description, "")
	in.AdminStateUp.Into(&p.Enabled, false)
	in.Tags.Into(&p.Tags, p.Tags) // null leaves them
	if in.SessionPersistence.Set {
		var err error
		if p.SessionPersistence, err = persistence(in.SessionPersistence, p.SessionPersistence); err != nil {
			return err
		}
	}
	if err := setPoolTLS(p, in.PoolTLS, rules); err != nil {
		return err
	}
	return rules.CheckPool(*p)
}

// persistence changes a pool's session persistence: null and {} remove it, a partial one keeps the rest.
func persistence(in wire.Opt[wire.SessionPersistence], old *lb.SessionPersistence) (*lb.SessionPersistence, error) {
	if in.Null || in.V == (wire.SessionPersistence{}) {
		return nil, nil
	}
	var sp lb.SessionPersistence
	if old != nil {
		sp = *old
	}
	if in.V.Type.Given() && in.V.Type.V != sp.Type {
		sp = lb.SessionPersistence{Type: in.V.Type.V} // a cookie's name goes with its type
	}
	if sp.Type == "" {
		return nil, lb.InvalidField("type", "None", "Mandatory field missing.")
	}
	in.V.CookieName.Into(&sp.CookieName, "")
	if in.V.PersistenceTimeout.Set {
		sp.Timeout = nil
		if in.V.PersistenceTimeout.Given() {
			sp.Timeout = new(in.V.PersistenceTimeout.V)
		}
	}
	in.V.PersistenceGranularity.Into(&sp.Granularity, "")
	return &sp, nil
}

func (s *server) updatePool(ctx context.Context, c *call) (any, error) {
	var in wire.PoolUpdate
	if err := decodeBody(c.body, "pool_", "pool", &in); err != nil {
		return nil, err
	}
	if in.LBAlgorithm.Null {
		return nil, lb.InvalidField("lb_algorithm", "None", "Value should not be null")
	}
	p, err := s.writablePool(ctx, c.id())
	if err == nil {
		err = s.checkPoolChange(ctx, p.Pool, in.PoolTLS)
	}
	if err != nil {
		return nil, err
	}
	tree, err := s.change(ctx, p.LoadBalancerID, func(t *lb.Tree) error {
		return t.UpdatePool(p.ID, func(p *lb.Pool) error {
			in.LBAlgorithm.Into(&p.Algorithm, p.Algorithm)
			return setPool(p, in.PoolFields, s.Settings.Rules)
		})
	})
	if err != nil {
		return nil, err
	}
	return poolFrom(&tree, p.ID)
}

func (s *server) deletePool(ctx context.Context, c *call) (any, error) {
	p, err := s.writablePool(ctx, c.id())
	if err == nil {
		_, err = s.change(ctx, p.LoadBalancerID, func(t *lb.Tree) error { return t.DeletePool(p.ID) })
	}
	return nil, err
}
