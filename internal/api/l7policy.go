package api

import (
	"context"
	"reflect"

	"github.com/google/uuid"

	"colonnade/internal/api/wire"
	"colonnade/internal/lb"
	"colonnade/internal/store"
)

func policyItemView(p store.L7PolicyItem) wire.L7Policy { return policyView(p.L7Policy, p.RuleIDs) }

func (s *server) listL7Policies(ctx context.Context, c *call) (any, error) {
	return listed(ctx, c, "l7policies", s.Store.L7Policies, each(policyItemView), func(p store.L7PolicyItem) string { return p.ID })
}

func (s *server) showL7Policy(ctx context.Context, c *call) (any, error) {
	p, err := byID(ctx, s.Store.L7Policies, "L7 Policy", c.id())
	if err == nil {
		err = mayRead(ctx, p.ProjectID)
	}
	if err != nil {
		return nil, err
	}
	return one(c, "l7policy", policyItemView(p))
}

func (s *server) createL7Policy(ctx context.Context, c *call) (any, error) {
	var in wire.L7PolicyCreate
	if err := decodeBody(c.body, "l7policy_", "l7policy", &in); err != nil {
		return nil, err
	}
	if !in.ListenerID.Given() {
		return nil, lb.InvalidField("listener_id", "None", "Mandatory field missing.")
	}
	l, err := byID(ctx, s.Store.Listeners, "Listener", in.ListenerID.V)
	if err == nil {
		err = mayWrite(ctx, l.ProjectID)
	}
	if err != nil {
		return nil, err
	}
	g := graph{parent: lb.LoadBalancer{ID: l.LoadBalancerID, ProjectID: l.ProjectID}, rules: s.Settings.Rules, byName: map[string]string{}}
	if err := g.spellOut(in.RedirectPool); err != nil {
		return nil, err
	}
	p, err := g.newPolicy(in)
	if err != nil {
		return nil, err
	}
	p.ListenerID = l.ID
	tree, err := s.grow(ctx, l.LoadBalancerID, l.ProjectID, lb.Growth{Pools: g.pools, Policies: []lb.L7Policy{p}})
	if err != nil {
		return nil, err
	}
	return policyFrom(&tree, p.ID)
}

func policyFrom(t *lb.Tree, id string) (any, error) {
	p, _, err := t.L7Policy(id)
	if err != nil {
		return nil, err
	}
	return map[string]any{"l7policy": policyOf(*p)}, nil
}

// newPolicy makes a policy of a request, with an id and its rules; its redirect pool may be one that the request spells
// out.
func (g *graph) newPolicy(in wire.L7PolicyCreate) (lb.L7Policy, error) {
	p := lb.L7Policy{ID: uuid.NewString(), ProjectID: g.parent.ProjectID, Enabled: true}
	if in.RedirectPool.Given() {
		switch {
		case in.RedirectPoolID.Given():
			return p, lb.Invalidf("An L7 policy has redirect_pool or redirect_pool_id, not both.")
		case in.Action.V != lb.ActionRedirectPool:
			return p, lb.Invalidf("redirect_pool is only for the action %s.", lb.ActionRedirectPool)
		}
		id, err := g.named(in.RedirectPool.V)
		if err != nil {
			return p, err
		}
		in.RedirectPoolID = wire.Some(id)
	}
	if err := setPolicy(&p, in.Action, in.L7PolicyFields); err != nil {
		return p, err
	}
	for _, ri := range in.Rules.V {
		r, err := newRule(ri, p.ProjectID)
		if err != nil {
			return p, err
		}
		p.Rules = append(p.Rules, r)
	}
	return p, nil
}

// said is what a request says of a field: nil is nothing, the zero value null.
func said[T any](o wire.Opt[T]) *T {
	if !o.Set {
		return nil
	}
	var zero T
	return new(o.Or(zero))
}

// setPolicy puts the fields that are there into the policy and checks the result.
func setPolicy(p *lb.L7Policy, action wire.Opt[string], in wire.L7PolicyFields) error {
	in.Name.Into(&p.Name, "")
	in.Description.Into(&p.Description, "")
	in.AdminStateUp.Into(&p.Enabled, false)
	in.Position.Into(&p.Position, p.Position) // null leaves it
	in.Tags.Into(&p.Tags, p.Tags)             // null leaves them
	err := p.Aim(lb.L7Target{
		Action: said(action), Pool: said(in.RedirectPoolID), URL: said(in.RedirectURL), Prefix: said(in.RedirectPrefix),
		Code: said(in.RedirectHTTPCode),
	})
	if err != nil {
		return err
	}
	return lb.ValidateL7Policy(*p)
}

func (s *server) updateL7Policy(ctx context.Context, c *call) (any, error) {
	var in wire.L7PolicyUpdate
	if err := decodeBody(c.body, "l7policy_", "l7policy", &in); err != nil {
		return nil, err
	}
	if reflect.DeepEqual(in, wire.L7PolicyUpdate{}) {
		return nil, lb.Faultf(lb.KindInvalid, "Invalid L7 Policy arguments: Invalid update options")
	}
	p, lbID, err := s.writablePolicy(ctx, c)
	if err != nil {
		return nil, err
	}
	tree, err := s.change(ctx, lbID, func(t *lb.Tree) error {
		return t.UpdateL7Policy(p.ID, func(p *lb.L7Policy) error { return setPolicy(p, in.Action, in.L7PolicyFields) })
	})
	if err != nil {
		return nil, err
	}
	return policyFrom(&tree, p.ID)
}

// writablePolicy reads the policy of the path and its load balancer's id, for changing it.
func (s *server) writablePolicy(ctx context.Context, c *call) (store.L7PolicyItem, string, error) {
	p, err := byID(ctx, s.Store.L7Policies, "L7 Policy", c.id())
	if err == nil {
		err = mayWrite(ctx, p.ProjectID)
	}
	if err != nil {
		return p, "", err
	}
	lbID, err := s.Store.FindL7Policy(ctx, p.ID)
	return p, lbID, err
}

func (s *server) deleteL7Policy(ctx context.Context, c *call) (any, error) {
	p, lbID, err := s.writablePolicy(ctx, c)
	if err == nil {
		_, err = s.change(ctx, lbID, func(t *lb.Tree) error { return t.DeleteL7Policy(p.ID) })
	}
	return nil, err
}
