// Package identity says who makes a request and what that person may do. The API asks an Authenticator; this one
// checks the token of the state directory, others (users in the configuration, Keystone) implement the same interface.
package identity

import (
	"errors"
	"net/http"
	"slices"
)

// ErrUnauthorized says that a request carries no valid proof of who makes it.
var ErrUnauthorized = errors.New("authentication required")

// Authenticator finds out who makes a request. It returns ErrUnauthorized when it cannot; any other error means that
// it could not ask.
type Authenticator interface {
	Authenticate(r *http.Request) (Principal, error)
}

// Principal is who makes a request.
type Principal struct {
	UserID    string
	ProjectID string
	Roles     []string
}

func (p Principal) has(roles ...string) bool {
	return slices.ContainsFunc(roles, func(r string) bool { return slices.Contains(p.Roles, r) })
}

// Admin reports whether p may do everything, the operator's calls included.
func (p Principal) Admin() bool { return p.has("admin", "load-balancer_admin") }

// ReadsAll reports whether p may read every project.
func (p Principal) ReadsAll() bool { return p.Admin() || p.has("load-balancer_global_observer") }

// Reads reports whether p may read objects of this project.
func (p Principal) Reads(projectID string) bool {
	return p.ReadsAll() || p.owns(projectID) && p.has("load-balancer_observer", "load-balancer_member", "reader", "member")
}

// Writes reports whether p may change objects of this project.
func (p Principal) Writes(projectID string) bool {
	return p.Admin() || p.owns(projectID) && p.has("load-balancer_member", "member")
}

func (p Principal) owns(projectID string) bool { return projectID != "" && projectID == p.ProjectID }
