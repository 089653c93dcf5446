package gophercloud_test

import (
	"context"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/config/clouds"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/applicationcredentials"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/projects"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/tokens"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/loadbalancers"

	"colonnade/test/conformance/server"
)

// aliceAndShop are a user whose password is "alices", and a project.
const aliceAndShop = `
[[identity.projects]]
name = "shop"
[[identity.users]]
name = "alice"
password_hash = "$2a$10$aJq5FFX1oM7KSq9qwsXVNOfPk96is7AF/Ydi1YnjA3bnsOZKqKYzi"
roles = { shop = ["member"] }
`

// login is a provider that logged in, as Terraform's does.
func login(ctx context.Context, t *testing.T, options gophercloud.AuthOptions) *gophercloud.ProviderClient {
	t.Helper()
	p, err := openstack.NewClient(options.IdentityEndpoint)
	if err != nil {
		t.Fatal(err)
	}
	p.HTTPClient = http.Client{Timeout: time.Minute}
	options.AllowReauth = true
	if err := openstack.Authenticate(ctx, p, options); err != nil {
		t.Fatal(err)
	}
	return p
}

// TestLogin goes from clouds.yaml to load balancers, and from a password to an application credential and its tokens.
func TestLogin(t *testing.T) {
	t.Parallel()
	s := server.Start(t, aliceAndShop)
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	options, at, _, err := clouds.Parse(clouds.WithCloudName("colonnade"), clouds.WithLocations(filepath.Join(s.State(), "clouds.yaml")))
	must(err)
	balancers := func(p *gophercloud.ProviderClient) *gophercloud.ServiceClient {
		t.Helper()
		lb, err := openstack.NewLoadBalancerV2(p, at)
		must(err)
		if want := s.URL + "/load-balancer/v2.0/"; lb.ResourceBaseURL() != want {
			t.Errorf("endpoint %s, want %s", lb.ResourceBaseURL(), want)
		}
		return lb
	}
	admin := login(ctx, t, options)
	for _, endpoint := range []string{s.URL + "/identity/v3", s.URL + "/identity/v3/", s.URL + "/identity/"} {
		other := options
		other.IdentityEndpoint = endpoint
		login(ctx, t, other)
	}
	identity, err := openstack.NewIdentityV3(admin, at)
	must(err)
	pages, err := projects.List(identity, projects.ListOpts{Name: "shop"}).AllPages(ctx)
	must(err)
	found, err := projects.ExtractProjects(pages)
	must(err)
	if len(found) != 1 {
		t.Fatalf("projects: %+v", found)
	}

	alice := login(ctx, t, gophercloud.AuthOptions{
		IdentityEndpoint: s.URL + "/identity", Username: "alice", Password: "alices", DomainName: "Default",
		Scope: &gophercloud.AuthScope{ProjectName: "shop", DomainName: "Default"},
	})
	made, err := loadbalancers.Create(ctx, balancers(alice), loadbalancers.CreateOpts{Name: "mine", VipSubnetID: uuid.NewString()}).Extract()
	must(err)
	if made.ProjectID != found[0].ID {
		t.Errorf("made in project %s, want %s", made.ProjectID, found[0].ID)
	}
	own, err := openstack.NewIdentityV3(alice, at)
	must(err)
	result := tokens.Get(ctx, own, alice.Token())
	user, err := result.ExtractUser()
	must(err)
	roles, err := result.ExtractRoles()
	must(err)
	if user.Name != "alice" || len(roles) != 2 {
		t.Errorf("%+v, %+v", user, roles)
	}
	robot, err := applicationcredentials.Create(ctx, own, user.ID, applicationcredentials.CreateOpts{
		Name: "robot", Roles: []applicationcredentials.Role{{Name: "reader"}},
	}).Extract()
	must(err)
	by := login(ctx, t, gophercloud.AuthOptions{
		IdentityEndpoint: s.URL + "/identity", ApplicationCredentialID: robot.ID, ApplicationCredentialSecret: robot.Secret,
	})
	seen, err := loadbalancers.Get(ctx, balancers(by), made.ID).Extract()
	must(err)
	if seen.Name != "mine" {
		t.Errorf("%+v", seen)
	}
	if err := loadbalancers.Delete(ctx, balancers(by), made.ID, nil).ExtractErr(); !gophercloud.ResponseCodeIs(err, http.StatusForbidden) {
		t.Errorf("a reader deletes: %v", err)
	}
	must(applicationcredentials.Delete(ctx, own, user.ID, robot.ID).ExtractErr())
	if _, err := loadbalancers.Get(ctx, balancers(by), made.ID).Extract(); err == nil {
		t.Error("the application credential is deleted, and its token is valid")
	}
	// A token that is revoked is got anew by whoever has the password.
	must(tokens.Revoke(ctx, own, alice.Token()).Err)
	if _, err := loadbalancers.Get(ctx, balancers(alice), made.ID).Extract(); err != nil {
		t.Errorf("after a new login: %v", err)
	}
	unknown, err := openstack.NewClient(s.URL + "/identity")
	must(err)
	err = openstack.Authenticate(ctx, unknown, gophercloud.AuthOptions{IdentityEndpoint: s.URL + "/identity", Username: "alice", Password: "x", DomainID: "default", TenantName: "shop"})
	if !gophercloud.ResponseCodeIs(err, http.StatusUnauthorized) {
		t.Errorf("wrong password: %v", err)
	}
}
