package api

import (
	"context"
	"errors"
	"regexp"
	"slices"

	"github.com/google/uuid"

	"colonnade/internal/amphora"
	"colonnade/internal/api/wire"
	"colonnade/internal/lb"
	"colonnade/internal/store"
)

func loadBalancerItemView(l store.LoadBalancerItem) wire.LoadBalancer {
	return loadBalancerView(l.LoadBalancer, l.ListenerIDs, l.PoolIDs)
}

func (s *server) listLoadBalancers(ctx context.Context, c *call) (any, error) {
	return listed(ctx, c, "loadbalancers", s.Store.LoadBalancers, each(loadBalancerItemView),
		func(l store.LoadBalancerItem) string { return l.ID })
}

// loadBalancer reads the load balancer of the path, for reading.
func (s *server) loadBalancer(ctx context.Context, c *call) (store.LoadBalancerItem, error) {
	l, err := byID(ctx, s.Store.LoadBalancers, "Load Balancer", c.id())
	if err != nil {
		return l, err
	}
	return l, mayRead(ctx, l.ProjectID)
}

func (s *server) showLoadBalancer(ctx context.Context, c *call) (any, error) {
	l, err := s.loadBalancer(ctx, c)
	if err != nil {
		return nil, err
	}
	return one(c, "loadbalancer", loadBalancerItemView(l))
}

// change changes a tree in the name of whoever makes the request.
func (s *server) change(ctx context.Context, lbID string, f func(*lb.Tree) error) (lb.Tree, error) {
	noteOf(ctx).lbID = lbID
	return s.Store.ChangeTree(ctx, lbID, principal(ctx).UserID, func(t *lb.Tree) error {
		t.AcceptPending = s.Settings.AcceptWhilePending
		if err := f(t); err != nil {
			return err
		}
		return s.Provider.Supports(t)
	})
}

// badReference makes a missing object that a request names the request's fault: 400, not 404.
func badReference(err error) error {
	var f *lb.Fault
	if errors.As(err, &f) && f.Kind == lb.KindNotFound {
		return lb.Faultf(lb.KindInvalid, "%s", f.Text)
	}
	return err
}

// projectID bounds what may stand for a project; Keystone's are 32 hex digits.
var projectID = regexp.MustCompile(`^[A-Za-z0-9_.:@-]{1,36}$`)

// projectOf says for which project a load balancer is made: the body's, else the caller's.
func projectOf(ctx context.Context, given, tenant wire.Opt[string]) (string, error) {
	id := given.Or("")
	if id == "" {
		id = tenant.Or("")
	}
	if id == "" {
		id = principal(ctx).ProjectID
	}
	if id == "" {
		return "", lb.Faultf(lb.KindInvalid, "Validation failure: Missing project ID in request where one is required. "+
			"An administrator should check the identity settings of this deployment.")
	}
	id, err := projectFor(id)
	if err != nil {
		return "", err
	}
	return id, mayWrite(ctx, id)
}

func (s *server) createLoadBalancer(ctx context.Context, c *call) (any, error) {
	var in wire.LoadBalancerCreate
	if err := decodeBody(c.body, "load_balancer", "loadbalancer", &in); err != nil {
		return nil, err
	}
	project, err := projectOf(ctx, in.ProjectID, in.TenantID)
	if err != nil {
		return nil, err
	}
	l := lb.LoadBalancer{
		ID: uuid.NewString(), ProjectID: project, Name: in.Name.Or(""), Description: in.Description.Or(""),
		Enabled: !in.AdminStateUp.Set || in.AdminStateUp.V, Provider: in.Provider.Or(""), Tags: in.Tags.V,
	}
	flavor, zone, err := s.choose(ctx, &l, in)
	if err == nil {
		err = s.Settings.Rules.CheckProvider(l.Provider)
	}
	if err != nil {
		return nil, err
	}
	vip, err := s.resolveVIP(ctx, l, in)
	if err == nil {
		err = checkZone(zone, vip.NetworkID)
	}
	if err == nil {
		err = s.setVIPOptions(ctx, &l, &vip, in, flavor)
	}
	if err != nil {
		return nil, err
	}
	// The whole tree is found valid before the VIP's port, the first trace of it, is made.
	l.VIPAddress, l.VIPSubnetID, l.VIPNetworkID, l.VIPPortID, l.VIPPortOwned = vip.Address, vip.SubnetID, vip.NetworkID, vip.ID, vip.owned
	if l.AmphoraPool, err = s.amphoraPool(ctx, in.AmphoraAddressPool); err != nil {
		return nil, err
	}
	tree, err := s.newTree(ctx, l, in)
	if err != nil {
		return nil, err
	}
	if err := s.plant(ctx, &tree, vip, in.AdditionalVIPs.V, flavor); err != nil {
		return nil, err
	}
	written, err := s.Store.Tree(ctx, l.ID)
	if err != nil {
		return nil, err
	}
	inOrder(&written, &tree)
	return map[string]any{"loadbalancer": treeView(&written)}, nil
}

// inOrder sorts what was written as the request had it: all of it has one creation time.
func inOrder(written, asked *lb.Tree) {
	at := map[string]int{}
	for i := range asked.Listeners {
		at[asked.Listeners[i].ID] = i
		for _, p := range asked.Listeners[i].L7Policies {
			for j := range p.Rules {
				at[p.Rules[j].ID] = j
			}
		}
	}
	for i := range asked.Pools {
		at[asked.Pools[i].ID] = i
		for j := range asked.Pools[i].Members {
			at[asked.Pools[i].Members[j].ID] = j
		}
	}
	slices.SortFunc(written.Listeners, func(a, b lb.Listener) int { return at[a.ID] - at[b.ID] })
	for i := range written.Listeners {
		for _, p := range written.Listeners[i].L7Policies {
			slices.SortFunc(p.Rules, func(a, b lb.L7Rule) int { return at[a.ID] - at[b.ID] })
		}
	}
	slices.SortFunc(written.Pools, func(a, b lb.Pool) int { return at[a.ID] - at[b.ID] })
	for i := range written.Pools {
		slices.SortFunc(written.Pools[i].Members, func(a, b lb.Member) int { return at[a.ID] - at[b.ID] })
	}
}

func (s *server) updateLoadBalancer(ctx context.Context, c *call) (any, error) {
	l, err := s.loadBalancer(ctx, c)
	if err == nil {
		err = mayWrite(ctx, l.ProjectID)
	}
	var in wire.LoadBalancerUpdate
	if err == nil { // as upstream, which finds out before it misses anything in {}
		err = decodeBody(c.body, "load_balancer", "loadbalancer", &in)
	}
	if err == nil {
		err = s.checkQoSPolicy(ctx, in.VIPQosPolicyID)
	}
	if err == nil {
		err = s.checkSecurityGroups(ctx, in.VIPSgIDs.V)
	}
	if err != nil {
		return nil, err
	}
	tree, err := s.change(ctx, l.ID, func(t *lb.Tree) error {
		return t.UpdateLoadBalancer(func(l *lb.LoadBalancer) error {
			in.Name.Into(&l.Name, "")
			in.Description.Into(&l.Description, "")
			in.AdminStateUp.Into(&l.Enabled, false)
			in.Tags.Into(&l.Tags, l.Tags) // null leaves them
			return changeVIPOptions(t, l, in)
		})
	})
	if err != nil {
		return nil, err
	}
	return map[string]any{"loadbalancer": loadBalancerOf(&tree)}, nil
}

func (s *server) deleteLoadBalancer(ctx context.Context, c *call) (any, error) {
	given := c.query.Get("cascade")
	cascade, ok := parseBool(given)
	if given != "" && !ok {
		return nil, lb.InvalidField("cascade", given, "Value should be a boolean")
	}
	l, err := s.loadBalancer(ctx, c)
	if err == nil {
		err = mayWrite(ctx, l.ProjectID)
	}
	if err == nil {
		_, err = s.change(ctx, l.ID, func(t *lb.Tree) error { return t.DeleteLoadBalancer(cascade) })
	}
	return nil, err
}

func (s *server) failoverLoadBalancer(ctx context.Context, c *call) (any, error) {
	l, err := s.loadBalancer(ctx, c)
	if err == nil {
		err = mayOperate(ctx)
	}
	if err == nil {
		err = s.Store.RequestLoadBalancerFailover(ctx, l.ID)
	}
	return nil, err
}

func (s *server) loadBalancerStatistics(ctx context.Context, c *call) (any, error) {
	l, err := s.loadBalancer(ctx, c)
	if err != nil {
		return nil, err
	}
	counters, err := s.Store.ListenerStatistics(ctx, l.ID)
	if err != nil {
		return nil, err
	}
	var sum wire.Statistics
	for _, one := range counters {
		addStatistics(&sum, one)
	}
	return map[string]any{"stats": sum}, nil
}

func addStatistics(sum *wire.Statistics, one amphora.ListenerStats) {
	sum.ActiveConnections += one.ActiveConnections
	sum.BytesIn += one.BytesIn
	sum.BytesOut += one.BytesOut
	sum.RequestErrors += one.RequestErrors
	sum.TotalConnections += one.TotalConnections
}
