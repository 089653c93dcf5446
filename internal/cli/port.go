package cli

import (
	"context"
	"net/url"

	"colonnade/internal/api/wire"
	"colonnade/internal/client"
)

type portCommands struct {
	Connection
	List   portList   `cmd:"" help:"List ports."`
	Show   portShow   `cmd:"" help:"Show a port."`
	Create portCreate `cmd:"" help:"Put a machine of a tenant, which is a network namespace, on a network."`
	Delete portDelete `cmd:"" help:"Take a machine from its network."`
}

type portList struct {
	Network string `help:"Only those of this network (name or id)."`
}

func (n *portList) Run(ctx context.Context, c *Connection) error {
	return c.run(func(api *client.Client, p *printer) error {
		filters := url.Values{}
		if n.Network != "" {
			id, err := resolve(ctx, api.Networks(), "network", n.Network)
			if err != nil {
				return err
			}
			filters.Set("network_id", id)
		}
		items, err := api.Ports().List(ctx, filters)
		if err != nil {
			return err
		}
		return list(p, items, "id", "name", "ip_address", "mac_address", "namespace", "interface", "status")
	})
}

type portName struct {
	Port string `arg:"" help:"Name or id."`
}

type portShow struct{ portName }

func (n *portShow) Run(ctx context.Context, c *Connection) error {
	return c.run(func(api *client.Client, p *printer) error {
		id, err := resolve(ctx, api.Ports(), "port", n.Port)
		if err != nil {
			return err
		}
		return showOne(ctx, p, api.Ports(), id)
	})
}

type portCreate struct {
	Network   string  `arg:"" help:"Network, by name or id."`
	Name      *string `help:"Name."`
	Address   *string `help:"Address; one that is free otherwise."`
	Namespace *string `help:"Network namespace to plug it into, by its name in /run/netns; none otherwise."`
	Interface *string `help:"Name of the device in the namespace; eth0 otherwise."`
}

func (n *portCreate) Run(ctx context.Context, c *Connection) error {
	return c.run(func(api *client.Client, p *printer) error {
		id, err := resolve(ctx, api.Networks(), "network", n.Network)
		if err != nil {
			return err
		}
		made, err := api.Ports().Create(ctx, wire.PortCreate{
			NetworkID: wire.Some(id), Name: opt(n.Name), IPAddress: opt(n.Address), Namespace: opt(n.Namespace), Interface: opt(n.Interface),
		})
		if err != nil {
			return err
		}
		return p.show(made)
	})
}

type portDelete struct{ portName }

func (n *portDelete) Run(ctx context.Context, c *Connection) error {
	return c.run(func(api *client.Client, p *printer) error {
		id, err := resolve(ctx, api.Ports(), "port", n.Port)
		if err == nil {
			err = api.Ports().Delete(ctx, id)
		}
		if err != nil {
			return err
		}
		return p.line("port %s deleted", id)
	})
}
