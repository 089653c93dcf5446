package api_test

import (
	"context"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"colonnade/internal/api"
	"colonnade/internal/api/neutron"
	"colonnade/internal/lb"
	"colonnade/internal/network"
	"colonnade/internal/network/bridge"
	"colonnade/internal/store"
)

// netRows is the bridge driver without the devices that networks of their own would be.
type netRows struct {
	*bridge.Driver
	rows *store.Store
}

var _ neutron.Networks = netRows{}

func (n netRows) CreateNetwork(ctx context.Context, one network.Network) (network.Network, error) {
	one.MTU = 1500
	return one, n.rows.CreateNetwork(ctx, one, func([]network.Subnet) error { return nil })
}

func (n netRows) CreateSubnet(ctx context.Context, s network.Subnet) (network.Subnet, error) {
	p, err := netip.ParsePrefix(s.CIDR)
	if err != nil || !p.Addr().Is4() {
		return s, lb.Faultf(lb.KindInvalid, "cidr %q is not an address range", s.CIDR)
	}
	first := p.Addr().Next()
	if s.GatewayIP == network.NoGateway {
		s.GatewayIP = ""
	} else {
		s.GatewayIP = first.String()
	}
	s.AllocationStart, s.AllocationEnd = first.Next().String(), network.LastOf(p).Prev().String()
	return s, n.rows.CreateSubnet(ctx, s, func(existing []network.Subnet) error {
		for _, e := range existing {
			if netip.MustParsePrefix(e.CIDR).Overlaps(p) {
				return lb.Faultf(lb.KindConflict, "subnet %s overlaps subnet %s (%s)", s.CIDR, e.CIDR, e.ID)
			}
		}
		return nil
	})
}

func (n netRows) DeleteNetwork(ctx context.Context, id string) error {
	return n.rows.DeleteNetwork(ctx, id)
}

func (n netRows) DeleteSubnet(ctx context.Context, id string) error {
	return n.rows.DeleteSubnet(ctx, id)
}

// networkLab is a lab whose callers are who their headers say, with an external network.
func networkLab(t testing.TB) (l *lab, publicID string) {
	t.Helper()
	l = newLab(t, roles{})
	l.with(func(d *api.Deps) {
		d.Neutron = netRows{d.Networks.(*bridge.Driver), l.store}
		d.Settings.TenantRanges = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	})
	l.header = project("default", "admin")
	publicID = l.must(201, "POST", "/network/v2.0/networks", `{"network":{"name":"public","router:external":true}}`).id(t, "network")
	l.must(201, "POST", "/network/v2.0/subnets", `{"subnet":{"network_id":"`+publicID+`","cidr":"203.0.113.0/24","ip_version":4}}`)
	return l, publicID
}

func TestNetworkProjectsAreApart(t *testing.T) {
	l, public := networkLab(t)
	const base = "/network/v2.0/"
	l.header = project("a", "member")
	mine := l.must(201, "POST", base+"networks", `{"network":{"name":"mine","admin_state_up":true}}`).id(t, "network")
	first := l.must(201, "POST", base+"subnets", `{"subnet":{"network_id":"`+mine+`","cidr":"10.1.0.0/24","ip_version":4,"enable_dhcp":true,"dns_nameservers":[]}}`)
	second := l.must(201, "POST", base+"subnets", `{"subnet":{"network_id":"`+mine+`","cidr":"10.2.0.0/24","ip_version":4,"gateway_ip":null}}`)
	if first.get(t, "subnet.gateway_ip") != "10.1.0.1" || second.get(t, "subnet.gateway_ip") != nil || first.get(t, "subnet.project_id") != "a" {
		t.Errorf("%s %s", first.body, second.body)
	}
	if n, err := l.store.Network(t.Context(), mine); err != nil || !n.Isolated || len(n.Subnets) != 2 {
		t.Errorf("the host has a route into what a project made: %+v, %v", n, err)
	}
	port := l.must(201, "POST", base+"ports", `{"port":{"network_id":"`+mine+`","name":"any text","fixed_ips":[{"ip_address":"10.1.0.9"}]}}`).id(t, "port")
	dark := l.must(201, "POST", base+"ports", `{"port":{"network_id":"`+mine+`","fixed_ips":[{"subnet_id":"`+second.id(t, "subnet")+`"}]}}`).id(t, "port")
	fip := l.must(201, "POST", base+"floatingips", `{"floatingip":{"floating_network_id":"`+public+`","port_id":"`+port+`"}}`).id(t, "floatingip")
	group := l.must(201, "POST", base+"security-groups", `{"security_group":{"name":"web"}}`).id(t, "security_group")
	objects := []string{"networks/" + mine, "subnets/" + first.id(t, "subnet"), "ports/" + port, "floatingips/" + fip, "security-groups/" + group}
	for _, o := range objects {
		l.must(200, "GET", base+o, "")
	}
	count := func(list string) int {
		a := l.must(200, "GET", base+list, "")
		name, _, _ := strings.Cut(strings.ReplaceAll(list, "-", "_"), "?")
		return len(a.get(t, name).([]any))
	}
	for list, want := range map[string]int{
		"networks": 3, "networks?router:external=True": 1, "networks?name=mine": 1, "networks?shared=true": 1, "subnets?network_id=" + mine: 2,
		"ports": 2, "ports?fixed_ips=ip_address=10.1.0.9": 1, "ports?network_id=" + strangerID: 0, "floatingips?port_id=" + port: 1,
		"floatingips?status=DOWN": 0, "security-groups": 2, "security-groups?name=default": 1,
	} {
		if got := count(list); got != want {
			t.Errorf("%s: %d, want %d", list, got, want)
		}
	}
	l.header = project("b", "member")
	count("security-groups") // makes the default one
	before := l.counts()
	t.Run("another project sees and changes nothing of it", func(t *testing.T) {
		l.header = project("b", "member")
		for _, o := range objects {
			a := l.must(404, "GET", base+o, "")
			if kind, _ := a.get(t, "NeutronError.type").(string); !strings.HasSuffix(kind, "NotFound") {
				t.Errorf("%s: %s", o, a.body)
			}
			l.must(404, "DELETE", base+o, "")
			root := strings.TrimSuffix(strings.ReplaceAll(o[:strings.Index(o, "/")], "-", "_"), "s")
			l.must(404, "PUT", base+o, `{"`+root+`":{"description":"x"}}`)
		}
		for _, body := range []string{
			`{"port":{"network_id":"` + mine + `"}}`, `{"port":{"network_id":"` + public + `"}}`,
			`{"port":{"network_id":"` + netID + `","project_id":"a"}}`,
		} {
			if a := l.do("POST", base+"ports", body); a.status != 404 && a.status != 403 {
				t.Errorf("%s: %d %s", body, a.status, a.body)
			}
		}
		l.must(404, "POST", base+"floatingips", `{"floatingip":{"floating_network_id":"`+public+`","port_id":"`+port+`"}}`)
		l.must(404, "POST", base+"subnets", `{"subnet":{"network_id":"`+mine+`","cidr":"10.9.0.0/24","ip_version":4}}`)
		l.must(403, "POST", base+"subnets", `{"subnet":{"network_id":"`+netID+`","cidr":"10.9.0.0/24","ip_version":4}}`)
		l.must(403, "DELETE", base+"networks/"+netID, "")
		if count("networks") != 2 || count("ports") != 0 || count("floatingips") != 0 {
			t.Error("lists show what is another's")
		}
	})
	t.Run("a reader reads", func(t *testing.T) {
		l.header = project("a", "reader")
		for _, o := range objects {
			l.must(200, "GET", base+o, "")
			l.must(403, "DELETE", base+o, "")
		}
		l.must(403, "POST", base+"networks", `{"network":{"name":"x"}}`)
	})
	t.Run("what is wrong changes nothing", func(t *testing.T) {
		l.header = project("a", "member")
		for _, c := range []struct {
			method, path, body string
			status             int
			kind               string
		}{
			{"POST", "networks", `{"network":{"name":"x","shared":true}}`, 403, "PolicyNotAuthorized"},
			{"POST", "networks", `{"network":{"name":"x","router:external":true}}`, 403, "PolicyNotAuthorized"},
			{"POST", "networks", `{"network":{"name":"x","admin_state_up":false}}`, 501, "HTTPNotImplemented"},
			{"POST", "networks", `{"network":{"name":"x","project_id":"b"}}`, 403, "PolicyNotAuthorized"},
			{"POST", "networks", `{"network":{"name":"x","colour":"red"}}`, 400, "InvalidInput"},
			{"POST", "networks", `{"network":`, 400, "InvalidInput"},
			{"POST", "networks", ``, 400, "InvalidInput"},
			{"POST", "networks", `{"network":{"mtu":7}}`, 400, "InvalidInput"},
			{"PUT", "networks/" + mine, `{"network":{"mtu":9000}}`, 501, "HTTPNotImplemented"},
			{"DELETE", "networks/" + mine, ``, 409, "NetworkInUse"},
			{"POST", "subnets", `{"subnet":{"network_id":"` + mine + `","cidr":"8.8.8.0/24","ip_version":4}}`, 400, "InvalidInput"},
			{"POST", "subnets", `{"subnet":{"network_id":"` + mine + `","cidr":"10.1.0.128/25","ip_version":4}}`, 409, "Conflict"},
			{"POST", "subnets", `{"subnet":{"network_id":"` + mine + `","cidr":"2001:db8::/64","ip_version":6}}`, 501, "HTTPNotImplemented"},
			{"POST", "subnets", `{"subnet":{"network_id":"` + mine + `","ip_version":4}}`, 400, "InvalidInput"},
			{"POST", "subnets", `{"subnet":{"network_id":"` + mine + `","cidr":"10.9.0.0/24","dns_nameservers":["10.9.0.2"]}}`, 501, "HTTPNotImplemented"},
			{"DELETE", "subnets/" + first.id(t, "subnet"), ``, 409, "SubnetInUse"},
			{"POST", "ports", `{"port":{"network_id":"` + mine + `","fixed_ips":[{"ip_address":"10.1.0.9"}]}}`, 409, "IpAddressInUse"},
			{"POST", "ports", `{"port":{"network_id":"` + mine + `","fixed_ips":[{"ip_address":"10.77.0.9"}]}}`, 400, "InvalidInput"},
			{"POST", "ports", `{"port":{"network_id":"` + mine + `","fixed_ips":[]}}`, 501, "HTTPNotImplemented"},
			{"POST", "ports", `{"port":{"network_id":"` + mine + `","security_groups":["` + group + `"]}}`, 501, "HTTPNotImplemented"},
			{"POST", "ports", `{"port":{"network_id":"` + mine + `","port_security_enabled":false}}`, 501, "HTTPNotImplemented"},
			{"POST", "ports", `{"port":{"network_id":"` + mine + `","mac_address":"02:00:00:00:00:01"}}`, 501, "HTTPNotImplemented"},
			{"POST", "ports", `{"port":{}}`, 400, "InvalidInput"},
			{"PUT", "ports/" + port, `{"port":{"fixed_ips":[{"ip_address":"10.1.0.10"}]}}`, 501, "HTTPNotImplemented"},
			{"POST", "floatingips", `{"floatingip":{"floating_network_id":"` + mine + `"}}`, 400, "BadRequest"},
			{"POST", "floatingips", `{"floatingip":{"floating_network_id":"` + public + `","port_id":"` + port + `"}}`, 409, "FloatingIPPortAlreadyAssociated"},
			{"POST", "floatingips", `{"floatingip":{"floating_network_id":"` + public + `","port_id":"` + dark + `"}}`, 404, "ExternalGatewayForFloatingIPNotFound"},
			{"POST", "floatingips", `{"floatingip":{"floating_network_id":"` + public + `","fixed_ip_address":"10.1.0.9"}}`, 400, "InvalidInput"},
			{"POST", "floatingips", `{"floatingip":{"floating_network_id":"` + public + `","floating_ip_address":"2001:db8::1"}}`, 501, "HTTPNotImplemented"},
			{"PUT", "floatingips/" + fip, `{"floatingip":{"port_id":"` + port + `","fixed_ip_address":"10.1.0.77"}}`, 400, "InvalidInput"},
			{"POST", "security-groups", `{"security_group":{"name":"default"}}`, 409, "SecurityGroupDefaultAlreadyExists"},
			{"POST", "security-group-rules", `{"security_group_rule":{"security_group_id":"` + group + `","direction":"ingress"}}`, 501, "HTTPNotImplemented"},
			{"GET", "security-group-rules/" + group, ``, 404, "SecurityGroupRuleNotFound"},
			{"GET", "routers/" + group, ``, 404, "RouterNotFound"},
			{"GET", "extensions/qos", ``, 404, "ExtensionNotFound"},
			{"GET", "quotas/b", ``, 403, "PolicyNotAuthorized"},
			{"GET", "networks?colour=red", ``, 400, "InvalidInput"},
			{"GET", "networks?limit=many", ``, 400, "InvalidInput"},
			{"GET", "networks?marker=" + strangerID, ``, 400, "InvalidInput"},
			{"GET", "networks?sort_key=colour", ``, 400, "InvalidInput"},
		} {
			a := l.do(c.method, base+c.path, c.body)
			if a.status != c.status || a.get(t, "NeutronError.type") != c.kind {
				t.Errorf("%s %s %s: %d %s, want %d %s", c.method, c.path, c.body, a.status, a.body, c.status, c.kind)
			}
		}
	})
	if diff := cmp.Diff(before, l.counts()); diff != "" {
		t.Errorf("rows:\n%s", diff)
	}
	t.Run("the owner of the overlapped subnet is not named", func(t *testing.T) {
		a := l.must(409, "POST", base+"subnets", `{"subnet":{"network_id":"`+mine+`","cidr":"10.1.0.0/16","ip_version":4}}`)
		if strings.Contains(a.body, first.id(t, "subnet")) {
			t.Error(a.body)
		}
	})
	l.must(204, "DELETE", base+"floatingips/"+fip, "")
	l.must(204, "DELETE", base+"ports/"+port, "")
	l.must(204, "DELETE", base+"ports/"+dark, "")
	l.must(204, "DELETE", base+"subnets/"+first.id(t, "subnet"), "")
	l.must(204, "DELETE", base+"networks/"+mine, "")
}

func TestNetworkLists(t *testing.T) {
	l, _ := networkLab(t)
	l.header = project("a", "member")
	for _, name := range []string{"n3", "n1", "n2"} {
		l.must(201, "POST", "/v2.0/networks", `{"network":{"name":"`+name+`"}}`) // the short path too
	}
	names := func(query string) (all []string, next string) {
		a := l.must(200, "GET", "/network/v2.0/networks?project_id=a&fields=name&fields=id&sort_key=name"+query, "")
		for _, n := range a.get(t, "networks").([]any) {
			if o := n.(map[string]any); len(o) != 2 {
				t.Errorf("fields: %v", o)
			} else {
				all = append(all, o["name"].(string))
			}
		}
		if links, ok := a.get(t, "networks_links").([]any); ok {
			for _, link := range links {
				if o := link.(map[string]any); o["rel"] == "next" {
					next = o["href"].(string)
				}
			}
		}
		return all, next
	}
	all, _ := names("")
	down, _ := names("&sort_dir=desc")
	first, next := names("&limit=2")
	if diff := cmp.Diff([][]string{{"n1", "n2", "n3"}, {"n3", "n2", "n1"}, {"n1", "n2"}}, [][]string{all, down, first}); diff != "" {
		t.Error(diff)
	}
	_, query, _ := strings.Cut(next, "?")
	second := l.must(200, "GET", "/network/v2.0/networks?"+query, "")
	if got := second.get(t, "networks").([]any); len(got) != 1 || second.get(t, "networks.0.name") != "n3" {
		t.Errorf("second page by %s: %s", next, second.body)
	}
	root := l.do("GET", "/network/", "")
	if root.status != 200 || root.get(t, "versions.0.id") != "v2.0" {
		t.Errorf("%d %s", root.status, root.body)
	}
	l.must(200, "GET", "/network/v2.0/", "")
	l.must(200, "GET", "/network/v2.0/extensions/router", "")
	if a := l.must(200, "GET", "/network/v2.0/routers", ""); a.get(t, "routers.0.name") != "gateway" {
		t.Error(a.body)
	}
	l.must(200, "GET", "/network/v2.0/quotas/a", "")
	if a := l.must(200, "GET", "/network/openapi.json", ""); a.get(t, "openapi") != "3.1.0" {
		t.Error(a.get(t, "openapi"))
	}
	l.must(404, "GET", "/network/v2.0/nothing", "")
	l.must(405, "POST", "/network/v2.0/routers", `{"router":{}}`)
	l.with(func(d *api.Deps) { d.Neutron = nil })
	if a := l.must(501, "POST", "/network/v2.0/networks", `{"network":{"name":"n"}}`); a.get(t, "NeutronError.type") != "HTTPNotImplemented" {
		t.Error(a.body)
	}
}

// FuzzNetworkBodies: whatever is sent, nothing panics, and what is refused is refused in Neutron's shape and changes no row.
func FuzzNetworkBodies(f *testing.F) {
	l, public := networkLab(f)
	paths := []string{"networks", "subnets", "ports", "floatingips", "security-groups", "security-group-rules"}
	for i, body := range []string{
		`{"network":{"name":"x","mtu":1500}}`, `{"subnet":{"network_id":"` + netID + `","cidr":"10.3.0.0/24","allocation_pools":[{"start":"10.3.0.5","end":"10.3.0.6"}]}}`,
		`{"port":{"network_id":"` + netID + `","fixed_ips":[{"subnet_id":"` + subnetID + `","ip_address":"198.18.10.77"}]}}`,
		`{"floatingip":{"floating_network_id":"` + public + `","floating_ip_address":"203.0.113.9"}}`, `{"security_group":{"name":"g"}}`, `{}`,
	} {
		f.Add(i, []byte(body), "name=x&limit=1&sort_key=id&sort_dir=desc&fields=id&marker="+uuid.Nil.String())
	}
	f.Fuzz(func(t *testing.T, which int, body []byte, query string) {
		l.t = t
		path := "/network/v2.0/" + paths[uint(which)%uint(len(paths))]
		before := l.counts()
		if a := l.do("POST", path, string(body)); a.status >= 300 {
			if a.status == 500 || !strings.Contains(a.body, `"NeutronError"`) && a.status != 413 && a.status != 415 {
				t.Fatalf("%s %q: %d %s", path, body, a.status, a.body)
			}
			if diff := cmp.Diff(before, l.counts()); diff != "" {
				t.Fatalf("%s %q was refused and left rows:\n%s", path, body, diff)
			}
		}
		if strings.ContainsAny(query, " #\x7f") || strings.IndexFunc(query, func(r rune) bool { return r < 0x20 }) >= 0 {
			return // no request line has these
		}
		if a := l.do("GET", path+"?"+query, ""); a.status >= 500 && a.status != 501 {
			t.Fatalf("%s?%s: %d %s", path, query, a.status, a.body)
		}
	})
}
