package api

import (
	"context"
	"encoding/json"

	"colonnade/internal/api/wire"
	"colonnade/internal/store"
)

// clusterView shows a cluster (S67). Its probe key stays here: whoever has it can pretend to be an amphora.
func clusterView(c store.ClusterItem) wire.Cluster {
	v := wire.Cluster{
		ID: c.ID, Name: c.Name, ProjectID: c.ProjectID, TenantID: c.ProjectID, LoadBalancerID: c.LoadBalancerID,
		DistributorID: orNull(c.DistributorID), ClusterType: c.Type, DesiredSize: c.DesiredSize, MinSize: c.MinSize,
		StandbySize: c.StandbySize, StandbyReady: c.StandbyReady, Cooldown: c.Cooldown.Seconds(), Enabled: c.Enabled,
		ProvisioningStatus: string(c.ProvisioningStatus), OperatingStatus: string(c.OperatingStatus),
		Amphorae: refs(c.AmphoraIDs), CreatedAt: stamp(c.CreatedAt), UpdatedAt: stamp(c.UpdatedAt),
	}
	if json.Valid([]byte(c.Table)) {
		v.Table = json.RawMessage(c.Table)
	}
	return v
}

func (s *server) listClusters(ctx context.Context, c *call) (any, error) {
	if err := mayOperate(ctx); err != nil {
		return nil, err
	}
	return listed(ctx, c, "clusters", s.Store.Clusters, each(clusterView), func(c store.ClusterItem) string { return c.ID })
}

func (s *server) showCluster(ctx context.Context, c *call) (any, error) {
	err := mayOperate(ctx)
	if err != nil {
		return nil, err
	}
	cl, err := byID(ctx, s.Store.Clusters, "Cluster", c.id())
	if err != nil {
		return nil, err
	}
	return one(c, "cluster", clusterView(cl))
}
