package cli

import (
	"context"
	"net/url"

	"colonnade/internal/api/wire"
	"colonnade/internal/client"
)

// listAll prints every object of a resource.
func listAll[T, C, U any](ctx context.Context, c *Connection, of func(*client.Client) client.Resource[T, C, U], columns ...string) error {
	return c.run(func(api *client.Client, p *printer) error {
		items, err := of(api).List(ctx, url.Values{})
		if err != nil {
			return err
		}
		return list(p, items, columns...)
	})
}

// createOne makes an object and prints it.
func createOne[T, C, U any](ctx context.Context, c *Connection, of func(*client.Client) client.Resource[T, C, U], in C) error {
	return c.run(func(api *client.Client, p *printer) error {
		made, err := of(api).Create(ctx, in)
		if err != nil {
			return err
		}
		return p.show(made)
	})
}

// named does something with the object that a name or an id stands for.
func named[T, C, U any](ctx context.Context, c *Connection, of func(*client.Client) client.Resource[T, C, U], kind, given string, do func(p *printer, r client.Resource[T, C, U], id string) error) error {
	return c.run(func(api *client.Client, p *printer) error {
		r := of(api)
		id, err := resolve(ctx, r, kind, given)
		if err != nil {
			return err
		}
		return do(p, r, id)
	})
}

type flavorCommands struct {
	Connection
	List   flavorList   `cmd:"" help:"List flavors."`
	Show   flavorShow   `cmd:"" help:"Show a flavor."`
	Create flavorCreate `cmd:"" help:"Offer tenants a flavor (operator)."`
	Set    flavorSet    `cmd:"" help:"Change a flavor (operator)."`
	Delete flavorDelete `cmd:"" help:"Delete a flavor that no load balancer has (operator)."`
}

type flavorList struct{}

func (*flavorList) Run(ctx context.Context, c *Connection) error {
	return listAll(ctx, c, (*client.Client).Flavors, "id", "name", "enabled", "description", "flavor_profile_id")
}

type flavorName struct {
	Flavor string `arg:"" help:"Name or id."`
}

type flavorShow struct{ flavorName }

func (n *flavorShow) Run(ctx context.Context, c *Connection) error {
	return named(ctx, c, (*client.Client).Flavors, "flavor", n.Flavor, func(p *printer, r client.Resource[wire.Flavor, wire.FlavorCreate, wire.FlavorUpdate], id string) error {
		return showOne(ctx, p, r, id)
	})
}

type flavorCreate struct {
	Name        string  `arg:"" help:"Name."`
	Profile     string  `required:"" help:"Flavor profile, by name or id."`
	Description *string `help:"Description."`
	Enable      *bool   `negatable:"" help:"Whether new load balancers may have it."`
}

func (n *flavorCreate) Run(ctx context.Context, c *Connection) error {
	return named(ctx, c, (*client.Client).FlavorProfiles, "flavorprofile", n.Profile, func(_ *printer, _ client.Resource[wire.FlavorProfile, wire.FlavorProfileCreate, wire.FlavorProfileUpdate], id string) error {
		return createOne(ctx, c, (*client.Client).Flavors, wire.FlavorCreate{
			Name: wire.Some(n.Name), Description: opt(n.Description), Enabled: opt(n.Enable), FlavorProfileID: wire.Some(id),
		})
	})
}

type flavorSet struct {
	flavorName
	Name        *string `help:"New name."`
	Description *string `help:"Description."`
	Enable      *bool   `negatable:"" help:"Whether new load balancers may have it."`
}

func (n *flavorSet) Run(ctx context.Context, c *Connection) error {
	return named(ctx, c, (*client.Client).Flavors, "flavor", n.Flavor, func(p *printer, r client.Resource[wire.Flavor, wire.FlavorCreate, wire.FlavorUpdate], id string) error {
		_, err := r.Update(ctx, id, wire.FlavorUpdate{Name: opt(n.Name), Description: opt(n.Description), Enabled: opt(n.Enable)})
		if err != nil {
			return err
		}
		return p.line("flavor %s changed", id)
	})
}

type flavorDelete struct{ flavorName }

func (n *flavorDelete) Run(ctx context.Context, c *Connection) error {
	return named(ctx, c, (*client.Client).Flavors, "flavor", n.Flavor, func(p *printer, r client.Resource[wire.Flavor, wire.FlavorCreate, wire.FlavorUpdate], id string) error {
		if err := r.Delete(ctx, id); err != nil {
			return err
		}
		return p.line("flavor %s deleted", id)
	})
}

type flavorProfileCommands struct {
	Connection
	List   flavorProfileList   `cmd:"" help:"List flavor profiles."`
	Show   flavorProfileShow   `cmd:"" help:"Show a flavor profile."`
	Create flavorProfileCreate `cmd:"" help:"Write down what a flavor means; 'provider capabilities' lists the options."`
	Set    flavorProfileSet    `cmd:"" help:"Change a flavor profile; its options only while no flavor has it."`
	Delete flavorProfileDelete `cmd:"" help:"Delete a flavor profile that no flavor has."`
}

type flavorProfileList struct{}

func (*flavorProfileList) Run(ctx context.Context, c *Connection) error {
	return listAll(ctx, c, (*client.Client).FlavorProfiles, "id", "name", "provider_name", "flavor_data")
}

type flavorProfileName struct {
	Profile string `arg:"" help:"Name or id."`
}

func (n flavorProfileName) with(ctx context.Context, c *Connection, do func(*printer, client.Resource[wire.FlavorProfile, wire.FlavorProfileCreate, wire.FlavorProfileUpdate], string) error) error {
	return named(ctx, c, (*client.Client).FlavorProfiles, "flavorprofile", n.Profile, do)
}

type flavorProfileShow struct{ flavorProfileName }

func (n *flavorProfileShow) Run(ctx context.Context, c *Connection) error {
	return n.with(ctx, c, func(p *printer, r client.Resource[wire.FlavorProfile, wire.FlavorProfileCreate, wire.FlavorProfileUpdate], id string) error {
		return showOne(ctx, p, r, id)
	})
}

type flavorProfileCreate struct {
	Name     string `arg:"" help:"Name."`
	Data     string `required:"" placeholder:"JSON" help:"Options, like '{\"cluster_size\": 4}'."`
	Provider string `default:"amphora" help:"Provider."`
}

func (n *flavorProfileCreate) Run(ctx context.Context, c *Connection) error {
	return createOne(ctx, c, (*client.Client).FlavorProfiles, wire.FlavorProfileCreate{
		Name: wire.Some(n.Name), ProviderName: wire.Some(n.Provider), FlavorData: wire.Some(n.Data),
	})
}

type flavorProfileSet struct {
	flavorProfileName
	Name *string `help:"New name."`
	Data *string `placeholder:"JSON" help:"Options."`
}

func (n *flavorProfileSet) Run(ctx context.Context, c *Connection) error {
	return n.with(ctx, c, func(p *printer, r client.Resource[wire.FlavorProfile, wire.FlavorProfileCreate, wire.FlavorProfileUpdate], id string) error {
		if _, err := r.Update(ctx, id, wire.FlavorProfileUpdate{Name: opt(n.Name), FlavorData: opt(n.Data)}); err != nil {
			return err
		}
		return p.line("flavor profile %s changed", id)
	})
}

type flavorProfileDelete struct{ flavorProfileName }

func (n *flavorProfileDelete) Run(ctx context.Context, c *Connection) error {
	return n.with(ctx, c, func(p *printer, r client.Resource[wire.FlavorProfile, wire.FlavorProfileCreate, wire.FlavorProfileUpdate], id string) error {
		if err := r.Delete(ctx, id); err != nil {
			return err
		}
		return p.line("flavor profile %s deleted", id)
	})
}

type providerCommands struct {
	Connection
	List         providerList         `cmd:"" help:"List providers."`
	Capabilities providerCapabilities `cmd:"" help:"List the options that profiles may have (operator)."`
}

type providerList struct{}

func (*providerList) Run(ctx context.Context, c *Connection) error {
	return c.run(func(api *client.Client, p *printer) error {
		items, err := api.Providers(ctx)
		if err != nil {
			return err
		}
		return list(p, items, "name", "description")
	})
}

type providerCapabilities struct {
	Provider string `arg:"" optional:"" default:"amphora" help:"Provider."`
	Zones    bool   `name:"availability-zone" help:"Those of availability zones' profiles instead of flavors'."`
}

func (n *providerCapabilities) Run(ctx context.Context, c *Connection) error {
	return c.run(func(api *client.Client, p *printer) error {
		items, err := api.Capabilities(ctx, n.Provider, n.Zones)
		if err != nil {
			return err
		}
		return list(p, items, "name", "description")
	})
}
