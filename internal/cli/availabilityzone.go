package cli

import (
	"context"

	"colonnade/internal/api/wire"
	"colonnade/internal/client"
)

type zoneCommands struct {
	Connection
	List   zoneList   `cmd:"" help:"List availability zones."`
	Show   zoneShow   `cmd:"" help:"Show an availability zone."`
	Create zoneCreate `cmd:"" help:"Offer tenants an availability zone (operator)."`
	Set    zoneSet    `cmd:"" help:"Change an availability zone (operator)."`
	Delete zoneDelete `cmd:"" help:"Delete an availability zone that no load balancer has (operator)."`
}

type zoneList struct{}

func (*zoneList) Run(ctx context.Context, c *Connection) error {
	return listAll(ctx, c, (*client.Client).AvailabilityZones, "name", "enabled", "description", "availability_zone_profile_id")
}

// zoneName is a zone's identity: it has no other.
type zoneName struct {
	Zone string `arg:"" help:"Name."`
}

type zoneShow struct{ zoneName }

func (n *zoneShow) Run(ctx context.Context, c *Connection) error {
	return c.run(func(api *client.Client, p *printer) error { return showOne(ctx, p, api.AvailabilityZones(), n.Zone) })
}

type zoneCreate struct {
	Name        string  `arg:"" help:"Name."`
	Profile     string  `required:"" help:"Availability zone profile, by name or id."`
	Description *string `help:"Description."`
	Enable      *bool   `negatable:"" help:"Whether new load balancers may be there."`
}

func (n *zoneCreate) Run(ctx context.Context, c *Connection) error {
	return zoneProfileName{n.Profile}.with(ctx, c, func(_ *printer, _ client.Resource[wire.AvailabilityZoneProfile, wire.AvailabilityZoneProfileCreate, wire.AvailabilityZoneProfileUpdate], id string) error {
		return createOne(ctx, c, (*client.Client).AvailabilityZones, wire.AvailabilityZoneCreate{
			Name: wire.Some(n.Name), Description: opt(n.Description), Enabled: opt(n.Enable), AvailabilityZoneProfileID: wire.Some(id),
		})
	})
}

type zoneSet struct {
	zoneName
	Description *string `help:"Description."`
	Enable      *bool   `negatable:"" help:"Whether new load balancers may be there."`
}

func (n *zoneSet) Run(ctx context.Context, c *Connection) error {
	return c.run(func(api *client.Client, p *printer) error {
		_, err := api.AvailabilityZones().Update(ctx, n.Zone, wire.AvailabilityZoneUpdate{Description: opt(n.Description), Enabled: opt(n.Enable)})
		if err != nil {
			return err
		}
		return p.line("availability zone %s changed", n.Zone)
	})
}

type zoneDelete struct{ zoneName }

func (n *zoneDelete) Run(ctx context.Context, c *Connection) error {
	return c.run(func(api *client.Client, p *printer) error {
		if err := api.AvailabilityZones().Delete(ctx, n.Zone); err != nil {
			return err
		}
		return p.line("availability zone %s deleted", n.Zone)
	})
}

type zoneProfileCommands struct {
	Connection
	List   zoneProfileList   `cmd:"" help:"List availability zone profiles."`
	Show   zoneProfileShow   `cmd:"" help:"Show an availability zone profile."`
	Create zoneProfileCreate `cmd:"" help:"Write down what an availability zone means."`
	Set    zoneProfileSet    `cmd:"" help:"Change an availability zone profile; its options only while no zone has it."`
	Delete zoneProfileDelete `cmd:"" help:"Delete an availability zone profile that no zone has."`
}

type zoneProfileList struct{}

func (*zoneProfileList) Run(ctx context.Context, c *Connection) error {
	return listAll(ctx, c, (*client.Client).AvailabilityZoneProfiles, "id", "name", "provider_name", "availability_zone_data")
}

type zoneProfileName struct {
	Profile string `arg:"" help:"Name or id."`
}

func (n zoneProfileName) with(ctx context.Context, c *Connection, do func(*printer, client.Resource[wire.AvailabilityZoneProfile, wire.AvailabilityZoneProfileCreate, wire.AvailabilityZoneProfileUpdate], string) error) error {
	return named(ctx, c, (*client.Client).AvailabilityZoneProfiles, "availabilityzoneprofile", n.Profile, do)
}

type zoneProfileShow struct{ zoneProfileName }

func (n *zoneProfileShow) Run(ctx context.Context, c *Connection) error {
	return n.with(ctx, c, func(p *printer, r client.Resource[wire.AvailabilityZoneProfile, wire.AvailabilityZoneProfileCreate, wire.AvailabilityZoneProfileUpdate], id string) error {
		return showOne(ctx, p, r, id)
	})
}

type zoneProfileCreate struct {
	Name     string `arg:"" help:"Name."`
	Data     string `required:"" placeholder:"JSON" help:"Options, like '{\"valid_vip_networks\": [\"<id>\"]}'."`
	Provider string `default:"amphora" help:"Provider."`
}

func (n *zoneProfileCreate) Run(ctx context.Context, c *Connection) error {
	return createOne(ctx, c, (*client.Client).AvailabilityZoneProfiles, wire.AvailabilityZoneProfileCreate{
		Name: wire.Some(n.Name), ProviderName: wire.Some(n.Provider), AvailabilityZoneData: wire.Some(n.Data),
	})
}

type zoneProfileSet struct {
	zoneProfileName
	Name *string `help:"New name."`
	Data *string `placeholder:"JSON" help:"Options."`
}

func (n *zoneProfileSet) Run(ctx context.Context, c *Connection) error {
	return n.with(ctx, c, func(p *printer, r client.Resource[wire.AvailabilityZoneProfile, wire.AvailabilityZoneProfileCreate, wire.AvailabilityZoneProfileUpdate], id string) error {
		if _, err := r.Update(ctx, id, wire.AvailabilityZoneProfileUpdate{Name: opt(n.Name), AvailabilityZoneData: opt(n.Data)}); err != nil {
			return err
		}
		return p.line("availability zone profile %s changed", id)
	})
}

type zoneProfileDelete struct{ zoneProfileName }

func (n *zoneProfileDelete) Run(ctx context.Context, c *Connection) error {
	return n.with(ctx, c, func(p *printer, r client.Resource[wire.AvailabilityZoneProfile, wire.AvailabilityZoneProfileCreate, wire.AvailabilityZoneProfileUpdate], id string) error {
		if err := r.Delete(ctx, id); err != nil {
			return err
		}
		return p.line("availability zone profile %s deleted", id)
	})
}
