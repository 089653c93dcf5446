package v3

import (
	"errors"
	"net/http"
	"slices"

	"colonnade/internal/identity"
	"colonnade/internal/lb"
)

func unauthorized(err error) bool { return errors.Is(err, identity.ErrUnauthorized) }

type projectView struct {
	ref
	DomainID    string            `json:"domain_id"`
	ParentID    string            `json:"parent_id"`
	Description string            `json:"description"`
	Enabled     bool              `json:"enabled"`
	IsDomain    bool              `json:"is_domain"`
	Tags        []string          `json:"tags"`
	Options     struct{}          `json:"options"`
	Links       map[string]string `json:"links"`
}

func (s *server) projectView(r *http.Request, p identity.Project) projectView {
	return projectView{
		ref: ref{p.ID, p.Name}, DomainID: identity.DomainID, ParentID: identity.DomainID, Enabled: true, Tags: []string{},
		Links: self(s.url(r, Prefix+"/v3/projects/"+p.ID)),
	}
}

func (s *server) projects(r *http.Request, all []identity.Project) (int, any, error) {
	all = keep(all, r, func(p identity.Project) map[string]string {
		return map[string]string{
			"name": p.Name, "domain_id": identity.DomainID, "parent_id": identity.DomainID, "enabled": enabled(r), "is_domain": no(r),
		}
	})
	views := make([]projectView, len(all))
	for i, p := range all {
		views[i] = s.projectView(r, p)
	}
	return http.StatusOK, collection(s, r, "projects", views), nil
}

// enabled is what a query gives for "enabled" if it is a yes, for everything is.
func enabled(r *http.Request) string {
	if v := r.URL.Query().Get("enabled"); slices.Contains([]string{"", "1", "true", "True"}, v) {
		return v
	}
	return "True"
}

// no is what a query gives for "is_domain" if it is a no, for nothing in these lists is one.
func no(r *http.Request) string {
	if v := r.URL.Query().Get("is_domain"); slices.Contains([]string{"0", "false", "False"}, v) {
		return v
	}
	return "False"
}

// listOwnProjects lists what the caller's token could be scoped to.
func (s *server) listOwnProjects(_ http.ResponseWriter, r *http.Request, caller identity.Session) (int, any, error) {
	return s.projects(r, s.Accounts.Directory.ProjectsOf(&caller.User))
}

// listProjects shows an administrator all projects, and others their own, so that they can look theirs up by name.
func (s *server) listProjects(w http.ResponseWriter, r *http.Request, caller identity.Session) (int, any, error) {
	if !caller.Admin() {
		return s.listOwnProjects(w, r, caller)
	}
	return s.projects(r, s.Accounts.Directory.Projects())
}

func (s *server) showProject(_ http.ResponseWriter, r *http.Request, caller identity.Session) (int, any, error) {
	id := r.PathValue("id")
	p := s.Accounts.Directory.Project(id)
	if !caller.Admin() && (p == nil || len(caller.User.Roles[p.Name]) == 0) {
		return 0, nil, errForbidden
	}
	if p == nil {
		return 0, nil, lb.Faultf(lb.KindNotFound, "Could not find project: %s.", id)
	}
	return http.StatusOK, map[string]any{"project": s.projectView(r, *p)}, nil
}

type userDetail struct {
	ref
	DomainID          string            `json:"domain_id"`
	Enabled           bool              `json:"enabled"`
	Options           struct{}          `json:"options"`
	PasswordExpiresAt *string           `json:"password_expires_at"`
	Links             map[string]string `json:"links"`
}

func (s *server) userDetail(r *http.Request, u identity.User) userDetail {
	return userDetail{
		ref: ref{u.ID, u.Name}, DomainID: identity.DomainID, Enabled: true,
		Links: self(s.url(r, Prefix+"/v3/users/"+u.ID)),
	}
}

// listUsers shows an administrator all users, and others themselves.
func (s *server) listUsers(_ http.ResponseWriter, r *http.Request, caller identity.Session) (int, any, error) {
	all := []identity.User{caller.User}
	if caller.Admin() {
		all = s.Accounts.Directory.Users()
	}
	all = keep(all, r, func(u identity.User) map[string]string {
		return map[string]string{"name": u.Name, "domain_id": identity.DomainID, "enabled": enabled(r)}
	})
	views := make([]userDetail, len(all))
	for i, u := range all {
		views[i] = s.userDetail(r, u)
	}
	return http.StatusOK, collection(s, r, "users", views), nil
}

// user is the one of the path, whom the caller is or may see.
func (s *server) user(r *http.Request, caller identity.Session) (*identity.User, error) {
	id := r.PathValue("user_id")
	if id != caller.User.ID && !caller.Admin() {
		return nil, errForbidden
	}
	u := s.Accounts.Directory.User(id)
	if u == nil {
		return nil, lb.Faultf(lb.KindNotFound, "Could not find user: %s.", id)
	}
	return u, nil
}

func (s *server) showUser(_ http.ResponseWriter, r *http.Request, caller identity.Session) (int, any, error) {
	u, err := s.user(r, caller)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, map[string]any{"user": s.userDetail(r, *u)}, nil
}

func (s *server) listUserProjects(_ http.ResponseWriter, r *http.Request, caller identity.Session) (int, any, error) {
	u, err := s.user(r, caller)
	if err != nil {
		return 0, nil, err
	}
	return s.projects(r, s.Accounts.Directory.ProjectsOf(u))
}

type roleView struct {
	ref
	DomainID    *string           `json:"domain_id"`
	Description *string           `json:"description"`
	Options     struct{}          `json:"options"`
	Links       map[string]string `json:"links"`
}

func (s *server) roleView(r *http.Request, name string) roleView {
	id := identity.RoleID(name)
	return roleView{ref: ref{id, name}, Links: self(s.url(r, Prefix+"/v3/roles/"+id))}
}

// listRoles shows an administrator all roles, and others those that they have in their scope.
func (s *server) listRoles(_ http.ResponseWriter, r *http.Request, caller identity.Session) (int, any, error) {
	all := caller.Roles
	if caller.Admin() {
		all = s.Accounts.Directory.Roles()
	}
	all = keep(all, r, func(name string) map[string]string { return map[string]string{"name": name} })
	views := make([]roleView, len(all))
	for i, name := range all {
		views[i] = s.roleView(r, name)
	}
	return http.StatusOK, collection(s, r, "roles", views), nil
}

func (s *server) showRole(_ http.ResponseWriter, r *http.Request, caller identity.Session) (int, any, error) {
	id := r.PathValue("id")
	for _, name := range append(slices.Clone(caller.Roles), s.Accounts.Directory.Roles()...) {
		if identity.RoleID(name) == id && (caller.Admin() || slices.Contains(caller.Roles, name)) {
			return http.StatusOK, map[string]any{"role": s.roleView(r, name)}, nil
		}
	}
	if !caller.Admin() {
		return 0, nil, errForbidden
	}
	return 0, nil, lb.Faultf(lb.KindNotFound, "Could not find role: %s.", id)
}

type domainView struct {
	ref
	Description string            `json:"description"`
	Enabled     bool              `json:"enabled"`
	Tags        []string          `json:"tags"`
	Options     struct{}          `json:"options"`
	Links       map[string]string `json:"links"`
}

func (s *server) domainView(r *http.Request) domainView {
	return domainView{
		ref: domain, Description: "All users and projects are in it.", Enabled: true, Tags: []string{},
		Links: self(s.url(r, Prefix+"/v3/domains/"+domain.ID)),
	}
}

func (s *server) listDomains(_ http.ResponseWriter, r *http.Request, _ identity.Session) (int, any, error) {
	all := keep([]domainView{s.domainView(r)}, r, func(domainView) map[string]string {
		return map[string]string{"name": domain.Name, "enabled": enabled(r)}
	})
	return http.StatusOK, collection(s, r, "domains", all), nil
}

// listOwnDomains lists the domain to those whose token could be scoped to it.
func (s *server) listOwnDomains(w http.ResponseWriter, r *http.Request, caller identity.Session) (int, any, error) {
	if len(caller.User.DomainRoles) == 0 {
		return http.StatusOK, collection[domainView](s, r, "domains", nil), nil
	}
	return s.listDomains(w, r, caller)
}

func (s *server) showDomain(_ http.ResponseWriter, r *http.Request, _ identity.Session) (int, any, error) {
	if id := r.PathValue("id"); id != domain.ID {
		return 0, nil, lb.Faultf(lb.KindNotFound, "Could not find domain: %s.", id)
	}
	return http.StatusOK, map[string]any{"domain": s.domainView(r)}, nil
}
