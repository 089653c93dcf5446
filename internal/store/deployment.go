package store

import (
	"context"
	"fmt"
	"time"

	"github.com/uptrace/bun"
)

// deploymentRow is whose database this is.
type deploymentRow struct {
	bun.BaseModel `bun:"table:deployment,alias:o"`
	OnlyOne       int       `bun:"only_one,pk"`
	ID            string    `bun:"id"`
	Description   string    `bun:"description"`
	CreatedAt     time.Time `bun:"created_at"`
}

// ClaimedError says that a database is another deployment's.
type ClaimedError struct {
	ID, Description string // of who has it
}

func (e *ClaimedError) Error() string {
	return fmt.Sprintf("the database belongs to the deployment %s (%s)", e.ID, e.Description)
}

// Claim makes the database the deployment's, if it is nobody's yet; description says to people where that is. A database of
// another deployment is a *ClaimedError: two of them on one would each take the other's instances and ports for gone.
func (s *Store) Claim(ctx context.Context, id, description string) error {
	var has deploymentRow
	err := s.write(ctx, "claim database", func(ctx context.Context, tx *transaction) error {
		row := deploymentRow{OnlyOne: 1, ID: id, Description: description, CreatedAt: tx.now}
		if _, err := tx.NewInsert().Model(&row).On("CONFLICT DO NOTHING").Exec(ctx); err != nil {
			return err
		}
		has = deploymentRow{}
		return tx.NewSelect().Model(&has).Scan(ctx)
	})
	if err != nil {
		return err
	}
	if has.ID != id {
		return &ClaimedError{ID: has.ID, Description: has.Description}
	}
	return nil
}

// Disclaim gives up the claim of a deployment, if it has one.
func (s *Store) Disclaim(ctx context.Context, id string) error {
	return s.write(ctx, "give up database", func(ctx context.Context, tx *transaction) error {
		_, err := tx.NewDelete().Model((*deploymentRow)(nil)).Where("o.id = ?", id).Exec(ctx)
		return err
	})
}
