package api

import (
	"context"
	"net/http"

	"github.com/google/uuid"

	"colonnade/internal/api/wire"
	"colonnade/internal/lb"
	"colonnade/internal/store"
)

// pathPolicy reads the policy a rule's path names. A missing one is a fault of the path, not of an object.
func (s *server) pathPolicy(ctx context.Context, c *call) (store.L7PolicyItem, error) {
	p, err := byID(ctx, s.Store.L7Policies, "L7Policy", c.policy())
	if lb.KindOf(err) == lb.KindNotFound {
		return p, &routeFault{http.StatusNotFound, err.Error()}
	}
	return p, err
}

func (s *server) listL7Rules(ctx context.Context, c *call) (any, error) {
	p, err := s.pathPolicy(ctx, c)
	if err == nil {
		err = mayRead(ctx, p.ProjectID)
	}
	if err != nil {
		return nil, err
	}
	c.narrow = map[string][]string{"l7policy_id": {p.ID}}
	return listed(ctx, c, "rules", s.Store.L7Rules, each(ruleView), func(r lb.L7Rule) string { return r.ID })
}

func (s *server) showL7Rule(ctx context.Context, c *call) (any, error) {
	p, err := s.pathPolicy(ctx, c)
	if err != nil {
		return nil, err
	}
	r, err := byID(ctx, s.Store.L7Rules, "L7 Rule", c.id())
	if err == nil && r.PolicyID != p.ID {
		err = notFound("L7 Rule", c.id())
	}
	if err == nil {
		err = mayRead(ctx, r.ProjectID)
	}
	if err != nil {
		return nil, err
	}
	return one(c, "rule", ruleView(r))
}

// writableRules reads the policy of the path and its load balancer's id, for changing its rules.
func (s *server) writableRules(ctx context.Context, c *call) (store.L7PolicyItem, string, error) {
	p, err := s.pathPolicy(ctx, c)
	if err == nil {
		err = mayWrite(ctx, p.ProjectID)
	}
	if err != nil {
		return p, "", err
	}
	lbID, err := s.Store.FindL7Policy(ctx, p.ID)
	return p, lbID, err
}

func (s *server) createL7Rule(ctx context.Context, c *call) (any, error) {
	var in wire.L7RuleCreate
	if err := decodeBody(c.body, "rule_", "rule", &in); err != nil {
		return nil, err
	}
	p, lbID, err := s.writableRules(ctx, c)
	if err != nil {
		return nil, err
	}
	r, err := newRule(in, p.ProjectID)
	if err != nil {
		return nil, err
	}
	r.PolicyID = p.ID
	tree, err := s.change(ctx, lbID, func(t *lb.Tree) error { return t.AddL7Rule(r) })
	if err != nil {
		return nil, err
	}
	return ruleFrom(&tree, p.ID, r.ID)
}

func ruleFrom(t *lb.Tree, policyID, id string) (any, error) {
	r, err := t.L7Rule(policyID, id)
	if err != nil {
		return nil, err
	}
	return map[string]any{"rule": ruleView(*r)}, nil
}

// newRule makes a rule of a request, with an id.
func newRule(in wire.L7RuleCreate, projectID string) (lb.L7Rule, error) {
	r := lb.L7Rule{
		ID: uuid.NewString(), ProjectID: projectID, Enabled: true, Type: in.Type.V, CompareType: in.CompareType.V, Value: in.Value.V,
	}
	return r, setRule(&r, in.L7RuleFields)
}

// setRule puts the fields that are there into the rule and checks the result.
func setRule(r *lb.L7Rule, in wire.L7RuleFields) error {
	in.Key.Into(&r.Key, "")
	in.Invert.Into(&r.Invert, false)
	in.AdminStateUp.Into(&r.Enabled, false)
	in.Tags.Into(&r.Tags, r.Tags) // null leaves them
	return lb.ValidateL7Rule(*r)
}

func (s *server) updateL7Rule(ctx context.Context, c *call) (any, error) {
	var in wire.L7RuleUpdate
	if err := decodeBody(c.body, "l7rule_", "rule", &in); err != nil {
		return nil, err
	}
	p, lbID, err := s.writableRules(ctx, c)
	if err != nil {
		return nil, err
	}
	tree, err := s.change(ctx, lbID, func(t *lb.Tree) error {
		return t.UpdateL7Rule(p.ID, c.id(), func(r *lb.L7Rule) error {
			in.Type.Into(&r.Type, "")
			in.CompareType.Into(&r.CompareType, "")
			in.Value.Into(&r.Value, "")
			if err := setRule(r, in.L7RuleFields); err != nil {
				return err
			}
			switch r.Type {
			case lb.RuleHostName, lb.RulePath, lb.RuleFileType: // they have no use for one
				r.Key = ""
			}
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	return ruleFrom(&tree, p.ID, c.id())
}

func (s *server) deleteL7Rule(ctx context.Context, c *call) (any, error) {
	p, lbID, err := s.writableRules(ctx, c)
	if err == nil {
		_, err = s.change(ctx, lbID, func(t *lb.Tree) error { return t.DeleteL7Rule(p.ID, c.id()) })
	}
	return nil, err
}
