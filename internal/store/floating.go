package store

import (
	"context"
	"database/sql"
	"errors"

	"github.com/uptrace/bun"

	"colonnade/internal/lb"
	"colonnade/internal/network"
)

// InsertFloatingIP returns the floating IP with f.ID if there is one, else inserts it with its port p, which gets the
// address that choose says.
func (s *Store) InsertFloatingIP(ctx context.Context, f network.FloatingIP, p network.Port, choose func(taken map[string]bool) (subnetID, address string, err error)) (out network.FloatingIP, err error) {
	err = s.write(ctx, "insert floating IP "+f.ID, func(ctx context.Context, tx *transaction) error {
		if out, err = readFloatingIP(ctx, tx, f.ID); err == nil || lb.KindOf(err) != lb.KindNotFound {
			return err
		}
		p.ID = f.ID
		if _, err := tx.insertPort(ctx, p, choose); err != nil {
			return err
		}
		f.CreatedAt, f.UpdatedAt = tx.now, tx.now
		if err := tx.freeForFloating(ctx, f); err != nil {
			return err
		}
		if _, err := tx.NewInsert().Model(&floatingIPRow{FloatingIP: f}).Exec(ctx); err != nil {
			return err
		}
		out, err = readFloatingIP(ctx, tx, f.ID)
		return err
	})
	if err != nil {
		return network.FloatingIP{}, err
	}
	return out, nil
}

// freeForFloating refuses a port that is not there, and one that a floating IP stands for already.
func (tx *transaction) freeForFloating(ctx context.Context, f network.FloatingIP) error {
	if f.PortID == "" {
		return nil
	}
	if err := tx.lockPort(ctx, f.PortID); err != nil {
		return err
	}
	n, err := tx.NewSelect().Model((*floatingIPRow)(nil)).Where("o.port_id = ?", f.PortID).Where("o.id <> ?", f.ID).Count(ctx)
	if err == nil && n > 0 {
		err = lb.Faultf(lb.KindConflict, "Port %s has a floating IP already.", f.PortID)
	}
	return err
}

// UpdateFloatingIP lets change modify PortID and Description.
func (s *Store) UpdateFloatingIP(ctx context.Context, id string, change func(*network.FloatingIP) error) (out network.FloatingIP, err error) {
	err = s.write(ctx, "update floating IP "+id, func(ctx context.Context, tx *transaction) error {
		if err := tx.lockPort(ctx, id); lb.KindOf(err) == lb.KindNotFound {
			return lb.Faultf(lb.KindNotFound, "Floating IP %s not found.", id)
		} else if err != nil {
			return err
		}
		f, err := readFloatingIP(ctx, tx, id)
		if err != nil {
			return err
		}
		if err := change(&f); err != nil {
			return err
		}
		f.ID, f.UpdatedAt = id, tx.now
		if err := tx.freeForFloating(ctx, f); err != nil {
			return err
		}
		if _, err := tx.NewUpdate().Model(&floatingIPRow{FloatingIP: f}).WherePK().Exec(ctx); err != nil {
			return err
		}
		out, err = readFloatingIP(ctx, tx, id)
		return err
	})
	if err != nil {
		return network.FloatingIP{}, err
	}
	return out, nil
}

// DeleteFloatingIP removes a floating IP and gives its address back; one that is gone is no error.
func (s *Store) DeleteFloatingIP(ctx context.Context, id string) error {
	return s.write(ctx, "delete floating IP "+id, func(ctx context.Context, tx *transaction) error {
		done, err := tx.NewDelete().Model((*floatingIPRow)(nil)).Where("id = ?", id).Exec(ctx)
		if err != nil {
			return err
		}
		if n, err := done.RowsAffected(); err != nil || n == 0 {
			return err // a port with this id is none of ours
		}
		_, err = tx.NewDelete().Model((*portRow)(nil)).Where("id = ?", id).Exec(ctx)
		return err
	})
}

// fullFloatingIP is a floating IP with what its two ports say.
type fullFloatingIP struct {
	bun.BaseModel `bun:"table:floating_ip,alias:o"`
	network.FloatingIP
	FullNetwork  string `bun:"full_network,scanonly"`
	FullSubnet   string `bun:"full_subnet,scanonly"`
	FullAddress  string `bun:"full_address,scanonly"`
	FullFixed    string `bun:"full_fixed,scanonly"`
	FullFixedNet string `bun:"full_fixed_net,scanonly"`
}

func selectFloatingIPs(tx bun.IDB, dest any) *bun.SelectQuery {
	return tx.NewSelect().Model(dest).
		ColumnExpr("o.*, p.network_id AS full_network, p.subnet_id AS full_subnet, p.ip_address AS full_address").
		ColumnExpr("coalesce(f.ip_address, '') AS full_fixed, coalesce(f.network_id, '') AS full_fixed_net").
		Join("JOIN port AS p ON p.id = o.id").Join("LEFT JOIN port AS f ON f.id = o.port_id")
}

func (f fullFloatingIP) floatingIP() network.FloatingIP {
	f.NetworkID, f.SubnetID, f.Address, f.FixedAddress, f.FixedNetwork = f.FullNetwork, f.FullSubnet, f.FullAddress, f.FullFixed, f.FullFixedNet
	return f.FloatingIP
}

func readFloatingIP(ctx context.Context, tx bun.IDB, id string) (network.FloatingIP, error) {
	var row fullFloatingIP
	if err := selectFloatingIPs(tx, &row).Where("o.id = ?", id).Scan(ctx); errors.Is(err, sql.ErrNoRows) {
		return network.FloatingIP{}, lb.Faultf(lb.KindNotFound, "Floating IP %s not found.", id)
	} else if err != nil {
		return network.FloatingIP{}, err
	}
	return row.floatingIP(), nil
}

// FloatingIP reads one floating IP.
func (s *Store) FloatingIP(ctx context.Context, id string) (f network.FloatingIP, err error) {
	err = s.read(ctx, func(ctx context.Context, db bun.IDB) error {
		f, err = readFloatingIP(ctx, db, id)
		return err
	})
	if err != nil {
		return network.FloatingIP{}, explain("read floating IP "+id, err)
	}
	return f, nil
}

// FloatingIPs lists all floating IPs, by creation, then id.
func (s *Store) FloatingIPs(ctx context.Context) ([]network.FloatingIP, error) {
	var rows []fullFloatingIP
	err := s.read(ctx, func(ctx context.Context, db bun.IDB) error {
		rows = nil
		return selectFloatingIPs(db, &rows).Order("o.created_at", "o.id").Scan(ctx)
	})
	if err != nil {
		return nil, explain("list floating IPs", err)
	}
	out := make([]network.FloatingIP, 0, len(rows))
	for _, r := range rows {
		out = append(out, r.floatingIP())
	}
	return out, nil
}
