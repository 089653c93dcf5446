package store

import (
	"context"
	"slices"

	"github.com/uptrace/bun"

	"colonnade/internal/amphora"
	"colonnade/internal/lb"
)

// Subjects lists all amphorae and distributors that are not DELETED.
func (s *Store) Subjects(ctx context.Context) (subjects []lb.Subject, err error) {
	err = s.snapshot(ctx, func(ctx context.Context, tx bun.Tx) error {
		subjects = nil
		var amphorae []amphoraRow
		if err := tx.NewSelect().Model(&amphorae).Where("o.status <> ?", lb.AmphoraDeleted).Order("o.id").Scan(ctx); err != nil {
			return err
		}
		for _, a := range amphorae {
			subjects = append(subjects, lb.Subject{ID: a.ID, Kind: "amphora", HeartbeatKey: a.HeartbeatKey, LoadBalancers: []string{a.LoadBalancerID}, OutOfService: a.OutOfService})
		}
		var distributors []struct {
			bun.BaseModel `bun:"table:distributor,alias:o"`
			lb.Distributor
			LoadBalancerIDs idList `bun:"load_balancer_ids,scanonly"`
		}
		err := tx.NewSelect().Model(&distributors).ColumnExpr("?TableColumns").ColumnExpr(servedByDistributor).Order("o.id").Scan(ctx)
		if err != nil {
			return err
		}
		for _, d := range distributors {
			subjects = append(subjects, lb.Subject{ID: d.ID, Kind: "distributor", HeartbeatKey: d.HeartbeatKey, LoadBalancers: d.LoadBalancerIDs})
		}
		return nil
	})
	if err != nil {
		return nil, explain("list heartbeat subjects", err)
	}
	return subjects, nil
}

// Health lists what is known of every instance.
func (s *Store) Health(ctx context.Context) ([]lb.InstanceHealth, error) {
	var rows []instanceHealthRow
	err := s.read(ctx, func(ctx context.Context, db bun.IDB) error {
		return db.NewSelect().Model(&rows).Order("o.instance_id").Scan(ctx)
	})
	if err != nil {
		return nil, explain("list health", err)
	}
	all := make([]lb.InstanceHealth, 0, len(rows))
	for _, r := range rows {
		all = append(all, r.InstanceHealth)
	}
	return all, nil
}

// SaveHealth writes changed health and the wakes in one transaction. What is said of an instance that is gone by now
// is dropped: a late heartbeat leaves no row behind.
func (s *Store) SaveHealth(ctx context.Context, changed []lb.InstanceHealth, wakes []lb.Wake) error {
	return s.write(ctx, "save health", func(ctx context.Context, tx *transaction) error {
		if len(changed) > 0 {
			ids := make([]string, 0, len(changed))
			for _, h := range changed {
				ids = append(ids, h.InstanceID)
			}
			var live []string
			err := tx.NewRaw(`SELECT id FROM amphora WHERE id IN (?0) AND status <> ?1 UNION ALL SELECT id FROM distributor WHERE id IN (?0)`,
				bun.List(ids), lb.AmphoraDeleted).Scan(ctx, &live)
			if err != nil {
				return err
			}
			for _, h := range changed {
				if !slices.Contains(live, h.InstanceID) {
					continue
				}
				_, err := tx.NewInsert().Model(&instanceHealthRow{InstanceHealth: h}).On("CONFLICT (instance_id) DO UPDATE").
					Set("kind = EXCLUDED.kind, state = EXCLUDED.state, since = EXCLUDED.since, last_seen = EXCLUDED.last_seen").
					Set("boot_id = EXCLUDED.boot_id, report = EXCLUDED.report").Exec(ctx)
				if err != nil {
					return err
				}
			}
		}
		return tx.finish(ctx, lb.Outcome{Wakes: wakes})
	})
}

// SaveLastSeen writes coarse last-seen times in one batch; instances without a row are left out.
func (s *Store) SaveLastSeen(ctx context.Context, seen []lb.InstanceHealth) error {
	if len(seen) == 0 {
		return nil
	}
	return s.write(ctx, "save last seen", func(ctx context.Context, tx *transaction) error {
		for _, h := range seen {
			_, err := tx.NewUpdate().Model((*instanceHealthRow)(nil)).Set("last_seen = ?", h.LastSeen).
				Where("o.instance_id = ? AND o.last_seen < ?", h.InstanceID, h.LastSeen).Exec(ctx)
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// SaveListenerStatistics replaces the counters of these amphorae's listeners. Counters of a listener that is gone, or
// of an amphora that is unknown, are dropped.
func (s *Store) SaveListenerStatistics(ctx context.Context, stats map[string][]amphora.ListenerStats) error {
	if len(stats) == 0 {
		return nil
	}
	return s.write(ctx, "save listener statistics", func(ctx context.Context, tx *transaction) error {
		for amphoraID, listeners := range stats {
			for _, l := range listeners {
				_, err := tx.NewRaw(`INSERT INTO listener_statistics
 (listener_id, amphora_id, is_full, bytes_in, bytes_out, active_connections, total_connections, request_errors)
SELECT l.id, a.id, ?, ?, ?, ?, ?, ? FROM listener AS l JOIN amphora AS a ON a.load_balancer_id = l.load_balancer_id WHERE l.id = ? AND a.id = ?
ON CONFLICT (listener_id, amphora_id) DO UPDATE SET is_full = EXCLUDED.is_full, bytes_in = EXCLUDED.bytes_in,
 bytes_out = EXCLUDED.bytes_out, active_connections = EXCLUDED.active_connections,
 total_connections = EXCLUDED.total_connections, request_errors = EXCLUDED.request_errors`,
					l.Full, l.BytesIn, l.BytesOut, l.ActiveConnections, l.TotalConnections, l.RequestErrors, l.ListenerID, amphoraID).Exec(ctx)
				if err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// ListenerStatistics sums the counters of a load balancer's listeners, by listener id, over all amphorae there ever
// were, active connections only over ALLOCATED ones.
func (s *Store) ListenerStatistics(ctx context.Context, lbID string) (map[string]amphora.ListenerStats, error) {
	var rows []struct {
		listenerStatisticsRow
		Status lb.AmphoraStatus `bun:"status"`
	}
	err := s.read(ctx, func(ctx context.Context, db bun.IDB) error {
		return db.NewSelect().TableExpr("listener_statistics AS o").ColumnExpr("o.*, a.status").
			Join("JOIN amphora AS a ON a.id = o.amphora_id").Join("JOIN listener AS l ON l.id = o.listener_id").
			Where("l.load_balancer_id = ?", lbID).Scan(ctx, &rows)
	})
	if err != nil {
		return nil, explain("sum statistics of load balancer "+lbID, err)
	}
	sums := map[string]amphora.ListenerStats{}
	for _, r := range rows {
		sum, add := sums[r.ListenerID], r.stats()
		sum.ListenerID = r.ListenerID
		sum.BytesIn += add.BytesIn
		sum.BytesOut += add.BytesOut
		sum.TotalConnections += add.TotalConnections
		sum.RequestErrors += add.RequestErrors
		if r.Status == lb.AmphoraAllocated {
			sum.ActiveConnections += add.ActiveConnections
			sum.Full = sum.Full || add.Full
		}
		sums[r.ListenerID] = sum
	}
	return sums, nil
}

// AmphoraStatistics returns the counters of one amphora's listeners, by listener id.
func (s *Store) AmphoraStatistics(ctx context.Context, amphoraID string) ([]amphora.ListenerStats, error) {
	var rows []listenerStatisticsRow
	err := s.read(ctx, func(ctx context.Context, db bun.IDB) error {
		return db.NewSelect().Model(&rows).Where("o.amphora_id = ?", amphoraID).Order("o.listener_id").Scan(ctx)
	})
	if err != nil {
		return nil, explain("read statistics of amphora "+amphoraID, err)
	}
	stats := make([]amphora.ListenerStats, 0, len(rows))
	for _, r := range rows {
		stats = append(stats, r.stats())
	}
	return stats, nil
}

func (r listenerStatisticsRow) stats() amphora.ListenerStats {
	return amphora.ListenerStats{
		ListenerID: r.ListenerID, Full: r.Full, BytesIn: r.BytesIn, BytesOut: r.BytesOut,
		ActiveConnections: r.ActiveConnections, TotalConnections: r.TotalConnections, RequestErrors: r.RequestErrors,
	}
}
