package openstack_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"

	"colonnade/internal/identity"
	"colonnade/test/conformance/server"
)

// Users log in by the clouds.yaml that the control plane writes, or by variables, and see what is theirs.
func TestLogin(t *testing.T) {
	hash, err := identity.HashPassword("alices")
	if err != nil {
		t.Fatal(err)
	}
	s := server.Start(t, `
[[identity.projects]]
name = "shop"
[[identity.users]]
name = "alice"
password_hash = "`+hash+`"
roles = { shop = ["member"] }
`)
	admin := []string{"OS_CLIENT_CONFIG_FILE=" + filepath.Join(s.State(), "clouds.yaml"), "OS_CLOUD=" + identity.CloudName}
	alice := []string{
		"OS_AUTH_URL=" + s.URL + "/identity/v3", "OS_USERNAME=alice", "OS_PASSWORD=alices", "OS_PROJECT_NAME=shop",
		"OS_USER_DOMAIN_NAME=Default", "OS_PROJECT_DOMAIN_NAME=Default",
	}
	run := func(env []string, line string) (string, error) {
		cmd := exec.CommandContext(t.Context(), "openstack", strings.Fields(line)...)
		cmd.Env = append(os.Environ(), env...)
		out, err := cmd.CombinedOutput()
		return strings.TrimSpace(string(out)), err
	}
	subnet := uuid.NewString()
	shop := identity.ID("project", "shop")
	for _, c := range []struct {
		env        []string
		line, want string
		fails      bool
	}{
		{admin, "loadbalancer create --wait --name ours --vip-subnet-id " + subnet + " -f value -c provisioning_status", "ACTIVE", false},
		{admin, "loadbalancer create --wait --name theirs --project shop --vip-subnet-id " + subnet + " -f value -c project_id", shop, false},
		{alice, "loadbalancer list -f value -c name", "theirs", false},
		{alice, "loadbalancer create --wait --name mine --project shop --vip-network-id " + subnet + " -f value -c project_id", shop, false},
		{alice, "loadbalancer show ours", "Unable to locate", true},
		{alice, "loadbalancer amphora list", "403", true},
		{alice, "loadbalancer quota show shop -f value -c load_balancer", "-1", false},
		{alice, "project list --my-projects -f value -c Name", "shop", false},
		{alice, "project show shop -f value -c id", shop, false},
		{alice, "user show alice -f value -c id", identity.ID("user", "alice"), false},
		{alice, "application credential create robot --secret robots --role reader -f value -c roles", "reader", false},
		{admin, "catalog show load-balancer -f value -c type", "load-balancer", false},
		{admin, "loadbalancer quota set --loadbalancer 2 shop", "", false},
		{alice, "loadbalancer create --vip-subnet-id " + subnet, "Quota has been met", true},
		{append(alice, "OS_PASSWORD=wrong"), "loadbalancer list", "401", true},
	} {
		if out, err := run(c.env, c.line); !strings.Contains(out, c.want) || (err != nil) != c.fails {
			t.Errorf("openstack %s: %v\n%s", c.line, err, out)
		}
	}
	robot := []string{
		"OS_AUTH_URL=" + s.URL + "/identity", "OS_AUTH_TYPE=v3applicationcredential", "OS_APPLICATION_CREDENTIAL_NAME=robot",
		"OS_APPLICATION_CREDENTIAL_SECRET=robots", "OS_USERNAME=alice", "OS_USER_DOMAIN_ID=default",
	}
	if out, err := run(robot, "loadbalancer list -f value -c name --sort-column name"); err != nil || out != "mine\ntheirs" {
		t.Errorf("%v\n%s", err, out)
	}
	if out, err := run(robot, "loadbalancer delete mine"); err == nil || !strings.Contains(out, "403") {
		t.Errorf("a reader deletes: %s", out)
	}
}
