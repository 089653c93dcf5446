package cli

import (
	"context"
	"net/url"

	"colonnade/internal/api/wire"
	"colonnade/internal/client"
)

type listenerCommands struct {
	Connection
	List   listenerList   `cmd:"" help:"List listeners."`
	Show   listenerShow   `cmd:"" help:"Show a listener."`
	Stats  listenerStats  `cmd:"" help:"Show a listener's counters."`
	Create listenerCreate `cmd:"" help:"Create a listener."`
	Set    listenerSet    `cmd:"" help:"Change a listener."`
	Delete listenerDelete `cmd:"" help:"Delete a listener."`
}

type listenerList struct {
	LoadBalancer string `help:"Only those of this load balancer."`
}

func (n *listenerList) Run(ctx context.Context, c *Connection) error {
	return c.run(func(api *client.Client, p *printer) error {
		filters, err := ofLoadBalancer(ctx, api, n.LoadBalancer)
		if err != nil {
			return err
		}
		items, err := api.Listeners().List(ctx, filters)
		if err != nil {
			return err
		}
		return list(p, items, "id", "name", "protocol", "protocol_port", "default_pool_id", "provisioning_status", "operating_status")
	})
}

// ofLoadBalancer is the filter for the children of a load balancer; "" for all.
func ofLoadBalancer(ctx context.Context, api *client.Client, given string) (url.Values, error) {
	if given == "" {
		return url.Values{}, nil
	}
	id, err := resolve(ctx, api.LoadBalancers(), "loadbalancer", given)
	return url.Values{"loadbalancer_id": {id}}, err
}

type listenerName struct {
	Listener string `arg:"" help:"Name or id."`
}

func (n listenerName) with(ctx context.Context, c *Connection, f func(api *client.Client, p *printer, l wire.Listener) error) error {
	return c.run(func(api *client.Client, p *printer) error {
		id, err := resolve(ctx, api.Listeners(), "listener", n.Listener)
		if err != nil {
			return err
		}
		l, err := api.Listeners().Get(ctx, id)
		if err != nil {
			return err
		}
		return f(api, p, l)
	})
}

type listenerShow struct{ listenerName }

func (n *listenerShow) Run(ctx context.Context, c *Connection) error {
	return n.with(ctx, c, func(_ *client.Client, p *printer, l wire.Listener) error { return p.show(l) })
}

type listenerStats struct{ listenerName }

func (n *listenerStats) Run(ctx context.Context, c *Connection) error {
	return n.with(ctx, c, func(api *client.Client, p *printer, l wire.Listener) error {
		stats, err := api.ListenerStatistics(ctx, l.ID)
		if err != nil {
			return err
		}
		return p.show(stats)
	})
}

// listenerFlags are those of create and set.
type listenerFlags struct {
	Name                 *string           `help:"Name."`
	Description          *string           `help:"Description."`
	Enable               *bool             `negatable:"" help:"Administrative state."`
	ConnectionLimit      *int              `help:"Most connections at a time; -1 for the operator's default."`
	DefaultPool          *string           `help:"Pool that requests go to, by name or id."`
	InsertHeader         map[string]string `help:"Header for members, as X-Forwarded-For=true; may be repeated."`
	AllowedCIDR          []string          `name:"allowed-cidr" help:"Range that may connect; may be repeated."`
	TimeoutClientData    *int              `help:"Inactivity of the client, ms."`
	TimeoutMemberConnect *int              `help:"Connecting to a member, ms."`
	TimeoutMemberData    *int              `help:"Inactivity of a member, ms."`
	TimeoutTCPInspect    *int              `name:"timeout-tcp-inspect" help:"Waiting for more of a TCP stream to inspect, ms."`
	Tag                  []string          `help:"Tag; may be repeated."`
	listenerTLSFlags
}

func (f *listenerFlags) fields(ctx context.Context, api *client.Client) (wire.ListenerFields, error) {
	out := wire.ListenerFields{
		Name: opt(f.Name), Description: opt(f.Description), AdminStateUp: opt(f.Enable), ConnectionLimit: opt(f.ConnectionLimit),
		TimeoutClientData: opt(f.TimeoutClientData), TimeoutMemberConnect: opt(f.TimeoutMemberConnect),
		TimeoutMemberData: opt(f.TimeoutMemberData), TimeoutTCPInspect: opt(f.TimeoutTCPInspect),
		AllowedCIDRs: words(f.AllowedCIDR), Tags: words(f.Tag), ListenerTLS: f.tls(),
	}
	if f.InsertHeader != nil {
		out.InsertHeaders = wire.Some(f.InsertHeader)
	}
	if f.DefaultPool != nil {
		id, err := resolve(ctx, api.Pools(), "pool", *f.DefaultPool)
		if err != nil {
			return out, err
		}
		out.DefaultPoolID = wire.Some(id)
	}
	return out, nil
}

type listenerCreate struct {
	loadBalancerName
	Wait
	listenerFlags
	Protocol     string `required:"" help:"HTTP, HTTPS, TCP, TERMINATED_HTTPS, PROMETHEUS, UDP or SCTP."`
	ProtocolPort int    `required:"" help:"Port of the VIP."`
}

func (n *listenerCreate) Run(ctx context.Context, c *Connection) error {
	return n.with(ctx, c, func(api *client.Client, p *printer, id string) error {
		fields, err := n.fields(ctx, api)
		if err != nil {
			return err
		}
		l, err := api.Listeners().Create(ctx, wire.ListenerCreate{
			LoadBalancerID: wire.Some(id), Protocol: wire.Some(n.Protocol), ProtocolPort: wire.Some(n.ProtocolPort), ListenerFields: fields,
		})
		if err == nil {
			err = n.settle(ctx, c, api, id)
		}
		if err == nil && n.Wait.Wait {
			l, err = api.Listeners().Get(ctx, l.ID)
		}
		if err != nil {
			return err
		}
		return p.show(l)
	})
}

type listenerSet struct {
	listenerName
	Wait
	listenerFlags
}

func (n *listenerSet) Run(ctx context.Context, c *Connection) error {
	return n.with(ctx, c, func(api *client.Client, p *printer, l wire.Listener) error {
		fields, err := n.fields(ctx, api)
		if err == nil {
			_, err = api.Listeners().Update(ctx, l.ID, wire.ListenerUpdate{ListenerFields: fields})
		}
		if err == nil {
			err = n.settle(ctx, c, api, first(l.LoadBalancers))
		}
		if err != nil {
			return err
		}
		return p.line("listener %s changed", l.ID)
	})
}

type listenerDelete struct {
	listenerName
	Wait
}

func (n *listenerDelete) Run(ctx context.Context, c *Connection) error {
	return n.with(ctx, c, func(api *client.Client, p *printer, l wire.Listener) error {
		err := api.Listeners().Delete(ctx, l.ID)
		if err == nil {
			err = n.settle(ctx, c, api, first(l.LoadBalancers))
		}
		if err != nil {
			return err
		}
		return p.line("listener %s deleted", l.ID)
	})
}
