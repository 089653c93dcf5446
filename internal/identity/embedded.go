package identity

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"colonnade/internal/lb"
)

// Options are what Embedded is made of.
type Options struct {
	Directory *Directory
	Storage   Storage
	APIToken  *Token        // of the state directory; its bearer is the administrator
	Validity  time.Duration // of tokens
	Open      bool          // noauth: everybody is the administrator, whatever they show
	Now       func() time.Time
}

// Embedded knows the users of the configuration. Its tokens are signed by keys in the database, so that every api role on
// it takes every other's, and end by themselves; those that were revoked before are in the database too.
type Embedded struct {
	Options
	keys     keyring
	revoked  revocations
	attempts *attempts
}

// NewEmbedded makes one.
func NewEmbedded(o Options) (*Embedded, error) {
	if o.Directory == nil || o.Storage == nil || o.Validity < time.Minute || o.Now == nil {
		return nil, errors.New("make embedded identity: directory, storage, clock and a validity of a minute or more are needed")
	}
	return &Embedded{
		Options: o, attempts: newAttempts(o.Now),
		keys:    keyring{storage: o.Storage, now: o.Now, validity: o.Validity},
		revoked: revocations{storage: o.Storage, now: o.Now},
	}, nil
}

// Session is a valid token with all that it means now.
type Session struct {
	User       User
	Project    *Project // nil: not scoped to one
	Domain     bool     // scoped to the domain
	Roles      []string // names, with those that are implied; none without a scope
	Methods    []string // how the token was got
	AuditIDs   []string
	IssuedAt   time.Time
	ExpiresAt  time.Time
	Credential *ApplicationCredential // that the token was got by; nil for none
}

// apiTokenID stands for the audit id of the API token.
const apiTokenID = "api-token"

// Principal is who makes a request with the session's token.
func (s Session) Principal() Principal {
	p := Principal{UserID: s.User.ID, Roles: s.Roles}
	if s.Project != nil {
		p.ProjectID = s.Project.ID
	}
	return p
}

// Admin reports whether the session may see all users and projects.
func (s Session) Admin() bool { return slices.Contains(s.Roles, "admin") }

// Authenticate takes tokens of its own and the API token.
func (e *Embedded) Authenticate(r *http.Request) (Principal, error) {
	if e.Open {
		return e.anybody(r), nil
	}
	token := given(r)
	if token == "" {
		return Principal{}, ErrUnauthorized
	}
	if _, ours := keyOf(token); !ours && e.APIToken != nil {
		return e.APIToken.Authenticate(r)
	}
	s, err := e.Session(r.Context(), token)
	if err != nil {
		return Principal{}, err
	}
	return s.Principal(), nil
}

// Session says what a token means. The API token's is the administrator's, over the domain.
func (e *Embedded) Session(ctx context.Context, token string) (Session, error) {
	id, ours := keyOf(token)
	if !ours {
		if admin := e.Directory.UserNamed(AdminName); admin != nil && (e.Open || e.APIToken != nil && e.APIToken.is(token)) {
			now := e.Now().UTC()
			return Session{
				User: *admin, Domain: true, Roles: withImplied([]string{"admin"}), Methods: []string{"token"}, AuditIDs: []string{apiTokenID},
				IssuedAt: now, ExpiresAt: now.Add(e.Validity),
			}, nil
		}
		return Session{}, ErrUnauthorized
	}
	key, err := e.keys.named(ctx, id)
	if err != nil {
		return Session{}, err
	}
	c, err := verify(key, token)
	if err != nil {
		return Session{}, err
	}
	return e.meaning(ctx, key, c)
}

// meaning looks up what the claims of a signed token are worth today.
func (e *Embedded) meaning(ctx context.Context, key SigningKey, c claims) (Session, error) {
	s := Session{Methods: c.Methods, AuditIDs: c.AuditIDs, Domain: c.Domain, IssuedAt: time.Unix(c.IssuedAt, 0).UTC(), ExpiresAt: time.Unix(c.ExpiresAt, 0).UTC()}
	u := e.user(c.UserID)
	if u == nil || len(c.AuditIDs) == 0 || !e.Now().Before(s.ExpiresAt) || !hmac.Equal([]byte(c.Stamp), []byte(stamp(key, u))) {
		return s, ErrUnauthorized
	}
	s.User = *u
	gone, err := e.revoked.has(ctx, append(slices.Clone(c.AuditIDs), c.CredentialID)...)
	if err != nil {
		return s, err
	}
	if gone {
		return s, ErrUnauthorized
	}
	if c.ProjectID != "" {
		if s.Project = e.project(c.ProjectID, ""); s.Project == nil {
			return s, ErrUnauthorized
		}
	}
	if c.CredentialID != "" {
		found, err := e.credential(ctx, c.CredentialID)
		if err != nil {
			return s, err
		}
		s.Credential = &found
	}
	s.Roles = e.rolesOf(s)
	if len(s.Roles) == 0 && (s.Project != nil || s.Domain) {
		return s, ErrUnauthorized // taken from the user since
	}
	return s, nil
}

// rolesOf are the roles that a session's user has in its scope; an application credential may hold fewer.
func (e *Embedded) rolesOf(s Session) []string {
	var roles []string
	switch {
	case e.Open && (s.Project != nil || s.Domain):
		roles = []string{"admin"}
	case s.Project != nil:
		roles = s.User.Roles[s.Project.Name]
	case s.Domain:
		roles = s.User.DomainRoles
	}
	roles = withImplied(roles)
	if c := s.Credential; c != nil {
		roles = slices.DeleteFunc(roles, func(r string) bool { return !slices.Contains(withImplied(c.Roles), r) })
	}
	return roles
}

// stamp changes with a user's password, and with it end the tokens that were got by the old one.
func stamp(key SigningKey, u *User) string {
	m := hmac.New(sha256.New, key.Secret)
	m.Write([]byte("password " + u.PasswordHash))
	return hex.EncodeToString(m.Sum(nil)[:8])
}

// issue signs a token for a session, whose times and audit ids it sets. ends bounds its life; zero does not. parent is the
// first token of the chain it continues.
func (e *Embedded) issue(ctx context.Context, s *Session, ends time.Time, parent []string) (string, error) {
	key, err := e.keys.signing(ctx)
	if err != nil {
		return "", err
	}
	audit := make([]byte, 16)
	if _, err := rand.Read(audit); err != nil {
		return "", fmt.Errorf("issue token: %w", err)
	}
	s.AuditIDs = []string{encoding.EncodeToString(audit)}
	if len(parent) > 0 {
		s.AuditIDs = append(s.AuditIDs, parent[len(parent)-1])
	}
	s.IssuedAt = e.Now().UTC().Truncate(time.Second)
	s.ExpiresAt = s.IssuedAt.Add(e.Validity)
	if !ends.IsZero() && ends.Before(s.ExpiresAt) {
		s.ExpiresAt = ends.Truncate(time.Second)
	}
	c := claims{
		UserID: s.User.ID, Domain: s.Domain, Methods: s.Methods, AuditIDs: s.AuditIDs, Stamp: stamp(key, &s.User),
		IssuedAt: s.IssuedAt.Unix(), ExpiresAt: s.ExpiresAt.Unix(),
	}
	if s.Project != nil {
		c.ProjectID = s.Project.ID
	}
	if s.Credential != nil {
		c.CredentialID = s.Credential.ID
	}
	return sign(key, c)
}

// Revoke ends a token before its time.
func (e *Embedded) Revoke(ctx context.Context, s Session) error {
	if s.AuditIDs[0] == apiTokenID {
		return lb.Faultf(lb.KindForbidden, "The API token of the state directory is no token that can be revoked.")
	}
	return e.revoked.add(ctx, s.AuditIDs[0], s.ExpiresAt)
}
