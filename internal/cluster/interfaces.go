package cluster

import (
	"context"

	"colonnade/internal/amphora"
	"colonnade/internal/distributor"
	"colonnade/internal/lb"
)

// Store is what the cluster manager needs of the database.
type Store interface {
	// ClusterState reads everything about one load balancer's cluster. A load balancer that is gone is lb.KindNotFound.
	ClusterState(ctx context.Context, lbID string) (lb.ClusterState, error)
	// UpdateCluster reads the state afresh, lets change modify cluster, amphorae, ports (adding and removing included)
	// and writes what differs, the wakes and events in one transaction. It returns lb.ErrFenced when lease is
	// superseded. The load balancer, distributor and health in the state are read-only here.
	UpdateCluster(ctx context.Context, lease lb.Lease, change func(*lb.ClusterState) (Outcome, error)) error
	// AssignDistributor gives the load balancer's cluster a distributor: the project's own (the first not being deleted),
	// or a new row in PENDING_CREATE with a WorkDistributor wake.
	AssignDistributor(ctx context.Context, lease lb.Lease) (lb.Distributor, error)
	// Distributor reads a distributor, its health and the ids of the load balancers whose clusters name it.
	Distributor(ctx context.Context, id string) (lb.Distributor, lb.InstanceHealth, []string, error)
	// UpdateDistributor changes a distributor's row under a WorkDistributor lease; Status DELETED removes the row, refused
	// with lb.KindConflict while a cluster names it.
	UpdateDistributor(ctx context.Context, lease lb.Lease, change func(*lb.Distributor) (Outcome, error)) error
}

// Outcome is what a change brings beside the rows.
type Outcome = lb.Outcome

// AmphoraAgent is how the manager speaks to one amphora; calls have deadlines of their own.
type AmphoraAgent interface {
	Status(ctx context.Context, amp lb.Amphora) (amphora.Status, error)
	PutTable(ctx context.Context, amp lb.Amphora, doc amphora.TableDocument) (amphora.Status, error)
}

// DistributorAgent is how the manager speaks to one distributor.
type DistributorAgent interface {
	Status(ctx context.Context, d lb.Distributor) (distributor.Status, error)
	PlugVIP(ctx context.Context, d lb.Distributor, plug distributor.VIPPlug) (distributor.LBStatus, error)
	// Register installs the table. A *distributor.SwapsError (409) carries swaps the table must take in first.
	Register(ctx context.Context, d lb.Distributor, r distributor.Registrations) (distributor.LBStatus, error)
	UnplugVIP(ctx context.Context, d lb.Distributor, lbID string, stamp lb.Stamp) error
}
