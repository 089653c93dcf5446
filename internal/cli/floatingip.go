package cli

import (
	"context"
	"net/netip"
	"net/url"

	"colonnade/internal/api/neutron"
	"colonnade/internal/api/wire"
	"colonnade/internal/client"
)

type floatingIPCommands struct {
	Connection
	List   floatingIPList   `cmd:"" help:"List floating IPs."`
	Show   floatingIPShow   `cmd:"" help:"Show a floating IP."`
	Create floatingIPCreate `cmd:"" help:"Take an address of an external network, and have it stand for a port if one is given."`
	Set    floatingIPSet    `cmd:"" help:"Have a floating IP stand for a port."`
	Unset  floatingIPUnset  `cmd:"" help:"Take a floating IP away from its port."`
	Delete floatingIPDelete `cmd:"" help:"Give a floating IP's address back."`
}

type floatingIPList struct{}

func (n *floatingIPList) Run(ctx context.Context, c *Connection) error {
	return c.run(func(api *client.Client, p *printer) error {
		items, err := api.FloatingIPs().List(ctx, url.Values{})
		if err != nil {
			return err
		}
		return list(p, items, "id", "floating_ip_address", "fixed_ip_address", "port_id", "status")
	})
}

type floatingIPName struct {
	FloatingIP string `arg:"" name:"floating-ip" help:"Address or id."`
}

// id finds the floating IP by its address.
func (n floatingIPName) id(ctx context.Context, api *client.Client) (string, error) {
	if _, err := netip.ParseAddr(n.FloatingIP); err != nil {
		return n.FloatingIP, nil //nolint:nilerr // then it is an id
	}
	found, err := api.FloatingIPs().List(ctx, url.Values{"floating_ip_address": {n.FloatingIP}})
	if err != nil {
		return "", err
	}
	var ids []string
	for _, f := range found {
		ids = append(ids, f.ID)
	}
	return theOne(ids, "floating IP", "floating-ip", n.FloatingIP)
}

type floatingIPShow struct{ floatingIPName }

func (n *floatingIPShow) Run(ctx context.Context, c *Connection) error {
	return c.run(func(api *client.Client, p *printer) error {
		id, err := n.id(ctx, api)
		if err != nil {
			return err
		}
		return showOne(ctx, p, api.FloatingIPs(), id)
	})
}

// portTarget says for which port a floating IP stands.
type portTarget struct {
	Port         *string `xor:"target" help:"Port, by name or id."`
	LoadBalancer *string `name:"loadbalancer" xor:"target" help:"Load balancer whose VIP it is, by name or id."`
}

func (n portTarget) id(ctx context.Context, api *client.Client) (wire.Opt[string], error) {
	switch {
	case n.LoadBalancer != nil:
		id, err := resolve(ctx, api.LoadBalancers(), "load balancer", *n.LoadBalancer)
		if err != nil {
			return wire.Opt[string]{}, err
		}
		l, err := api.LoadBalancers().Get(ctx, id)
		return wire.Some(l.VIPPortID), err
	case n.Port != nil:
		id, err := resolve(ctx, api.TenantPorts(), "port", *n.Port)
		return wire.Some(id), err
	}
	return wire.Opt[string]{}, nil
}

type floatingIPCreate struct {
	portTarget
	Network     string  `arg:"" help:"External network, by name or id."`
	Address     *string `help:"Address; one that is free otherwise."`
	Description *string `help:"Description."`
}

func (n *floatingIPCreate) Run(ctx context.Context, c *Connection) error {
	return c.run(func(api *client.Client, p *printer) error {
		id, err := resolve(ctx, api.TenantNetworks(), "network", n.Network)
		if err != nil {
			return err
		}
		port, err := n.id(ctx, api)
		if err != nil {
			return err
		}
		in := neutron.FloatingIPCreate{FloatingNetworkID: wire.Some(id), FloatingIPAddress: opt(n.Address)}
		in.PortID, in.Description = port, opt(n.Description)
		made, err := api.FloatingIPs().Create(ctx, in)
		if err != nil {
			return err
		}
		return p.show(made)
	})
}

type floatingIPSet struct {
	floatingIPName
	portTarget
}

func (n *floatingIPSet) Run(ctx context.Context, c *Connection) error {
	return c.run(func(api *client.Client, p *printer) error {
		id, err := n.floatingIPName.id(ctx, api)
		if err != nil {
			return err
		}
		port, err := n.portTarget.id(ctx, api)
		if err != nil {
			return err
		}
		f, err := api.FloatingIPs().Update(ctx, id, neutron.FloatingIPUpdate{PortID: port})
		if err != nil {
			return err
		}
		return p.show(f)
	})
}

type floatingIPUnset struct{ floatingIPName }

func (n *floatingIPUnset) Run(ctx context.Context, c *Connection) error {
	return c.run(func(api *client.Client, p *printer) error {
		id, err := n.id(ctx, api)
		if err != nil {
			return err
		}
		f, err := api.FloatingIPs().Update(ctx, id, neutron.FloatingIPUpdate{PortID: wire.Null[string]()})
		if err != nil {
			return err
		}
		return p.show(f)
	})
}

type floatingIPDelete struct{ floatingIPName }

func (n *floatingIPDelete) Run(ctx context.Context, c *Connection) error {
	return c.run(func(api *client.Client, p *printer) error {
		id, err := n.id(ctx, api)
		if err == nil {
			err = api.FloatingIPs().Delete(ctx, id)
		}
		if err != nil {
			return err
		}
		return p.line("floating IP %s deleted", id)
	})
}
