// Package health is the health role: it receives heartbeats, keeps them in memory, detects failures and tells the
// cluster manager through the database.
package health

import (
	"context"

	"colonnade/internal/amphora"
	"colonnade/internal/lb"
)

// Store is what the health role needs of the database.
type Store interface {
	// Subjects lists all amphorae and distributors that are not DELETED.
	Subjects(ctx context.Context) ([]lb.Subject, error)
	Health(ctx context.Context) ([]lb.InstanceHealth, error)
	// SaveHealth writes changed health and the wakes in one transaction.
	SaveHealth(ctx context.Context, changed []lb.InstanceHealth, wakes []lb.Wake) error
	// SaveLastSeen writes coarse last-seen times in one batch.
	SaveLastSeen(ctx context.Context, seen []lb.InstanceHealth) error
	// SaveListenerStatistics replaces the counters of an amphora's listeners.
	SaveListenerStatistics(ctx context.Context, stats map[string][]amphora.ListenerStats) error // by amphora id
}
