package identity

import (
	"errors"
	"slices"
)

// AdminName is the user who is there without being in the configuration; PasswordFile, in the state directory, holds the
// password, mode 0600.
const (
	AdminName    = "admin"
	PasswordFile = "admin-password"
)

// EnsurePassword returns the administrator's password, making one at first. Two processes that start at once get the same
// one.
func EnsurePassword(stateDir string) (string, error) {
	return ensureSecret(stateDir, PasswordFile, "administrator's password")
}

// WithAdmin adds the administrator, who is one in every project, unless the configuration has a user of that name.
func (d *Directory) WithAdmin(password string) (*Directory, error) {
	if d.UserNamed(AdminName) != nil {
		return d, nil
	}
	if password == "" || len(password) > MaxPassword {
		return nil, errors.New("the administrator's password is empty or too long")
	}
	admin := User{
		Name: AdminName, ID: ID("user", AdminName), PasswordHash: hashRandom(password),
		Roles: map[string][]string{}, DomainRoles: []string{"admin"},
	}
	for _, p := range d.projects {
		admin.Roles[p.Name] = []string{"admin"}
	}
	users := append(slices.Clone(d.users), admin)
	slices.SortFunc(users, func(a, b User) int { return compare(a.Name, b.Name) })
	return &Directory{projects: d.projects, users: users, roles: d.roles}, nil
}
