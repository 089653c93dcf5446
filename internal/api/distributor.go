package api

import (
	"context"

	"colonnade/internal/api/wire"
	"colonnade/internal/store"
)

func (s *server) distributorViews(ctx context.Context) func([]store.DistributorItem) ([]wire.Distributor, error) {
	return func(items []store.DistributorItem) ([]wire.Distributor, error) {
		var ids []string
		for _, d := range items {
			ids = append(ids, d.LoadBalancerIDs...)
		}
		lbs, err := s.vips(ctx, ids)
		out := make([]wire.Distributor, len(items))
		for i, d := range items {
			out[i] = wire.Distributor{
				ID: d.ID, ProjectID: d.ProjectID, TenantID: d.ProjectID, Status: string(d.Status), StatusReason: d.StatusReason,
				ComputeID: orNull(d.ComputeID), LBNetworkIP: orNull(d.ManagementIP), CertExpiration: stamp(d.CertExpiration),
				VIPs: []wire.DistributorVIP{}, CreatedAt: stamp(d.CreatedAt), UpdatedAt: stamp(d.UpdatedAt),
			}
			for _, id := range d.LoadBalancerIDs {
				if l, ok := lbs[id]; ok {
					out[i].VIPs = append(out[i].VIPs, wire.DistributorVIP{LoadBalancerID: id, VIPAddress: l.VIPAddress, PortID: orNull(l.VIPPortID)})
				}
			}
		}
		return out, err
	}
}

func (s *server) listDistributors(ctx context.Context, c *call) (any, error) {
	if err := mayOperate(ctx); err != nil {
		return nil, err
	}
	return listed(ctx, c, "distributors", s.Store.Distributors, s.distributorViews(ctx), func(d store.DistributorItem) string { return d.ID })
}

func (s *server) showDistributor(ctx context.Context, c *call) (any, error) {
	if err := mayOperate(ctx); err != nil {
		return nil, err
	}
	d, err := byID(ctx, s.Store.Distributors, "Distributor", c.id())
	if err != nil {
		return nil, err
	}
	shown, err := s.distributorViews(ctx)([]store.DistributorItem{d})
	if err != nil {
		return nil, err
	}
	return one(c, "distributor", shown[0])
}
