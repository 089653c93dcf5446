package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/uptrace/bun"

	"colonnade/internal/lb"
)

// WithQuota gives the store the limits of projects that have none of their own; without it there are none.
func WithQuota(defaults lb.Quota) Option {
	return func(s *Store) { s.quota = defaults.Over(lb.NoQuota()) }
}

// QuotaItem is a project's quota with every limit that holds.
type QuotaItem struct {
	ProjectID string
	lb.Quota
}

// quotaRow is a project's own limits. There is one for each project that was given some, or that made something
// while a limit held: it is what creations of a project wait for each other at.
type quotaRow struct {
	bun.BaseModel `bun:"table:quota,alias:o"`
	ProjectID     string    `bun:"id,pk"`
	CreatedAt     time.Time `bun:"created_at"`
	UpdatedAt     time.Time `bun:"updated_at,nullzero"`
	lb.Quota
}

var quotas = resource{
	table: "quota", project: "o.id",
	columns: columns(`id created_at:t updated_at:t? loadbalancer=load_balancer:n? load_balancer:n? listener:n? pool:n? member:n?
 healthmonitor=health_monitor:n? health_monitor:n? l7policy=l7_policy:n? l7rule=l7_rule:n?`),
}

// quotaKind is one kind of objects that a quota counts.
type quotaKind struct {
	kind  string // of object
	shown string // in faults
	limit func(q *lb.Quota) **int
}

// quotaKinds are all, in the order in which they are looked at.
var quotaKinds = []quotaKind{
	{"load balancer", "Load Balancer", func(q *lb.Quota) **int { return &q.LoadBalancer }},
	{"listener", "Listener", func(q *lb.Quota) **int { return &q.Listener }},
	{"pool", "Pool", func(q *lb.Quota) **int { return &q.Pool }},
	{"health monitor", "Health Monitor", func(q *lb.Quota) **int { return &q.HealthMonitor }},
	{"member", "Member", func(q *lb.Quota) **int { return &q.Member }},
	{"l7policy", "L7 Policy", func(q *lb.Quota) **int { return &q.L7Policy }},
	{"l7rule", "L7 Rule", func(q *lb.Quota) **int { return &q.L7Rule }},
}

// DefaultQuota is what holds for a project without limits of its own.
func (s *Store) DefaultQuota() lb.Quota { return s.quota }

// Quota returns the limits that hold for a project.
func (s *Store) Quota(ctx context.Context, projectID string) (q lb.Quota, err error) {
	err = s.read(ctx, func(ctx context.Context, db bun.IDB) error {
		q, err = readQuota(ctx, db, projectID)
		return err
	})
	if err != nil {
		return q, explain("read quota of project "+projectID, err)
	}
	return q.Over(s.quota), nil
}

// readQuota reads a project's own limits.
func readQuota(ctx context.Context, db bun.IDB, projectID string) (lb.Quota, error) {
	var row quotaRow
	err := db.NewSelect().Model(&row).Where("o.id = ?", projectID).Scan(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return row.Quota, err
}

// Quotas lists the projects that have a row. Query.Marker is a project's id.
func (s *Store) Quotas(ctx context.Context, q Query) ([]QuotaItem, error) {
	return page(ctx, s, quotas, q, func(r quotaRow) QuotaItem { return QuotaItem{r.ProjectID, r.Over(s.quota)} })
}

// UpdateQuota lets change set a project's own limits and returns those that hold then.
func (s *Store) UpdateQuota(ctx context.Context, projectID string, change func(*lb.Quota)) (q lb.Quota, err error) {
	err = s.write(ctx, "change quota of project "+projectID, func(ctx context.Context, tx *transaction) error {
		row, err := tx.lockQuota(ctx, projectID)
		if err != nil {
			return err
		}
		q = row.Quota
		change(&q)
		changes := lb.Changed(row.Quota, q, func(column string) (string, bool) { return column, true })
		row.Quota, row.UpdatedAt = q, tx.now
		if _, err := tx.NewUpdate().Model(&row).WherePK().Exec(ctx); err != nil {
			return err
		}
		return tx.record(ctx, quotaEvent(projectID, "quota updated", changes))
	})
	return q.Over(s.quota), err
}

// ResetQuota gives a project the defaults again; 404 when it has no row.
func (s *Store) ResetQuota(ctx context.Context, projectID string) error {
	return s.write(ctx, "reset quota of project "+projectID, func(ctx context.Context, tx *transaction) error {
		res, err := tx.NewDelete().Model((*quotaRow)(nil)).Where("id = ?", projectID).Exec(ctx)
		if err != nil {
			return err
		}
		n, err := res.RowsAffected()
		if err != nil {
			return err
		}
		if n > 0 {
			return tx.record(ctx, quotaEvent(projectID, "quota reset", nil))
		}
		return lb.Faultf(lb.KindNotFound, "Quotas %s not found.", projectID)
	})
}

func quotaEvent(projectID, action string, changes []lb.Change) []lb.Event {
	return []lb.Event{{ProjectID: projectID, ObjectKind: "quota", ObjectID: projectID, Actor: operator, Action: action, Changes: changes}}
}

// lockQuota makes a project's row, if there is none, and keeps all others from it until the transaction ends.
func (tx *transaction) lockQuota(ctx context.Context, projectID string) (row quotaRow, err error) {
	row = quotaRow{ProjectID: projectID, CreatedAt: tx.now}
	// An update that changes nothing locks a row that is there and returns it, where DO NOTHING would not.
	err = tx.NewInsert().Model(&row).On("CONFLICT (id) DO UPDATE").Set("id = EXCLUDED.id").Returning("*").Scan(ctx)
	return row, err
}

// growth is how many objects of each kind a change adds, and a row of the kind. A member that is being deleted is none
// any more, so that a batch counts for what it adds in the end.
func growth(before, after []object) (n map[string]int, rows map[string]any) {
	n, rows = map[string]int{}, map[string]any{}
	for sign, objects := range map[int][]object{-1: before, 1: after} {
		for _, o := range objects {
			if o.kind != "member" || o.status != lb.PendingDelete {
				n[o.kind] += sign
				rows[o.kind] = o.row
			}
		}
	}
	return n, rows
}

// admit refuses a change that makes a project have more than its quota allows. What the project has is counted in the
// transaction, under the lock of its quota, so two changes at once cannot pass the limit together.
func (tx *transaction) admit(ctx context.Context, projectID string, before, after []object) error {
	if lb.CallerOf(ctx).NoQuota {
		return nil
	}
	n, rows := growth(before, after)
	if !slices.ContainsFunc(quotaKinds, func(k quotaKind) bool { return n[k.kind] > 0 }) {
		return nil
	}
	limited := func(q lb.Quota) bool {
		return slices.ContainsFunc(quotaKinds, func(k quotaKind) bool {
			return n[k.kind] > 0 && **k.limit(&q) != lb.Unlimited
		})
	}
	q, err := readQuota(ctx, tx, projectID)
	if err != nil || !limited(q.Over(tx.quota)) {
		return err // creations that no limit holds for need not wait for each other
	}
	row, err := tx.lockQuota(ctx, projectID)
	if err != nil {
		return fmt.Errorf("lock quota: %w", err)
	}
	q = row.Over(tx.quota)
	for _, k := range quotaKinds {
		limit := **k.limit(&q)
		if n[k.kind] <= 0 || limit == lb.Unlimited {
			continue
		}
		count := tx.NewSelect().Model(rows[k.kind]).Where("o.project_id = ?", projectID)
		switch k.kind {
		case "load balancer":
			count = count.Where("o.provisioning_status <> ?", lb.Deleted)
		case "member":
			count = count.Where("o.provisioning_status <> ?", lb.PendingDelete)
		}
		has, err := count.Count(ctx)
		if err != nil {
			return fmt.Errorf("count for quota: %w", err)
		}
		if int(has)+n[k.kind] > limit {
			return lb.Faultf(lb.KindForbidden, "Quota has been met for resources: %s", k.shown)
		}
	}
	return nil
}
