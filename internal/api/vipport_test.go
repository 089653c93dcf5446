package api_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"colonnade/internal/api"
	"colonnade/internal/network"
	"colonnade/internal/network/noop"
)

// project is the caller's, and role what they are in it.
func project(project, role string) []string {
	return []string{"X-Project-Id", project, "X-Roles", role}
}

func TestVIPOfATenantsPort(t *testing.T) {
	l := newLab(t, roles{})
	l.header = project("default", "admin")
	made := l.must(201, "POST", "/v2.0/colonnade/ports", `{"port":{"network_id":"`+netID+`","ip_address":"198.18.10.60"}}`).id(t, "port")
	a := l.must(201, "POST", "/v2.0/lbaas/loadbalancers", `{"loadbalancer":{"vip_port_id":"`+made+`"}}`)
	lbID := a.id(t, "loadbalancer")
	if a.get(t, "loadbalancer.vip_address") != "198.18.10.60" || a.get(t, "loadbalancer.vip_port_id") != made || a.get(t, "loadbalancer.vip_subnet_id") != subnetID {
		t.Error(a.body)
	}
	p, err := l.store.Port(t.Context(), made)
	if err != nil || p.Purpose != network.PurposeVIP || p.OwnerID != lbID || !p.TenantMade {
		t.Errorf("port %+v, %v", p, err)
	}
	l.must(409, "POST", "/v2.0/lbaas/loadbalancers", `{"loadbalancer":{"vip_port_id":"`+made+`"}}`)
	l.must(404, "DELETE", "/v2.0/colonnade/ports/"+made, "")

	foreign := l.must(201, "POST", "/v2.0/colonnade/ports", `{"port":{"network_id":"`+netID+`","project_id":"somebody"}}`).id(t, "port")
	other := l.do("POST", "/v2.0/lbaas/loadbalancers", `{"loadbalancer":{"vip_port_id":"`+foreign+`"}}`, project("other", "member")...)
	if other.status != 400 {
		t.Errorf("%d %s", other.status, other.body)
	}
	if p, err := l.store.Port(t.Context(), foreign); err != nil || p.Purpose != network.PurposeTenant {
		t.Errorf("a refused port %+v, %v", p, err)
	}
}

func TestNetworksOfOthers(t *testing.T) {
	l := newLab(t, roles{})
	l.header = project("other", "member")
	create := []string{
		`{"loadbalancer":{"vip_subnet_id":"` + subnetID + `"}}`, `{"loadbalancer":{"vip_network_id":"` + netID + `"}}`,
	}
	for _, body := range create {
		l.must(201, "POST", "/v2.0/lbaas/loadbalancers", body)
	}
	if _, err := l.store.UpdateNetwork(t.Context(), netID, func(n *network.Network) error { n.Shared = false; return nil }); err != nil {
		t.Fatal(err)
	}
	before := l.counts()
	for _, body := range create {
		l.must(400, "POST", "/v2.0/lbaas/loadbalancers", body)
	}
	if diff := cmp.Diff(before, l.counts()); diff != "" {
		t.Error(diff)
	}
}

func TestAmphoraAddressPool(t *testing.T) {
	l := newLab(t, nil)
	create := func(pool string) string {
		return `{"loadbalancer":{"vip_subnet_id":"` + subnetID + `","amphora_address_pool":` + pool + `}}`
	}
	a := l.must(201, "POST", "/v2.0/lbaas/loadbalancers", create(`["198.18.10.64/28"," 198.18.10.100-198.18.10.110"]`))
	for _, a := range []answer{a, l.must(200, "GET", "/v2.0/lbaas/loadbalancers/"+a.id(t, "loadbalancer"), "")} {
		if diff := cmp.Diff([]any{"198.18.10.64/28", "198.18.10.100-198.18.10.110"}, a.get(t, "loadbalancer.amphora_address_pool")); diff != "" {
			t.Error(diff)
		}
	}
	plain := l.must(201, "POST", "/v2.0/lbaas/loadbalancers", create(`[]`))
	if got := plain.get(t, "loadbalancer.amphora_address_pool"); got != nil {
		t.Errorf("shown without being given: %v", got)
	}
	before := l.counts()
	for _, pool := range []string{`["198.18.11.0/28"]`, `["198.18.10.0/16"]`, `["198.18.10.9-198.18.10.2"]`, `["x"]`, `[1]`, `"198.18.10.64/28"`, `["2001:db8::/64"]`} {
		l.must(400, "POST", "/v2.0/lbaas/loadbalancers", create(pool))
	}
	if diff := cmp.Diff(before, l.counts()); diff != "" {
		t.Error(diff)
	}
}

func TestVIPOfAnyPortWithoutANetwork(t *testing.T) {
	l := newLab(t, nil)
	l.with(func(d *api.Deps) { d.Networks, d.Operator = noop.New(), nil })
	body := `{"loadbalancer":{"vip_port_id":"` + strangerID + `"}}`
	if a := l.must(201, "POST", "/v2.0/lbaas/loadbalancers", body); a.get(t, "loadbalancer.vip_port_id") != strangerID {
		t.Error(a.body)
	}
	l.must(409, "POST", "/v2.0/lbaas/loadbalancers", body)
	l.must(201, "POST", "/v2.0/lbaas/loadbalancers", `{"loadbalancer":{"vip_subnet_id":"`+subnetID+`","amphora_address_pool":["10.9.0.0/24"]}}`)
}
