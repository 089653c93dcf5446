package v3_test

import (
	"fmt"
	"testing"

	"colonnade/internal/identity"
	"colonnade/internal/store/storetest"
)

// Whoever administers sees who may do what and where; others see what they may do themselves.
func TestRoleAssignments(t *testing.T) {
	l := newLab(t, storetest.File(t))
	admin, alice := l.login(password("admin", adminPassword, project("default"))), l.login(password("alice", "alice's", project("shop")))
	id, shop := identity.ID("user", "alice"), identity.ID("project", "shop")
	for _, c := range []struct {
		token, query string
		want         int
	}{
		{admin, "?user.id=" + id, 3},
		{admin, "?user.id=" + id + "&scope.project.id=" + shop, 2},
		{admin, "?user.id=" + id + "&scope.project.id=0123zoo&role.id=" + identity.RoleID("reader"), 1},
		{admin, "?user.id=" + id + "&scope.domain.id=default", 0},
		{admin, "?scope.domain.id=default", 1},
		{admin, "?user.id=nobody", 0},
		{alice, "", 3},
		{alice, "?user.id=" + identity.ID("user", "admin"), 0},
	} {
		a := l.do("GET", "/v3/role_assignments"+c.query, "", "X-Auth-Token", c.token)
		found, _ := a.get("role_assignments").([]any)
		if a.status != 200 || len(found) != c.want {
			t.Errorf("%s: %d %s", c.query, a.status, a.body)
		}
	}
	a := l.do("GET", "/v3/role_assignments?include_names&user.id="+id+"&scope.project.id="+shop, "", "X-Auth-Token", admin)
	for path, want := range map[string]string{
		"user.id": id, "user.name": "alice", "user.domain.name": "Default", "role.name": "member", "scope.project.name": "shop", "scope.project.id": shop,
		"links.assignment": base + "/identity/v3/projects/" + shop + "/users/" + id + "/roles/" + identity.RoleID("member"),
	} {
		if got := fmt.Sprint(a.get("role_assignments.0." + path)); got != want {
			t.Errorf("%s is %s, not %s", path, got, want)
		}
	}
	if a := l.do("GET", "/v3/role_assignments", ""); a.status != 401 {
		t.Errorf("without a token: %d", a.status)
	}
}
