// Package identity says who makes a request and what that person may do. The API asks an Authenticator; this one
// checks the token of the state directory, others (users in the configuration, Keystone) implement the same interface.
package identity

import (
	"errors"
	"net/http"
)

// ErrUnauthorized says that a request carries no valid proof of who makes it.
var ErrUnauthorized = errors.New("authentication required")

// Authenticator finds out who makes a request. It returns ErrUnauthorized when it cannot; any other error means that
// it could not ask.
type Authenticator interface {
	Authenticate(r *http.Request) (Principal, error)
}
