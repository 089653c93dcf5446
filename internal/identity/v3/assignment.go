package v3

import (
	"net/http"
	"strconv"

	"colonnade/internal/identity"
)

// assignmentView is a role that a user has in a project or in the domain.
type assignmentView struct {
	User  assigned            `json:"user"`
	Role  assigned            `json:"role"`
	Scope map[string]assigned `json:"scope"`
	Links map[string]string   `json:"links"`
}

// assigned names what an assignment is about; names and domains are there when they are asked for.
type assigned struct {
	ID     string `json:"id"`
	Name   string `json:"name,omitempty"`
	Domain *ref   `json:"domain,omitempty"`
}

// listAssignments shows an administrator who has which role where, and others what they have themselves.
func (s *server) listAssignments(_ http.ResponseWriter, r *http.Request, caller identity.Session) (int, any, error) {
	query := r.URL.Query()
	names := query.Has("include_names") && truth(query.Get("include_names"))
	of := func(id, name string, inDomain bool) assigned {
		switch {
		case !names:
			return assigned{ID: id}
		case inDomain:
			return assigned{ID: id, Name: name, Domain: &ref{identity.DomainID, identity.DomainName}}
		}
		return assigned{ID: id, Name: name}
	}
	wanted := func(parameter, id string) bool { return !query.Has(parameter) || query.Get(parameter) == id }
	users := []identity.User{caller.User}
	if caller.Admin() {
		users = s.Accounts.Directory.Users()
	}
	views := []assignmentView{}
	for _, u := range users {
		add := func(roles []string, kind, scopeID string, scope assigned) {
			if !wanted("user.id", u.ID) || !wanted("scope."+kind+".id", scopeID) {
				return
			}
			for _, role := range roles {
				id := identity.RoleID(role)
				if !wanted("role.id", id) {
					continue
				}
				views = append(views, assignmentView{
					User: of(u.ID, u.Name, true), Role: of(id, role, false), Scope: map[string]assigned{kind: scope},
					Links: map[string]string{"assignment": s.url(r, Prefix+"/v3/"+kind+"s/"+scopeID+"/users/"+u.ID+"/roles/"+id)},
				})
			}
		}
		for _, p := range s.Accounts.Directory.ProjectsOf(&u) {
			if !query.Has("scope.domain.id") {
				add(u.Roles[p.Name], "project", p.ID, of(p.ID, p.Name, true))
			}
		}
		if !query.Has("scope.project.id") {
			add(u.DomainRoles, "domain", identity.DomainID, of(identity.DomainID, identity.DomainName, false))
		}
	}
	return http.StatusOK, collection(s, r, "role_assignments", views), nil
}

// truth reads a flag of a query; one without a value is set.
func truth(value string) bool {
	yes, err := strconv.ParseBool(value)
	return value == "" || err == nil && yes
}
