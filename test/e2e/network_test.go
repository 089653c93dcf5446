package e2e_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"colonnade/internal/stage"
)

// cloud runs Debian's openstack command as the user of a clouds.yaml, in one process.
type cloud struct {
	*testing.T
	in  io.Writer
	out *bufio.Scanner
}

// shellScript runs commands one after the other, as the suites of clients do.
const shellScript = "../conformance/openstack/shell.py"

func newCloud(t *testing.T, s *stage.Stage) *cloud {
	t.Helper()
	if _, err := exec.LookPath("openstack"); err != nil {
		t.Skip("needs the openstack command (Debian packages python3-openstackclient and python3-octaviaclient)")
	}
	cmd := exec.CommandContext(t.Context(), "/usr/bin/python3", shellScript)
	cmd.Env = append(os.Environ(), "OS_CLIENT_CONFIG_FILE="+filepath.Join(s.StateDir(), "clouds.yaml"), "OS_CLOUD=colonnade")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	c := &cloud{t, in, bufio.NewScanner(out)}
	c.out.Buffer(nil, 16<<20)
	return c
}

// run runs a command; words are separated by spaces.
func (c *cloud) run(words string) (string, error) {
	c.Helper()
	line, err := json.Marshal(strings.Fields(words))
	must(c.T, err)
	_, err = c.in.Write(append(line, '\n'))
	must(c.T, err)
	if !c.out.Scan() {
		c.Fatalf("openstack %s: no answer: %v", words, c.out.Err())
	}
	var a struct {
		Status   int
		Out, Err string
	}
	must(c.T, json.Unmarshal(c.out.Bytes(), &a))
	if a.Status != 0 {
		return a.Out + a.Err, fmt.Errorf("exit status %d", a.Status)
	}
	return a.Out, nil
}

// do runs a command that has to succeed, and reads what it shows.
func do[T any](c *cloud, words string) (v T) {
	c.Helper()
	out, err := c.run(words + " -f json")
	if err == nil {
		err = json.Unmarshal([]byte(out), &v)
	}
	if err != nil {
		c.Fatalf("openstack %s: %v: %s", words, err, out)
	}
	return v
}

// quiet runs a command that has to succeed.
func (c *cloud) quiet(words string) {
	c.Helper()
	if out, err := c.run(words); err != nil {
		c.Fatalf("openstack %s: %v: %s", words, err, out)
	}
}

type (
	object = map[string]any
	rows   = []object
)

func TestOpenStackNetworkCommands(t *testing.T) {
	s := set(t, quick)
	c := newCloud(t, s)

	c.quiet("network create --description web --mtu 1400 web")
	public := do[object](c, "network create --external --share public")
	if public["router:external"] != true || public["shared"] != true || public["status"] != "ACTIVE" {
		t.Errorf("network: %v", public)
	}
	subnet := do[object](c, "subnet create --network web --subnet-range 198.18.40.0/24 --allocation-pool start=198.18.40.10,end=198.18.40.99 --description front web-subnet")
	if subnet["gateway_ip"] != "198.18.40.1" || subnet["cidr"] != "198.18.40.0/24" {
		t.Errorf("subnet: %v", subnet)
	}
	c.quiet("subnet create --network web --subnet-range 198.18.41.0/24 --gateway none more")
	c.quiet("subnet create --network public --subnet-range 203.0.113.0/24 --no-dhcp public-subnet")
	web := do[object](c, "network show web")
	if subnets, _ := web["subnets"].([]any); len(subnets) != 2 || web["mtu"] != 1400.0 {
		t.Errorf("network: %v", web)
	}
	if l := do[rows](c, "network list --external"); len(l) != 1 || l[0]["Name"] != "public" {
		t.Errorf("external networks: %v", l)
	}
	if l := do[rows](c, "subnet list --network web"); len(l) != 2 {
		t.Errorf("subnets: %v", l)
	}
	port := do[object](c, "port create --network web --fixed-ip subnet=web-subnet,ip-address=198.18.40.50 --description vip vip-port")
	if port["status"] != "DOWN" || !strings.Contains(fmt.Sprint(port["fixed_ips"]), "198.18.40.50") {
		t.Errorf("port: %v", port)
	}
	lb := do[object](c, "loadbalancer create --name web --vip-port-id vip-port --wait")
	if lb["vip_address"] != "198.18.40.50" || lb["provisioning_status"] != "ACTIVE" {
		t.Errorf("load balancer on a tenant's port: %v", lb)
	}
	fip := do[object](c, "floating ip create --port vip-port --description way-in public")
	if fip["status"] != "ACTIVE" || fip["fixed_ip_address"] != "198.18.40.50" {
		t.Errorf("floating IP: %v", fip)
	}
	address, _ := fip["floating_ip_address"].(string)
	if l := do[rows](c, "floating ip list --port vip-port"); len(l) != 1 {
		t.Errorf("floating IPs: %v", l)
	}
	if out, err := c.run("port delete vip-port"); err == nil {
		t.Errorf("a VIP's port is deleted: %s", out)
	}
	c.quiet("floating ip unset --port " + address)
	c.quiet("floating ip set --port vip-port " + address)
	if shown := do[object](c, "floating ip show "+address); shown["port_id"] != port["id"] {
		t.Errorf("floating IP: %v", shown)
	}
	c.quiet("loadbalancer delete --wait web")
	if p := do[object](c, "port show vip-port"); p["device_owner"] != "" {
		t.Errorf("the port of a deleted load balancer: %v", p)
	}
	c.quiet("network set --name shop --description none web")
	c.quiet("subnet set --name shop-subnet web-subnet")
	c.quiet("port set --name spare --device machine-1 vip-port")
	if l := do[rows](c, "port list --network shop"); len(l) != 1 || l[0]["Name"] != "spare" {
		t.Errorf("ports: %v", l)
	}
	if l := do[rows](c, "security group list"); len(l) != 1 || l[0]["Name"] != "default" {
		t.Errorf("security groups: %v", l)
	}
	c.quiet("security group create web")
	c.quiet("security group show web")
	if out, err := c.run("security group rule create --protocol tcp --dst-port 80 web"); err == nil || !strings.Contains(out, "not enforced") {
		t.Errorf("a rule: %s", out)
	}
	c.quiet("security group delete web")
	c.quiet("extension list --network")
	c.quiet("extension show router")
	c.quiet("router list")
	c.quiet("router show gateway")
	c.quiet("network agent list")
	if out, err := c.run("network delete shop"); err == nil || !strings.Contains(out, "in use") {
		t.Errorf("a network with ports is deleted: %s", out)
	}
	c.quiet("floating ip delete " + address)
	c.quiet("port delete spare")
	c.quiet("subnet delete shop-subnet more public-subnet")
	c.quiet("network delete shop public")
	if l := do[rows](c, "network list"); len(l) != 0 {
		t.Errorf("left behind: %v", l)
	}
}
