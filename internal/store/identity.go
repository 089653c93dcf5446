package store

import (
	"context"
	"time"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect"

	"colonnade/internal/identity"
	"colonnade/internal/lb"
)

// What the embedded identity service keeps: see identity.Storage.

var _ identity.Storage = (*Store)(nil)

type (
	signingKeyRow struct {
		bun.BaseModel `bun:"table:signing_key,alias:o"`
		identity.SigningKey
	}
	revocationRow struct {
		bun.BaseModel `bun:"table:revocation,alias:o"`
		What          string `bun:"what,pk"`
		Until         time.Time
	}
	applicationCredentialRow struct {
		bun.BaseModel `bun:"table:application_credential,alias:o"`
		identity.ApplicationCredential
	}
)

// SigningKeys lists the keys of tokens.
func (s *Store) SigningKeys(ctx context.Context) (keys []identity.SigningKey, err error) {
	var rows []signingKeyRow
	err = s.read(ctx, func(ctx context.Context, db bun.IDB) error {
		rows = nil
		return db.NewSelect().Model(&rows).Order("o.id").Scan(ctx)
	})
	if err != nil {
		return nil, explain("list signing keys", err)
	}
	for _, r := range rows {
		keys = append(keys, r.SigningKey)
	}
	return keys, nil
}

// AddSigningKey adds one, unless one was made after the time given, and removes those made before the other.
func (s *Store) AddSigningKey(ctx context.Context, key identity.SigningKey, unlessAfter, removeBefore time.Time) error {
	return s.write(ctx, "add signing key", func(ctx context.Context, tx *transaction) error {
		if tx.Dialect().Name() == dialect.PG { // two that find none make one
			if _, err := tx.NewRaw("LOCK TABLE signing_key IN SHARE ROW EXCLUSIVE MODE").Exec(ctx); err != nil {
				return err
			}
		}
		fresh, err := tx.NewSelect().Model((*signingKeyRow)(nil)).Where("o.created_at > ?", unlessAfter).Exists(ctx)
		if err != nil || fresh {
			return err
		}
		if _, err := tx.NewDelete().Model((*signingKeyRow)(nil)).Where("created_at < ?", removeBefore).Exec(ctx); err != nil {
			return err
		}
		_, err = tx.NewInsert().Model(&signingKeyRow{SigningKey: key}).Exec(ctx)
		return err
	})
}

// Revocations lists what was revoked and would be valid at this time otherwise.
func (s *Store) Revocations(ctx context.Context, now time.Time) (what []string, err error) {
	err = s.read(ctx, func(ctx context.Context, db bun.IDB) error {
		what = nil
		return db.NewSelect().Model((*revocationRow)(nil)).Column("what").Where("o.until > ?", now).Scan(ctx, &what)
	})
	if err != nil {
		return nil, explain("list revocations", err)
	}
	return what, nil
}

// Revoke remembers that something is valid no more, until it would have ended by itself, and forgets what has.
func (s *Store) Revoke(ctx context.Context, what string, until, now time.Time) error {
	return s.write(ctx, "revoke", func(ctx context.Context, tx *transaction) error {
		if _, err := tx.NewDelete().Model((*revocationRow)(nil)).Where("until <= ?", now).Exec(ctx); err != nil {
			return err
		}
		_, err := tx.NewInsert().Model(&revocationRow{What: what, Until: until}).On("CONFLICT DO NOTHING").Exec(ctx)
		return err
	})
}

// CreateApplicationCredential answers with a conflict when the user has one of that name.
func (s *Store) CreateApplicationCredential(ctx context.Context, c identity.ApplicationCredential) error {
	row := &applicationCredentialRow{ApplicationCredential: c}
	return s.write(ctx, "create application credential "+c.ID, func(ctx context.Context, tx *transaction) error {
		_, err := tx.NewInsert().Model(row).Exec(ctx)
		if isUnique(err) {
			return lb.Faultf(lb.KindConflict, "Conflict occurred attempting to store application_credential - Duplicate entry found with name %s.", c.Name)
		}
		return err
	})
}

// ApplicationCredentials lists a user's by name.
func (s *Store) ApplicationCredentials(ctx context.Context, userID string) ([]identity.ApplicationCredential, error) {
	return s.applicationCredentials(ctx, "o.user_id = ?", userID)
}

// ApplicationCredential finds one by id.
func (s *Store) ApplicationCredential(ctx context.Context, id string) (identity.ApplicationCredential, error) {
	found, err := s.applicationCredentials(ctx, "o.id = ?", id)
	if err != nil {
		return identity.ApplicationCredential{}, err
	}
	if len(found) == 0 {
		return identity.ApplicationCredential{}, lb.Faultf(lb.KindNotFound, "Could not find Application Credential: %s.", id)
	}
	return found[0], nil
}

func (s *Store) applicationCredentials(ctx context.Context, where, value string) ([]identity.ApplicationCredential, error) {
	var rows []applicationCredentialRow
	err := s.read(ctx, func(ctx context.Context, db bun.IDB) error {
		rows = nil
		return db.NewSelect().Model(&rows).Where(where, value).Order("o.name", "o.id").Scan(ctx)
	})
	if err != nil {
		return nil, explain("read application credentials", err)
	}
	all := make([]identity.ApplicationCredential, len(rows))
	for i, r := range rows {
		all[i] = r.ApplicationCredential
	}
	return all, nil
}

// DeleteApplicationCredential removes one; the error is of kind not found when there is none.
func (s *Store) DeleteApplicationCredential(ctx context.Context, id string) error {
	return s.write(ctx, "delete application credential "+id, func(ctx context.Context, tx *transaction) error {
		res, err := tx.NewDelete().Model((*applicationCredentialRow)(nil)).Where("id = ?", id).Exec(ctx)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return lb.Faultf(lb.KindNotFound, "Could not find Application Credential: %s.", id)
		}
		return nil
	})
}
