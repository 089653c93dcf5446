package store

import (
	"context"
	"database/sql"
	"errors"

	"github.com/uptrace/bun"

	"colonnade/internal/lb"
)

// LoadBalancerItem is a load balancer with the ids of its children.
type LoadBalancerItem struct {
	lb.LoadBalancer
	ListenerIDs, PoolIDs []string
}

// PoolItem is a pool, without members and monitor, with the ids around it.
type PoolItem struct {
	lb.Pool
	ListenerIDs, MemberIDs []string // listeners whose default pool it is
	HealthMonitorID        string
}

// AmphoraItem is an amphora with its load balancer's project.
type AmphoraItem struct {
	lb.Amphora
	ProjectID string
}

// ClusterItem is a cluster with the ids of its amphorae that are not DELETED.
type ClusterItem struct {
	lb.Cluster
	AmphoraIDs []string
}

// DistributorItem is a distributor with the ids of the load balancers it serves.
type DistributorItem struct {
	lb.Distributor
	LoadBalancerIDs []string
}

// page reads one page and what belongs to it in one snapshot.
func page[R any](ctx context.Context, s *Store, r resource, q Query, more func(ctx context.Context, tx bun.Tx, rows []R) error) error {
	err := s.snapshot(ctx, func(ctx context.Context, tx bun.Tx) error {
		var rows []R
		if err := r.list(ctx, tx, q, &rows); err != nil {
			return err
		}
		return more(ctx, tx, rows)
	})
	if err != nil {
		return explain("list rows of "+r.table, err)
	}
	return nil
}

// childIDs maps the values of column parent to the values of column child, by creation. parents nil asks for all.
func childIDs(ctx context.Context, tx bun.IDB, model any, parent, child string, parents []string) (map[string][]string, error) {
	ids := map[string][]string{}
	q := tx.NewSelect().Model(model).ColumnExpr("o."+parent).ColumnExpr("o."+child).Where("o."+parent+" IS NOT NULL").
		Order("o.created_at", "o.id")
	if parents != nil {
		if len(parents) == 0 {
			return ids, nil
		}
		q = q.Where("o."+parent+" IN (?)", bun.List(parents))
	}
	if _, ok := model.(*amphoraRow); ok {
		q = q.Where("o.status <> ?", lb.AmphoraDeleted)
	}
	var froms, tos []string
	if err := q.Scan(ctx, &froms, &tos); err != nil {
		return nil, err
	}
	for i, from := range froms {
		ids[from] = append(ids[from], tos[i])
	}
	return ids, nil
}

func idsOf[R any](rows []R, id func(R) string) []string {
	ids := make([]string, 0, len(rows))
	for _, r := range rows {
		ids = append(ids, id(r))
	}
	return ids
}

// LoadBalancers lists load balancers that are not DELETED.
func (s *Store) LoadBalancers(ctx context.Context, q Query) (items []LoadBalancerItem, err error) {
	err = page(ctx, s, loadBalancers, q, func(ctx context.Context, tx bun.Tx, rows []loadBalancerRow) error {
		ids := idsOf(rows, func(r loadBalancerRow) string { return r.ID })
		ls, err := childIDs(ctx, tx, (*listenerRow)(nil), "load_balancer_id", "id", ids)
		if err != nil {
			return err
		}
		ps, err := childIDs(ctx, tx, (*poolRow)(nil), "load_balancer_id", "id", ids)
		if err != nil {
			return err
		}
		items = make([]LoadBalancerItem, 0, len(rows))
		for _, r := range rows {
			items = append(items, LoadBalancerItem{r.LoadBalancer, ls[r.ID], ps[r.ID]})
		}
		return nil
	})
	return items, err
}

// Listeners lists listeners.
func (s *Store) Listeners(ctx context.Context, q Query) (items []lb.Listener, err error) {
	err = page(ctx, s, listeners, q, func(_ context.Context, _ bun.Tx, rows []listenerRow) error {
		items = make([]lb.Listener, 0, len(rows))
		for _, r := range rows {
			items = append(items, r.Listener)
		}
		return nil
	})
	return items, err
}

// Pools lists pools.
func (s *Store) Pools(ctx context.Context, q Query) (items []PoolItem, err error) {
	err = page(ctx, s, pools, q, func(ctx context.Context, tx bun.Tx, rows []poolRow) error {
		ids := idsOf(rows, func(r poolRow) string { return r.ID })
		ls, err := childIDs(ctx, tx, (*listenerRow)(nil), "default_pool_id", "id", ids)
		if err != nil {
			return err
		}
		ms, err := childIDs(ctx, tx, (*memberRow)(nil), "pool_id", "id", ids)
		if err != nil {
			return err
		}
		hs, err := childIDs(ctx, tx, (*healthMonitorRow)(nil), "pool_id", "id", ids)
		if err != nil {
			return err
		}
		items = make([]PoolItem, 0, len(rows))
		for _, r := range rows {
			item := PoolItem{Pool: r.Pool, ListenerIDs: ls[r.ID], MemberIDs: ms[r.ID]}
			if h := hs[r.ID]; len(h) > 0 {
				item.HealthMonitorID = h[0]
			}
			items = append(items, item)
		}
		return nil
	})
	return items, err
}

// Members lists members; Filters["pool_id"] names the pool.
func (s *Store) Members(ctx context.Context, q Query) (items []lb.Member, err error) {
	err = page(ctx, s, members, q, func(_ context.Context, _ bun.Tx, rows []memberRow) error {
		items = make([]lb.Member, 0, len(rows))
		for _, r := range rows {
			items = append(items, r.Member)
		}
		return nil
	})
	return items, err
}

// HealthMonitors lists health monitors.
func (s *Store) HealthMonitors(ctx context.Context, q Query) (items []lb.HealthMonitor, err error) {
	err = page(ctx, s, healthMonitors, q, func(_ context.Context, _ bun.Tx, rows []healthMonitorRow) error {
		items = make([]lb.HealthMonitor, 0, len(rows))
		for _, r := range rows {
			items = append(items, r.HealthMonitor)
		}
		return nil
	})
	return items, err
}

// Amphorae lists amphorae that are not DELETED.
func (s *Store) Amphorae(ctx context.Context, q Query) (items []AmphoraItem, err error) {
	err = page(ctx, s, amphorae, q, func(ctx context.Context, tx bun.Tx, rows []amphoraRow) error {
		ids := idsOf(rows, func(r amphoraRow) string { return r.LoadBalancerID })
		projects, err := childIDs(ctx, tx, (*loadBalancerRow)(nil), "id", "project_id", ids)
		if err != nil {
			return err
		}
		items = make([]AmphoraItem, 0, len(rows))
		for _, r := range rows {
			items = append(items, AmphoraItem{r.Amphora, projects[r.LoadBalancerID][0]})
		}
		return nil
	})
	return items, err
}

// Clusters lists clusters.
func (s *Store) Clusters(ctx context.Context, q Query) (items []ClusterItem, err error) {
	err = page(ctx, s, clusters, q, func(ctx context.Context, tx bun.Tx, rows []clusterRow) error {
		ids := idsOf(rows, func(r clusterRow) string { return r.ID })
		as, err := childIDs(ctx, tx, (*amphoraRow)(nil), "cluster_id", "id", ids)
		if err != nil {
			return err
		}
		items = make([]ClusterItem, 0, len(rows))
		for _, r := range rows {
			items = append(items, ClusterItem{r.Cluster, as[r.ID]})
		}
		return nil
	})
	return items, err
}

// Distributors lists distributors.
func (s *Store) Distributors(ctx context.Context, q Query) (items []DistributorItem, err error) {
	err = page(ctx, s, distributors, q, func(ctx context.Context, tx bun.Tx, rows []distributorRow) error {
		ids := idsOf(rows, func(r distributorRow) string { return r.ID })
		ls, err := childIDs(ctx, tx, (*clusterRow)(nil), "distributor_id", "load_balancer_id", ids)
		if err != nil {
			return err
		}
		items = make([]DistributorItem, 0, len(rows))
		for _, r := range rows {
			items = append(items, DistributorItem{r.Distributor, ls[r.ID]})
		}
		return nil
	})
	return items, err
}

// FindListener returns the id of the load balancer that has this listener.
func (s *Store) FindListener(ctx context.Context, id string) (string, error) {
	return s.find(ctx, "Listener", id, "SELECT load_balancer_id FROM listener WHERE id = ?")
}

// FindPool returns the id of the load balancer that has this pool.
func (s *Store) FindPool(ctx context.Context, id string) (string, error) {
	return s.find(ctx, "Pool", id, "SELECT load_balancer_id FROM pool WHERE id = ?")
}

// FindMember returns the id of the load balancer that has this member.
func (s *Store) FindMember(ctx context.Context, id string) (string, error) {
	return s.find(ctx, "Member", id, "SELECT p.load_balancer_id FROM member AS m JOIN pool AS p ON p.id = m.pool_id WHERE m.id = ?")
}

// FindHealthMonitor returns the id of the load balancer that has this health monitor.
func (s *Store) FindHealthMonitor(ctx context.Context, id string) (string, error) {
	return s.find(ctx, "Health Monitor", id, "SELECT p.load_balancer_id FROM health_monitor AS h JOIN pool AS p ON p.id = h.pool_id WHERE h.id = ?")
}

func (s *Store) find(ctx context.Context, kind, id, query string) (string, error) {
	var lbID string
	err := s.read(ctx, func(ctx context.Context, db bun.IDB) error { return db.NewRaw(query, id).Scan(ctx, &lbID) })
	if errors.Is(err, sql.ErrNoRows) {
		return "", lb.Faultf(lb.KindNotFound, "%s %s not found.", kind, id)
	} else if err != nil {
		return "", explain("find owner of "+kind+" "+id, err)
	}
	return lbID, nil
}
