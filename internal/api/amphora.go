package api

import (
	"context"

	"colonnade/internal/api/wire"
	"colonnade/internal/lb"
	"colonnade/internal/store"
)

// vips reads the load balancers with these ids, for the VIP that amphorae and distributors are shown with.
func (s *server) vips(ctx context.Context, ids []string) (map[string]lb.LoadBalancer, error) {
	found := map[string]lb.LoadBalancer{}
	if len(ids) == 0 {
		return found, nil
	}
	items, err := s.Store.LoadBalancers(ctx, store.Query{Filters: map[string][]string{"id": ids}})
	for _, l := range items {
		found[l.ID] = l.LoadBalancer
	}
	return found, err
}

func amphoraView(a store.AmphoraItem, l lb.LoadBalancer) wire.Amphora {
	v := wire.Amphora{
		ID: a.ID, LoadBalancerID: orNull(a.LoadBalancerID), ClusterID: orNull(a.ClusterID), ComputeID: orNull(a.ComputeID),
		LBNetworkIP: orNull(a.ManagementIP), VRRPIP: orNull(a.FrontEndIP), HAIP: orNull(l.VIPAddress),
		VRRPPortID: orNull(a.FrontEndPortID), HAPortID: orNull(l.VIPPortID), CertExpiration: stamp(a.CertExpiration),
		Role: string(a.Role), Status: string(a.Status), StatusReason: a.StatusReason,
		CreatedAt: stamp(a.CreatedAt), UpdatedAt: stamp(a.UpdatedAt), FrontEndMAC: orNull(a.FrontEndMAC),
		OutOfService: a.OutOfService, DrainingSince: stamp(a.DrainingSince),
		AppliedRevision: a.AppliedRevision, AppliedTable: a.AppliedTable,
	}
	if a.Position != lb.NoPosition {
		v.Position = &a.Position
	}
	return v
}

func (s *server) amphoraViews(ctx context.Context) func([]store.AmphoraItem) ([]wire.Amphora, error) {
	return func(items []store.AmphoraItem) ([]wire.Amphora, error) {
		var ids []string
		for _, a := range items {
			ids = append(ids, a.LoadBalancerID)
		}
		lbs, err := s.vips(ctx, ids)
		out := make([]wire.Amphora, len(items))
		for i, a := range items {
			out[i] = amphoraView(a, lbs[a.LoadBalancerID])
		}
		return out, err
	}
}

func (s *server) listAmphorae(ctx context.Context, c *call) (any, error) {
	if err := mayOperate(ctx); err != nil {
		return nil, err
	}
	return listed(ctx, c, "amphorae", s.Store.Amphorae, s.amphoraViews(ctx), func(a store.AmphoraItem) string { return a.ID })
}

// amphora reads the amphora of the path.
func (s *server) amphora(ctx context.Context, c *call) (store.AmphoraItem, error) {
	if err := mayOperate(ctx); err != nil {
		return store.AmphoraItem{}, err
	}
	return byID(ctx, s.Store.Amphorae, "Amphora", c.id())
}

func (s *server) showAmphora(ctx context.Context, c *call) (any, error) {
	a, err := s.amphora(ctx, c)
	if err != nil {
		return nil, err
	}
	shown, err := s.amphoraViews(ctx)([]store.AmphoraItem{a})
	if err != nil {
		return nil, err
	}
	return one(c, "amphora", shown[0])
}

func (s *server) failoverAmphora(ctx context.Context, c *call) (any, error) {
	a, err := s.amphora(ctx, c)
	if err == nil {
		err = s.Store.RequestAmphoraFailover(ctx, a.ID)
	}
	return nil, err
}

func (s *server) configureAmphora(ctx context.Context, c *call) (any, error) {
	a, err := s.amphora(ctx, c)
	if err == nil {
		err = s.Store.RequestAmphoraConfiguration(ctx, a.ID)
	}
	return nil, err
}

func (s *server) deleteAmphora(ctx context.Context, c *call) (any, error) {
	a, err := s.amphora(ctx, c)
	if err == nil {
		err = s.Store.DeleteAmphora(ctx, a.ID)
	}
	return nil, err
}

func (s *server) amphoraStatistics(ctx context.Context, c *call) (any, error) {
	a, err := s.amphora(ctx, c)
	if err != nil {
		return nil, err
	}
	counters, err := s.Store.AmphoraStatistics(ctx, a.ID)
	if err == nil && len(counters) == 0 {
		err = notFound("Amphora Statistics for Amphora", a.ID)
	}
	if err != nil {
		return nil, err
	}
	out := make([]wire.AmphoraStatistics, len(counters))
	for i, one := range counters {
		out[i] = wire.AmphoraStatistics{ID: a.ID, LoadBalancerID: a.LoadBalancerID, ListenerID: one.ListenerID}
		addStatistics(&out[i].Statistics, one)
	}
	return map[string]any{"amphora_stats": out}, nil
}
