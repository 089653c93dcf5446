// Package identity says who makes a request and what that person may do. The API asks an Authenticator; which one is
// configured: Embedded knows users, projects and roles of the configuration and gives out tokens of its own, Keystone
// asks an OpenStack identity service, NoAuth believes everybody. Package v3 below it is the part of the Identity v3 API
// by which clients log in to Embedded and NoAuth.
package identity

import (
	"errors"
	"net/http"
)

var (
	// ErrUnauthorized says that a request carries no valid proof of who makes it.
	ErrUnauthorized = errors.New("authentication required")
	// ErrUnavailable says that nobody could be asked who makes a request; asking again may help.
	ErrUnavailable = errors.New("identity service unavailable")
	// ErrTooManyAttempts says that wrong passwords came too fast; they are looked at again later.
	ErrTooManyAttempts = errors.New("too many failed attempts")
)

// Authenticator finds out who makes a request. It returns ErrUnauthorized when it cannot; any other error means that
// it could not ask.
type Authenticator interface {
	Authenticate(r *http.Request) (Principal, error)
}

// DefaultProject is the id and the name of the project that owns what is made when nothing names one.
const DefaultProject = "default"

// The one domain that all users and projects of Embedded are in.
const (
	DomainID   = "default"
	DomainName = "Default"
)

// given is the token of a request: X-Auth-Token, or Authorization: Bearer; "" when there is none.
func given(r *http.Request) string {
	if t := r.Header.Get("X-Auth-Token"); t != "" {
		return t
	}
	return bearer(r.Header.Get("Authorization"))
}
