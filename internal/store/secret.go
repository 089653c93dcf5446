package store

import (
	"context"
	"database/sql"
	"errors"

	"github.com/uptrace/bun"

	"colonnade/internal/lb"
)

type (
	secretRow struct {
		bun.BaseModel `bun:"table:secret,alias:o"`
		lb.Secret
	}
	secretContainerRow struct {
		bun.BaseModel `bun:"table:secret_container,alias:o"`
		lb.SecretContainer
	}
)

// CreateSecret writes a new secret, whose payload is sealed.
func (s *Store) CreateSecret(ctx context.Context, secret lb.Secret) error {
	return s.write(ctx, "create secret", func(ctx context.Context, tx *transaction) error {
		secret.CreatedAt = tx.now
		_, err := tx.NewInsert().Model(&secretRow{Secret: secret}).Exec(ctx)
		return err
	})
}

// Secret reads one secret with its sealed payload.
func (s *Store) Secret(ctx context.Context, id string) (lb.Secret, error) {
	var row secretRow
	err := s.read(ctx, func(ctx context.Context, db bun.IDB) error {
		row = secretRow{}
		return db.NewSelect().Model(&row).Where("o.id = ?", id).Scan(ctx)
	})
	return row.Secret, missing("Secret", id, err)
}

// missing makes of no row the fault that names what was looked for.
func missing(kind, id string, err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return lb.Faultf(lb.KindNotFound, "%s %s not found.", kind, id)
	}
	if err != nil {
		return explain("read "+kind, err)
	}
	return nil
}

// SetSecretPayload gives a secret that has none its sealed payload; another time is lb.KindConflict.
func (s *Store) SetSecretPayload(ctx context.Context, id, contentType string, payload []byte) error {
	return s.write(ctx, "write secret", func(ctx context.Context, tx *transaction) error {
		result, err := tx.NewUpdate().Model((*secretRow)(nil)).Set("payload = ?", payload).Set("content_type = ?", contentType).
			Set("updated_at = ?", tx.now).Where("id = ? AND payload IS NULL", id).Exec(ctx)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n > 0 {
			return err
		}
		return lb.Faultf(lb.KindConflict, "Secret %s already has data, cannot modify it.", id)
	})
}

// Secrets lists a project's secrets without their payloads, oldest first, and says how many there are. name "" is any.
func (s *Store) Secrets(ctx context.Context, projectID, name string, limit, offset int) (secrets []lb.Secret, total int, err error) {
	err = s.snapshot(ctx, func(ctx context.Context, tx bun.Tx) error {
		var rows []secretRow
		q := tx.NewSelect().Model(&rows).ExcludeColumn("payload").Where("o.project_id = ?", projectID)
		if name != "" {
			q = q.Where("o.name = ?", name)
		}
		all, err := q.Order("o.created_at", "o.id").Limit(int64(limit)).Offset(int64(offset)).ScanAndCount(ctx)
		total = int(all)
		secrets = nil
		for _, r := range rows {
			secrets = append(secrets, r.Secret)
		}
		return err
	})
	if err != nil {
		return nil, 0, explain("list secrets", err)
	}
	return secrets, total, nil
}

// DeleteSecret removes a secret.
func (s *Store) DeleteSecret(ctx context.Context, id string) error {
	return s.deleteNamed(ctx, "Secret", (*secretRow)(nil), id)
}

func (s *Store) deleteNamed(ctx context.Context, kind string, model any, id string) error {
	return s.write(ctx, "delete "+kind, func(ctx context.Context, tx *transaction) error {
		result, err := tx.NewDelete().Model(model).Where("id = ?", id).Exec(ctx)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n > 0 {
			return err
		}
		return lb.Faultf(lb.KindNotFound, "%s %s not found.", kind, id)
	})
}

// CreateSecretContainer writes a new container.
func (s *Store) CreateSecretContainer(ctx context.Context, c lb.SecretContainer) error {
	return s.write(ctx, "create secret container", func(ctx context.Context, tx *transaction) error {
		c.CreatedAt = tx.now
		_, err := tx.NewInsert().Model(&secretContainerRow{SecretContainer: c}).Exec(ctx)
		return err
	})
}

// SecretContainer reads one container.
func (s *Store) SecretContainer(ctx context.Context, id string) (lb.SecretContainer, error) {
	var row secretContainerRow
	err := s.read(ctx, func(ctx context.Context, db bun.IDB) error {
		row = secretContainerRow{}
		return db.NewSelect().Model(&row).Where("o.id = ?", id).Scan(ctx)
	})
	return row.SecretContainer, missing("Container", id, err)
}

// SecretContainers lists a project's containers, oldest first, and says how many there are. name "" is any.
func (s *Store) SecretContainers(ctx context.Context, projectID, name string, limit, offset int) (containers []lb.SecretContainer, total int, err error) {
	err = s.snapshot(ctx, func(ctx context.Context, tx bun.Tx) error {
		var rows []secretContainerRow
		q := tx.NewSelect().Model(&rows).Where("o.project_id = ?", projectID)
		if name != "" {
			q = q.Where("o.name = ?", name)
		}
		all, err := q.Order("o.created_at", "o.id").Limit(int64(limit)).Offset(int64(offset)).ScanAndCount(ctx)
		total = int(all)
		containers = nil
		for _, r := range rows {
			containers = append(containers, r.SecretContainer)
		}
		return err
	})
	if err != nil {
		return nil, 0, explain("list secret containers", err)
	}
	return containers, total, nil
}

// DeleteSecretContainer removes a container, not what it names.
func (s *Store) DeleteSecretContainer(ctx context.Context, id string) error {
	return s.deleteNamed(ctx, "Container", (*secretContainerRow)(nil), id)
}
