package api_test

import (
	"testing"

	"colonnade/internal/api"
	networknoop "colonnade/internal/network/noop"
)

// With the no-op driver whatever is named by its id exists, also for clients that look it up before they name it.
func TestWhateverIsNamedIsFound(t *testing.T) {
	l := newLab(t, people{})
	l.with(func(d *api.Deps) { d.Neutron, d.Operator, d.Ports, d.Networks = nil, nil, nil, networknoop.New() })
	get := func(path string) answer { return l.do("GET", "/network/v2.0/"+path, "", "X-Auth-Token", "member@p") }
	for _, c := range []struct {
		path string
		rows int
	}{
		{"subnets?id=" + subnetID, 1},
		{"subnets?id=" + subnetID + "&id=" + strangerID, 2},
		{"subnets?name=web", 0},
		{"subnets?id=web", 0},
		{"subnets", 0},
		{"networks?id=" + netID, 1},
		{"networks?id=" + netID + "&name=web", 0},
	} {
		a := get(c.path)
		if a.status != 200 {
			t.Errorf("%s: %d %s", c.path, a.status, a.body)
			continue
		}
		root := "networks"
		if c.path[0] == 's' {
			root = "subnets"
		}
		if n := len(a.get(t, root).([]any)); n != c.rows {
			t.Errorf("%s: %d rows, want %d", c.path, n, c.rows)
		}
	}
	if a := get("subnets/" + subnetID); a.status != 200 || a.get(t, "subnet.id") != subnetID {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := get("networks/web"); a.status != 404 {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := l.do("POST", "/network/v2.0/networks", `{"network":{"name":"n"}}`, "X-Auth-Token", "member@p"); a.status != 501 {
		t.Errorf("%d %s", a.status, a.body)
	}
	made := l.do("POST", "/v2.0/lbaas/loadbalancers", `{"loadbalancer":{"vip_subnet_id":"`+subnetID+`"}}`, "X-Auth-Token", "member@p")
	if made.status != 201 {
		t.Fatal(made.body)
	}
	port := made.get(t, "loadbalancer.vip_port_id").(string)
	for who, rows := range map[string]int{"member@p": 1, "member@q": 0, "admin@q": 1} {
		a := l.do("GET", "/network/v2.0/ports?id="+port, "", "X-Auth-Token", who)
		if a.status != 200 || len(a.get(t, "ports").([]any)) != rows {
			t.Errorf("%s: %d %s", who, a.status, a.body)
		}
	}
}
