package api_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// object is the body under a root, without what differs from run to run.
func object(t *testing.T, a answer, root string, without ...string) map[string]any {
	t.Helper()
	o, ok := a.get(t, root).(map[string]any)
	if !ok {
		t.Fatalf("no object %s in %d %s", root, a.status, a.body)
	}
	for _, name := range append(without, "id", "created_at", "updated_at") {
		if _, there := o[name]; !there {
			t.Errorf("%s has no %s", root, name)
		}
		delete(o, name)
	}
	return o
}

func parse(t *testing.T, s string) map[string]any {
	t.Helper()
	var o map[string]any
	if err := json.Unmarshal([]byte(s), &o); err != nil {
		t.Fatal(err)
	}
	return o
}

func same(t *testing.T, want string, got map[string]any) {
	t.Helper()
	if diff := cmp.Diff(parse(t, want), got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestLoadBalancerFields(t *testing.T) {
	l := newLab(t, nil)
	a := l.must(201, "POST", "/v2.0/lbaas/loadbalancers", `{"loadbalancer":{"vip_network_id":"`+netID+`","name":null,"description":"d","tags":["a"],
		"vip_qos_policy_id":null,"flavor_id":null,"availability_zone":null,"vip_sg_ids":[],"additional_vips":[],"listeners":[],"pools":null,"provider":"amphora"}}`)
	if a.header.Get("X-Openstack-Request-Id") == "" {
		t.Error("no request id")
	}
	id := a.id(t, "loadbalancer")
	fields := `"name":"","description":"d","admin_state_up":true,"project_id":"default","tenant_id":"default","tags":["a"],
		"vip_subnet_id":"` + subnetID + `","vip_network_id":"` + netID + `","vip_qos_policy_id":null,"vip_vnic_type":"normal","vip_sg_ids":[],
		"additional_vips":[],"provider":"amphora","flavor_id":null,"availability_zone":null,"listeners":[],"pools":[],"operating_status":"OFFLINE"`
	same(t, `{`+fields+`,"provisioning_status":"PENDING_CREATE"}`, object(t, a, "loadbalancer", "vip_address", "vip_port_id"))
	busy := l.must(409, "PUT", "/v2.0/lbaas/loadbalancers/"+id, `{"loadbalancer":{"name":"x"}}`)
	if got, want := busy.get(t, "faultstring"), "Invalid state PENDING_CREATE of loadbalancer resource "+id; got != want {
		t.Errorf("faultstring %q, want %q", got, want)
	}
	busy = l.must(409, "POST", "/v2.0/lbaas/listeners", `{"listener":{"protocol":"HTTP","protocol_port":80,"loadbalancer_id":"`+id+`"}}`)
	if got, want := busy.get(t, "faultstring"), "Load Balancer "+id+" is immutable and cannot be updated."; got != want {
		t.Errorf("faultstring %q, want %q", got, want)
	}
	l.settle(id)
	a = l.must(200, "GET", "/v2.0/lbaas/loadbalancers/"+id, "")
	same(t, `{`+fields+`,"provisioning_status":"ACTIVE"}`, object(t, a, "loadbalancer", "vip_address", "vip_port_id"))

	// Absent, null and value are three things.
	a = l.must(200, "PUT", "/v2.0/lbaas/loadbalancers/"+id, `{"loadbalancer":{"name":"n","description":null,"tags":null,"admin_state_up":"false"}}`)
	got := object(t, a, "loadbalancer", "vip_address")
	for name, want := range map[string]any{"name": "n", "description": "", "tags": []any{"a"}, "admin_state_up": false, "provisioning_status": "PENDING_UPDATE"} {
		if diff := cmp.Diff(want, got[name]); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	l.settle(id)
	l.must(204, "DELETE", "/v2.0/lbaas/loadbalancers/"+id, "")
	a = l.must(200, "GET", "/v2.0/lbaas/loadbalancers/"+id, "")
	if got := a.get(t, "loadbalancer.provisioning_status"); got != "PENDING_DELETE" {
		t.Errorf("after DELETE: %v", got)
	}
}

func TestVIPPortIsOursAndDeterministic(t *testing.T) {
	l := newLab(t, nil)
	a := l.must(201, "POST", "/v2.0/lbaas/loadbalancers", `{"loadbalancer":{"vip_subnet_id":"`+subnetID+`","vip_address":"198.18.10.77"}}`)
	port, err := l.store.Port(t.Context(), a.get(t, "loadbalancer.vip_port_id").(string))
	if err != nil || port.Address != "198.18.10.77" || port.OwnerID != a.id(t, "loadbalancer") {
		t.Errorf("port %+v, %v", port, err)
	}
	before := l.counts()
	l.must(409, "POST", "/v2.0/lbaas/loadbalancers", `{"loadbalancer":{"vip_subnet_id":"`+subnetID+`","vip_address":"198.18.10.77"}}`)
	l.must(409, "POST", "/v2.0/lbaas/loadbalancers", `{"loadbalancer":{"vip_port_id":"`+port.ID+`"}}`)
	if diff := cmp.Diff(before, l.counts()); diff != "" {
		t.Errorf("rows differ:\n%s", diff)
	}
}

func TestListenerFields(t *testing.T) {
	l := newLab(t, nil)
	lbID, _, poolID, _, _ := l.balancer()
	a := l.must(201, "POST", "/v2/lbaas/listeners", `{"listener":{"loadbalancer_id":"`+lbID+`","protocol":"HTTP","protocol_port":"8080","name":"l",
		"default_pool_id":"`+poolID+`","insert_headers":{"X-Forwarded-For":"true"},"allowed_cidrs":["10.0.0.5/8"],"connection_limit":0,
		"default_tls_container_ref":null,"sni_container_refs":[],"client_authentication":"NONE","tls_versions":null,"hsts_preload":false,"l7policies":[]}}`)
	same(t, `{"name":"l","description":"","admin_state_up":true,"project_id":"default","tenant_id":"default","tags":[],
		"provisioning_status":"PENDING_CREATE","operating_status":"OFFLINE","protocol":"HTTP","protocol_port":8080,"connection_limit":0,
		"default_pool_id":"`+poolID+`","insert_headers":{"X-Forwarded-For":"true"},"allowed_cidrs":["10.0.0.0/8"],
		"timeout_client_data":50000,"timeout_member_connect":5000,"timeout_member_data":50000,"timeout_tcp_inspect":0,
		"default_tls_container_ref":null,"sni_container_refs":[],"client_ca_tls_container_ref":null,"client_authentication":"NONE",
		"client_crl_container_ref":null,"tls_ciphers":null,"tls_versions":null,"alpn_protocols":null,
		"hsts_max_age":null,"hsts_include_subdomains":false,"hsts_preload":false,"l7policies":[],"loadbalancers":[{"id":"`+lbID+`"}]}`,
		object(t, a, "listener"))
	l.settle(lbID)
	id := a.id(t, "listener")
	a = l.must(200, "PUT", "/v2/listeners/"+id, `{"listener":{"default_pool_id":null,"allowed_cidrs":[],"connection_limit":null,"insert_headers":null,"timeout_client_data":7}}`)
	got := object(t, a, "listener")
	for name, want := range map[string]any{
		"default_pool_id": nil, "allowed_cidrs": nil, "connection_limit": -1.0, "insert_headers": map[string]any{}, "timeout_client_data": 7.0, "name": "l",
	} {
		if diff := cmp.Diff(want, got[name]); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	l.settle(lbID)
	a = l.must(200, "GET", "/v2/listeners/"+id+"/stats", "")
	same(t, `{"stats":{"active_connections":0,"bytes_in":0,"bytes_out":0,"request_errors":0,"total_connections":0}}`, parse(t, a.body))
	l.must(204, "DELETE", "/v2/listeners/"+id, "")
	l.settle(lbID)
	a = l.must(404, "GET", "/v2/listeners/"+id, "")
	if got, want := a.get(t, "faultstring"), "Listener "+id+" not found."; got != want {
		t.Errorf("faultstring %q, want %q", got, want)
	}
}

func TestPoolFields(t *testing.T) {
	l := newLab(t, nil)
	lbID, listenerID, poolID, memberID, monitorID := l.balancer()
	a := l.must(201, "POST", "/v2.0/lbaas/pools", `{"pool":{"loadbalancer_id":"`+lbID+`","protocol":"TCP","lb_algorithm":"SOURCE_IP","session_persistence":null,"tls_enabled":false}}`)
	plain := `"description":"","admin_state_up":true,"project_id":"default","tenant_id":"default","tags":[],"tls_enabled":false,
		"tls_container_ref":null,"ca_tls_container_ref":null,"crl_container_ref":null,"tls_ciphers":null,"tls_versions":null,"alpn_protocols":null,
		"loadbalancers":[{"id":"` + lbID + `"}]`
	same(t, `{`+plain+`,"name":"","provisioning_status":"PENDING_CREATE","operating_status":"OFFLINE","protocol":"TCP","lb_algorithm":"SOURCE_IP",
		"session_persistence":null,"listeners":[],"members":[]}`, object(t, a, "pool"))
	l.settle(lbID)
	put := func(body string) any {
		t.Helper()
		a := l.must(200, "PUT", "/v2.0/lbaas/pools/"+poolID, `{"pool":`+body+`}`)
		l.settle(lbID)
		return a.get(t, "pool.session_persistence")
	}
	view := func(kind string, cookie any) map[string]any {
		return map[string]any{"type": kind, "cookie_name": cookie, "persistence_timeout": nil, "persistence_granularity": nil}
	}
	for _, c := range []struct {
		body string
		want any
	}{
		{`{"session_persistence":{"type":"APP_COOKIE","cookie_name":"sid"}}`, view("APP_COOKIE", "sid")},
		{`{"session_persistence":{"cookie_name":"other"}}`, view("APP_COOKIE", "other")},
		{`{"name":"servers2"}`, view("APP_COOKIE", "other")},
		{`{"session_persistence":{"type":"HTTP_COOKIE"}}`, view("HTTP_COOKIE", nil)},
		{`{"session_persistence":{}}`, nil},
		{`{"session_persistence":{"type":"SOURCE_IP"}}`, view("SOURCE_IP", nil)},
		{`{"session_persistence":null}`, nil},
	} {
		if diff := cmp.Diff(c.want, put(c.body)); diff != "" {
			t.Errorf("%s:\n%s", c.body, diff)
		}
	}
	a = l.must(200, "GET", "/v2.0/lbaas/pools/"+poolID, "")
	got := object(t, a, "pool", "operating_status")
	same(t, `{`+plain+`,"name":"servers2","provisioning_status":"ACTIVE","protocol":"HTTP","lb_algorithm":"ROUND_ROBIN","session_persistence":null,
		"listeners":[{"id":"`+listenerID+`"}],"members":[{"id":"`+memberID+`"}],"healthmonitor_id":"`+monitorID+`"}`, got)
	l.must(204, "DELETE", "/v2.0/lbaas/pools/"+poolID, "")
	l.settle(lbID)
	l.must(404, "GET", "/v2.0/lbaas/pools/"+poolID, "")
}

func TestMemberFields(t *testing.T) {
	l := newLab(t, nil)
	lbID, _, poolID, memberID, _ := l.balancer()
	path := "/v2.0/lbaas/pools/" + poolID + "/members"
	a := l.must(201, "POST", path, `{"member":{"address":"198.18.10.51","protocol_port":80,"weight":null,"subnet_id":"`+subnetID+`","monitor_port":81,"backup":"true"}}`)
	same(t, `{"name":"","admin_state_up":true,"project_id":"default","tenant_id":"default","tags":[],"provisioning_status":"PENDING_CREATE",
		"operating_status":"OFFLINE","address":"198.18.10.51","protocol_port":80,"weight":1,"backup":true,"subnet_id":"`+subnetID+`",
		"monitor_address":null,"monitor_port":81,"vnic_type":"normal"}`, object(t, a, "member"))
	l.settle(lbID)
	a = l.must(200, "PUT", path+"/"+memberID, `{"member":{"weight":0,"name":"m"}}`)
	if w := a.get(t, "member.weight"); w != 0.0 {
		t.Errorf("weight %v", w)
	}
	l.settle(lbID)

	before := l.counts()
	l.must(202, "PUT", path, `{"members":[{"address":"198.18.10.52","protocol_port":80},{"address":"198.18.10.51","protocol_port":80,"weight":5}]}`)
	l.settle(lbID)
	a = l.must(200, "GET", path+"?sort=address", "")
	var got []string
	for _, m := range a.get(t, "members").([]any) {
		got = append(got, m.(map[string]any)["address"].(string))
	}
	if diff := cmp.Diff([]string{"198.18.10.51", "198.18.10.52"}, got); diff != "" {
		t.Errorf("after the batch:\n%s", diff)
	}
	if w := a.get(t, "members.0.weight"); w != 5.0 {
		t.Errorf("weight of the matched one: %v", w)
	}
	if after := l.counts(); after["member"] != before["member"] {
		t.Errorf("members: %d, want %d", after["member"], before["member"])
	}
	l.must(202, "PUT", path+"?additive_only=true", `{"members":[{"address":"198.18.10.53","protocol_port":80}]}`)
	l.settle(lbID)
	if n := len(l.must(200, "GET", path, "").get(t, "members").([]any)); n != 3 {
		t.Errorf("%d members after an additive batch, want 3", n)
	}
	// A parent in the path that is not there is a fault of the path; the member of another pool is none of this one.
	a = l.must(404, "GET", "/v2.0/lbaas/pools/"+strangerID+"/members", "")
	same(t, `{"code":404,"title":"Not Found","description":"Pool `+strangerID+` not found."}`, parse(t, a.body))
	other := l.must(201, "POST", "/v2.0/lbaas/pools", `{"pool":{"loadbalancer_id":"`+lbID+`","protocol":"TCP","lb_algorithm":"SOURCE_IP"}}`).id(t, "pool")
	id := l.must(200, "GET", path, "").id(t, "members.0")
	l.must(404, "GET", "/v2.0/lbaas/pools/"+other+"/members/"+id, "")
	l.settle(lbID)
	l.must(204, "DELETE", path+"/"+id, "")
}

func TestHealthMonitorFields(t *testing.T) {
	l := newLab(t, nil)
	lbID, _, poolID, _, monitorID := l.balancer()
	a := l.must(200, "GET", "/v2.0/lbaas/healthmonitors/"+monitorID, "")
	common := `"name":"","admin_state_up":true,"project_id":"default","tenant_id":"default","tags":[],"pools":[{"id":"` + poolID + `"}]`
	same(t, `{`+common+`,"provisioning_status":"ACTIVE","type":"HTTP","delay":1,"timeout":1,"max_retries":2,"max_retries_down":3,
		"http_method":"GET","url_path":"/","expected_codes":"200","http_version":null,"domain_name":null}`, object(t, a, "healthmonitor", "operating_status"))
	a = l.must(200, "PUT", "/v2.0/lbaas/healthmonitors/"+monitorID, `{"healthmonitor":{"http_version":1.0,"url_path":"/health","expected_codes":"200-204","max_retries":"4"}}`)
	for name, want := range map[string]any{"http_version": 1.0, "url_path": "/health", "expected_codes": "200-204", "max_retries": 4.0, "delay": 1.0} {
		if got := a.get(t, "healthmonitor."+name); got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	l.settle(lbID)
	l.must(200, "PUT", "/v2.0/lbaas/healthmonitors/"+monitorID, `{"healthmonitor":{"http_version":"1.1","domain_name":"www.example"}}`)
	l.settle(lbID)
	l.must(204, "DELETE", "/v2.0/lbaas/healthmonitors/"+monitorID, "")
	l.settle(lbID)
	a = l.must(201, "POST", "/v2.0/lbaas/healthmonitors", `{"healthmonitor":{"pool_id":"`+poolID+`","type":"TCP","delay":3,"timeout":2,"max_retries":1,"max_retries_down":2}}`)
	same(t, `{`+common+`,"provisioning_status":"PENDING_CREATE","operating_status":"OFFLINE","type":"TCP","delay":3,"timeout":2,"max_retries":1,"max_retries_down":2,
		"http_method":null,"url_path":null,"expected_codes":null,"http_version":null,"domain_name":null}`, object(t, a, "healthmonitor"))
}

func TestWholeTreeInOneCall(t *testing.T) {
	l := newLab(t, nil)
	a := l.must(201, "POST", "/v2.0/lbaas/loadbalancers", `{"loadbalancer":{"name":"all","vip_subnet_id":"`+subnetID+`",
		"listeners":[{"name":"web","protocol":"HTTP","protocol_port":80,"default_pool":{"name":"p"}},{"protocol":"TCP","protocol_port":81,"default_pool":{"name":"q","protocol":"TCP","lb_algorithm":"LEAST_CONNECTIONS"}}],
		"pools":[{"name":"p","protocol":"HTTP","lb_algorithm":"ROUND_ROBIN","members":[{"address":"198.18.10.50","protocol_port":80}],
			"healthmonitor":{"type":"TCP","delay":1,"timeout":1,"max_retries":1}}]}}`)
	for path, want := range map[string]any{
		"loadbalancer.pools.0.name": "p", "loadbalancer.pools.0.members.0.address": "198.18.10.50", "loadbalancer.pools.0.members.0.operating_status": "OFFLINE",
		"loadbalancer.pools.0.healthmonitor.type": "TCP", "loadbalancer.pools.1.name": "q", "loadbalancer.pools.1.healthmonitor": nil,
		"loadbalancer.listeners.0.protocol_port": 80.0, "loadbalancer.listeners.0.provisioning_status": "PENDING_CREATE",
	} {
		if got := a.get(t, path); got != want {
			t.Errorf("%s: %v, want %v", path, got, want)
		}
	}
	id := a.id(t, "loadbalancer")
	l.settle(id)
	for _, path := range []string{"/status", "/statuses"} {
		a = l.must(200, "GET", "/load-balancer/v2.0/lbaas/loadbalancers/"+id+path, "")
		web, tcp := "statuses.loadbalancer.listeners.0", "statuses.loadbalancer.listeners.1"
		if a.get(t, web+".name") != "web" { // created at the same moment: in no order
			web, tcp = tcp, web
		}
		for path, want := range map[string]any{
			"statuses.loadbalancer.name": "all", web + ".pools.0.name": "p", web + ".pools.0.health_monitor.type": "TCP",
			web + ".pools.0.members.0.protocol_port": 80.0, tcp + ".pools.0.health_monitor": nil,
		} {
			if got := a.get(t, path); got != want {
				t.Errorf("%s: %v, want %v", path, got, want)
			}
		}
	}
	l.must(202, "PUT", "/v2.0/lbaas/loadbalancers/"+id+"/failover", "")

	t.Run("S67 cluster fields", func(t *testing.T) {
		c := l.must(200, "GET", "/v2.0/octavia/clusters?loadbalancer_id="+id, "")
		one := l.must(200, "GET", "/v2.0/octavia/clusters/"+c.id(t, "clusters.0"), "")
		same(t, `{"name":"cluster-`+id[:8]+`","project_id":"default","tenant_id":"default","load_balancer_id":"`+id+`","distributor_id":null,"cluster_type":"fixed",
			"desired_size":3,"min_size":1,"standby_size":1,"standby_ready":0,"cooldown":30,"enabled":true,"operating_status":"OFFLINE","amphorae":[],"table":null}`,
			object(t, one, "cluster", "provisioning_status"))
	})
	l.settle(id)
	l.must(204, "DELETE", "/v2.0/lbaas/loadbalancers/"+id+"?cascade=true", "")
}
