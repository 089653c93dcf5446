package cli

import (
	"context"
	"net/url"
	"strconv"

	"colonnade/internal/api/wire"
	"colonnade/internal/client"
)

type amphoraCommands struct {
	Connection
	List      amphoraList      `cmd:"" help:"List amphorae."`
	Show      amphoraShow      `cmd:"" help:"Show an amphora."`
	Failover  amphoraFailover  `cmd:"" help:"Hand an amphora's position over to the standby and replace it."`
	Configure amphoraConfigure `cmd:"" help:"Tell an amphora its whole configuration once more."`
	Delete    amphoraDelete    `cmd:"" help:"Remove an amphora that is in ERROR."`
}

type amphoraList struct {
	LoadBalancer string `help:"Only those of this load balancer."`
}

func (n *amphoraList) Run(ctx context.Context, c *Connection) error {
	return c.run(func(api *client.Client, p *printer) error {
		filters, err := ofLoadBalancer(ctx, api, n.LoadBalancer)
		if err != nil {
			return err
		}
		items, err := api.Amphorae().List(ctx, filters)
		if err != nil {
			return err
		}
		return list(p, items, "id", "loadbalancer_id", "role", "position", "status", "lb_network_ip", "vrrp_ip", "ha_ip")
	})
}

type amphoraID struct {
	Amphora string `arg:"" help:"Id."`
}

type amphoraShow struct{ amphoraID }

func (n *amphoraShow) Run(ctx context.Context, c *Connection) error {
	return c.run(func(api *client.Client, p *printer) error { return showOne(ctx, p, api.Amphorae(), n.Amphora) })
}

func showOne[T, C, U any](ctx context.Context, p *printer, r client.Resource[T, C, U], id string) error {
	v, err := r.Get(ctx, id)
	if err != nil {
		return err
	}
	return p.show(v)
}

type amphoraFailover struct{ amphoraID }

func (n *amphoraFailover) Run(ctx context.Context, c *Connection) error {
	return c.run(func(api *client.Client, p *printer) error {
		if err := api.Amphorae().Failover(ctx, n.Amphora); err != nil {
			return err
		}
		return p.line("failover of amphora %s requested", n.Amphora)
	})
}

type amphoraConfigure struct{ amphoraID }

func (n *amphoraConfigure) Run(ctx context.Context, c *Connection) error {
	return c.run(func(api *client.Client, p *printer) error {
		if err := api.ConfigureAmphora(ctx, n.Amphora); err != nil {
			return err
		}
		return p.line("configuration of amphora %s requested", n.Amphora)
	})
}

type amphoraDelete struct{ amphoraID }

func (n *amphoraDelete) Run(ctx context.Context, c *Connection) error {
	return c.run(func(api *client.Client, p *printer) error {
		if err := api.Amphorae().Delete(ctx, n.Amphora); err != nil {
			return err
		}
		return p.line("deletion of amphora %s requested", n.Amphora)
	})
}

type clusterCommands struct {
	Connection
	List clusterList `cmd:"" help:"List clusters."`
	Show clusterShow `cmd:"" help:"Show a cluster with its forwarding table."`
}

type clusterList struct{}

func (*clusterList) Run(ctx context.Context, c *Connection) error {
	return c.run(func(api *client.Client, p *printer) error {
		items, err := api.Clusters().List(ctx, url.Values{})
		if err != nil {
			return err
		}
		return list(p, items, "id", "name", "load_balancer_id", "desired_size", "standby_size", "standby_ready", "provisioning_status", "operating_status")
	})
}

type clusterShow struct {
	Cluster string `arg:"" help:"Name or id."`
}

func (n *clusterShow) Run(ctx context.Context, c *Connection) error {
	return c.run(func(api *client.Client, p *printer) error {
		id, err := resolve(ctx, api.Clusters(), "cluster", n.Cluster)
		if err != nil {
			return err
		}
		return showOne(ctx, p, api.Clusters(), id)
	})
}

type distributorCommands struct {
	Connection
	List distributorList `cmd:"" help:"List distributors."`
	Show distributorShow `cmd:"" help:"Show a distributor with its VIPs."`
}

type distributorList struct{}

func (*distributorList) Run(ctx context.Context, c *Connection) error {
	return c.run(func(api *client.Client, p *printer) error {
		items, err := api.Distributors().List(ctx, url.Values{})
		if err != nil {
			return err
		}
		return list(p, items, "id", "project_id", "status", "lb_network_ip", "vips")
	})
}

type distributorShow struct {
	Distributor string `arg:"" help:"Id."`
}

func (n *distributorShow) Run(ctx context.Context, c *Connection) error {
	return c.run(func(api *client.Client, p *printer) error { return showOne(ctx, p, api.Distributors(), n.Distributor) })
}

type networkCommands struct {
	Connection
	List   networkList   `cmd:"" help:"List networks."`
	Show   networkShow   `cmd:"" help:"Show a network."`
	Create networkCreate `cmd:"" help:"Create a network with one subnet."`
	Delete networkDelete `cmd:"" help:"Delete a network that has no ports."`
}

type networkList struct{}

func (*networkList) Run(ctx context.Context, c *Connection) error {
	return c.run(func(api *client.Client, p *printer) error {
		items, err := api.Networks().List(ctx, url.Values{})
		if err != nil {
			return err
		}
		if p.json {
			return p.writeJSON(items)
		}
		rows := [][]string{{"ID", "NAME", "MTU", "SUBNET", "CIDR", "GATEWAY"}}
		for _, n := range items {
			for _, s := range n.Subnets {
				rows = append(rows, []string{n.ID, printable(n.Name), strconv.Itoa(n.MTU), s.ID, s.CIDR, s.GatewayIP})
			}
		}
		return p.align(rows)
	})
}

type networkName struct {
	Network string `arg:"" help:"Name or id."`
}

type networkShow struct{ networkName }

func (n *networkShow) Run(ctx context.Context, c *Connection) error {
	return c.run(func(api *client.Client, p *printer) error {
		id, err := resolve(ctx, api.Networks(), "network", n.Network)
		if err != nil {
			return err
		}
		return showOne(ctx, p, api.Networks(), id)
	})
}

type networkCreate struct {
	Name    string  `arg:"" help:"Name."`
	CIDR    string  `name:"cidr" required:"" help:"Range of the subnet, as 198.18.10.0/24."`
	Gateway *string `name:"gateway-ip" help:"Gateway; the first address otherwise."`
	Start   *string `name:"allocation-start" help:"First address given out."`
	End     *string `name:"allocation-end" help:"Last address given out."`
	MTU     *int    `name:"mtu" help:"MTU."`

	External    bool     `help:"Its addresses are for floating IPs."`
	Shared      bool     `help:"All projects may use it."`
	NoGateway   bool     `help:"Without a gateway: of an external network, addresses of an uplink's own segment."`
	AmphoraPool []string `placeholder:"RANGE" help:"Range that amphorae's own addresses come from, as 198.18.10.192/27 or 198.18.10.200-198.18.10.220; may be repeated."`
}

func (n *networkCreate) Run(ctx context.Context, c *Connection) error {
	return c.run(func(api *client.Client, p *printer) error {
		made, err := api.Networks().Create(ctx, wire.NetworkCreate{
			Name: wire.Some(n.Name), CIDR: wire.Some(n.CIDR), GatewayIP: opt(n.Gateway),
			AllocationStart: opt(n.Start), AllocationEnd: opt(n.End), MTU: opt(n.MTU),
			External: wire.Some(n.External), Shared: wire.Some(n.Shared), NoGateway: wire.Some(n.NoGateway), AmphoraAddressPool: words(n.AmphoraPool),
		})
		if err != nil {
			return err
		}
		return p.show(made)
	})
}

type networkDelete struct{ networkName }

func (n *networkDelete) Run(ctx context.Context, c *Connection) error {
	return c.run(func(api *client.Client, p *printer) error {
		id, err := resolve(ctx, api.Networks(), "network", n.Network)
		if err == nil {
			err = api.Networks().Delete(ctx, id)
		}
		if err != nil {
			return err
		}
		return p.line("network %s deleted", id)
	})
}
