package api_test

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"colonnade/internal/testenv/pki"
)

const keyManager = "/key-manager/v1"

// store keeps a payload in the key manager and returns its reference.
func (l *lab) keep(payload string, more ...string) string {
	l.t.Helper()
	text, _ := json.Marshal(payload)
	body := `{"payload":` + string(text) + `,"payload_content_type":"text/plain"` + strings.Join(append([]string{""}, more...), ",") + `}`
	return l.must(201, "POST", keyManager+"/secrets", body).get(l.t, "secret_ref").(string)
}

func pathOf(ref string) string { return ref[strings.Index(ref, "/key-manager"):] }

func TestKeyManagerSecrets(t *testing.T) {
	l := newLab(t, nil)
	a := l.must(201, "POST", keyManager+"/secrets/", `{"name":"n","secret_type":"certificate","algorithm":"RSA","bit_length":2048,"mode":null,"expiration":null,"payload":"tell nobody","payload_content_type":"text/plain"}`)
	ref := a.get(t, "secret_ref").(string)
	if a.header.Get("Location") != ref || !strings.HasPrefix(ref, "http://example.com/key-manager/v1/secrets/") {
		t.Errorf("reference %s, location %s", ref, a.header.Get("Location"))
	}
	path := pathOf(ref)
	if a := l.must(200, "GET", path, ""); a.get(t, "name") != "n" || a.get(t, "secret_type") != "certificate" || a.get(t, "content_types.default") != "text/plain" ||
		a.get(t, "status") != "ACTIVE" || a.get(t, "secret_ref") != ref || strings.Contains(a.body, "tell nobody") {
		t.Errorf("shown: %s", a.body)
	}
	for _, header := range [][2]string{{path + "/payload", "text/plain"}, {path + "/payload", "*/*"}, {path + "/payload", ""}, {path, "text/plain"}} {
		if a := l.do("GET", header[0], "", "Accept", header[1]); a.status != 200 || a.body != "tell nobody" || a.header.Get("Content-Type") != "text/plain" {
			t.Errorf("%v: %d %s", header, a.status, a.body)
		}
	}
	if a := l.do("GET", path+"/payload", "", "Accept", "image/png"); a.status != 406 || a.get(t, "title") != "Not Acceptable" {
		t.Errorf("%d %s", a.status, a.body)
	}
	// Bytes, and a payload that comes later.
	bytes := base64.StdEncoding.EncodeToString([]byte{0, 1, 2, 255})
	ref = l.must(201, "POST", keyManager+"/secrets", `{"payload":"`+bytes+`","payload_content_type":"application/octet-stream","payload_content_encoding":"base64"}`).get(t, "secret_ref").(string)
	if a := l.do("GET", pathOf(ref)+"/payload", "", "Accept", "application/octet-stream"); a.body != "\x00\x01\x02\xff" {
		t.Errorf("%q", a.body)
	}
	later := pathOf(l.must(201, "POST", keyManager+"/secrets", `{}`).get(t, "secret_ref").(string))
	if a := l.do("GET", later+"/payload", ""); a.status != 404 {
		t.Errorf("%d", a.status)
	}
	if a := l.do("PUT", later, "later", "Content-Type", "text/plain"); a.status != 204 {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := l.do("PUT", later, "again", "Content-Type", "text/plain"); a.status != 409 || !strings.Contains(a.get(t, "description").(string), "already has data") {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := l.do("GET", later+"/payload", ""); a.body != "later" {
		t.Errorf("%q", a.body)
	}
	// Lists, by pages and by name.
	if a := l.must(200, "GET", keyManager+"/secrets?limit=2", ""); a.get(t, "total") != 3.0 || len(a.get(t, "secrets").([]any)) != 2 || !strings.Contains(a.get(t, "next").(string), "offset=2") {
		t.Errorf("%s", a.body)
	}
	if a := l.must(200, "GET", keyManager+"/secrets?name=n", ""); a.get(t, "total") != 1.0 {
		t.Errorf("%s", a.body)
	}
	l.must(204, "DELETE", path, "")
	if a := l.do("GET", path, ""); a.status != 404 || a.get(t, "title") != "Not Found" {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := l.do("DELETE", path, ""); a.status != 404 {
		t.Errorf("%d", a.status)
	}
	for _, open := range []string{"/key-manager", "/key-manager/", "/key-manager/v1/"} {
		if a := l.do("GET", open, "", "X-Auth-Token", ""); a.status != 200 {
			t.Errorf("%s: %d", open, a.status)
		}
	}
}

func TestKeyManagerRefuses(t *testing.T) {
	l := newLab(t, nil)
	for what, body := range map[string]string{
		"no JSON":                      `{`,
		"a list":                       `[]`,
		"twice":                        `{"name":"a","name":"b"}`,
		"unknown field":                `{"bogus":1}`,
		"type":                         `{"secret_type":"x"}`,
		"name that is no text":         `{"name":1}`,
		"long name":                    `{"name":"` + strings.Repeat("a", 256) + `"}`,
		"NUL":                          `{"name":"a\u0000"}`,
		"no content type":              `{"payload":"a"}`,
		"content type without payload": `{"payload_content_type":"text/plain"}`,
		"unknown content type":         `{"payload":"a","payload_content_type":"image/png"}`,
		"bytes without encoding":       `{"payload":"a","payload_content_type":"application/octet-stream"}`,
		"no base64":                    `{"payload":"?","payload_content_type":"application/octet-stream","payload_content_encoding":"base64"}`,
		"encoded text":                 `{"payload":"YQ==","payload_content_type":"text/plain","payload_content_encoding":"base64"}`,
		"empty":                        `{"payload":"","payload_content_type":"text/plain"}`,
		"past":                         `{"expiration":"2020-01-01T00:00:00"}`,
		"no moment":                    `{"expiration":"soon"}`,
		"bits":                         `{"bit_length":-1}`,
	} {
		if a := l.do("POST", keyManager+"/secrets", body); a.status != 400 || a.get(t, "description") == "" || a.get(t, "code") != 400.0 {
			t.Errorf("%s: %d %s", what, a.status, a.body)
		}
	}
	if a := l.do("POST", keyManager+"/secrets", `{"payload":"`+strings.Repeat("a", 60001)+`","payload_content_type":"text/plain"}`); a.status != 413 {
		t.Errorf("%d %.100s", a.status, a.body)
	}
	if a := l.do("POST", keyManager+"/secrets", `a=b`, "Content-Type", "application/x-www-form-urlencoded"); a.status != 415 {
		t.Errorf("%d %.100s", a.status, a.body)
	}
	secret := l.keep("x")
	for what, body := range map[string]string{
		"no type":      `{"name":"a"}`,
		"unknown type": `{"type":"x"}`,
		"no reference": `{"type":"generic","secret_refs":[{"name":"a","secret_ref":"x"}]}`,
		"unknown part": `{"type":"certificate","secret_refs":[{"name":"x","secret_ref":"` + secret + `"}]}`,
		"a part twice": `{"type":"generic","secret_refs":[{"name":"a","secret_ref":"` + secret + `"},{"name":"a","secret_ref":"` + secret + `"}]}`,
		"part missing": `{"type":"certificate","secret_refs":[{"name":"private_key","secret_ref":"` + secret + `"}]}`,
	} {
		if a := l.do("POST", keyManager+"/containers", body); a.status != 400 {
			t.Errorf("%s: %d %s", what, a.status, a.body)
		}
	}
	if a := l.do("POST", keyManager+"/containers", `{"type":"generic","secret_refs":[{"name":"a","secret_ref":"`+strangerID+`"}]}`); a.status != 404 {
		t.Errorf("%d %s", a.status, a.body)
	}
	for _, path := range []string{"/secrets/x", "/containers/x", "/bogus", "/secrets/x/acl"} {
		if a := l.do("GET", keyManager+path, ""); a.status != 404 {
			t.Errorf("%s: %d", path, a.status)
		}
	}
	if a := l.do("PATCH", keyManager+"/secrets", ""); a.status != 405 {
		t.Errorf("%d", a.status)
	}
	if a := l.do("GET", keyManager+"/secrets", "", "X-Auth-Token", "wrong"); a.status != 401 {
		t.Errorf("%d", a.status)
	}
}

// A listener with certificates of the key manager, from secrets to what is shown.
func TestListenerNamesSecrets(t *testing.T) {
	l := newLab(t, nil)
	lbID, _, _, _, _ := l.balancer()
	ca, other := pki.New(t, "Tenant"), pki.New(t, "Other")
	leaf := ca.Issue("a.example")
	container := func(certificate, key string) string {
		return l.must(201, "POST", keyManager+"/containers", `{"name":"c","type":"certificate","secret_refs":[{"name":"certificate","secret_ref":"`+l.keep(certificate)+`"},{"name":"private_key","secret_ref":"`+l.keep(key)+`"}]}`).get(t, "container_ref").(string)
	}
	good, mixed := container(leaf.CertPEM, leaf.KeyPEM), container(leaf.CertPEM, ca.Issue("b.example").KeyPEM)
	if a := l.must(200, "GET", pathOf(good), ""); len(a.get(t, "secret_refs").([]any)) != 2 || a.get(t, "type") != "certificate" {
		t.Errorf("%s", a.body)
	}
	if a := l.must(200, "GET", keyManager+"/containers", ""); a.get(t, "total") != 2.0 {
		t.Errorf("%s", a.body)
	}
	authority, list, others := l.keep(ca.PEM), l.keep(ca.CRL()), l.keep(other.CRL())
	const lis = "/v2.0/lbaas/listeners"
	create := func(fields string) answer {
		return l.do("POST", lis, `{"listener":{"loadbalancer_id":"`+lbID+`","protocol":"TERMINATED_HTTPS","protocol_port":443,`+fields+`}}`)
	}
	for what, c := range map[string]struct{ fields, text string }{
		"another's key":      {`"default_tls_container_ref":"` + mixed + `"`, "Could not retrieve certificate: ['" + mixed + "']"},
		"SNI, another's key": {`"default_tls_container_ref":"` + good + `","sni_container_refs":["` + mixed + `"]`, "Could not retrieve certificate: ['" + mixed + "']"},
		"no authority":       {`"default_tls_container_ref":"` + good + `","client_ca_tls_container_ref":"` + list + `"`, "The client authentication CA certificate is invalid."},
		"another's list":     {`"default_tls_container_ref":"` + good + `","client_ca_tls_container_ref":"` + authority + `","client_crl_container_ref":"` + others + `"`, "The CRL specified is not valid for client certificate authority reference supplied."},
	} {
		if a := create(c.fields); a.status != 400 || !strings.Contains(a.get(t, "faultstring").(string), c.text) {
			t.Errorf("%s: %d %s", what, a.status, a.body)
		}
	}
	a := create(`"default_tls_container_ref":"` + good + `","client_ca_tls_container_ref":"` + authority + `","client_crl_container_ref":"` + list + `","client_authentication":"MANDATORY"`)
	if a.status != 201 || a.get(t, "listener.default_tls_container_ref") != good {
		t.Fatalf("%d %s", a.status, a.body)
	}
	id := a.id(t, "listener")
	l.settle(lbID)
	if a := l.do("PUT", lis+"/"+id, `{"listener":{"default_tls_container_ref":"`+mixed+`"}}`); a.status != 400 {
		t.Errorf("%d %s", a.status, a.body)
	}
	// What is named may go; a change of something else does not ask for it.
	l.must(204, "DELETE", pathOf(good), "")
	l.must(200, "PUT", lis+"/"+id, `{"listener":{"name":"x"}}`)
	l.settle(lbID)
	// In a whole load balancer, too.
	if a := l.do("POST", "/v2.0/lbaas/loadbalancers", `{"loadbalancer":{"vip_subnet_id":"`+subnetID+`","listeners":[{"protocol":"TERMINATED_HTTPS","protocol_port":443,"default_tls_container_ref":"`+good+`"}]}}`); a.status != 400 {
		t.Errorf("%d %s", a.status, a.body)
	}
	pools := "/v2.0/lbaas/pools"
	if a := l.do("POST", pools, `{"pool":{"loadbalancer_id":"`+lbID+`","protocol":"HTTP","lb_algorithm":"ROUND_ROBIN","tls_enabled":true,"ca_tls_container_ref":"`+others+`"}}`); a.status != 400 {
		t.Errorf("%d %s", a.status, a.body)
	}
	l.must(201, "POST", pools, `{"pool":{"loadbalancer_id":"`+lbID+`","protocol":"HTTP","lb_algorithm":"ROUND_ROBIN","tls_enabled":true,"ca_tls_container_ref":"`+authority+`","crl_container_ref":"`+list+`","tls_container_ref":"`+l.keep(leaf.PEM())+`"}}`)
}
