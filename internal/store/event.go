package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/uptrace/bun"

	"colonnade/internal/lb"
)

var events = resource{
	table: "event", project: "o.project_id", moment: "o.at",
	columns: columns(`id:n created_at=at:t project_id loadbalancer_id=load_balancer_id object_kind object_id actor actor_project_id
 address action operation request_id outcome:n`),
}

// record writes events. Those of a change that the API was asked for say who asked, from where and by which call.
func (tx *transaction) record(ctx context.Context, all []lb.Event) error {
	caller := lb.CallerOf(ctx)
	rows := make([]any, 0, len(all))
	for _, e := range all {
		e.ID = 0
		if e.At.IsZero() {
			e.At = tx.now
		}
		e.RequestID = lb.RequestID(ctx)
		if caller.UserID != "" {
			e.Actor, e.ActorProjectID, e.Roles, e.Address = caller.UserID, caller.ProjectID, canonical(caller.Roles), caller.Address
			e.Operation = caller.Operation
			if e.Outcome == 0 {
				e.Outcome = caller.Outcome
			}
		}
		if e.ProjectID == "" && e.LoadBalancerID != "" {
			var err error
			if e.ProjectID, err = tx.projectOf(ctx, e.LoadBalancerID); err != nil {
				return err
			}
		}
		rows = append(rows, &eventRow{Event: e})
	}
	if err := insertRows(ctx, tx.Tx, rows); err != nil {
		return fmt.Errorf("record events: %w", err)
	}
	tx.recorded += len(rows)
	return nil
}

// projectOf is the project of a load balancer, also of a deleted one.
func (tx *transaction) projectOf(ctx context.Context, lbID string) (string, error) {
	if id, known := tx.projects[lbID]; known {
		return id, nil
	}
	var id string
	err := tx.NewSelect().Model((*loadBalancerRow)(nil)).Column("o.project_id").Where("o.id = ?", lbID).Scan(ctx, &id)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", fmt.Errorf("read project of load balancer %s: %w", lbID, err)
	}
	if tx.projects == nil {
		tx.projects = map[string]string{}
	}
	tx.projects[lbID] = id
	return id, nil
}

// listedAs are the lists of the kinds of objects. What one may filter by is no secret.
var listedAs = map[string]resource{
	"load balancer": loadBalancers, "listener": listeners, "pool": pools, "member": members, "health monitor": healthMonitors,
	"l7policy": l7policies, "l7rule": l7rules,
}

// changesOf are the fields of an object that a user changed, under the names that the API has for them.
func changesOf(before, after object) []lb.Change {
	return lb.Changed(before.content, after.content, func(column string) (string, bool) {
		for name, c := range listedAs[after.kind].columns {
			if c.expr == "o."+column {
				return name, true
			}
		}
		return column, false
	})
}

// contents says what a new tree has: "with 1 listener, 2 members".
func contents(t lb.Tree) string {
	var kinds []string
	n := map[string]int{}
	for _, o := range objects(t)[1:] {
		if n[o.kind]++; n[o.kind] == 1 {
			kinds = append(kinds, o.kind)
		}
	}
	for i, kind := range kinds {
		kinds[i] = fmt.Sprintf("%d %s", n[kind], kind)
		if n[kind] > 1 {
			kinds[i] += "s"
		}
	}
	if len(kinds) == 0 {
		return ""
	}
	return "with " + strings.Join(kinds, ", ")
}

// RecordEvent writes an event of its own, for what leaves none in its transaction.
func (s *Store) RecordEvent(ctx context.Context, e lb.Event) error {
	return s.write(ctx, "record event "+e.Action, func(ctx context.Context, tx *transaction) error {
		return tx.record(ctx, []lb.Event{e})
	})
}

// Events returns a load balancer's history, newest first; that of a deleted one too. limit 0 is all.
func (s *Store) Events(ctx context.Context, lbID string, limit int) ([]lb.Event, error) {
	return s.ListEvents(ctx, Query{Filters: map[string][]string{"loadbalancer_id": {lbID}}, Limit: limit, Sort: []SortKey{{Name: "id", Desc: true}}})
}

// ListEvents lists events, those of deleted load balancers too.
func (s *Store) ListEvents(ctx context.Context, q Query) ([]lb.Event, error) {
	return page(ctx, s, events, q, func(r eventRow) lb.Event { return r.Event })
}

func eventsOf(rows []eventRow) []lb.Event {
	out := make([]lb.Event, 0, len(rows))
	for _, r := range rows {
		out = append(out, r.Event)
	}
	return out
}

// EventsAfter returns the next events after id, oldest first, and those whose ids are in missed. On PostgreSQL an id is
// taken before its transaction commits, so an event may appear below others that are already there.
func (s *Store) EventsAfter(ctx context.Context, id int64, missed []int64, limit int) ([]lb.Event, error) {
	var rows []eventRow
	err := s.read(ctx, func(ctx context.Context, db bun.IDB) error {
		rows = nil
		q := db.NewSelect().Model(&rows).Where("o.id > ?", id)
		if len(missed) > 0 {
			q = q.WhereOr("o.id IN (?)", bun.List(missed))
		}
		return q.Order("o.id").Limit(int64(limit)).Scan(ctx)
	})
	if err != nil {
		return nil, explain("read events", err)
	}
	return eventsOf(rows), nil
}

// LastEvents returns the ids of the newest events, oldest first.
func (s *Store) LastEvents(ctx context.Context, n int) (ids []int64, err error) {
	err = s.read(ctx, func(ctx context.Context, db bun.IDB) error {
		ids = nil
		return db.NewRaw("SELECT id FROM (SELECT id FROM event ORDER BY id DESC LIMIT ?) AS newest ORDER BY id", n).Scan(ctx, &ids)
	})
	if err != nil {
		return nil, explain("read events", err)
	}
	return ids, nil
}

// ListenEvents returns channels that are rung when events were written by this process, and when somebody was woken,
// which on PostgreSQL other processes do too. Not everything that is written rings.
func (s *Store) ListenEvents() (written, woken <-chan struct{}, stop func()) {
	written, quiet := s.events.Listen()
	woken, quietToo := s.bell.Listen()
	return written, woken, func() { quiet(); quietToo() }
}

// eventsKept is how many events of one project are kept, whatever their age: what one tenant does, however often, does
// not fill the disk.
const eventsKept = 50_000

// trimEvents removes the oldest events of projects that have too many.
func (s *Store) trimEvents(ctx context.Context, keep int) (n int, err error) {
	var projects []string
	var counts []int
	err = s.read(ctx, func(ctx context.Context, db bun.IDB) error {
		projects, counts = nil, nil
		return db.NewRaw("SELECT project_id, count(*) FROM event GROUP BY project_id HAVING count(*) > ?", keep).Scan(ctx, &projects, &counts)
	})
	if err != nil {
		return 0, explain("count events", err)
	}
	for i, project := range projects {
		for left := counts[i] - keep; left > 0; left -= purgeBatch {
			err := s.write(ctx, "remove events of project "+project, func(ctx context.Context, tx *transaction) error {
				_, err := tx.NewRaw("DELETE FROM event WHERE id IN (SELECT id FROM event WHERE project_id = ? ORDER BY id LIMIT ?)",
					project, min(left, purgeBatch)).Exec(ctx)
				return err
			})
			if err != nil {
				return n, err
			}
			n += min(left, purgeBatch)
		}
	}
	return n, nil
}
