package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/uptrace/bun"

	"colonnade/internal/lb"
)

// ClusterState reads everything about one load balancer's cluster.
func (s *Store) ClusterState(ctx context.Context, lbID string) (st lb.ClusterState, err error) {
	err = s.snapshot(ctx, func(ctx context.Context, tx bun.Tx) error {
		st, err = readCluster(ctx, tx, lbID, false)
		return err
	})
	if err != nil {
		return lb.ClusterState{}, explain("read cluster of load balancer "+lbID, err)
	}
	return st, nil
}

func readCluster(ctx context.Context, tx bun.IDB, lbID string, forUpdate bool) (st lb.ClusterState, err error) {
	// The load balancer's row is the lock for its cluster too.
	if st.LoadBalancer, err = readLoadBalancer(ctx, tx, lbID, forUpdate); err != nil {
		return st, err
	}
	var cluster clusterRow
	err = tx.NewSelect().Model(&cluster).Where("o.load_balancer_id = ?", lbID).Scan(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		return st, lb.Faultf(lb.KindNotFound, "Cluster of Load Balancer %s not found.", lbID)
	} else if err != nil {
		return st, err
	}
	st.Cluster = cluster.Cluster
	var amphorae []amphoraRow
	var ports []amphoraPortRow
	err = errors.Join(
		tx.NewSelect().Model(&amphorae).Where("o.load_balancer_id = ? AND o.status <> ?", lbID, lb.AmphoraDeleted).
			Order("o.created_at", "o.id").Scan(ctx),
		tx.NewSelect().Model(&ports).Join("JOIN amphora AS a ON a.id = o.amphora_id").
			Where("a.load_balancer_id = ? AND a.status <> ?", lbID, lb.AmphoraDeleted).Order("o.port_id").Scan(ctx),
	)
	if err != nil {
		return st, err
	}
	ids := make([]string, 0, len(amphorae)+1)
	for _, a := range amphorae {
		st.Amphorae = append(st.Amphorae, a.Amphora)
		ids = append(ids, a.ID)
	}
	for _, p := range ports {
		st.Ports = append(st.Ports, p.AmphoraPort)
	}
	if id := st.Cluster.DistributorID; id != "" {
		d, err := readDistributor(ctx, tx, id, false)
		if err != nil {
			return st, err
		}
		st.Distributor = &d
		ids = append(ids, id)
	}
	st.Health, err = readHealth(ctx, tx, ids)
	return st, err
}

func readHealth(ctx context.Context, tx bun.IDB, ids []string) (map[string]lb.InstanceHealth, error) {
	health := map[string]lb.InstanceHealth{}
	if len(ids) == 0 {
		return health, nil
	}
	var rows []instanceHealthRow
	if err := tx.NewSelect().Model(&rows).Where("o.instance_id IN (?)", bun.List(ids)).Scan(ctx); err != nil {
		return nil, err
	}
	for _, h := range rows {
		health[h.InstanceID] = h.InstanceHealth
	}
	return health, nil
}

// UpdateCluster lets the lease's holder change cluster, amphorae and ports (a new entry is inserted, one that is left
// out is removed) and writes what differs, events and wakes in one transaction. An amphora that becomes DELETED loses
// its ports and health. lb.ErrFenced when the lease is superseded; an error of change is handed back.
func (s *Store) UpdateCluster(ctx context.Context, lease lb.Lease, change func(*lb.ClusterState) (lb.Outcome, error)) error {
	return s.write(ctx, "update cluster of load balancer "+lease.Key, func(ctx context.Context, tx *transaction) error {
		before, err := readCluster(ctx, tx, lease.Key, true)
		if err != nil {
			return err
		}
		if fenced(before.LoadBalancer, lease) {
			return lb.ErrFenced
		}
		after := cloneCluster(before)
		out, err := change(&after)
		if err != nil {
			return err
		}
		if !reflect.DeepEqual(before.LoadBalancer, after.LoadBalancer) || !reflect.DeepEqual(before.Distributor, after.Distributor) ||
			!reflect.DeepEqual(before.Health, after.Health) {
			return errors.New("load balancer, distributor and health are read-only in a change of the cluster")
		}
		if err := tx.writeCluster(ctx, before, after); err != nil {
			return err
		}
		return tx.finish(ctx, out)
	})
}

func cloneCluster(s lb.ClusterState) lb.ClusterState {
	s.LoadBalancer.Tags = slices.Clone(s.LoadBalancer.Tags)
	s.Amphorae, s.Ports, s.Health = slices.Clone(s.Amphorae), slices.Clone(s.Ports), maps.Clone(s.Health)
	if s.Distributor != nil {
		d := *s.Distributor
		s.Distributor = &d
	}
	return s
}

func (tx *transaction) writeCluster(ctx context.Context, before, after lb.ClusterState) error {
	if c := after.Cluster; !reflect.DeepEqual(before.Cluster, c) {
		if c.ID != before.Cluster.ID || c.LoadBalancerID != before.Cluster.LoadBalancerID {
			return errors.New("a cluster's id and load balancer cannot be changed")
		}
		c.UpdatedAt = tx.now
		if _, err := tx.NewUpdate().Model(&clusterRow{Cluster: c}).WherePK().Exec(ctx); err != nil {
			return fmt.Errorf("write cluster: %w", err)
		}
	}
	old := make(map[string]lb.Amphora, len(before.Amphorae))
	for _, a := range before.Amphorae {
		old[a.ID] = a
	}
	gone := maps.Clone(old)
	var deleted []string // what had ports and health and has none any more
	for _, a := range after.Amphorae {
		was, existed := old[a.ID]
		delete(gone, a.ID)
		a.LoadBalancerID, a.ClusterID = before.LoadBalancer.ID, before.Cluster.ID
		var err error
		switch {
		case !existed:
			a.CreatedAt = tx.orNow(a.CreatedAt)
			_, err = tx.NewInsert().Model(&amphoraRow{Amphora: a}).Exec(ctx)
		case !reflect.DeepEqual(was, a):
			a.UpdatedAt = tx.now
			_, err = tx.NewUpdate().Model(&amphoraRow{Amphora: a}).WherePK().Exec(ctx)
		}
		if err != nil {
			return fmt.Errorf("write amphora %s: %w", a.ID, err)
		}
		if a.Status == lb.AmphoraDeleted {
			deleted = append(deleted, a.ID)
		}
	}
	for id := range gone {
		deleted = append(deleted, id)
	}
	if err := tx.writePorts(ctx, before.Ports, after.Ports, deleted); err != nil {
		return err
	}
	if len(deleted) > 0 {
		if _, err := tx.NewDelete().Model((*instanceHealthRow)(nil)).Where("instance_id IN (?)", bun.List(deleted)).Exec(ctx); err != nil {
			return fmt.Errorf("remove health: %w", err)
		}
	}
	for id := range gone {
		if _, err := tx.NewDelete().Model((*amphoraRow)(nil)).Where("id = ?", id).Exec(ctx); err != nil {
			return fmt.Errorf("remove amphora %s: %w", id, err)
		}
	}
	return nil
}

func (tx *transaction) writePorts(ctx context.Context, before, after []lb.AmphoraPort, deleted []string) error {
	after = slices.DeleteFunc(slices.Clone(after), func(p lb.AmphoraPort) bool { return slices.Contains(deleted, p.AmphoraID) })
	for _, p := range before {
		if !slices.Contains(after, p) {
			if _, err := tx.NewDelete().Model(&amphoraPortRow{AmphoraPort: p}).WherePK().Exec(ctx); err != nil {
				return fmt.Errorf("remove amphora port %s: %w", p.PortID, err)
			}
		}
	}
	for _, p := range after {
		if !slices.Contains(before, p) {
			if _, err := tx.NewInsert().Model(&amphoraPortRow{AmphoraPort: p}).Exec(ctx); err != nil {
				return fmt.Errorf("write amphora port %s: %w", p.PortID, err)
			}
		}
	}
	return nil
}
