package cli

import (
	"context"

	"colonnade/internal/api/wire"
	"colonnade/internal/client"
)

type poolCommands struct {
	Connection
	List   poolList   `cmd:"" help:"List pools."`
	Show   poolShow   `cmd:"" help:"Show a pool."`
	Create poolCreate `cmd:"" help:"Create a pool."`
	Set    poolSet    `cmd:"" help:"Change a pool."`
	Delete poolDelete `cmd:"" help:"Delete a pool with its members and monitor."`
}

type poolList struct {
	LoadBalancer string `help:"Only those of this load balancer."`
}

func (n *poolList) Run(ctx context.Context, c *Connection) error {
	return c.run(func(api *client.Client, p *printer) error {
		filters, err := ofLoadBalancer(ctx, api, n.LoadBalancer)
		if err != nil {
			return err
		}
		items, err := api.Pools().List(ctx, filters)
		if err != nil {
			return err
		}
		return list(p, items, "id", "name", "protocol", "lb_algorithm", "provisioning_status", "operating_status")
	})
}

type poolName struct {
	Pool string `arg:"" help:"Name or id."`
}

func (n poolName) with(ctx context.Context, c *Connection, f func(api *client.Client, p *printer, pool wire.Pool) error) error {
	return c.run(func(api *client.Client, p *printer) error {
		id, err := resolve(ctx, api.Pools(), "pool", n.Pool)
		if err != nil {
			return err
		}
		pool, err := api.Pools().Get(ctx, id)
		if err != nil {
			return err
		}
		return f(api, p, pool)
	})
}

type poolShow struct{ poolName }

func (n *poolShow) Run(ctx context.Context, c *Connection) error {
	return n.with(ctx, c, func(_ *client.Client, p *printer, pool wire.Pool) error { return p.show(pool) })
}

// poolFlags are those of create and set.
type poolFlags struct {
	Name        *string  `help:"Name."`
	Description *string  `help:"Description."`
	Enable      *bool    `negatable:"" help:"Administrative state."`
	Persistence *string  `name:"session-persistence" help:"SOURCE_IP, HTTP_COOKIE, APP_COOKIE or none."`
	CookieName  *string  `help:"Cookie of APP_COOKIE."`
	Timeout     *int     `name:"persistence-timeout" help:"How long a client stays with a member, s (UDP and SCTP)."`
	Granularity *string  `name:"persistence-granularity" help:"Netmask within which clients stay together (UDP and SCTP)."`
	Tag         []string `help:"Tag; may be repeated."`
	poolTLSFlags
}

func (f *poolFlags) fields() wire.PoolFields {
	out := wire.PoolFields{Name: opt(f.Name), Description: opt(f.Description), AdminStateUp: opt(f.Enable), Tags: words(f.Tag), PoolTLS: f.tls()}
	switch {
	case f.Persistence != nil && *f.Persistence == "none":
		out.SessionPersistence = wire.Null[wire.SessionPersistence]()
	case f.Persistence != nil || f.CookieName != nil || f.Timeout != nil || f.Granularity != nil:
		out.SessionPersistence = wire.Some(wire.SessionPersistence{
			Type: opt(f.Persistence), CookieName: opt(f.CookieName), PersistenceTimeout: opt(f.Timeout), PersistenceGranularity: opt(f.Granularity),
		})
	}
	return out
}

type poolCreate struct {
	Wait
	poolFlags
	LoadBalancer string `xor:"parent" required:"" help:"Load balancer, by name or id."`
	Listener     string `xor:"parent" required:"" help:"Listener whose default pool it becomes, by name or id."`
	Protocol     string `required:"" help:"HTTP, HTTPS, TCP, PROXY, PROXYV2, UDP or SCTP."`
	Algorithm    string `name:"lb-algorithm" required:"" help:"ROUND_ROBIN, LEAST_CONNECTIONS, SOURCE_IP or SOURCE_IP_PORT."`
}

func (n *poolCreate) Run(ctx context.Context, c *Connection) error {
	return c.run(func(api *client.Client, p *printer) error {
		in := wire.PoolCreate{Protocol: wire.Some(n.Protocol), LBAlgorithm: wire.Some(n.Algorithm), PoolFields: n.fields()}
		if n.Listener != "" {
			id, err := resolve(ctx, api.Listeners(), "listener", n.Listener)
			if err != nil {
				return err
			}
			in.ListenerID = wire.Some(id)
		} else {
			id, err := resolve(ctx, api.LoadBalancers(), "loadbalancer", n.LoadBalancer)
			if err != nil {
				return err
			}
			in.LoadBalancerID = wire.Some(id)
		}
		pool, err := api.Pools().Create(ctx, in)
		if err == nil {
			err = n.settle(ctx, c, api, first(pool.LoadBalancers))
		}
		if err == nil && n.Wait.Wait {
			pool, err = api.Pools().Get(ctx, pool.ID)
		}
		if err != nil {
			return err
		}
		return p.show(pool)
	})
}

type poolSet struct {
	poolName
	Wait
	poolFlags
	Algorithm *string `name:"lb-algorithm" help:"ROUND_ROBIN, LEAST_CONNECTIONS, SOURCE_IP or SOURCE_IP_PORT."`
}

func (n *poolSet) Run(ctx context.Context, c *Connection) error {
	return n.with(ctx, c, func(api *client.Client, p *printer, pool wire.Pool) error {
		_, err := api.Pools().Update(ctx, pool.ID, wire.PoolUpdate{LBAlgorithm: opt(n.Algorithm), PoolFields: n.fields()})
		if err == nil {
			err = n.settle(ctx, c, api, first(pool.LoadBalancers))
		}
		if err != nil {
			return err
		}
		return p.line("pool %s changed", pool.ID)
	})
}

type poolDelete struct {
	poolName
	Wait
}

func (n *poolDelete) Run(ctx context.Context, c *Connection) error {
	return n.with(ctx, c, func(api *client.Client, p *printer, pool wire.Pool) error {
		err := api.Pools().Delete(ctx, pool.ID)
		if err == nil {
			err = n.settle(ctx, c, api, first(pool.LoadBalancers))
		}
		if err != nil {
			return err
		}
		return p.line("pool %s deleted", pool.ID)
	})
}
