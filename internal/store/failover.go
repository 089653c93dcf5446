package store

import (
	"context"
	"database/sql"
	"errors"

	"github.com/uptrace/bun"

	"colonnade/internal/lb"
)

// operator is the actor of the operator API's requests.
const operator = "operator"

// RequestAmphoraFailover asks for a planned hand-over of one amphora: 404 when there is none, 409 unless its load
// balancer is ACTIVE.
func (s *Store) RequestAmphoraFailover(ctx context.Context, amphoraID string) error {
	return s.write(ctx, "request failover of amphora "+amphoraID, func(ctx context.Context, tx *transaction) error {
		var amp amphoraRow
		err := tx.NewSelect().Model(&amp).Where("o.id = ? AND o.status <> ?", amphoraID, lb.AmphoraDeleted).Scan(ctx)
		if errors.Is(err, sql.ErrNoRows) {
			return lb.Faultf(lb.KindNotFound, "Amphora %s not found.", amphoraID)
		} else if err != nil {
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
		return tx.finish(ctx, failover(amp.LoadBalancerID, amphoraID, "amphora failover requested"))
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
		return tx.finish(ctx, failover(lbID, lbID, "load balancer failover requested"))
	})
}

func failover(lbID, objectID, action string) lb.Outcome {
	return lb.Outcome{
		Wakes:  []lb.Wake{{Kind: lb.WorkACM, Key: lbID}},
		Events: []lb.Event{{LoadBalancerID: lbID, ObjectID: objectID, Actor: operator, Action: action}},
	}
}

// Events returns a load balancer's history, newest first; that of a deleted one too. limit 0 is all.
func (s *Store) Events(ctx context.Context, lbID string, limit int) ([]lb.Event, error) {
	var rows []eventRow
	err := s.read(ctx, func(ctx context.Context, db bun.IDB) error {
		return db.NewSelect().Model(&rows).Where("o.load_balancer_id = ?", lbID).Order("o.id DESC").Limit(int64(limit)).Scan(ctx)
	})
	if err != nil {
		return nil, explain("read events of load balancer "+lbID, err)
	}
	events := make([]lb.Event, 0, len(rows))
	for _, r := range rows {
		events = append(events, r.Event)
	}
	return events, nil
}
