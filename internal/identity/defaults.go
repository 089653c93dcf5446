package identity

import (
	"net/http"
	"slices"
	"strings"
)

// NewDefaults takes the roles load-balancer_… away from whoever has them. In Octavia's policy every rule is one over
// Keystone's own roles (the new default) or one over these (the deprecated one); enforcing the new defaults leaves the
// first.
func NewDefaults(who Authenticator) Authenticator { return newDefaults{who} }

type newDefaults struct{ Authenticator }

func (n newDefaults) Authenticate(r *http.Request) (Principal, error) {
	p, err := n.Authenticator.Authenticate(r)
	p.Roles = slices.DeleteFunc(slices.Clone(p.Roles), func(role string) bool { return strings.HasPrefix(role, "load-balancer_") })
	return p, err
}
