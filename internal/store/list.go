package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/uptrace/bun"

	"colonnade/internal/lb"
)

// LoadBalancerItem is a load balancer with the ids of its children.
type LoadBalancerItem struct {
	lb.LoadBalancer
	ListenerIDs, PoolIDs []string
}

// ListenerItem is a listener, without its policies, with their ids by position.
type ListenerItem struct {
	lb.Listener
	PolicyIDs []string
}

// L7PolicyItem is a policy, without its rules, with their ids.
type L7PolicyItem struct {
	lb.L7Policy
	RuleIDs []string
}

// PoolItem is a pool, without members and monitor, with the ids around it.
type PoolItem struct {
	lb.Pool
	ListenerIDs, MemberIDs []string // listeners that use it, by default or through a policy
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

// page reads one page.
func page[R, T any](ctx context.Context, s *Store, r resource, q Query, item func(R) T) ([]T, error) {
	var rows []R
	err := s.read(ctx, func(ctx context.Context, db bun.IDB) error { return r.list(ctx, db, q, &rows) })
	if err != nil {
		return nil, explain("list rows of "+r.table, err)
	}
	items := make([]T, len(rows))
	for i := range rows {
		items[i] = item(rows[i])
	}
	return items, nil
}

// idList is what relatedIDs reads.
type idList []string

// Scan reads ids with commas between them; NULL is none.
func (l *idList) Scan(from any) error {
	var text string
	switch v := from.(type) {
	case nil:
		*l = nil
		return nil
	case string:
		text = v
	case []byte:
		text = string(v)
	default:
		return fmt.Errorf("ids are a %T", from)
	}
	*l = strings.Split(text, ",")
	return nil
}

// relatedIDs is a column of a list: column id of the rows c of a table that belong to the list's row o, by creation. One
// statement reads a page with all that belongs to it, however long it is.
func relatedIDs(as, id, table, where string) string {
	return relatedIDsBy("c.created_at", as, id, table, where)
}

// relatedIDsBy orders them by something else.
func relatedIDsBy(order, as, id, table, where string) string {
	return fmt.Sprintf("(SELECT string_agg(c.%s, ',' ORDER BY %s, c.id) FROM %s AS c WHERE %s) AS %s", id, order, table, where, as)
}

// LoadBalancers lists load balancers that are not DELETED.
func (s *Store) LoadBalancers(ctx context.Context, q Query) ([]LoadBalancerItem, error) {
	type row struct {
		bun.BaseModel `bun:"table:load_balancer,alias:o"`
		lb.LoadBalancer
		ListenerIDs idList `bun:"listener_ids,scanonly"`
		PoolIDs     idList `bun:"pool_ids,scanonly"`
	}
	return page(ctx, s, loadBalancers, q, func(r row) LoadBalancerItem {
		return LoadBalancerItem{r.LoadBalancer, r.ListenerIDs, r.PoolIDs}
	})
}

// Listeners lists listeners.
func (s *Store) Listeners(ctx context.Context, q Query) ([]ListenerItem, error) {
	type row struct {
		bun.BaseModel `bun:"table:listener,alias:o"`
		lb.Listener
		PolicyIDs idList `bun:"policy_ids,scanonly"`
	}
	return page(ctx, s, listeners, q, func(r row) ListenerItem { return ListenerItem{r.Listener, r.PolicyIDs} })
}

// L7Policies lists L7 policies.
func (s *Store) L7Policies(ctx context.Context, q Query) ([]L7PolicyItem, error) {
	type row struct {
		bun.BaseModel `bun:"table:l7policy,alias:o"`
		lb.L7Policy
		RuleIDs idList `bun:"rule_ids,scanonly"`
	}
	return page(ctx, s, l7policies, q, func(r row) L7PolicyItem { return L7PolicyItem{r.L7Policy, r.RuleIDs} })
}

// L7Rules lists L7 rules; Filters["l7policy_id"] names the policy.
func (s *Store) L7Rules(ctx context.Context, q Query) ([]lb.L7Rule, error) {
	return page(ctx, s, l7rules, q, func(r l7RuleRow) lb.L7Rule { return r.L7Rule })
}

// Pools lists pools.
func (s *Store) Pools(ctx context.Context, q Query) ([]PoolItem, error) {
	type row struct {
		bun.BaseModel `bun:"table:pool,alias:o"`
		lb.Pool
		ListenerIDs     idList `bun:"listener_ids,scanonly"`
		MemberIDs       idList `bun:"member_ids,scanonly"`
		HealthMonitorID string `bun:"health_monitor_id,scanonly"`
	}
	return page(ctx, s, pools, q, func(r row) PoolItem {
		return PoolItem{Pool: r.Pool, ListenerIDs: r.ListenerIDs, MemberIDs: r.MemberIDs, HealthMonitorID: r.HealthMonitorID}
	})
}

// Members lists members; Filters["pool_id"] names the pool.
func (s *Store) Members(ctx context.Context, q Query) ([]lb.Member, error) {
	return page(ctx, s, members, q, func(r memberRow) lb.Member { return r.Member })
}

// HealthMonitors lists health monitors.
func (s *Store) HealthMonitors(ctx context.Context, q Query) ([]lb.HealthMonitor, error) {
	return page(ctx, s, healthMonitors, q, func(r healthMonitorRow) lb.HealthMonitor { return r.HealthMonitor })
}

// Amphorae lists amphorae that are not DELETED.
func (s *Store) Amphorae(ctx context.Context, q Query) ([]AmphoraItem, error) {
	type row struct {
		bun.BaseModel `bun:"table:amphora,alias:o"`
		lb.Amphora
		Project string `bun:"of_project,scanonly"`
	}
	return page(ctx, s, amphorae, q, func(r row) AmphoraItem { return AmphoraItem{r.Amphora, r.Project} })
}

// Clusters lists clusters.
func (s *Store) Clusters(ctx context.Context, q Query) ([]ClusterItem, error) {
	type row struct {
		bun.BaseModel `bun:"table:cluster,alias:o"`
		lb.Cluster
		AmphoraIDs idList `bun:"amphora_ids,scanonly"`
	}
	return page(ctx, s, clusters, q, func(r row) ClusterItem { return ClusterItem{r.Cluster, r.AmphoraIDs} })
}

// Distributors lists distributors.
func (s *Store) Distributors(ctx context.Context, q Query) ([]DistributorItem, error) {
	type row struct {
		bun.BaseModel `bun:"table:distributor,alias:o"`
		lb.Distributor
		LoadBalancerIDs idList `bun:"load_balancer_ids,scanonly"`
	}
	return page(ctx, s, distributors, q, func(r row) DistributorItem { return DistributorItem{r.Distributor, r.LoadBalancerIDs} })
}

// FindListener returns the id of the load balancer that has this listener.
func (s *Store) FindListener(ctx context.Context, id string) (string, error) {
	return s.find(ctx, "Listener", id, "SELECT load_balancer_id FROM listener WHERE id = ?")
}

// FindL7Policy returns the id of the load balancer that has this L7 policy.
func (s *Store) FindL7Policy(ctx context.Context, id string) (string, error) {
	return s.find(ctx, "L7 Policy", id, "SELECT l.load_balancer_id FROM l7policy AS p JOIN listener AS l ON l.id = p.listener_id WHERE p.id = ?")
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
