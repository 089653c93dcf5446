package api_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"colonnade/internal/amphora/noop"
	"colonnade/internal/api"
	"colonnade/internal/lb"
	"colonnade/internal/secret"
)

// pick reads fields of the object under root as JSON.
func (a answer) pick(t *testing.T, root string, fields ...string) string {
	t.Helper()
	out := map[string]any{}
	for _, f := range fields {
		out[f] = a.get(t, root+"."+f)
	}
	b, err := json.Marshal(out)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func sameJSON(t *testing.T, what, want, got string) {
	t.Helper()
	var w, g any
	if err := json.Unmarshal([]byte(want), &w); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(got), &g); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(w, g); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// anything is a lab whose amphorae take everything.
func anything(t *testing.T) *lab {
	t.Helper()
	l := newLab(t, nil)
	l.with(func(d *api.Deps) { d.Provider, d.Certificates = noop.Provider{}, secret.Anything{} })
	return l
}

// Listeners that end TLS: what is given comes back, null resets, and other listeners have null.
func TestTLSFieldsOfListeners(t *testing.T) {
	l := anything(t)
	lbID, _, _, _, _ := l.balancer()
	const lis = "/v2.0/lbaas/listeners"
	tls := []string{
		"default_tls_container_ref", "sni_container_refs", "client_ca_tls_container_ref", "client_authentication", "client_crl_container_ref", "tls_ciphers",
		"tls_versions", "alpn_protocols", "hsts_max_age", "hsts_include_subdomains", "hsts_preload",
	}
	a := l.must(201, "POST", lis, `{"listener":{"loadbalancer_id":"`+lbID+`","protocol":"TERMINATED_HTTPS","protocol_port":443,"default_tls_container_ref":"c",
		"sni_container_refs":["s1","s2"],"client_ca_tls_container_ref":"a","client_authentication":"MANDATORY","client_crl_container_ref":"r","tls_ciphers":"HIGH",
		"tls_versions":["TLSv1.3"],"alpn_protocols":["h2"],"hsts_max_age":0,"hsts_include_subdomains":true,"insert_headers":{"X-SSL-Client-CN":"true"}}}`)
	full := `{"default_tls_container_ref":"c","sni_container_refs":["s1","s2"],"client_ca_tls_container_ref":"a","client_authentication":"MANDATORY",
		"client_crl_container_ref":"r","tls_ciphers":"HIGH","tls_versions":["TLSv1.3"],"alpn_protocols":["h2"],"hsts_max_age":0,"hsts_include_subdomains":true,"hsts_preload":false}`
	sameJSON(t, "created", full, a.pick(t, "listener", tls...))
	id := a.id(t, "listener")
	l.settle(lbID)
	sameJSON(t, "shown", full, l.must(200, "GET", lis+"/"+id, "").pick(t, "listener", tls...))
	for _, refused := range []string{`"client_ca_tls_container_ref":null`, `"default_tls_container_ref":null,"sni_container_refs":[]`, `"hsts_max_age":null,"hsts_preload":true`} {
		if a := l.do("PUT", lis+"/"+id, `{"listener":{`+refused+`}}`); a.status != 400 {
			t.Errorf("%s: %d %s", refused, a.status, a.body)
		}
	}
	a = l.must(200, "PUT", lis+"/"+id, `{"listener":{"sni_container_refs":null,"client_ca_tls_container_ref":null,"client_authentication":null,"client_crl_container_ref":null,
		"tls_ciphers":null,"tls_versions":null,"alpn_protocols":null,"hsts_max_age":null,"hsts_include_subdomains":null}}`)
	rules, err := json.Marshal(lb.DefaultRules().ListenerCiphers)
	if err != nil {
		t.Fatal(err)
	}
	sameJSON(t, "reset", `{"default_tls_container_ref":"c","sni_container_refs":[],"client_ca_tls_container_ref":null,"client_authentication":"NONE","client_crl_container_ref":null,
		"tls_ciphers":`+string(rules)+`,"tls_versions":["TLSv1.2","TLSv1.3"],"alpn_protocols":["h2","http/1.1","http/1.0"],"hsts_max_age":null,"hsts_include_subdomains":false,
		"hsts_preload":false}`, a.pick(t, "listener", tls...))
	l.settle(lbID)

	none := `{"default_tls_container_ref":null,"sni_container_refs":[],"client_ca_tls_container_ref":null,"client_authentication":"NONE","client_crl_container_ref":null,
		"tls_ciphers":null,"tls_versions":null,"alpn_protocols":null,"hsts_max_age":null,"hsts_include_subdomains":false,"hsts_preload":false}`
	for port, protocol := range []string{"", "UDP", "SCTP", "PROMETHEUS", "HTTPS"} {
		if protocol == "" {
			continue
		}
		body := `{"listener":{"loadbalancer_id":"` + lbID + `","protocol":"` + protocol + `","protocol_port":` + string(rune('0'+port)) + `,"tls_versions":null}}`
		sameJSON(t, protocol, none, l.must(201, "POST", lis, body).pick(t, "listener", tls...))
		l.settle(lbID)
	}
	// The filters of what the database has.
	if got := l.must(200, "GET", lis+"?default_tls_container_ref=c&fields=id", "").get(t, "listeners"); len(got.([]any)) != 1 {
		t.Errorf("filtered: %v", got)
	}
	// A pool or a default pool of a PROMETHEUS listener.
	prometheus := l.must(200, "GET", lis+"?protocol=PROMETHEUS", "").id(t, "listeners.0")
	for _, r := range [][3]string{
		{"POST", "/v2.0/lbaas/pools", `{"pool":{"listener_id":"` + prometheus + `","protocol":"HTTP","lb_algorithm":"ROUND_ROBIN"}}`},
		{"PUT", lis + "/" + prometheus, `{"listener":{"default_pool_id":"` + l.must(200, "GET", "/v2.0/lbaas/pools", "").id(t, "pools.0") + `"}}`},
	} {
		if a := l.do(r[0], r[1], r[2]); a.status != 400 || a.get(t, "faultstring") != "Protocol PROMETHEUS listeners cannot have child objects." {
			t.Errorf("%s: %d %s", r[1], a.status, a.body)
		}
	}
}

// Pools that speak TLS to their members, and session persistence of datagrams.
func TestTLSFieldsOfPools(t *testing.T) {
	l := anything(t)
	lbID, _, _, _, _ := l.balancer()
	const pools = "/v2.0/lbaas/pools"
	tls := []string{"tls_enabled", "tls_container_ref", "ca_tls_container_ref", "crl_container_ref", "tls_ciphers", "tls_versions", "alpn_protocols"}
	a := l.must(201, "POST", pools, `{"pool":{"loadbalancer_id":"`+lbID+`","protocol":"HTTP","lb_algorithm":"ROUND_ROBIN"}}`)
	sameJSON(t, "plain", `{"tls_enabled":false,"tls_container_ref":null,"ca_tls_container_ref":null,"crl_container_ref":null,"tls_ciphers":null,"tls_versions":null,"alpn_protocols":null}`, a.pick(t, "pool", tls...))
	pool := pools + "/" + a.id(t, "pool")
	l.settle(lbID)
	l.must(200, "PUT", pool, `{"pool":{"tls_enabled":true,"tls_container_ref":"c","ca_tls_container_ref":"a","crl_container_ref":"r","tls_ciphers":"HIGH"}}`)
	l.settle(lbID)
	sameJSON(t, "TLS", `{"tls_enabled":true,"tls_container_ref":"c","ca_tls_container_ref":"a","crl_container_ref":"r","tls_ciphers":"HIGH","tls_versions":["TLSv1.2","TLSv1.3"],"alpn_protocols":["h2","http/1.1","http/1.0"]}`,
		l.must(200, "GET", pool, "").pick(t, "pool", tls...))
	if a := l.do("PUT", pool, `{"pool":{"ca_tls_container_ref":null}}`); a.status != 400 || a.get(t, "faultstring") != "Validation failure: A CA reference cannot be removed when a certificate revocation list is present." {
		t.Errorf("%d %s", a.status, a.body)
	}
	l.must(200, "PUT", pool, `{"pool":{"ca_tls_container_ref":null,"crl_container_ref":null,"tls_enabled":false}}`)
	l.settle(lbID)

	udp := pools + "/" + l.must(201, "POST", pools, `{"pool":{"loadbalancer_id":"`+lbID+`","protocol":"UDP","lb_algorithm":"SOURCE_IP_PORT","session_persistence":{"type":"SOURCE_IP","persistence_timeout":3,"persistence_granularity":"255.255.255.0"}}}`).id(t, "pool")
	l.settle(lbID)
	l.must(200, "PUT", udp, `{"pool":{"session_persistence":{"persistence_timeout":4}}}`)
	l.settle(lbID)
	sameJSON(t, "datagrams", `{"session_persistence":{"type":"SOURCE_IP","cookie_name":null,"persistence_timeout":4,"persistence_granularity":"255.255.255.0"}}`, l.must(200, "GET", udp, "").pick(t, "pool", "session_persistence"))
	monitor := l.must(201, "POST", "/v2.0/lbaas/healthmonitors", `{"healthmonitor":{"pool_id":"`+udp[len(pools)+1:]+`","type":"UDP-CONNECT","delay":3,"timeout":2,"max_retries":2}}`).id(t, "healthmonitor")
	l.settle(lbID)
	if a := l.do("PUT", "/v2.0/lbaas/healthmonitors/"+monitor, `{"healthmonitor":{"delay":2}}`); a.status != 400 {
		t.Errorf("a delay too short: %d %s", a.status, a.body)
	}
}
