package store

import (
	"context"

	"colonnade/internal/lb"
)

// Query selects from a list. Names in Filters and Sort are the API's (admin_state_up, loadbalancer_id, address, …);
// unknown ones are an lb.KindInvalid fault.
type Query struct {
	Filters   map[string][]string // name -> values, any of which may match; tags, tags-any, not-tags, not-tags-any too
	ProjectID string              // "" for all
	Limit     int                 // 0 for all
	Marker    string              // id of the last row of the page before; unknown is lb.KindInvalid
	Sort      []SortKey           // created_at and id are appended
}

// SortKey orders a list.
type SortKey struct {
	Name string
	Desc bool
}

// LoadBalancerItem is a load balancer with the ids of its children.
type LoadBalancerItem struct {
	lb.LoadBalancer
	ListenerIDs, PoolIDs []string
}

// PoolItem is a pool (without members and monitor) with the ids around it.
type PoolItem struct {
	lb.Pool
	ListenerIDs, MemberIDs []string
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

func (s *Store) LoadBalancers(ctx context.Context, q Query) ([]LoadBalancerItem, error) {
	return nil, errUnbuilt
}
func (s *Store) Listeners(ctx context.Context, q Query) ([]lb.Listener, error) {
	return nil, errUnbuilt
}
func (s *Store) Pools(ctx context.Context, q Query) ([]PoolItem, error) { return nil, errUnbuilt }

// Members lists members; Filters["pool_id"] names the pool.
func (s *Store) Members(ctx context.Context, q Query) ([]lb.Member, error) { return nil, errUnbuilt }
func (s *Store) HealthMonitors(ctx context.Context, q Query) ([]lb.HealthMonitor, error) {
	return nil, errUnbuilt
}
func (s *Store) Amphorae(ctx context.Context, q Query) ([]AmphoraItem, error) { return nil, errUnbuilt }
func (s *Store) Clusters(ctx context.Context, q Query) ([]ClusterItem, error) { return nil, errUnbuilt }
func (s *Store) Distributors(ctx context.Context, q Query) ([]DistributorItem, error) {
	return nil, errUnbuilt
}

// FindListener returns the id of the load balancer that has this listener; so do the other Find functions.
func (s *Store) FindListener(ctx context.Context, id string) (string, error) { return "", errUnbuilt }
func (s *Store) FindPool(ctx context.Context, id string) (string, error)     { return "", errUnbuilt }
func (s *Store) FindMember(ctx context.Context, id string) (string, error)   { return "", errUnbuilt }
func (s *Store) FindHealthMonitor(ctx context.Context, id string) (string, error) {
	return "", errUnbuilt
}
