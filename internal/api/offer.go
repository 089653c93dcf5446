package api

import (
	"context"
	"slices"

	"github.com/google/uuid"

	"colonnade/internal/api/wire"
	"colonnade/internal/lb"
	"colonnade/internal/store"
)

// Flavors and availability zones: tenants choose by name what operators wrote into profiles. Both are lb.Offer; this
// file has what they share, flavor.go and availabilityzone.go what they are called.

// offered reads the offers of one kind for lists and shows.
func (s *server) offered(kind lb.OfferKind) func(context.Context, store.Query) ([]lb.Offer, error) {
	return func(ctx context.Context, q store.Query) ([]lb.Offer, error) {
		q.ProjectID = "" // offers are of nobody
		return s.Store.Offers(ctx, kind, q)
	}
}

func (s *server) profiles(kind lb.OfferKind) func(context.Context, store.Query) ([]lb.OfferProfile, error) {
	return func(ctx context.Context, q store.Query) ([]lb.OfferProfile, error) {
		q.ProjectID = ""
		return s.Store.OfferProfiles(ctx, kind, q)
	}
}

func listOffers[V any](ctx context.Context, s *server, c *call, kind lb.OfferKind, root string, view func(lb.Offer) V) (any, error) {
	if err := mayReadShared(ctx); err != nil {
		return nil, err
	}
	return listed(ctx, c, root, s.offered(kind), each(view), func(o lb.Offer) string { return o.ID })
}

func showOffer[V any](ctx context.Context, s *server, c *call, kind lb.OfferKind, root string, view func(lb.Offer) V) (any, error) {
	if err := mayReadShared(ctx); err != nil {
		return nil, err
	}
	o, err := byID(ctx, s.offered(kind), kind.Title(), c.id())
	if err != nil {
		return nil, err
	}
	return one(c, root, view(o))
}

func (s *server) deleteOffer(ctx context.Context, c *call, kind lb.OfferKind) (any, error) {
	err := mayOperate(ctx)
	if err == nil {
		err = s.Store.DeleteOffer(ctx, kind, c.id())
	}
	return nil, err
}

func listProfiles[V any](ctx context.Context, s *server, c *call, kind lb.OfferKind, root string, view func(lb.OfferProfile) V) (any, error) {
	if err := mayOperate(ctx); err != nil {
		return nil, err
	}
	return listed(ctx, c, root, s.profiles(kind), each(view), func(p lb.OfferProfile) string { return p.ID })
}

func showProfile[V any](ctx context.Context, s *server, c *call, kind lb.OfferKind, root string, view func(lb.OfferProfile) V) (any, error) {
	if err := mayOperate(ctx); err != nil {
		return nil, err
	}
	title := kind.Title() + " Profile"
	if c.id() == uuid.Nil.String() {
		title = kind.ProfileTitle()
	}
	p, err := byID(ctx, s.profiles(kind), title, c.id())
	if err != nil {
		return nil, err
	}
	return one(c, root, view(p))
}

func (s *server) deleteProfile(ctx context.Context, c *call, kind lb.OfferKind) (any, error) {
	err := mayOperate(ctx)
	if err == nil {
		err = s.Store.DeleteOfferProfile(ctx, kind, c.id())
	}
	return nil, err
}

// createProfile writes a new profile after its provider has looked at it.
func (s *server) createProfile(ctx context.Context, kind lb.OfferKind, p lb.OfferProfile) (lb.OfferProfile, error) {
	p.ID = uuid.NewString()
	if err := s.checkProfile(kind, p); err != nil {
		return p, err
	}
	return p, s.Store.CreateOfferProfile(ctx, kind, p)
}

// updateProfile changes a profile by what a request gives; null is no value for any of them.
func (s *server) updateProfile(ctx context.Context, kind lb.OfferKind, id string, name, provider, data wire.Opt[string], dataField string) (lb.OfferProfile, error) {
	for field, given := range map[string]wire.Opt[string]{"name": name, "provider_name": provider, dataField: data} {
		if given.Null {
			return lb.OfferProfile{}, lb.InvalidOption("None", field)
		}
	}
	return s.Store.UpdateOfferProfile(ctx, kind, id, func(p *lb.OfferProfile) error {
		name.Into(&p.Name, "")
		provider.Into(&p.ProviderName, "")
		data.Into(&p.Data, "")
		return s.checkProfile(kind, *p)
	})
}

// checkProfile asks whether the provider knows all of a profile's options.
func (s *server) checkProfile(kind lb.OfferKind, p lb.OfferProfile) error {
	if err := s.Settings.Rules.CheckProvider(p.ProviderName); err != nil {
		return err
	}
	if kind == lb.OfferZone {
		_, err := lb.ParseZoneOptions(p.Data, s.zoneOptions())
		return err
	}
	_, err := lb.ParseFlavorOptions(p.Data, s.flavorOptions())
	return err
}

// choice reads what a new load balancer is to be made with. What is not offered is the request's fault: 400.
func (s *server) choice(ctx context.Context, kind lb.OfferKind, id string, provider *string) (lb.OfferProfile, error) {
	o, p, err := s.Store.OfferWithProfile(ctx, kind, id)
	if lb.KindOf(err) == lb.KindNotFound {
		field := map[lb.OfferKind]string{lb.OfferFlavor: "flavor_id", lb.OfferZone: "availability zone"}[kind]
		return p, lb.Invalidf("Invalid %s.", field)
	} else if err != nil {
		return p, err
	}
	if !o.Enabled {
		return p, lb.Faultf(lb.KindInvalid, "The selected %s is not allowed in this deployment: %s", kind, o.ID)
	}
	if *provider == "" {
		*provider = p.ProviderName
	}
	if !sameProvider(*provider, p.ProviderName) {
		return p, lb.Faultf(lb.KindInvalid, "%s '%s' is not compatible with provider '%s'", kind.Title(), o.ID, *provider)
	}
	return p, nil
}

// choose puts what the request's flavor and availability zone say into a new load balancer, and returns the flavor's
// options.
func (s *server) choose(ctx context.Context, l *lb.LoadBalancer, in wire.LoadBalancerCreate) (flavor lb.FlavorOptions, zone lb.ZoneOptions, err error) {
	var p lb.OfferProfile
	if l.FlavorID = in.FlavorID.Or(""); l.FlavorID != "" {
		if p, err = s.choice(ctx, lb.OfferFlavor, l.FlavorID, &l.Provider); err == nil {
			flavor, err = lb.ParseFlavorOptions(p.Data, s.flavorOptions())
		}
	}
	if l.AvailabilityZone = in.AvailabilityZone.Or(""); err == nil && l.AvailabilityZone != "" {
		if p, err = s.choice(ctx, lb.OfferZone, l.AvailabilityZone, &l.Provider); err == nil {
			zone, err = lb.ParseZoneOptions(p.Data, s.zoneOptions())
		}
	}
	if l.Provider == "" {
		l.Provider = s.Settings.Rules.Providers[0].Name
	}
	l.Topology = s.Settings.With(flavor).Topology
	return flavor, zone, err
}

// checkZone refuses a VIP on a network that the availability zone does not have.
func checkZone(zone lb.ZoneOptions, networkID string) error {
	if zone.ValidVIPNetworks == nil || slices.Contains(zone.ValidVIPNetworks, networkID) {
		return nil
	}
	return lb.Invalidf("Network %s is none of those that the availability zone allows for VIPs.", networkID)
}

// flavorOptions are those that a profile may have; nil is any.
func (s *server) flavorOptions() []lb.Capability {
	if s.Provider.TakesAnyOption() {
		return nil
	}
	return s.Provider.FlavorCapabilities()
}

// zoneOptions are those that a profile may have; nil is any.
func (s *server) zoneOptions() []lb.Capability {
	if s.Provider.TakesAnyOption() {
		return nil
	}
	return s.Provider.ZoneCapabilities()
}
