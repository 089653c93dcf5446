package store

import (
	"context"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"colonnade/internal/lb"
)

// purgeBatch is how many rows of each kind go in one transaction, so that others do not wait long for theirs.
const purgeBatch = 200

// Purge removes load balancers that have been DELETED since before that time, with their amphorae, statistics and
// events, all events older than it, and the oldest of projects that have too many. It returns how many load balancers
// and events went. What is left when ctx ends goes the next time.
func (s *Store) Purge(ctx context.Context, before time.Time) (n int, err error) {
	for {
		var went int
		err := s.write(ctx, "purge", func(ctx context.Context, tx *transaction) (err error) {
			went, err = tx.purge(ctx, before)
			return err
		})
		n += went
		if err != nil {
			return n, err
		}
		if went == 0 {
			break
		}
	}
	trimmed, err := s.trimEvents(ctx, eventsKept)
	return n + trimmed, err
}

// purge removes one batch.
func (tx *transaction) purge(ctx context.Context, before time.Time) (went int, err error) {
	var gone []string
	err = lock(tx.NewSelect().Model((*loadBalancerRow)(nil)).Column("o.id").
		Where("o.provisioning_status = ? AND o.updated_at < ?", lb.Deleted, before).Order("o.id").Limit(purgeBatch)).Scan(ctx, &gone)
	if err != nil {
		return 0, err
	}
	if len(gone) > 0 {
		ids := bun.List(gone)
		for _, query := range []string{
			"DELETE FROM amphora WHERE load_balancer_id IN (?)", // and with them their statistics
			"DELETE FROM event WHERE load_balancer_id IN (?)",
			"DELETE FROM load_balancer WHERE id IN (?)",
		} {
			if _, err := tx.NewRaw(query, ids).Exec(ctx); err != nil {
				return 0, fmt.Errorf("remove deleted load balancers: %w", err)
			}
		}
	}
	res, err := tx.NewRaw("DELETE FROM event WHERE id IN (SELECT id FROM event WHERE at < ? ORDER BY id LIMIT ?)", before, purgeBatch).Exec(ctx)
	if err != nil {
		return 0, fmt.Errorf("remove old events: %w", err)
	}
	events, err := res.RowsAffected()
	return len(gone) + int(events), err
}
