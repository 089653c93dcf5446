package cluster

import (
	"context"

	"colonnade/internal/health"
	"colonnade/internal/health/heartbeat"
	"colonnade/internal/lb"
)

// FleetOf counts all amphorae by what the health role wrote; for Deps.Fleet. It is asked only when an amphora did not
// answer, so it may read everything.
func FleetOf(store health.Store) func(ctx context.Context) (Fleet, error) {
	return func(ctx context.Context) (Fleet, error) {
		subjects, err := store.Subjects(ctx)
		if err != nil {
			return Fleet{}, err
		}
		all, err := store.Health(ctx)
		if err != nil {
			return Fleet{}, err
		}
		silent := map[string]bool{}
		for _, h := range all {
			silent[h.InstanceID] = h.State == lb.HealthSilent
		}
		var f Fleet
		clusters := map[string]bool{}
		for _, s := range subjects {
			if s.Kind != heartbeat.KindAmphora {
				continue
			}
			f.Amphorae++
			if silent[s.ID] {
				f.Silent++
			}
			for _, id := range s.LoadBalancers {
				clusters[id] = true
			}
		}
		f.Clusters = len(clusters)
		return f, nil
	}
}
