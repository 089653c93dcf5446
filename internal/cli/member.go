package cli

import (
	"context"
	"net/url"

	"colonnade/internal/api/wire"
	"colonnade/internal/client"
)

type memberCommands struct {
	Connection
	List   memberList   `cmd:"" help:"List a pool's members."`
	Show   memberShow   `cmd:"" help:"Show a member."`
	Create memberCreate `cmd:"" help:"Add a member to a pool."`
	Set    memberSet    `cmd:"" help:"Change a member."`
	Delete memberDelete `cmd:"" help:"Take a member out of a pool."`
}

type memberList struct{ poolName }

func (n *memberList) Run(ctx context.Context, c *Connection) error {
	return n.with(ctx, c, func(api *client.Client, p *printer, pool wire.Pool) error {
		items, err := api.Members(pool.ID).List(ctx, url.Values{})
		if err != nil {
			return err
		}
		return list(p, items, "id", "name", "address", "protocol_port", "weight", "provisioning_status", "operating_status")
	})
}

// memberName names a member by its pool and its own name or id.
type memberName struct {
	poolName
	Member string `arg:"" help:"Name or id."`
}

func (n memberName) withMember(ctx context.Context, c *Connection, f func(api *client.Client, p *printer, pool wire.Pool, id string) error) error {
	return n.with(ctx, c, func(api *client.Client, p *printer, pool wire.Pool) error {
		id, err := resolve(ctx, api.Members(pool.ID), "member", n.Member)
		if err != nil {
			return err
		}
		return f(api, p, pool, id)
	})
}

type memberShow struct{ memberName }

func (n *memberShow) Run(ctx context.Context, c *Connection) error {
	return n.withMember(ctx, c, func(api *client.Client, p *printer, pool wire.Pool, id string) error {
		m, err := api.Members(pool.ID).Get(ctx, id)
		if err != nil {
			return err
		}
		return p.show(m)
	})
}

// memberFlags are those of create and set.
type memberFlags struct {
	Name           *string  `help:"Name."`
	Enable         *bool    `negatable:"" help:"Administrative state."`
	Weight         *int     `help:"Share of the load, 0 to 256; 0 drains."`
	Backup         *bool    `negatable:"" help:"Serve only when all others are down."`
	MonitorAddress *string  `help:"Address to check, if not the member's."`
	MonitorPort    *int     `help:"Port to check, if not the member's."`
	Tag            []string `help:"Tag; may be repeated."`
}

func (f *memberFlags) fields() wire.MemberFields {
	return wire.MemberFields{
		Name: opt(f.Name), AdminStateUp: opt(f.Enable), Weight: opt(f.Weight), Backup: opt(f.Backup),
		MonitorAddress: opt(f.MonitorAddress), MonitorPort: opt(f.MonitorPort), Tags: words(f.Tag),
	}
}

type memberCreate struct {
	poolName
	Wait
	memberFlags
	Address      string  `required:"" help:"IP address."`
	ProtocolPort int     `required:"" help:"Port."`
	Subnet       *string `name:"subnet-id" help:"Subnet the member is on, if not the VIP's, by id or (operator) by name."`
}

func (n *memberCreate) Run(ctx context.Context, c *Connection) error {
	return n.with(ctx, c, func(api *client.Client, p *printer, pool wire.Pool) error {
		in := wire.MemberCreate{Address: wire.Some(n.Address), ProtocolPort: wire.Some(n.ProtocolPort), MemberFields: n.fields()}
		if n.Subnet != nil {
			id, err := resolveSubnet(ctx, api, *n.Subnet)
			if err != nil {
				return err
			}
			in.SubnetID = wire.Some(id)
		}
		m, err := api.Members(pool.ID).Create(ctx, in)
		if err == nil {
			err = n.settle(ctx, c, api, first(pool.LoadBalancers))
		}
		if err == nil && n.Wait.Wait {
			m, err = api.Members(pool.ID).Get(ctx, m.ID)
		}
		if err != nil {
			return err
		}
		return p.show(m)
	})
}

type memberSet struct {
	memberName
	Wait
	memberFlags
}

func (n *memberSet) Run(ctx context.Context, c *Connection) error {
	return n.withMember(ctx, c, func(api *client.Client, p *printer, pool wire.Pool, id string) error {
		_, err := api.Members(pool.ID).Update(ctx, id, wire.MemberUpdate{MemberFields: n.fields()})
		if err == nil {
			err = n.settle(ctx, c, api, first(pool.LoadBalancers))
		}
		if err != nil {
			return err
		}
		return p.line("member %s changed", id)
	})
}

type memberDelete struct {
	memberName
	Wait
}

func (n *memberDelete) Run(ctx context.Context, c *Connection) error {
	return n.withMember(ctx, c, func(api *client.Client, p *printer, pool wire.Pool, id string) error {
		err := api.Members(pool.ID).Delete(ctx, id)
		if err == nil {
			err = n.settle(ctx, c, api, first(pool.LoadBalancers))
		}
		if err != nil {
			return err
		}
		return p.line("member %s deleted", id)
	})
}
