// Package worker makes reality match one load balancer: ports, the document on every amphora, statuses. It leaves
// amphorae, positions and the distributor to the cluster manager.
package worker

import (
	"context"

	"colonnade/internal/amphora"
	"colonnade/internal/lb"
)

// Store is what the worker needs of the database.
type Store interface {
	Tree(ctx context.Context, lbID string) (lb.Tree, error)
	ClusterState(ctx context.Context, lbID string) (lb.ClusterState, error)
	// UpdateTree reads the tree afresh, lets change modify it and writes what differs in one transaction, without
	// raising the revision. lb.ErrFenced when lease is superseded. Children removed by change are removed.
	UpdateTree(ctx context.Context, lease lb.Lease, change func(*lb.Tree) (lb.Outcome, error)) error
	UpdateCluster(ctx context.Context, lease lb.Lease, change func(*lb.ClusterState) (lb.Outcome, error)) error
	// FinishDelete marks the load balancer DELETED and removes its children, cluster and queue entries.
	FinishDelete(ctx context.Context, lease lb.Lease) error
}

// AmphoraAgent is how the worker speaks to one amphora.
type AmphoraAgent interface {
	// PutDocument sends the whole document. *amphora.RefusedError when the agent or HAProxy does not accept it,
	// *distributor.StaleError when a higher stamp is applied.
	PutDocument(ctx context.Context, amp lb.Amphora, doc amphora.Desired) (amphora.Status, error)
}
