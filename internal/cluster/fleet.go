package cluster

import (
	"context"

	"colonnade/internal/health"
	"colonnade/internal/health/heartbeat"
	"colonnade/internal/lb"
)

// FleetOf counts all amphorae; for Deps.Fleet. As silent counts whoever any witness speaks against who declares deaths: the
// health role, a distributor that gets no answer to its probes or has swapped somebody, and the rows of those who were taken
// out of service for that. It is asked only when an amphora did not answer, so it may read everything.
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
			if h.State == lb.HealthSilent {
				silent[h.InstanceID] = true
			}
			report, err := health.DecodeDistributorReport(h.Report)
			if h.Kind != heartbeat.KindDistributor || err != nil {
				continue // what cannot be read is one witness less
			}
			for _, one := range report.LoadBalancers {
				for _, id := range one.Silent {
					silent[id] = true
				}
				for _, swap := range one.Swaps {
					silent[swap.AmphoraID] = true
				}
			}
		}
		var f Fleet
		clusters := map[string]bool{}
		for _, s := range subjects {
			if s.Kind != heartbeat.KindAmphora {
				continue
			}
			f.Amphorae++
			if silent[s.ID] || s.OutOfService {
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
