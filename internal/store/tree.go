package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"colonnade/internal/lb"
)

// CreateTree writes a new load balancer, all its children and its cluster, and wakes manager and worker. Zero
// creation times are set by the database's clock.
func (s *Store) CreateTree(ctx context.Context, tree lb.Tree, cluster lb.Cluster) error {
	tree = tree.Clone()
	if err := tree.Check(); err != nil {
		return fmt.Errorf("create load balancer %s: %w", tree.LoadBalancer.ID, err)
	}
	return s.write(ctx, "create load balancer "+tree.LoadBalancer.ID, func(ctx context.Context, tx *transaction) error {
		l := &tree.LoadBalancer
		if err := tx.admit(ctx, l.ProjectID, nil, objects(tree)); err != nil {
			return err
		}
		if err := tx.offersHold(ctx, *l); err != nil {
			return err
		}
		l.CreatedAt, l.Revision = tx.orNow(l.CreatedAt), max(1, l.Revision)
		l.PendingSince = tx.pendingSince(lb.LoadBalancer{}, *l, true)
		row := &loadBalancerRow{LoadBalancer: *l}
		row.Tags = canonical(row.Tags)
		if _, err := tx.NewInsert().Model(row).Exec(ctx); err != nil {
			return err
		}
		if err := tx.writeChildren(ctx, lb.Tree{}, tree); err != nil {
			return err
		}
		c := cluster
		c.LoadBalancerID, c.ProjectID, c.CreatedAt = l.ID, l.ProjectID, tx.orNow(c.CreatedAt)
		if _, err := tx.NewInsert().Model(&clusterRow{Cluster: c}).Exec(ctx); err != nil {
			return fmt.Errorf("insert cluster: %w", err)
		}
		return tx.finish(ctx, lb.Outcome{
			Wakes: []lb.Wake{{Kind: lb.WorkACM, Key: l.ID}, {Kind: lb.WorkWorker, Key: l.ID}},
			Events: []lb.Event{{
				LoadBalancerID: l.ID, ObjectKind: "load balancer", ObjectID: l.ID, Actor: "project " + l.ProjectID, Action: "load balancer created",
				Reason: contents(tree),
			}},
		})
	})
}

// Tree reads everything under one load balancer; DELETED ones are not found.
func (s *Store) Tree(ctx context.Context, lbID string) (t lb.Tree, err error) {
	err = s.snapshot(ctx, func(ctx context.Context, tx bun.Tx) error {
		t, err = readTree(ctx, tx, lbID, false)
		return err
	})
	if err != nil {
		return lb.Tree{}, explain("read load balancer "+lbID, err)
	}
	return t, nil
}

// ChangeTree lets change modify the tree and writes what differs, with revision+1, an event for each object the change
// was about, and a wake for the worker, in one transaction. When change fails nothing is written and its error is
// returned as it is; when it changes nothing, nothing is raised. change may be called again.
func (s *Store) ChangeTree(ctx context.Context, lbID, actor string, change func(*lb.Tree) error) (lb.Tree, error) {
	var after lb.Tree
	err := s.write(ctx, "change load balancer "+lbID, func(ctx context.Context, tx *transaction) (err error) {
		after, err = tx.changeTree(ctx, lbID, actor, change)
		return err
	})
	if err != nil {
		return lb.Tree{}, err
	}
	return after, nil
}

func (tx *transaction) changeTree(ctx context.Context, lbID, actor string, change func(*lb.Tree) error) (lb.Tree, error) {
	before, err := readTree(ctx, tx, lbID, true)
	if err != nil {
		return lb.Tree{}, err
	}
	after := before.Clone()
	if err := change(&after); err != nil {
		return lb.Tree{}, err
	}
	after.AcceptPending = false
	if sameTree(before, after) {
		return before, nil
	}
	if err := after.Check(); err != nil {
		return lb.Tree{}, err
	}
	if err := tx.admit(ctx, before.LoadBalancer.ProjectID, objects(before), objects(after)); err != nil {
		return lb.Tree{}, err
	}
	l := &after.LoadBalancer
	l.Revision = before.LoadBalancer.Revision + 1
	l.UpdatedAt = tx.now
	l.PendingSince = tx.pendingSince(before.LoadBalancer, *l, true)
	stored, err := tx.writeTree(ctx, before, after)
	if err != nil {
		return lb.Tree{}, err
	}
	out := lb.Outcome{Wakes: []lb.Wake{{Kind: lb.WorkWorker, Key: lbID}}, Events: treeEvents(before, after, actor)}
	if l.ProvisioningStatus == lb.PendingDelete {
		out.Wakes = append(out.Wakes, lb.Wake{Kind: lb.WorkACM, Key: lbID})
	}
	if err := tx.finish(ctx, out); err != nil {
		return lb.Tree{}, err
	}
	return stored, nil
}

// UpdateTree lets the lease's holder write what it observed: no revision is raised. lb.ErrFenced when the lease is
// superseded; an error of change is returned as it is.
func (s *Store) UpdateTree(ctx context.Context, lease lb.Lease, change func(*lb.Tree) (lb.Outcome, error)) error {
	return s.write(ctx, "update load balancer "+lease.Key, func(ctx context.Context, tx *transaction) error {
		before, err := readTree(ctx, tx, lease.Key, true)
		if err != nil {
			return err
		}
		if fenced(before.LoadBalancer, lease) {
			return lb.ErrFenced
		}
		after := before.Clone()
		out, err := change(&after)
		if err != nil {
			return err
		}
		after.AcceptPending = false
		after.LoadBalancer.Revision = before.LoadBalancer.Revision
		after.LoadBalancer.Epoch = before.LoadBalancer.Epoch
		after.LoadBalancer.PendingSince = tx.pendingSince(before.LoadBalancer, after.LoadBalancer, false)
		if !sameTree(before, after) {
			if err := after.Check(); err != nil {
				return err
			}
			if _, err := tx.writeTree(ctx, before, after); err != nil {
				return err
			}
		}
		return tx.finish(ctx, out)
	})
}

// FinishDelete ends a deletion: the load balancer's row becomes DELETED, its children, cluster, ports and queue
// entries go, its DELETED amphorae stay. A conflict while amphorae still live: their instances would be orphans.
func (s *Store) FinishDelete(ctx context.Context, lease lb.Lease) error {
	return s.write(ctx, "finish deleting load balancer "+lease.Key, func(ctx context.Context, tx *transaction) error {
		t, err := readTree(ctx, tx, lease.Key, true)
		if err != nil {
			return err
		}
		if fenced(t.LoadBalancer, lease) {
			return lb.ErrFenced
		}
		// A deletion that took too long shows ERROR, but its cluster goes on being taken down and says so.
		ended, err := tx.NewSelect().Model((*clusterRow)(nil)).
			Where("o.load_balancer_id = ? AND o.provisioning_status = ?", lease.Key, lb.PendingDelete).Exists(ctx)
		if err != nil {
			return err
		}
		if now := t.LoadBalancer.ProvisioningStatus; now != lb.PendingDelete && (now != lb.Error || !ended) {
			return invalidState(t.LoadBalancer)
		}
		live, err := tx.NewSelect().Model((*amphoraRow)(nil)).
			Where("o.load_balancer_id = ? AND o.status <> ?", lease.Key, lb.AmphoraDeleted).Count(ctx)
		if err != nil {
			return err
		}
		if live > 0 {
			return lb.Faultf(lb.KindConflict, "Load Balancer %s still has %d amphorae.", lease.Key, live)
		}
		if err := tx.writeChildren(ctx, t, lb.Tree{LoadBalancer: t.LoadBalancer}); err != nil {
			return err
		}
		if _, err := tx.NewDelete().Model((*clusterRow)(nil)).Where("load_balancer_id = ?", lease.Key).Exec(ctx); err != nil {
			return err
		}
		for _, kind := range []string{lb.WorkWorker, lb.WorkACM} {
			if _, err := tx.NewRaw("DELETE FROM work_queue WHERE kind = ? AND key = ?", kind, lease.Key).Exec(ctx); err != nil {
				return err
			}
		}
		row := &loadBalancerRow{LoadBalancer: t.LoadBalancer}
		row.ProvisioningStatus, row.OperatingStatus, row.StatusReason = lb.Deleted, lb.Offline, ""
		row.PendingSince, row.UpdatedAt = time.Time{}, tx.now
		if _, err := tx.NewUpdate().Model(row).WherePK().Exec(ctx); err != nil {
			return err
		}
		return tx.finish(ctx, lb.Outcome{Events: []lb.Event{{
			LoadBalancerID: lease.Key, ObjectID: lease.Key, Actor: "worker", Action: "load balancer deleted",
		}}})
	})
}

// fenced reports whether the lease is not the newest on this load balancer.
func fenced(l lb.LoadBalancer, lease lb.Lease) bool {
	return lease.Kind == lb.WorkDistributor || l.ID != lease.Key || l.Epoch != lease.Epoch
}

func invalidState(l lb.LoadBalancer) error {
	return lb.Faultf(lb.KindConflict, "Invalid state %s of loadbalancer resource %s", l.ProvisioningStatus, l.ID)
}

// readTree reads a tree; with forUpdate its load balancer's row is locked, which excludes every other change of the
// tree and its cluster.
func readTree(ctx context.Context, tx bun.IDB, lbID string, forUpdate bool) (t lb.Tree, err error) {
	if t.LoadBalancer, err = readLoadBalancer(ctx, tx, lbID, forUpdate); err != nil {
		return t, err
	}
	var r treeRows
	ofListener, ofPool := "JOIN listener AS l ON l.id = o.listener_id", "JOIN pool AS p ON p.id = o.pool_id"
	err = errors.Join(
		tx.NewSelect().Model(&r.listeners).Where("o.load_balancer_id = ?", lbID).Order("o.created_at", "o.id").Scan(ctx),
		tx.NewSelect().Model(&r.pools).Where("o.load_balancer_id = ?", lbID).Order("o.created_at", "o.id").Scan(ctx),
		tx.NewSelect().Model(&r.members).Join(ofPool).Where("p.load_balancer_id = ?", lbID).Order("o.server_id", "o.id").Scan(ctx),
		tx.NewSelect().Model(&r.monitors).Join(ofPool).Where("p.load_balancer_id = ?", lbID).Scan(ctx),
	)
	if err == nil && len(r.listeners) > 0 {
		err = tx.NewSelect().Model(&r.policies).Join(ofListener).Where("l.load_balancer_id = ?", lbID).Order("o.position", "o.id").Scan(ctx)
	}
	if err == nil && len(r.policies) > 0 {
		err = tx.NewSelect().Model(&r.rules).Join("JOIN l7policy AS p ON p.id = o.l7policy_id JOIN listener AS l ON l.id = p.listener_id").
			Where("l.load_balancer_id = ?", lbID).Order("o.created_at", "o.id").Scan(ctx)
	}
	if err == nil {
		r.plant(&t)
	}
	return t, err
}

// treeRows are a tree's children as they are read: listeners, pools and rules by creation, policies by position, members
// by their servers' ids.
type treeRows struct {
	listeners []listenerRow
	policies  []l7PolicyRow
	rules     []l7RuleRow
	pools     []poolRow
	members   []memberRow
	monitors  []healthMonitorRow
}

// plant puts children under their parents.
func (r *treeRows) plant(t *lb.Tree) {
	rulesOf, policiesOf, membersOf := map[string][]lb.L7Rule{}, map[string][]lb.L7Policy{}, map[string][]lb.Member{}
	for i := range r.rules {
		rulesOf[r.rules[i].PolicyID] = append(rulesOf[r.rules[i].PolicyID], r.rules[i].L7Rule)
	}
	for i := range r.policies {
		p := r.policies[i].L7Policy
		p.Rules = rulesOf[p.ID]
		policiesOf[p.ListenerID] = append(policiesOf[p.ListenerID], p)
	}
	for i := range r.members {
		membersOf[r.members[i].PoolID] = append(membersOf[r.members[i].PoolID], r.members[i].Member)
	}
	monitorOf := map[string]*lb.HealthMonitor{}
	for i := range r.monitors {
		monitorOf[r.monitors[i].PoolID] = &r.monitors[i].HealthMonitor
	}
	t.Listeners, t.Pools = nil, nil
	for i := range r.listeners {
		l := r.listeners[i].Listener
		l.L7Policies = policiesOf[l.ID]
		t.Listeners = append(t.Listeners, l)
	}
	for i := range r.pools {
		p := r.pools[i].Pool
		p.Members, p.HealthMonitor = membersOf[p.ID], monitorOf[p.ID]
		t.Pools = append(t.Pools, p)
	}
}

func readLoadBalancer(ctx context.Context, tx bun.IDB, lbID string, forUpdate bool) (lb.LoadBalancer, error) {
	var row loadBalancerRow
	q := tx.NewSelect().Model(&row).Where("o.id = ? AND o.provisioning_status <> ?", lbID, lb.Deleted)
	if forUpdate {
		q = lock(q)
	}
	if err := q.Scan(ctx); errors.Is(err, sql.ErrNoRows) {
		return lb.LoadBalancer{}, lb.Faultf(lb.KindNotFound, "Load Balancer %s not found.", lbID)
	} else if err != nil {
		return lb.LoadBalancer{}, err
	}
	return row.LoadBalancer, nil
}

// pendingSince is when the present PENDING_* began: kept while it lasts, begun anew by each accepted write.
func (tx *transaction) pendingSince(before, after lb.LoadBalancer, accepted bool) time.Time {
	switch {
	case !after.ProvisioningStatus.Pending():
		return time.Time{}
	case accepted || before.PendingSince.IsZero() || !before.ProvisioningStatus.Pending():
		return tx.now
	}
	return before.PendingSince
}

func (tx *transaction) orNow(t time.Time) time.Time {
	if t.IsZero() {
		return tx.now
	}
	return t
}
