package store

import (
	"context"
	"time"

	"github.com/uptrace/bun/dialect"
)

// Count is how many objects of a kind are in a state.
type Count struct {
	Object string // load_balancer, amphora, distributor, cluster, work_waiting, work_held
	State  string // its status; of work its kind
	Number int64
	LateMS int64 // of waiting work: how long the oldest has been due
}

// Late is how long the oldest has been due.
func (c Count) Late() time.Duration { return time.Duration(c.LateMS) * time.Millisecond }

// Counts counts everything that metrics show, in one query.
func (s *Store) Counts(ctx context.Context) ([]Count, error) {
	now := "CAST(unixepoch('subsec') * 1000 AS INTEGER)"
	if s.Reader().Dialect().Name() == dialect.PG {
		now = "CAST(extract(epoch FROM statement_timestamp()) * 1000 AS BIGINT)"
	}
	var counts []Count
	err := s.Reader().NewRaw(`
SELECT 'load_balancer' AS object, provisioning_status AS state, COUNT(*) AS number, 0 AS late_ms
 FROM load_balancer WHERE provisioning_status <> 'DELETED' GROUP BY provisioning_status
UNION ALL SELECT 'amphora', status, COUNT(*), 0 FROM amphora WHERE status <> 'DELETED' GROUP BY status
UNION ALL SELECT 'distributor', status, COUNT(*), 0 FROM distributor GROUP BY status
UNION ALL SELECT 'cluster', operating_status, COUNT(*), 0 FROM cluster GROUP BY operating_status
UNION ALL SELECT 'work_held', kind, COUNT(*), 0 FROM work_queue WHERE lease_id <> '' GROUP BY kind
UNION ALL SELECT 'work_waiting', kind, COUNT(*), CASE WHEN MIN(due_at) < `+now+` THEN `+now+` - MIN(due_at) ELSE 0 END
 FROM work_queue WHERE lease_id = '' GROUP BY kind
ORDER BY 1, 2`).Scan(ctx, &counts)
	if err != nil {
		return nil, explain("count objects", err)
	}
	return counts, nil
}

// Ping says whether the database answers.
func (s *Store) Ping(ctx context.Context) error {
	var one int
	if err := s.Reader().NewRaw("SELECT 1").Scan(ctx, &one); err != nil {
		return explain("ask the database", err)
	}
	return nil
}
