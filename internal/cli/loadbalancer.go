package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"strings"

	"colonnade/internal/api/wire"
	"colonnade/internal/client"
)

type loadBalancerCommands struct {
	Connection
	List     loadBalancerList     `cmd:"" help:"List load balancers."`
	Show     loadBalancerShow     `cmd:"" help:"Show a load balancer."`
	Status   loadBalancerStatus   `cmd:"" help:"Show a load balancer's tree with statuses."`
	Stats    loadBalancerStats    `cmd:"" help:"Show a load balancer's counters."`
	Create   loadBalancerCreate   `cmd:"" help:"Create a load balancer, or a whole one from a file."`
	Set      loadBalancerSet      `cmd:"" help:"Change a load balancer."`
	Delete   loadBalancerDelete   `cmd:"" help:"Delete a load balancer."`
	Failover loadBalancerFailover `cmd:"" help:"Replace every amphora of a load balancer, one after the other (operator)."`
}

type loadBalancerList struct{}

func (*loadBalancerList) Run(ctx context.Context, c *Connection) error {
	return c.run(func(api *client.Client, p *printer) error {
		items, err := api.LoadBalancers().List(ctx, url.Values{})
		if err != nil {
			return err
		}
		return list(p, items, "id", "name", "project_id", "vip_address", "provisioning_status", "operating_status")
	})
}

// loadBalancerName is the argument of commands about one load balancer.
type loadBalancerName struct {
	LoadBalancer string `arg:"" name:"load-balancer" help:"Name or id."`
}

// with resolves the name and calls f with the id.
func (n loadBalancerName) with(ctx context.Context, c *Connection, f func(api *client.Client, p *printer, id string) error) error {
	return c.run(func(api *client.Client, p *printer) error {
		id, err := resolve(ctx, api.LoadBalancers(), "loadbalancer", n.LoadBalancer)
		if err != nil {
			return err
		}
		return f(api, p, id)
	})
}

type loadBalancerShow struct{ loadBalancerName }

func (n *loadBalancerShow) Run(ctx context.Context, c *Connection) error {
	return n.with(ctx, c, func(api *client.Client, p *printer, id string) error {
		l, err := api.LoadBalancers().Get(ctx, id)
		if err != nil {
			return err
		}
		if err := p.show(l); err != nil {
			return err
		}
		return p.history(ctx, api, id)
	})
}

type loadBalancerStats struct{ loadBalancerName }

func (n *loadBalancerStats) Run(ctx context.Context, c *Connection) error {
	return n.with(ctx, c, func(api *client.Client, p *printer, id string) error {
		stats, err := api.Statistics(ctx, id)
		if err != nil {
			return err
		}
		return p.show(stats)
	})
}

type loadBalancerStatus struct{ loadBalancerName }

func (n *loadBalancerStatus) Run(ctx context.Context, c *Connection) error {
	return n.with(ctx, c, func(api *client.Client, p *printer, id string) error {
		t, err := api.Status(ctx, id)
		if err != nil {
			return err
		}
		if p.json {
			return p.writeJSON(t)
		}
		rows := [][]string{{"OBJECT", "NAME", "PROVISIONING", "OPERATING", "ID"}}
		add := func(depth int, kind string, n wire.StatusNode) {
			rows = append(rows, []string{strings.Repeat("  ", depth) + kind, printable(n.Name), n.ProvisioningStatus, n.OperatingStatus, n.ID})
		}
		add(0, "loadbalancer", t.LoadBalancer.StatusNode)
		for _, l := range t.LoadBalancer.Listeners {
			add(1, "listener", l.StatusNode)
			for _, pool := range l.Pools {
				add(2, "pool", pool.StatusNode)
				if pool.HealthMonitor != nil {
					add(3, "healthmonitor "+pool.HealthMonitor.Type, pool.HealthMonitor.StatusNode)
				}
				for _, m := range pool.Members {
					add(3, fmt.Sprintf("member %s:%d", m.Address, m.ProtocolPort), m.StatusNode)
				}
			}
		}
		return p.align(rows)
	})
}

type loadBalancerCreate struct {
	Wait
	File        string   `short:"f" type:"existingfile" help:"JSON of a whole load balancer with listeners and pools; other flags override it."`
	Name        *string  `help:"Name."`
	Description *string  `help:"Description."`
	VIPSubnet   *string  `name:"vip-subnet-id" help:"Subnet of the VIP, by id or (operator) by name."`
	VIPNetwork  *string  `name:"vip-network-id" help:"Network of the VIP, by id or (operator) by name."`
	VIPPort     *string  `name:"vip-port-id" help:"Port that is the VIP."`
	VIPAddress  *string  `help:"Address of the VIP."`
	Flavor      *string  `help:"Flavor, by name or id."`
	Zone        *string  `name:"availability-zone" help:"Availability zone."`
	Provider    *string  `help:"Provider."`
	Enable      *bool    `negatable:"" help:"Administrative state."`
	Tag         []string `help:"Tag; may be repeated."`
	AmphoraPool []string `placeholder:"RANGE" help:"Range that amphorae's own addresses come from, as 198.18.10.192/27 or 198.18.10.200-198.18.10.220; may be repeated."`
}

func (n *loadBalancerCreate) Run(ctx context.Context, c *Connection) error {
	return c.run(func(api *client.Client, p *printer) error {
		var in wire.LoadBalancerCreate
		if n.File != "" {
			if err := readFile(n.File, &in); err != nil {
				return err
			}
		}
		if n.VIPNetwork != nil {
			id, err := resolve(ctx, api.Networks(), "network", *n.VIPNetwork)
			if err != nil {
				return err
			}
			in.VIPNetworkID = wire.Some(id)
		}
		if n.VIPSubnet != nil {
			id, err := resolveSubnet(ctx, api, *n.VIPSubnet)
			if err != nil {
				return err
			}
			in.VIPSubnetID = wire.Some(id)
		}
		if n.Flavor != nil {
			id, err := resolve(ctx, api.Flavors(), "flavor", *n.Flavor)
			if err != nil {
				return err
			}
			in.FlavorID = wire.Some(id)
		}
		override(&in.AvailabilityZone, n.Zone)
		override(&in.Provider, n.Provider)
		override(&in.Name, n.Name)
		override(&in.Description, n.Description)
		override(&in.VIPPortID, n.VIPPort)
		override(&in.VIPAddress, n.VIPAddress)
		override(&in.AdminStateUp, n.Enable)
		if n.Tag != nil {
			in.Tags = wire.Some(n.Tag)
		}
		if n.AmphoraPool != nil {
			in.AmphoraAddressPool = wire.Some(n.AmphoraPool)
		}
		made, err := api.LoadBalancers().Create(ctx, in)
		if err != nil {
			return err
		}
		if err := n.settle(ctx, c, api, made.ID); err != nil {
			return err
		}
		shown, err := api.LoadBalancers().Get(ctx, made.ID)
		if err != nil {
			return err
		}
		return p.show(shown)
	})
}

func override[T any](to *wire.Opt[T], v *T) {
	if v != nil {
		*to = wire.Some(*v)
	}
}

// readFile reads {"loadbalancer": {…}} or what is inside.
func readFile(name string, in *wire.LoadBalancerCreate) error {
	b, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	var wrapped struct {
		LoadBalancer json.RawMessage `json:"loadbalancer"`
	}
	if err := json.Unmarshal(b, &wrapped); err == nil && wrapped.LoadBalancer != nil {
		b = wrapped.LoadBalancer
	}
	d := json.NewDecoder(strings.NewReader(string(b)))
	d.DisallowUnknownFields()
	if err := d.Decode(in); err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	return nil
}

type loadBalancerSet struct {
	loadBalancerName
	Wait
	Name        *string  `help:"Name."`
	Description *string  `help:"Description."`
	Enable      *bool    `negatable:"" help:"Administrative state."`
	Tag         []string `help:"Tag; may be repeated; the given ones replace all."`
}

func (n *loadBalancerSet) Run(ctx context.Context, c *Connection) error {
	return n.with(ctx, c, func(api *client.Client, p *printer, id string) error {
		_, err := api.LoadBalancers().Update(ctx, id, wire.LoadBalancerUpdate{
			Name: opt(n.Name), Description: opt(n.Description), AdminStateUp: opt(n.Enable), Tags: words(n.Tag),
		})
		if err == nil {
			err = n.settle(ctx, c, api, id)
		}
		if err != nil {
			return err
		}
		return p.line("load balancer %s changed", id)
	})
}

type loadBalancerDelete struct {
	loadBalancerName
	Wait
	Cascade bool `help:"Delete listeners and pools with it."`
}

func (n *loadBalancerDelete) Run(ctx context.Context, c *Connection) error {
	return n.with(ctx, c, func(api *client.Client, p *printer, id string) error {
		err := api.DeleteLoadBalancer(ctx, id, n.Cascade)
		if err == nil {
			err = n.gone(ctx, c, api, id)
		}
		if err != nil {
			return err
		}
		return p.line("load balancer %s deleted", id)
	})
}

type loadBalancerFailover struct{ loadBalancerName }

func (n *loadBalancerFailover) Run(ctx context.Context, c *Connection) error {
	return n.with(ctx, c, func(api *client.Client, p *printer, id string) error {
		if err := api.LoadBalancers().Failover(ctx, id); err != nil {
			return err
		}
		return p.line("failover of load balancer %s requested", id)
	})
}
