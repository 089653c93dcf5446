package cli

import (
	"context"
	"net/url"

	"colonnade/internal/api/wire"
	"colonnade/internal/client"
)

type l7RuleCommands struct {
	Connection
	List   l7RuleList   `cmd:"" help:"List the rules of an L7 policy."`
	Show   l7RuleShow   `cmd:"" help:"Show a rule."`
	Create l7RuleCreate `cmd:"" help:"Add a rule to an L7 policy; a request has to match all of them."`
	Set    l7RuleSet    `cmd:"" help:"Change a rule."`
	Delete l7RuleDelete `cmd:"" help:"Delete a rule."`
}

type l7RuleList struct{ l7PolicyName }

func (n *l7RuleList) Run(ctx context.Context, c *Connection) error {
	return n.with(ctx, c, func(api *client.Client, p *printer, l7 wire.L7Policy, _ string) error {
		items, err := api.L7Rules(l7.ID).List(ctx, url.Values{})
		if err != nil {
			return err
		}
		return list(p, items, "id", "type", "compare_type", "key", "value", "invert", "provisioning_status", "operating_status")
	})
}

// l7RuleName is a rule of a policy; rules have no names.
type l7RuleName struct {
	l7PolicyName
	L7Rule string `arg:"" name:"l7rule" help:"Id."`
}

func (n l7RuleName) with(ctx context.Context, c *Connection, f func(api *client.Client, p *printer, policyID, lbID string) error) error {
	return n.l7PolicyName.with(ctx, c, func(api *client.Client, p *printer, l7 wire.L7Policy, lbID string) error {
		return f(api, p, l7.ID, lbID)
	})
}

type l7RuleShow struct{ l7RuleName }

func (n *l7RuleShow) Run(ctx context.Context, c *Connection) error {
	return n.with(ctx, c, func(api *client.Client, p *printer, policyID, _ string) error {
		r, err := api.L7Rules(policyID).Get(ctx, n.L7Rule)
		if err != nil {
			return err
		}
		return p.show(r)
	})
}

// l7RuleFlags are those of create and set.
type l7RuleFlags struct {
	Key    *string  `help:"Name of the header, cookie or field of a distinguished name."`
	Invert *bool    `negatable:"" help:"Match what does not compare."`
	Enable *bool    `negatable:"" help:"Administrative state."`
	Tag    []string `help:"Tag; may be repeated."`
}

func (f *l7RuleFlags) fields() wire.L7RuleFields {
	return wire.L7RuleFields{Key: opt(f.Key), Invert: opt(f.Invert), AdminStateUp: opt(f.Enable), Tags: words(f.Tag)}
}

type l7RuleCreate struct {
	l7PolicyName
	Wait
	l7RuleFlags
	Type        string `required:"" help:"HOST_NAME, PATH, FILE_TYPE, HEADER, COOKIE, SSL_CONN_HAS_CERT, SSL_VERIFY_RESULT or SSL_DN_FIELD."`
	CompareType string `required:"" help:"REGEX, STARTS_WITH, ENDS_WITH, CONTAINS or EQUAL_TO."`
	Value       string `required:"" help:"What to compare with."`
}

func (n *l7RuleCreate) Run(ctx context.Context, c *Connection) error {
	return n.with(ctx, c, func(api *client.Client, p *printer, l7 wire.L7Policy, lbID string) error {
		r, err := api.L7Rules(l7.ID).Create(ctx, wire.L7RuleCreate{
			Type: wire.Some(n.Type), CompareType: wire.Some(n.CompareType), Value: wire.Some(n.Value), L7RuleFields: n.fields(),
		})
		if err == nil {
			err = n.settle(ctx, c, api, lbID)
		}
		if err == nil && n.Wait.Wait {
			r, err = api.L7Rules(l7.ID).Get(ctx, r.ID)
		}
		if err != nil {
			return err
		}
		return p.show(r)
	})
}

type l7RuleSet struct {
	l7RuleName
	Wait
	l7RuleFlags
	Type        *string `help:"As in create."`
	CompareType *string `help:"As in create."`
	Value       *string `help:"What to compare with."`
}

func (n *l7RuleSet) Run(ctx context.Context, c *Connection) error {
	return n.with(ctx, c, func(api *client.Client, p *printer, policyID, lbID string) error {
		_, err := api.L7Rules(policyID).Update(ctx, n.L7Rule, wire.L7RuleUpdate{
			Type: opt(n.Type), CompareType: opt(n.CompareType), Value: opt(n.Value), L7RuleFields: n.fields(),
		})
		if err == nil {
			err = n.settle(ctx, c, api, lbID)
		}
		if err != nil {
			return err
		}
		return p.line("L7 rule %s changed", n.L7Rule)
	})
}

type l7RuleDelete struct {
	l7RuleName
	Wait
}

func (n *l7RuleDelete) Run(ctx context.Context, c *Connection) error {
	return n.with(ctx, c, func(api *client.Client, p *printer, policyID, lbID string) error {
		err := api.L7Rules(policyID).Delete(ctx, n.L7Rule)
		if err == nil {
			err = n.settle(ctx, c, api, lbID)
		}
		if err != nil {
			return err
		}
		return p.line("L7 rule %s deleted", n.L7Rule)
	})
}
