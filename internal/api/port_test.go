package api_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPorts(t *testing.T) {
	l := newLab(t, nil)
	const ports = "/v2.0/colonnade/ports"
	made := l.must(201, "POST", ports, `{"port":{"network_id":"`+netID+`","name":"web1","ip_address":"198.18.10.50"}}`)
	id := made.id(t, "port")
	want := map[string]any{
		"id": id, "name": "web1", "project_id": "default", "network_id": netID, "subnet_id": subnetID, "ip_address": "198.18.10.50",
		"cidr": "198.18.10.0/24", "gateway_ip": "198.18.10.1", "mac_address": made.get(t, "port.mac_address"), "mtu": 1500.0,
		"namespace": nil, "interface": nil, "status": "DOWN",
	}
	for _, a := range []answer{made, l.must(200, "GET", ports+"/"+id, "")} {
		if diff := cmp.Diff(any(want), a.get(t, "port")); diff != "" {
			t.Error(diff)
		}
	}
	lbID, _, _, _, _ := l.balancer()
	vip := l.must(200, "GET", "/v2.0/lbaas/loadbalancers/"+lbID, "").get(t, "loadbalancer.vip_port_id").(string)
	for query, n := range map[string]int{"": 1, "?name=web1": 1, "?name=other": 0, "?network_id=" + netID: 1, "?network_id=" + strangerID: 0} {
		if got := l.must(200, "GET", ports+query, "").get(t, "ports").([]any); len(got) != n {
			t.Errorf("list %s: %d ports, want %d", query, len(got), n)
		}
	}
	for _, c := range []struct {
		name, method, path, body string
		status                   int
	}{
		{"an address in use", "POST", ports, `{"port":{"network_id":"` + netID + `","ip_address":"198.18.10.50"}}`, 409},
		{"no network", "POST", ports, `{"port":{}}`, 400},
		{"another's network", "POST", ports, `{"port":{"network_id":"` + strangerID + `"}}`, 400},
		{"a path for a namespace", "POST", ports, `{"port":{"network_id":"` + netID + `","namespace":"../ns"}}`, 400},
		{"a namespace that is not there", "POST", ports, `{"port":{"network_id":"` + netID + `","namespace":"cnt-nobody"}}`, 400},
		{"a namespace of ours", "POST", ports, `{"port":{"network_id":"` + netID + `","namespace":"cn012345-gateway"}}`, 400},
		{"an interface without a namespace", "POST", ports, `{"port":{"network_id":"` + netID + `","interface":"eth0"}}`, 400},
		{"a purpose", "POST", ports, `{"port":{"network_id":"` + netID + `","purpose":"vip"}}`, 400},
		{"a VIP's port, shown", "GET", ports + "/" + vip, "", 404},
		{"a VIP's port, deleted", "DELETE", ports + "/" + vip, "", 404},
		{"no port", "GET", ports + "/" + strangerID, "", 404},
		{"a network in use", "DELETE", "/v2.0/colonnade/networks/" + netID, "", 409},
	} {
		t.Run("refused: "+c.name, func(t *testing.T) {
			if a := l.do(c.method, c.path, c.body); a.status != c.status {
				t.Errorf("%d, want %d: %s", a.status, c.status, a.body)
			}
		})
	}
	l.must(204, "DELETE", ports+"/"+id, "")
	l.must(404, "GET", ports+"/"+id, "")
}
