package identity

import (
	"context"
	"errors"
	"slices"
	"time"

	"colonnade/internal/lb"
)

// Named says which object is meant: by id, or by name within the one domain.
type Named struct {
	ID, Name   string
	DomainID   string // of the name; or
	DomainName string
}

// Given reports whether anything is named.
func (n Named) Given() bool { return n.ID != "" || n.Name != "" }

// inDomain reports whether the name is one of the domain. A name without a domain is taken for one.
func (n Named) inDomain() bool {
	return n.ID != "" || (n.DomainID == "" || n.DomainID == DomainID) && (n.DomainName == "" || n.DomainName == DomainName)
}

// Scope is what a token is asked for.
type Scope struct {
	Project Named
	Domain  Named // by id or name
	// Unscoped asks for a token without a scope; nothing at all asks for the same, or for what the method implies.
	Unscoped bool
}

// Login is how somebody says who they are: by exactly one of the three.
type Login struct {
	Method     string // password, token, application_credential
	User       Named  // password, and application_credential by name
	Password   string
	Token      string
	Credential Named // by id, or by name with User
	Secret     string
	Scope      Scope
	Address    string // where it comes from
}

// Login answers with a token. The error is ErrUnauthorized whatever is wrong with who, and with where, so that nobody
// learns which users and projects there are.
func (e *Embedded) Login(ctx context.Context, l Login) (token string, s Session, err error) {
	s = Session{Methods: []string{l.Method}}
	var ends time.Time
	var parent []string
	switch l.Method {
	case "password":
		err = e.byPassword(ctx, l, &s)
	case "token":
		var from Session
		if from, err = e.Session(ctx, l.Token); err == nil && from.Credential != nil {
			err = lb.Faultf(lb.KindForbidden, "A token of an application credential can not be given another scope.")
		}
		s.User, ends, parent = from.User, from.ExpiresAt, from.AuditIDs
		if !slices.Contains(from.Methods, "token") {
			s.Methods = append(s.Methods, from.Methods...)
		} else {
			s.Methods = from.Methods
		}
	case "application_credential":
		err = e.byCredential(ctx, &l, &s)
		if s.Credential != nil {
			ends = s.Credential.ExpiresAt
		}
	default:
		err = ErrUnauthorized
	}
	if err == nil {
		err = e.enter(l.Scope, &s)
	}
	if err != nil {
		return "", Session{}, err
	}
	token, err = e.issue(ctx, &s, ends, parent)
	return token, s, err
}

func (e *Embedded) byPassword(ctx context.Context, l Login, s *Session) error {
	u := e.named(l.User)
	if e.Open {
		s.User = *u
		return nil
	}
	hash := ""
	if u != nil {
		hash = u.PasswordHash
	}
	// Counted by the user whom it names, there or not.
	same, err := e.attempts.try(ctx, l.User.ID+" "+l.User.Name, l.Address, func() (bool, error) { return samePassword(hash, l.Password) })
	if err != nil {
		return err
	}
	if !same {
		return ErrUnauthorized
	}
	s.User = *u
	return nil
}

// byCredential also sets the scope, which is the credential's.
func (e *Embedded) byCredential(ctx context.Context, l *Login, s *Session) error {
	var found ApplicationCredential
	var err error
	if l.Credential.ID != "" {
		found, err = e.credential(ctx, l.Credential.ID)
	} else if u := e.named(l.User); u != nil {
		found, err = e.credentialNamed(ctx, u.ID, l.Credential.Name)
	}
	if err != nil && !errors.Is(err, ErrUnauthorized) {
		return err
	}
	u := e.user(found.UserID)
	who := l.Credential.ID + " " + l.Credential.Name + " " + l.User.ID + " " + l.User.Name
	same, err := e.attempts.try(ctx, who, l.Address, func() (bool, error) { return samePassword(found.SecretHash, l.Secret) })
	if err != nil {
		return err
	}
	if !same || u == nil {
		return ErrUnauthorized
	}
	if l.Scope.Project.Given() && l.Scope.Project.ID != found.ProjectID || l.Scope.Domain.Given() || l.Scope.Unscoped {
		return ErrUnauthorized
	}
	l.Scope = Scope{Project: Named{ID: found.ProjectID}}
	s.User, s.Credential = *u, &found
	return nil
}

// enter gives a session its scope and the roles there.
func (e *Embedded) enter(scope Scope, s *Session) error {
	switch {
	case scope.Project.Given() && scope.Project.inDomain():
		s.Project = e.project(scope.Project.ID, scope.Project.Name)
		if s.Project == nil {
			return ErrUnauthorized
		}
	case scope.Project.Given():
		return ErrUnauthorized
	case scope.Domain.Given():
		s.Domain = scope.Domain.ID == DomainID || scope.Domain.ID == "" && scope.Domain.Name == DomainName
		if !s.Domain {
			return ErrUnauthorized
		}
	default:
		return nil
	}
	if s.Roles = e.rolesOf(*s); len(s.Roles) == 0 {
		return ErrUnauthorized
	}
	return nil
}

// named finds a user; nil when there is none.
func (e *Embedded) named(n Named) *User {
	switch {
	case n.ID != "":
		return e.user(n.ID)
	case !n.inDomain():
		if e.Open {
			return e.Directory.UserNamed(AdminName)
		}
		return nil
	}
	u := e.Directory.UserNamed(n.Name)
	if u == nil && e.Open {
		return e.Directory.UserNamed(AdminName)
	}
	return u
}
