package identity

import (
	"context"
	"time"
)

// Storage is what Embedded keeps in the database, so that all api roles know it and a restart forgets nothing;
// *store.Store is one.
type Storage interface {
	// SigningKeys lists the keys of tokens.
	SigningKeys(ctx context.Context) ([]SigningKey, error)
	// AddSigningKey adds one, unless one was made after the time given, and removes those made before the other.
	AddSigningKey(ctx context.Context, key SigningKey, unlessAfter, removeBefore time.Time) error
	// Revocations lists what was revoked and would be valid at this time otherwise.
	Revocations(ctx context.Context, now time.Time) ([]string, error)
	// Revoke remembers that something is valid no more, until it would have ended by itself, and forgets what has.
	Revoke(ctx context.Context, what string, until, now time.Time) error

	// CreateApplicationCredential answers with a conflict when the user has one of that name.
	CreateApplicationCredential(ctx context.Context, c ApplicationCredential) error
	// ApplicationCredentials lists a user's by name.
	ApplicationCredentials(ctx context.Context, userID string) ([]ApplicationCredential, error)
	// ApplicationCredential finds one by id; the error is of kind not found when there is none.
	ApplicationCredential(ctx context.Context, id string) (ApplicationCredential, error)
	DeleteApplicationCredential(ctx context.Context, id string) error
}

// SigningKey signs tokens.
type SigningKey struct {
	ID        string `bun:"id,pk"`
	Secret    []byte
	CreatedAt time.Time
}

// ApplicationCredential lets a program act for a user in one project.
type ApplicationCredential struct {
	ID           string `bun:"id,pk"`
	UserID       string
	ProjectID    string
	Name         string
	Description  string
	SecretHash   string
	Roles        []string  // names
	ExpiresAt    time.Time `bun:",nullzero"` // zero: never
	Unrestricted bool      // its tokens may make and delete application credentials
	CreatedAt    time.Time
}
