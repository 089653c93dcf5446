package identity

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"colonnade/internal/lb"
)

// maxCredentials is how many application credentials a user may have.
const maxCredentials = 1000

// credential finds one that has not ended, by id.
func (e *Embedded) credential(ctx context.Context, id string) (ApplicationCredential, error) {
	c, err := e.Storage.ApplicationCredential(ctx, id)
	switch {
	case lb.KindOf(err) == lb.KindNotFound:
		return c, ErrUnauthorized
	case err != nil:
		return c, fmt.Errorf("%w: %w", ErrUnavailable, err)
	case !c.ExpiresAt.IsZero() && !e.Now().Before(c.ExpiresAt):
		return ApplicationCredential{}, ErrUnauthorized
	}
	return c, nil
}

func (e *Embedded) credentialNamed(ctx context.Context, userID, name string) (ApplicationCredential, error) {
	all, err := e.Storage.ApplicationCredentials(ctx, userID)
	if err != nil {
		return ApplicationCredential{}, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	if c := find(all, func(c ApplicationCredential) bool { return c.Name == name }); c != nil {
		return e.credential(ctx, c.ID)
	}
	return ApplicationCredential{}, ErrUnauthorized
}

// CreateApplicationCredential makes one for the session's user in its project, with at most the session's roles, and
// returns its secret, which is not kept. An empty secret asks for one.
func (e *Embedded) CreateApplicationCredential(ctx context.Context, s Session, c ApplicationCredential, secret string) (ApplicationCredential, string, error) {
	if s.Project == nil {
		return c, "", lb.Faultf(lb.KindInvalid, "An application credential needs a token that is scoped to a project.")
	}
	if err := s.mayManageCredentials(); err != nil {
		return c, "", err
	}
	switch {
	case !validName(c.Name):
		return c, "", lb.InvalidField("name", c.Name, "Value should have 1 to 255 printable characters")
	case len(secret) > MaxPassword:
		return c, "", lb.Faultf(lb.KindInvalid, "Invalid input for field/attribute secret. Value should have at most %d bytes", MaxPassword)
	case !c.ExpiresAt.IsZero() && !e.Now().Before(c.ExpiresAt):
		return c, "", lb.InvalidField("expires_at", c.ExpiresAt.Format(time.RFC3339), "Value should be in the future")
	}
	if len(c.Roles) == 0 {
		c.Roles = s.Roles
	}
	for _, r := range c.Roles {
		if !slices.Contains(s.Roles, r) {
			return c, "", lb.Faultf(lb.KindInvalid, "The token does not have the role %s in its project.", r)
		}
	}
	have, err := e.Storage.ApplicationCredentials(ctx, s.User.ID)
	if err != nil {
		return c, "", err
	}
	if len(have) >= maxCredentials {
		return c, "", lb.Faultf(lb.KindForbidden, "A user may have %d application credentials.", maxCredentials)
	}
	random := make([]byte, 16+48)
	if _, err := rand.Read(random); err != nil {
		return c, "", fmt.Errorf("make application credential: %w", err)
	}
	if secret == "" {
		secret = encoding.EncodeToString(random[16:])
		c.SecretHash = hashRandom(secret)
	} else if c.SecretHash, err = e.hash(ctx, secret); err != nil {
		return c, "", err
	}
	c.ID, c.UserID, c.ProjectID = hex.EncodeToString(random[:16]), s.User.ID, s.Project.ID
	c.CreatedAt = e.Now().UTC().Truncate(time.Second)
	return c, secret, e.Storage.CreateApplicationCredential(ctx, c)
}

// hash waits for its turn among the comparisons, which cost as much.
func (e *Embedded) hash(ctx context.Context, secret string) (hash string, err error) {
	_, err = e.attempts.turn(ctx, func() (bool, error) {
		hash, err = HashPassword(secret)
		return true, err
	})
	return hash, err
}

// mayManageCredentials refuses tokens that were got by an application credential that is not unrestricted: who stole it
// must not be able to make more.
func (s Session) mayManageCredentials() error {
	if s.Credential != nil && !s.Credential.Unrestricted {
		return lb.Faultf(lb.KindForbidden, "You are not authorized to perform the requested action: the application credential is restricted.")
	}
	return nil
}

// DeleteApplicationCredential removes one of this user's and ends the tokens that were got by it.
func (e *Embedded) DeleteApplicationCredential(ctx context.Context, s Session, userID, id string) error {
	if err := s.mayManageCredentials(); err != nil {
		return err
	}
	c, err := e.Storage.ApplicationCredential(ctx, id)
	if err == nil && c.UserID != userID {
		err = lb.Faultf(lb.KindNotFound, "Could not find Application Credential: %s.", id)
	}
	if err != nil {
		return err
	}
	return e.Storage.DeleteApplicationCredential(ctx, id)
}
