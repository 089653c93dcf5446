package identity

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"unicode"
	"unicode/utf8"

	"golang.org/x/crypto/bcrypt"
)

// Project is one tenant.
type Project struct {
	Name string `toml:"name"`
	ID   string `toml:"id"` // "" is made of the name
}

// User is a person, or a program, that may log in.
type User struct {
	Name         string              `toml:"name"`
	PasswordHash string              `toml:"password_hash"` // of bcrypt, or Locked
	Roles        map[string][]string `toml:"roles"`         // by the name of a project
	DomainRoles  []string            `toml:"domain_roles"`  // for tokens that are scoped to the domain
	ID           string              `toml:"-"`             // made of the name
}

// Locked is the hash of a user who has no password to log in by.
const Locked = "!"

// maxName is the length of the longest name, in characters.
const maxName = 255

var (
	projectID = regexp.MustCompile(`^[A-Za-z0-9_.:@-]{1,36}$`)
	roleName  = regexp.MustCompile(`^[A-Za-z0-9_.:@-]{1,64}$`)
)

// implied are the roles that come with a role, as Keystone's bootstrap has them.
var implied = map[string][]string{"admin": {"manager", "member", "reader"}, "manager": {"member", "reader"}, "member": {"reader"}}

// withImplied adds them, sorts, and drops what is there twice.
func withImplied(roles []string) []string {
	all := slices.Clone(roles)
	for _, r := range roles {
		all = append(all, implied[r]...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// knownRoles exist whether anybody has them or not.
var knownRoles = []string{
	"admin", "manager", "member", "reader", "service", "load-balancer_admin", "load-balancer_global_observer", "load-balancer_member",
	"load-balancer_observer", "load-balancer_quota_admin",
}

// Directory is who and what there is. It does not change.
type Directory struct {
	projects []Project // by name
	users    []User    // by name
	roles    []string  // by name
}

// ID makes the id of what has a name: it is the same at every start and in every process.
func ID(kind, name string) string {
	sum := sha256.Sum256([]byte("colonnade " + kind + " " + name))
	return hex.EncodeToString(sum[:16])
}

// RoleID is the id of a role.
func RoleID(name string) string { return ID("role", name) }

// NewDirectory checks what the configuration says, all of it at once. The project "default" is always there.
func NewDirectory(projects []Project, users []User) (*Directory, error) {
	d := &Directory{roles: slices.Clone(knownRoles)}
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	names, ids := map[string]bool{}, map[string]bool{}
	if !slices.ContainsFunc(projects, func(p Project) bool { return p.Name == DefaultProject }) {
		projects = append([]Project{{Name: DefaultProject}}, projects...)
	}
	for _, p := range projects {
		switch {
		case p.ID == "" && p.Name == DefaultProject:
			p.ID = DefaultProject
		case p.ID == "":
			p.ID = ID("project", p.Name)
		}
		switch {
		case !validName(p.Name) || names[p.Name]:
			wrong("identity.projects: name %q is missing, is no name or is given twice", p.Name)
		case !projectID.MatchString(p.ID) || ids[p.ID]:
			wrong("identity.projects %q: id %q has to match %s and to be its own", p.Name, p.ID, projectID)
		}
		names[p.Name], ids[p.ID] = true, true
		d.projects = append(d.projects, p)
	}
	called := map[string]bool{}
	for _, u := range users {
		if !validName(u.Name) || called[u.Name] {
			wrong("identity.users: name %q is missing, is no name or is given twice", u.Name)
		}
		called[u.Name] = true
		if _, err := bcrypt.Cost([]byte(u.PasswordHash)); err != nil && u.PasswordHash != Locked {
			wrong("identity.users %q: password_hash is none; `colonnade password` makes one", u.Name)
		}
		roles := slices.Clone(u.DomainRoles)
		for _, project := range slices.Sorted(maps.Keys(u.Roles)) {
			if !names[project] {
				wrong("identity.users %q: there is no project %q", u.Name, project)
			}
			roles = append(roles, u.Roles[project]...)
		}
		for _, r := range roles {
			if !roleName.MatchString(r) {
				wrong("identity.users %q: role %q has to match %s", u.Name, r, roleName)
			}
		}
		d.roles = append(d.roles, roles...)
		u.ID = ID("user", u.Name)
		d.users = append(d.users, u)
	}
	slices.Sort(d.roles)
	d.roles = slices.Compact(d.roles)
	slices.SortFunc(d.projects, func(a, b Project) int { return compare(a.Name, b.Name) })
	slices.SortFunc(d.users, func(a, b User) int { return compare(a.Name, b.Name) })
	return d, errors.Join(errs...)
}

func compare(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func validName(s string) bool {
	return s != "" && utf8.ValidString(s) && utf8.RuneCountInString(s) <= maxName && !slices.ContainsFunc([]rune(s), unicode.IsControl)
}

// find is the one that matches; nil when none does.
func find[T any](all []T, match func(T) bool) *T {
	if i := slices.IndexFunc(all, match); i >= 0 {
		return &all[i]
	}
	return nil
}

// User finds a user by id; nil when there is none.
func (d *Directory) User(id string) *User {
	return find(d.users, func(u User) bool { return u.ID == id })
}

// UserNamed finds a user by name; nil when there is none.
func (d *Directory) UserNamed(name string) *User {
	return find(d.users, func(u User) bool { return u.Name == name })
}

// Project finds a project by id; nil when there is none.
func (d *Directory) Project(id string) *Project {
	return find(d.projects, func(p Project) bool { return p.ID == id })
}

// ProjectNamed finds a project by name; nil when there is none.
func (d *Directory) ProjectNamed(name string) *Project {
	return find(d.projects, func(p Project) bool { return p.Name == name })
}

// Users lists all users by name.
func (d *Directory) Users() []User { return d.users }

// Projects lists all projects by name.
func (d *Directory) Projects() []Project { return d.projects }

// Roles lists the names of all roles.
func (d *Directory) Roles() []string { return d.roles }

// ProjectsOf lists the projects that a user has roles in, by name.
func (d *Directory) ProjectsOf(u *User) []Project {
	return slices.DeleteFunc(slices.Clone(d.projects), func(p Project) bool { return len(u.Roles[p.Name]) == 0 })
}
