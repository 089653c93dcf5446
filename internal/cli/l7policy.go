package cli

import (
	"context"
	"net/url"

	"colonnade/internal/api/wire"
	"colonnade/internal/client"
)

type l7PolicyCommands struct {
	Connection
	List   l7PolicyList   `cmd:"" help:"List L7 policies."`
	Show   l7PolicyShow   `cmd:"" help:"Show an L7 policy."`
	Create l7PolicyCreate `cmd:"" help:"Give a listener an L7 policy."`
	Set    l7PolicySet    `cmd:"" help:"Change an L7 policy."`
	Delete l7PolicyDelete `cmd:"" help:"Delete an L7 policy with its rules."`
}

type l7PolicyList struct {
	Listener string `help:"Only those of this listener."`
}

func (n *l7PolicyList) Run(ctx context.Context, c *Connection) error {
	return c.run(func(api *client.Client, p *printer) error {
		filters := url.Values{"sort": {"listener_id,position"}}
		if n.Listener != "" {
			id, err := resolve(ctx, api.Listeners(), "listener", n.Listener)
			if err != nil {
				return err
			}
			filters.Set("listener_id", id)
		}
		items, err := api.L7Policies().List(ctx, filters)
		if err != nil {
			return err
		}
		return list(p, items, "id", "name", "listener_id", "position", "action", "rules", "provisioning_status", "operating_status")
	})
}

type l7PolicyName struct {
	L7Policy string `arg:"" name:"l7policy" help:"Name or id."`
}

// with finds the policy and its load balancer, which is what one waits for.
func (n l7PolicyName) with(ctx context.Context, c *Connection, f func(api *client.Client, p *printer, l7 wire.L7Policy, lbID string) error) error {
	return c.run(func(api *client.Client, p *printer) error {
		id, err := resolve(ctx, api.L7Policies(), "l7policy", n.L7Policy)
		if err != nil {
			return err
		}
		l7, err := api.L7Policies().Get(ctx, id)
		if err != nil {
			return err
		}
		l, err := api.Listeners().Get(ctx, l7.ListenerID)
		if err != nil {
			return err
		}
		return f(api, p, l7, first(l.LoadBalancers))
	})
}

type l7PolicyShow struct{ l7PolicyName }

func (n *l7PolicyShow) Run(ctx context.Context, c *Connection) error {
	return n.with(ctx, c, func(_ *client.Client, p *printer, l7 wire.L7Policy, _ string) error { return p.show(l7) })
}

// l7PolicyFlags are those of create and set.
type l7PolicyFlags struct {
	Name             *string  `help:"Name."`
	Description      *string  `help:"Description."`
	Enable           *bool    `negatable:"" help:"Administrative state."`
	Position         *int     `help:"Place among the listener's policies, from 1 on."`
	RedirectPool     *string  `help:"Pool for REDIRECT_TO_POOL, by name or id."`
	RedirectURL      *string  `name:"redirect-url" help:"URL for REDIRECT_TO_URL."`
	RedirectPrefix   *string  `help:"What to put before the path for REDIRECT_PREFIX, as https://new.example."`
	RedirectHTTPCode *int     `name:"redirect-http-code" help:"Status of a redirect: 301, 302, 303, 307 or 308."`
	Tag              []string `help:"Tag; may be repeated."`
}

func (f *l7PolicyFlags) fields(ctx context.Context, api *client.Client) (wire.L7PolicyFields, error) {
	out := wire.L7PolicyFields{
		Name: opt(f.Name), Description: opt(f.Description), AdminStateUp: opt(f.Enable), Position: opt(f.Position),
		RedirectURL: opt(f.RedirectURL), RedirectPrefix: opt(f.RedirectPrefix), RedirectHTTPCode: opt(f.RedirectHTTPCode), Tags: words(f.Tag),
	}
	if f.RedirectPool != nil {
		id, err := resolve(ctx, api.Pools(), "pool", *f.RedirectPool)
		if err != nil {
			return out, err
		}
		out.RedirectPoolID = wire.Some(id)
	}
	return out, nil
}

type l7PolicyCreate struct {
	listenerName
	Wait
	l7PolicyFlags
	Action string `required:"" help:"REJECT, REDIRECT_TO_POOL, REDIRECT_TO_URL or REDIRECT_PREFIX."`
}

func (n *l7PolicyCreate) Run(ctx context.Context, c *Connection) error {
	return n.with(ctx, c, func(api *client.Client, p *printer, l wire.Listener) error {
		fields, err := n.fields(ctx, api)
		if err != nil {
			return err
		}
		l7, err := api.L7Policies().Create(ctx, wire.L7PolicyCreate{
			ListenerID: wire.Some(l.ID), Action: wire.Some(n.Action), L7PolicyFields: fields,
		})
		if err == nil {
			err = n.settle(ctx, c, api, first(l.LoadBalancers))
		}
		if err == nil && n.Wait.Wait {
			l7, err = api.L7Policies().Get(ctx, l7.ID)
		}
		if err != nil {
			return err
		}
		return p.show(l7)
	})
}

type l7PolicySet struct {
	l7PolicyName
	Wait
	l7PolicyFlags
	Action *string `help:"REJECT, REDIRECT_TO_POOL, REDIRECT_TO_URL or REDIRECT_PREFIX."`
}

func (n *l7PolicySet) Run(ctx context.Context, c *Connection) error {
	return n.with(ctx, c, func(api *client.Client, p *printer, l7 wire.L7Policy, lbID string) error {
		fields, err := n.fields(ctx, api)
		if err == nil {
			_, err = api.L7Policies().Update(ctx, l7.ID, wire.L7PolicyUpdate{Action: opt(n.Action), L7PolicyFields: fields})
		}
		if err == nil {
			err = n.settle(ctx, c, api, lbID)
		}
		if err != nil {
			return err
		}
		return p.line("L7 policy %s changed", l7.ID)
	})
}

type l7PolicyDelete struct {
	l7PolicyName
	Wait
}

func (n *l7PolicyDelete) Run(ctx context.Context, c *Connection) error {
	return n.with(ctx, c, func(api *client.Client, p *printer, l7 wire.L7Policy, lbID string) error {
		err := api.L7Policies().Delete(ctx, l7.ID)
		if err == nil {
			err = n.settle(ctx, c, api, lbID)
		}
		if err != nil {
			return err
		}
		return p.line("L7 policy %s deleted", l7.ID)
	})
}
