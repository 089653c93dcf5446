package api

import (
	"context"
	"strings"

	"github.com/google/uuid"

	"colonnade/internal/api/wire"
	"colonnade/internal/lb"
	"colonnade/internal/store"
)

func (s *server) listListeners(ctx context.Context, c *call) (any, error) {
	return listed(ctx, c, "listeners", s.Store.Listeners, each(listenerItemView), func(l store.ListenerItem) string { return l.ID })
}

func (s *server) showListener(ctx context.Context, c *call) (any, error) {
	l, err := s.listener(ctx, c)
	if err != nil {
		return nil, err
	}
	return one(c, "listener", listenerItemView(l))
}

func listenerItemView(l store.ListenerItem) wire.Listener {
	return listenerView(l.Listener, l.PolicyIDs)
}

// listener reads the listener of the path, for reading.
func (s *server) listener(ctx context.Context, c *call) (store.ListenerItem, error) {
	l, err := byID(ctx, s.Store.Listeners, "Listener", c.id())
	if err != nil {
		return l, err
	}
	return l, mayRead(ctx, l.ProjectID)
}

func (s *server) createListener(ctx context.Context, c *call) (any, error) {
	var in wire.ListenerCreate
	if err := decodeBody(c.body, "listener_", "listener", &in); err != nil {
		return nil, err
	}
	if !in.LoadBalancerID.Given() {
		return nil, lb.InvalidField("loadbalancer_id", "None", "Mandatory field missing.")
	}
	parent, err := byID(ctx, s.Store.LoadBalancers, "Load Balancer", in.LoadBalancerID.V)
	if err == nil {
		err = mayWrite(ctx, parent.ProjectID)
	}
	if err != nil {
		return nil, err
	}
	g := graph{parent: parent.LoadBalancer, rules: s.Settings.Rules, byName: map[string]string{}}
	if err := g.addListeners(in); err != nil {
		return nil, err
	}
	tree, err := s.grow(ctx, parent.ID, parent.ProjectID, lb.Growth{Pools: g.pools, Listeners: g.listeners})
	if err != nil {
		return nil, err
	}
	return listenerFrom(&tree, g.listeners[0].ID)
}

func listenerFrom(t *lb.Tree, id string) (any, error) {
	l, err := t.Listener(id)
	if err != nil {
		return nil, err
	}
	return map[string]any{"listener": listenerOf(*l)}, nil
}

// newListener makes a listener of a request, with an id.
func newListener(in wire.ListenerCreate, parent lb.LoadBalancer, rules lb.Rules) (lb.Listener, error) {
	l := lb.Listener{
		ID: uuid.NewString(), LoadBalancerID: parent.ID, ProjectID: parent.ProjectID, Enabled: true,
		Protocol: in.Protocol.V, ProtocolPort: in.ProtocolPort.V, ConnectionLimit: lb.DefaultConnectionLimit,
		TimeoutClientData: lb.DefaultTimeoutClientData, TimeoutMemberConnect: lb.DefaultTimeoutMemberConnect,
		TimeoutMemberData: lb.DefaultTimeoutMemberData, TimeoutTCPInspect: lb.DefaultTimeoutTCPInspect,
	}
	if in.Tags.Given() {
		l.Tags = in.Tags.V
	}
	return l, setListener(&l, in.ListenerFields, parent, rules)
}

// setListener puts the fields that are there into the listener and checks the result.
func setListener(l *lb.Listener, in wire.ListenerFields, parent lb.LoadBalancer, rules lb.Rules) error {
	in.Name.Into(&l.Name, "")
	in.Description.Into(&l.Description, "")
	in.AdminStateUp.Into(&l.Enabled, false)
	in.ConnectionLimit.Into(&l.ConnectionLimit, lb.DefaultConnectionLimit)
	in.DefaultPoolID.Into(&l.DefaultPoolID, "")
	if in.InsertHeaders.Set {
		l.InsertHeaders = map[string]string{}
		for name, value := range in.InsertHeaders.V {
			l.InsertHeaders[name] = strings.ToLower(value) // clients send True, too
		}
	}
	in.TimeoutClientData.Into(&l.TimeoutClientData, lb.DefaultTimeoutClientData)
	in.TimeoutMemberConnect.Into(&l.TimeoutMemberConnect, lb.DefaultTimeoutMemberConnect)
	in.TimeoutMemberData.Into(&l.TimeoutMemberData, lb.DefaultTimeoutMemberData)
	in.TimeoutTCPInspect.Into(&l.TimeoutTCPInspect, lb.DefaultTimeoutTCPInspect)
	in.AllowedCIDRs.Into(&l.AllowedCIDRs, nil)
	in.Tags.Into(&l.Tags, l.Tags) // null leaves them
	if err := setListenerTLS(l, in.ListenerTLS, rules); err != nil {
		return err
	}
	if err := lb.CheckAllowedCIDRs(l.AllowedCIDRs, parent); err != nil {
		return err
	}
	return rules.CheckListener(*l)
}

func (s *server) updateListener(ctx context.Context, c *call) (any, error) {
	l, err := s.listener(ctx, c)
	if err == nil {
		err = mayWrite(ctx, l.ProjectID)
	}
	var in wire.ListenerUpdate
	if err == nil { // as upstream, which finds out before it misses anything in {}
		err = decodeBody(c.body, "listener_", "listener", &in)
	}
	if err == nil {
		err = s.checkListenerChange(ctx, l.Listener, in.ListenerTLS)
	}
	if err != nil {
		return nil, err
	}
	tree, err := s.change(ctx, l.LoadBalancerID, func(t *lb.Tree) error {
		return t.UpdateListener(l.ID, func(l *lb.Listener) error {
			return setListener(l, in.ListenerFields, t.LoadBalancer, s.Settings.Rules)
		})
	})
	if err != nil {
		return nil, err
	}
	return listenerFrom(&tree, l.ID)
}

func (s *server) deleteListener(ctx context.Context, c *call) (any, error) {
	l, err := s.listener(ctx, c)
	if err == nil {
		err = mayWrite(ctx, l.ProjectID)
	}
	if err == nil {
		_, err = s.change(ctx, l.LoadBalancerID, func(t *lb.Tree) error { return t.DeleteListener(l.ID) })
	}
	return nil, err
}

func (s *server) listenerStatistics(ctx context.Context, c *call) (any, error) {
	l, err := s.listener(ctx, c)
	if err != nil {
		return nil, err
	}
	counters, err := s.Store.ListenerStatistics(ctx, l.LoadBalancerID)
	if err != nil {
		return nil, err
	}
	var sum wire.Statistics
	addStatistics(&sum, counters[l.ID])
	return map[string]any{"stats": sum}, nil
}
