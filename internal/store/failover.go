package store

import (
	"context"
	"database/sql"
	"errors"

	"colonnade/internal/lb"
)

// operator is the actor of the operator API's requests.
const operator = "operator"

// RequestAmphoraFailover asks for a planned hand-over of one amphora: 404 when there is none, 409 unless its load
// balancer is ACTIVE.
func (s *Store) RequestAmphoraFailover(ctx context.Context, amphoraID string) error {
	return s.write(ctx, "request failover of amphora "+amphoraID, func(ctx context.Context, tx *transaction) error {
		amp, err := tx.amphora(ctx, amphoraID)
		if err != nil {
			return err
		}
		if _, err := tx.changeTree(ctx, amp.LoadBalancerID, operator, (*lb.Tree).RequestAmphoraFailover); err != nil {
			return err
		}
		_, err = tx.NewUpdate().Model((*amphoraRow)(nil)).Set("failover_requested_at = ?, updated_at = ?", tx.now, tx.now).
			Where("o.id = ?", amphoraID).Exec(ctx)
		if err != nil {
			return err
		}
		return tx.finish(ctx, requested(amp.LoadBalancerID, "amphora", amphoraID, "failover requested"))
	})
}

// amphora reads a row: 404 when there is none.
func (tx *transaction) amphora(ctx context.Context, id string) (amphoraRow, error) {
	var amp amphoraRow
	err := tx.NewSelect().Model(&amp).Where("o.id = ? AND o.status <> ?", id, lb.AmphoraDeleted).Scan(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		err = lb.Faultf(lb.KindNotFound, "Amphora %s not found.", id)
	}
	return amp, err
}

// RequestAmphoraConfiguration asks for an amphora to be told its whole configuration once more: 404 when there is none.
func (s *Store) RequestAmphoraConfiguration(ctx context.Context, amphoraID string) error {
	return s.write(ctx, "request configuration of amphora "+amphoraID, func(ctx context.Context, tx *transaction) error {
		amp, err := tx.amphora(ctx, amphoraID)
		if err != nil {
			return err
		}
		_, err = tx.NewUpdate().Model((*amphoraRow)(nil)).Set("applied_revision = 0, updated_at = ?", tx.now).Where("o.id = ?", amphoraID).Exec(ctx)
		if err != nil {
			return err
		}
		o := requested(amp.LoadBalancerID, "amphora", amphoraID, "configuration requested")
		o.Wakes[0].Kind = lb.WorkWorker
		return tx.finish(ctx, o)
	})
}

// DeleteAmphora asks for the removal of an amphora that is in ERROR: 404 when there is none, 409 for any other.
func (s *Store) DeleteAmphora(ctx context.Context, amphoraID string) error {
	return s.write(ctx, "delete amphora "+amphoraID, func(ctx context.Context, tx *transaction) error {
		amp, err := tx.amphora(ctx, amphoraID)
		if err != nil {
			return err
		}
		if amp.Status != lb.AmphoraError {
			return lb.Faultf(lb.KindConflict, "amphora %s is immutable and cannot be updated.", amphoraID)
		}
		_, err = tx.NewUpdate().Model((*amphoraRow)(nil)).
			Set("status = ?, status_reason = 'deleted by an operator', out_of_service = ?, updated_at = ?", lb.AmphoraPendingDelete, true, tx.now).
			Where("o.id = ?", amphoraID).Exec(ctx)
		if err != nil {
			return err
		}
		return tx.finish(ctx, requested(amp.LoadBalancerID, "amphora", amphoraID, "deletion requested"))
	})
}

// RequestLoadBalancerFailover asks for every amphora to be handed over: 404, 409 unless ACTIVE or ERROR.
func (s *Store) RequestLoadBalancerFailover(ctx context.Context, lbID string) error {
	return s.write(ctx, "request failover of load balancer "+lbID, func(ctx context.Context, tx *transaction) error {
		if _, err := tx.changeTree(ctx, lbID, operator, (*lb.Tree).RequestFailover); err != nil {
			return err
		}
		_, err := tx.NewUpdate().Model((*clusterRow)(nil)).Set("failover_requested_at = ?, updated_at = ?", tx.now, tx.now).
			Where("o.load_balancer_id = ?", lbID).Exec(ctx)
		if err != nil {
			return err
		}
		return tx.finish(ctx, requested(lbID, "load balancer", lbID, "failover requested"))
	})
}

// requested wakes the cluster manager for what an operator asked for.
func requested(lbID, kind, objectID, what string) lb.Outcome {
	return lb.Outcome{
		Wakes:  []lb.Wake{{Kind: lb.WorkACM, Key: lbID}},
		Events: []lb.Event{{LoadBalancerID: lbID, ObjectKind: kind, ObjectID: objectID, Actor: operator, Action: kind + " " + what}},
	}
}
