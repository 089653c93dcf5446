package api

import (
	"context"

	"github.com/google/uuid"

	"colonnade/internal/api/wire"
	"colonnade/internal/lb"
)

func flavorView(o lb.Offer) wire.Flavor {
	return wire.Flavor{ID: o.ID, Name: o.Name, Description: o.Description, Enabled: o.Enabled, FlavorProfileID: o.ProfileID}
}

func flavorProfileView(p lb.OfferProfile) wire.FlavorProfile {
	return wire.FlavorProfile{ID: p.ID, Name: p.Name, ProviderName: p.ProviderName, FlavorData: p.Data}
}

func (s *server) listFlavors(ctx context.Context, c *call) (any, error) {
	return listOffers(ctx, s, c, lb.OfferFlavor, "flavors", flavorView)
}

func (s *server) showFlavor(ctx context.Context, c *call) (any, error) {
	return showOffer(ctx, s, c, lb.OfferFlavor, "flavor", flavorView)
}

func (s *server) createFlavor(ctx context.Context, c *call) (any, error) {
	var in wire.FlavorCreate
	if err := decodeBody(c.body, "flavor_", "flavor", &in); err != nil {
		return nil, err
	}
	if err := mayOperate(ctx); err != nil {
		return nil, err
	}
	o := lb.Offer{
		ID: uuid.NewString(), Name: in.Name.V, Description: in.Description.Or(""), Enabled: !in.Enabled.Set || in.Enabled.V,
		ProfileID: in.FlavorProfileID.V,
	}
	if err := s.Store.CreateOffer(ctx, lb.OfferFlavor, o); err != nil {
		return nil, err
	}
	return map[string]any{"flavor": flavorView(o)}, nil
}

func (s *server) updateFlavor(ctx context.Context, c *call) (any, error) {
	var in wire.FlavorUpdate
	if err := decodeBody(c.body, "flavor_", "flavor", &in); err != nil {
		return nil, err
	}
	if err := mayOperate(ctx); err != nil {
		return nil, err
	}
	if in.Name.Null {
		return nil, lb.InvalidOption("None", "name")
	}
	o, err := s.Store.UpdateOffer(ctx, lb.OfferFlavor, c.id(), func(o *lb.Offer) error {
		in.Name.Into(&o.Name, "")
		in.Description.Into(&o.Description, "")
		in.Enabled.Into(&o.Enabled, true)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return map[string]any{"flavor": flavorView(o)}, nil
}

func (s *server) deleteFlavor(ctx context.Context, c *call) (any, error) {
	return s.deleteOffer(ctx, c, lb.OfferFlavor)
}

func (s *server) listFlavorProfiles(ctx context.Context, c *call) (any, error) {
	return listProfiles(ctx, s, c, lb.OfferFlavor, "flavorprofiles", flavorProfileView)
}

func (s *server) showFlavorProfile(ctx context.Context, c *call) (any, error) {
	return showProfile(ctx, s, c, lb.OfferFlavor, "flavorprofile", flavorProfileView)
}

func (s *server) createFlavorProfile(ctx context.Context, c *call) (any, error) {
	var in wire.FlavorProfileCreate
	if err := decodeBody(c.body, "flavor_profile_", "flavorprofile", &in); err != nil {
		return nil, err
	}
	if err := mayOperate(ctx); err != nil {
		return nil, err
	}
	p, err := s.createProfile(ctx, lb.OfferFlavor, lb.OfferProfile{Name: in.Name.V, ProviderName: in.ProviderName.V, Data: in.FlavorData.V})
	if err != nil {
		return nil, err
	}
	return map[string]any{"flavorprofile": flavorProfileView(p)}, nil
}

func (s *server) updateFlavorProfile(ctx context.Context, c *call) (any, error) {
	var in wire.FlavorProfileUpdate
	if err := decodeBody(c.body, "flavor_profile_", "flavorprofile", &in); err != nil {
		return nil, err
	}
	if err := mayOperate(ctx); err != nil {
		return nil, err
	}
	p, err := s.updateProfile(ctx, lb.OfferFlavor, c.id(), in.Name, in.ProviderName, in.FlavorData, "flavor_data")
	if err != nil {
		return nil, err
	}
	return map[string]any{"flavorprofile": flavorProfileView(p)}, nil
}

func (s *server) deleteFlavorProfile(ctx context.Context, c *call) (any, error) {
	return s.deleteProfile(ctx, c, lb.OfferFlavor)
}
