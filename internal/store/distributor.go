package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect"

	"colonnade/internal/lb"
)

func readDistributor(ctx context.Context, tx bun.IDB, id string, forUpdate bool) (lb.Distributor, error) {
	var row distributorRow
	q := tx.NewSelect().Model(&row).Where("o.id = ?", id)
	if forUpdate {
		q = lock(q)
	}
	if err := q.Scan(ctx); errors.Is(err, sql.ErrNoRows) {
		return lb.Distributor{}, lb.Faultf(lb.KindNotFound, "Distributor %s not found.", id)
	} else if err != nil {
		return lb.Distributor{}, err
	}
	return row.Distributor, nil
}

// AssignDistributor gives the load balancer's cluster a distributor: the one it has, else the oldest of those that it
// may share (cluster.sharing) that is not being deleted, else a new row in PENDING_CREATE, whose reconciler is woken.
func (s *Store) AssignDistributor(ctx context.Context, lease lb.Lease) (d lb.Distributor, err error) {
	err = s.write(ctx, "assign distributor to load balancer "+lease.Key, func(ctx context.Context, tx *transaction) error {
		st, err := readCluster(ctx, tx, lease.Key, true)
		if err != nil {
			return err
		}
		if fenced(st.LoadBalancer, lease) {
			return lb.ErrFenced
		}
		if st.Distributor != nil {
			d = *st.Distributor
			return nil
		}
		if d, err = tx.sharedDistributor(ctx, st.LoadBalancer, st.Cluster.Sharing); err != nil {
			return err
		}
		c := st.Cluster
		c.DistributorID, c.UpdatedAt = d.ID, tx.now
		_, err = tx.NewUpdate().Model(&clusterRow{Cluster: c}).WherePK().Exec(ctx)
		return err
	})
	if err != nil {
		return lb.Distributor{}, err
	}
	return d, nil
}

// sharedDistributor finds or makes the distributor that a load balancer shares with its project, with all, or with
// nobody.
func (tx *transaction) sharedDistributor(ctx context.Context, l lb.LoadBalancer, sharing string) (lb.Distributor, error) {
	if sharing != lb.SharingDedicated {
		sharers := l.ProjectID
		if sharing == lb.SharingAll {
			sharers = ""
		}
		if tx.Dialect().Name() == dialect.PG { // or two load balancers of a new project would make one each
			if _, err := tx.NewRaw("SELECT pg_advisory_xact_lock(hashtext(?))", "distributor of "+sharers).Exec(ctx); err != nil {
				return lb.Distributor{}, err
			}
		}
		var row distributorRow
		q := tx.NewSelect().Model(&row).Where("o.sharing = ? AND o.status <> ?", sharing, lb.AmphoraPendingDelete).Order("o.created_at", "o.id").Limit(1)
		if sharers != "" {
			q = q.Where("o.project_id = ?", sharers)
		}
		if err := lock(q).Scan(ctx); err == nil || !errors.Is(err, sql.ErrNoRows) {
			return row.Distributor, err
		}
	}
	var key [32]byte
	_, _ = rand.Read(key[:]) // never fails
	d := lb.Distributor{
		ID: uuid.NewString(), ProjectID: l.ProjectID, Sharing: sharing, Status: lb.AmphoraPendingCreate,
		HeartbeatKey: hex.EncodeToString(key[:]), CreatedAt: tx.now,
	}
	if _, err := tx.NewInsert().Model(&distributorRow{Distributor: d}).Exec(ctx); err != nil {
		return lb.Distributor{}, fmt.Errorf("insert distributor: %w", err)
	}
	return d, tx.finish(ctx, lb.Outcome{
		Wakes:  []lb.Wake{{Kind: lb.WorkDistributor, Key: d.ID}},
		Events: []lb.Event{{LoadBalancerID: l.ID, ObjectID: d.ID, Actor: "acm", Action: "distributor created", Reason: "there is none to share: " + sharing}},
	})
}

// Distributor reads a distributor, its health (zero when not heard yet) and the ids of the load balancers whose
// clusters name it.
func (s *Store) Distributor(ctx context.Context, id string) (d lb.Distributor, h lb.InstanceHealth, lbIDs []string, err error) {
	err = s.snapshot(ctx, func(ctx context.Context, tx bun.Tx) error {
		if d, err = readDistributor(ctx, tx, id, false); err != nil {
			return err
		}
		health, err := readHealth(ctx, tx, []string{id})
		if err != nil {
			return err
		}
		h = health[id]
		return tx.NewSelect().Model((*clusterRow)(nil)).Column("o.load_balancer_id").Where("o.distributor_id = ?", id).
			Order("o.created_at", "o.id").Scan(ctx, &lbIDs)
	})
	if err != nil {
		return lb.Distributor{}, lb.InstanceHealth{}, nil, explain("read distributor "+id, err)
	}
	return d, h, lbIDs, nil
}

// UpdateDistributor lets the holder of a WorkDistributor lease change the row. Status DELETED removes it, a conflict
// while a cluster names it. lb.ErrFenced when the lease is superseded.
func (s *Store) UpdateDistributor(ctx context.Context, lease lb.Lease, change func(*lb.Distributor) (lb.Outcome, error)) error {
	return s.write(ctx, "update distributor "+lease.Key, func(ctx context.Context, tx *transaction) error {
		before, err := readDistributor(ctx, tx, lease.Key, true)
		if err != nil {
			return err
		}
		if lease.Kind != lb.WorkDistributor || before.Epoch != lease.Epoch {
			return lb.ErrFenced
		}
		after := before
		out, err := change(&after)
		if err != nil {
			return err
		}
		after.ID, after.Epoch = before.ID, before.Epoch
		switch {
		case after.Status == lb.AmphoraDeleted:
			err = tx.removeDistributor(ctx, before.ID)
		case after != before:
			after.UpdatedAt = tx.now
			_, err = tx.NewUpdate().Model(&distributorRow{Distributor: after}).WherePK().Exec(ctx)
		}
		if err != nil {
			return err
		}
		return tx.finish(ctx, out)
	})
}

func (tx *transaction) removeDistributor(ctx context.Context, id string) error {
	used, err := tx.NewSelect().Model((*clusterRow)(nil)).Where("o.distributor_id = ?", id).Count(ctx)
	if err != nil {
		return err
	}
	if used > 0 {
		return lb.Faultf(lb.KindConflict, "Distributor %s is in use by %d load balancers.", id, used)
	}
	if _, err := tx.NewDelete().Model((*instanceHealthRow)(nil)).Where("instance_id = ?", id).Exec(ctx); err != nil {
		return err
	}
	_, err = tx.NewDelete().Model((*distributorRow)(nil)).Where("id = ?", id).Exec(ctx)
	return err
}
