package api

import (
	"context"

	"colonnade/internal/api/wire"
	"colonnade/internal/lb"
)

func zoneView(o lb.Offer) wire.AvailabilityZone {
	return wire.AvailabilityZone{Name: o.Name, Description: o.Description, Enabled: o.Enabled, AvailabilityZoneProfileID: o.ProfileID}
}

func zoneProfileView(p lb.OfferProfile) wire.AvailabilityZoneProfile {
	return wire.AvailabilityZoneProfile{ID: p.ID, Name: p.Name, ProviderName: p.ProviderName, AvailabilityZoneData: p.Data}
}

func (s *server) listZones(ctx context.Context, c *call) (any, error) {
	return listOffers(ctx, s, c, lb.OfferZone, "availability_zones", zoneView)
}

func (s *server) showZone(ctx context.Context, c *call) (any, error) {
	return showOffer(ctx, s, c, lb.OfferZone, "availability_zone", zoneView)
}

func (s *server) createZone(ctx context.Context, c *call) (any, error) {
	var in wire.AvailabilityZoneCreate
	if err := decodeBody(c.body, "availability_zone_", "availability_zone", &in); err != nil {
		return nil, err
	}
	if err := mayOperate(ctx); err != nil {
		return nil, err
	}
	o := lb.Offer{
		ID: in.Name.V, Name: in.Name.V, Description: in.Description.Or(""), Enabled: !in.Enabled.Set || in.Enabled.V,
		ProfileID: in.AvailabilityZoneProfileID.V,
	}
	if err := s.Store.CreateOffer(ctx, lb.OfferZone, o); err != nil {
		return nil, err
	}
	return map[string]any{"availability_zone": zoneView(o)}, nil
}

func (s *server) updateZone(ctx context.Context, c *call) (any, error) {
	var in wire.AvailabilityZoneUpdate
	if err := decodeBody(c.body, "availability_zone_", "availability_zone", &in); err != nil {
		return nil, err
	}
	if err := mayOperate(ctx); err != nil {
		return nil, err
	}
	o, err := s.Store.UpdateOffer(ctx, lb.OfferZone, c.id(), func(o *lb.Offer) error {
		in.Description.Into(&o.Description, "")
		in.Enabled.Into(&o.Enabled, true)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return map[string]any{"availability_zone": zoneView(o)}, nil
}

func (s *server) deleteZone(ctx context.Context, c *call) (any, error) {
	return s.deleteOffer(ctx, c, lb.OfferZone)
}

func (s *server) listZoneProfiles(ctx context.Context, c *call) (any, error) {
	return listProfiles(ctx, s, c, lb.OfferZone, "availability_zone_profiles", zoneProfileView)
}

func (s *server) showZoneProfile(ctx context.Context, c *call) (any, error) {
	return showProfile(ctx, s, c, lb.OfferZone, "availability_zone_profile", zoneProfileView)
}

func (s *server) createZoneProfile(ctx context.Context, c *call) (any, error) {
	var in wire.AvailabilityZoneProfileCreate
	if err := decodeBody(c.body, "availability_zone_profile_", "availability_zone_profile", &in); err != nil {
		return nil, err
	}
	if err := mayOperate(ctx); err != nil {
		return nil, err
	}
	p, err := s.createProfile(ctx, lb.OfferZone, lb.OfferProfile{Name: in.Name.V, ProviderName: in.ProviderName.V, Data: in.AvailabilityZoneData.V})
	if err != nil {
		return nil, err
	}
	return map[string]any{"availability_zone_profile": zoneProfileView(p)}, nil
}

func (s *server) updateZoneProfile(ctx context.Context, c *call) (any, error) {
	var in wire.AvailabilityZoneProfileUpdate
	if err := decodeBody(c.body, "availability_zone_profile_", "availability_zone_profile", &in); err != nil {
		return nil, err
	}
	if err := mayOperate(ctx); err != nil {
		return nil, err
	}
	p, err := s.updateProfile(ctx, lb.OfferZone, c.id(), in.Name, in.ProviderName, in.AvailabilityZoneData, "availability_zone_data")
	if err != nil {
		return nil, err
	}
	return map[string]any{"availability_zone_profile": zoneProfileView(p)}, nil
}

func (s *server) deleteZoneProfile(ctx context.Context, c *call) (any, error) {
	return s.deleteProfile(ctx, c, lb.OfferZone)
}
