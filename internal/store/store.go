// Package store holds all SQL but the queue's: tables, migrations, and the transactions in which rows, events and
// wakes are written together. The same queries serve SQLite (the embedded default) and PostgreSQL. Roles, API and
// network driver see it through interfaces of their own.
package store

import (
	"context"
	"errors"

	"github.com/uptrace/bun"

	"colonnade/internal/amphora"
	"colonnade/internal/health"
	"colonnade/internal/lb"
	"colonnade/internal/queue"
)

// Store is the database.
type Store struct {
	writer, reader *bun.DB
	bell           *queue.Bell
}

var errUnbuilt = errors.New("not built yet")

// Open opens the database, migrating it to the newest schema: "sqlite:<file>" or a plain path, or "postgres://…".
func Open(ctx context.Context, dsn string) (*Store, error) { return nil, errUnbuilt }

// Close ends all connections.
func (s *Store) Close() error { return errUnbuilt }

// Bell, Reader and Write: see queue.Database.
func (s *Store) Bell() *queue.Bell { return s.bell }

// Reader is for reads outside a transaction.
func (s *Store) Reader() bun.IDB { return s.reader }

// Write runs f in a transaction, again when the database asks for it, and rings the bell after the commit.
func (s *Store) Write(ctx context.Context, f func(ctx context.Context, tx bun.Tx) error) error {
	return errUnbuilt
}

func (s *Store) CreateTree(ctx context.Context, tree lb.Tree, cluster lb.Cluster) error {
	return errUnbuilt
}
func (s *Store) ChangeTree(ctx context.Context, lbID, actor string, change func(*lb.Tree) error) (lb.Tree, error) {
	return lb.Tree{}, errUnbuilt
}
func (s *Store) Tree(ctx context.Context, lbID string) (lb.Tree, error) {
	return lb.Tree{}, errUnbuilt
}
func (s *Store) UpdateTree(ctx context.Context, lease lb.Lease, change func(*lb.Tree) (lb.Outcome, error)) error {
	return errUnbuilt
}
func (s *Store) FinishDelete(ctx context.Context, lease lb.Lease) error { return errUnbuilt }

func (s *Store) ClusterState(ctx context.Context, lbID string) (lb.ClusterState, error) {
	return lb.ClusterState{}, errUnbuilt
}
func (s *Store) UpdateCluster(ctx context.Context, lease lb.Lease, change func(*lb.ClusterState) (lb.Outcome, error)) error {
	return errUnbuilt
}
func (s *Store) AssignDistributor(ctx context.Context, lease lb.Lease) (lb.Distributor, error) {
	return lb.Distributor{}, errUnbuilt
}
func (s *Store) Distributor(ctx context.Context, id string) (lb.Distributor, lb.InstanceHealth, []string, error) {
	return lb.Distributor{}, lb.InstanceHealth{}, nil, errUnbuilt
}
func (s *Store) UpdateDistributor(ctx context.Context, lease lb.Lease, change func(*lb.Distributor) (lb.Outcome, error)) error {
	return errUnbuilt
}

func (s *Store) Subjects(ctx context.Context) ([]health.Subject, error)           { return nil, errUnbuilt }
func (s *Store) Health(ctx context.Context) ([]lb.InstanceHealth, error)          { return nil, errUnbuilt }
func (s *Store) SaveLastSeen(ctx context.Context, seen []lb.InstanceHealth) error { return errUnbuilt }
func (s *Store) SaveHealth(ctx context.Context, changed []lb.InstanceHealth, wakes []lb.Wake) error {
	return errUnbuilt
}
func (s *Store) SaveListenerStatistics(ctx context.Context, stats map[string][]amphora.ListenerStats) error {
	return errUnbuilt
}

// RequestAmphoraFailover asks for a planned hand-over of one amphora: 404 when there is none, 409 unless its load
// balancer is ACTIVE.
func (s *Store) RequestAmphoraFailover(ctx context.Context, amphoraID string) error {
	return errUnbuilt
}

// RequestLoadBalancerFailover asks for every amphora to be handed over: 404, 409 unless ACTIVE or ERROR.
func (s *Store) RequestLoadBalancerFailover(ctx context.Context, lbID string) error {
	return errUnbuilt
}

// Events returns a load balancer's history, newest first.
func (s *Store) Events(ctx context.Context, lbID string, limit int) ([]lb.Event, error) {
	return nil, errUnbuilt
}

// ListenerStatistics sums the counters of a load balancer's listeners over all amphorae there ever were; active
// connections only over ALLOCATED ones. By listener id.
func (s *Store) ListenerStatistics(ctx context.Context, lbID string) (map[string]amphora.ListenerStats, error) {
	return nil, errUnbuilt
}

// AmphoraStatistics returns the counters of one amphora's listeners.
func (s *Store) AmphoraStatistics(ctx context.Context, amphoraID string) ([]amphora.ListenerStats, error) {
	return nil, errUnbuilt
}
