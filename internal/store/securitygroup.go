package store

import (
	"context"
	"database/sql"
	"errors"

	"github.com/uptrace/bun"

	"colonnade/internal/lb"
	"colonnade/internal/network"
)

// InsertSecurityGroup inserts a security group; one with this id is returned as it is.
func (s *Store) InsertSecurityGroup(ctx context.Context, g network.SecurityGroup) (out network.SecurityGroup, err error) {
	err = s.write(ctx, "insert security group "+g.ID, func(ctx context.Context, tx *transaction) error {
		if out, err = readSecurityGroup(ctx, tx, g.ID); err == nil || lb.KindOf(err) != lb.KindNotFound {
			return err
		}
		g.CreatedAt, g.UpdatedAt = tx.now, tx.now
		if _, err := tx.NewInsert().Model(&securityGroupRow{SecurityGroup: g}).On("CONFLICT (id) DO NOTHING").Exec(ctx); err != nil {
			return err
		}
		out, err = readSecurityGroup(ctx, tx, g.ID)
		return err
	})
	if err != nil {
		return network.SecurityGroup{}, err
	}
	return out, nil
}

// UpdateSecurityGroup lets change modify name and description.
func (s *Store) UpdateSecurityGroup(ctx context.Context, id string, change func(*network.SecurityGroup) error) (g network.SecurityGroup, err error) {
	err = s.write(ctx, "update security group "+id, func(ctx context.Context, tx *transaction) error {
		if g, err = readSecurityGroup(ctx, tx, id); err != nil {
			return err
		}
		if err := change(&g); err != nil {
			return err
		}
		g.ID, g.UpdatedAt = id, tx.now
		done, err := tx.NewUpdate().Model(&securityGroupRow{SecurityGroup: g}).WherePK().Exec(ctx)
		if err != nil {
			return err
		}
		if n, err := done.RowsAffected(); err == nil && n == 0 {
			return lb.Faultf(lb.KindNotFound, "Security group %s does not exist", id)
		}
		return nil
	})
	if err != nil {
		return network.SecurityGroup{}, err
	}
	return g, nil
}

func readSecurityGroup(ctx context.Context, tx bun.IDB, id string) (network.SecurityGroup, error) {
	var row securityGroupRow
	if err := tx.NewSelect().Model(&row).Where("o.id = ?", id).Scan(ctx); errors.Is(err, sql.ErrNoRows) {
		return network.SecurityGroup{}, lb.Faultf(lb.KindNotFound, "Security group %s does not exist", id)
	} else if err != nil {
		return network.SecurityGroup{}, err
	}
	return row.SecurityGroup, nil
}

// SecurityGroup reads one security group.
func (s *Store) SecurityGroup(ctx context.Context, id string) (g network.SecurityGroup, err error) {
	err = s.read(ctx, func(ctx context.Context, db bun.IDB) error {
		g, err = readSecurityGroup(ctx, db, id)
		return err
	})
	if err != nil {
		return network.SecurityGroup{}, explain("read security group "+id, err)
	}
	return g, nil
}

// SecurityGroups lists all security groups, by creation, then id.
func (s *Store) SecurityGroups(ctx context.Context) ([]network.SecurityGroup, error) {
	var rows []securityGroupRow
	err := s.read(ctx, func(ctx context.Context, db bun.IDB) error {
		rows = nil
		return db.NewSelect().Model(&rows).Order("o.created_at", "o.id").Scan(ctx)
	})
	if err != nil {
		return nil, explain("list security groups", err)
	}
	out := make([]network.SecurityGroup, 0, len(rows))
	for _, r := range rows {
		out = append(out, r.SecurityGroup)
	}
	return out, nil
}

// DeleteSecurityGroup removes a security group; one that is gone is no error.
func (s *Store) DeleteSecurityGroup(ctx context.Context, id string) error {
	return s.write(ctx, "delete security group "+id, func(ctx context.Context, tx *transaction) error {
		_, err := tx.NewDelete().Model((*securityGroupRow)(nil)).Where("id = ?", id).Exec(ctx)
		return err
	})
}
