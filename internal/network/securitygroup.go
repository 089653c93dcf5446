package network

import (
	"context"
	"time"
)

// SecurityGroup names what a port lets in. No driver here enforces rules, so groups have none: they are there to be
// looked up.
type SecurityGroup struct {
	ID          string    `bun:"id,pk"`
	ProjectID   string    `bun:"project_id"`
	Name        string    `bun:"name"`
	Description string    `bun:"description"`
	CreatedAt   time.Time `bun:"created_at"`
	UpdatedAt   time.Time `bun:"updated_at"`
}

// SecurityGroups is what a driver does that knows security groups. A missing one is an lb.KindNotFound fault.
type SecurityGroups interface {
	SecurityGroup(ctx context.Context, id string) (SecurityGroup, error)
}
