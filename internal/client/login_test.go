package client_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"colonnade/internal/client"
)

const cloudsText = `
clouds:
  one:
    auth: {auth_url: "http://a/v3", username: u, password: p, domain_name: D, project_name: x, project_domain_id: d}
    region_name: R
    interface: internal
  robot:
    auth_type: v3applicationcredential
    auth: {auth_url: http://a, application_credential_id: i, application_credential_secret: s}
  saml: {auth_type: v3oidcpassword, auth: {auth_url: http://a}}
  nowhere: {}
  unknown: {auth: {auth_url: http://a, later: [1]}, later: {}}
`

func TestClouds(t *testing.T) {
	file := filepath.Join(t.TempDir(), "clouds.yaml")
	if err := os.WriteFile(file, []byte(cloudsText), 0o600); err != nil {
		t.Fatal(err)
	}
	getenv := func(name string) string { return map[string]string{"OS_CLIENT_CONFIG_FILE": file}[name] }
	for _, c := range []struct {
		name, fails string
		want        client.Credentials
	}{
		{"one", "", client.Credentials{
			AuthURL: "http://a/v3", Username: "u", Password: "p", UserDomain: client.Domain{Name: "D"}, ProjectName: "x",
			ProjectDomain: client.Domain{ID: "d", Name: "D"}, Region: "R", Interface: "internal",
		}},
		{"robot", "", client.Credentials{AuthURL: "http://a", CredentialID: "i", CredentialSecret: "s"}},
		{"unknown", "", client.Credentials{AuthURL: "http://a"}},
		{"saml", "auth_type", client.Credentials{}},
		{"nowhere", "auth_url", client.Credentials{}},
		{"none", "there is no cloud", client.Credentials{}},
	} {
		got, err := client.Cloud(c.name, getenv)
		if (err == nil) != (c.fails == "") || err != nil && !strings.Contains(err.Error(), c.fails) {
			t.Errorf("%s: %v", c.name, err)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
}

func TestEnvironment(t *testing.T) {
	env := map[string]string{
		"OS_AUTH_URL": "http://a", "OS_USER_ID": "u", "OS_PASSWORD": "p", "OS_TENANT_NAME": "x", "OS_PROJECT_DOMAIN_NAME": "D", "OS_ENDPOINT_TYPE": "publicURL",
	}
	got, ok := client.Environment(func(name string) string { return env[name] })
	want := client.Credentials{AuthURL: "http://a", UserID: "u", Password: "p", ProjectName: "x", ProjectDomain: client.Domain{Name: "D"}, Interface: "publicURL"}
	if diff := cmp.Diff(want, got); diff != "" || !ok {
		t.Error(diff, ok)
	}
	if _, ok := client.Environment(func(string) string { return "" }); ok {
		t.Error("credentials out of nothing")
	}
}

// What a login sends, and what it makes of the answer.
func TestLogin(t *testing.T) {
	catalog := `{"token":{"catalog":[{"type":"load-balancer","endpoints":[{"interface":"admin","region":"R","url":"URL/admin"},{"interface":"public","region":"R","url":"URL/lb"},{"interface":"public","region":"S","url":"URL"}]}]}}`
	for _, c := range []struct {
		name         string
		cred         client.Credentials
		status       int
		answer, sent string
		at, fails    string // where the API is found
	}{
		{
			"password",
			client.Credentials{Username: "u", Password: "p", ProjectName: "x", Interface: "publicURL"},
			201, catalog,
			`{"auth":{"identity":{"methods":["password"],"password":{"user":{"domain":{"id":"default"},"name":"u","password":"p"}}},"scope":{"project":{"domain":{"id":"default"},"name":"x"}}}}`,
			"/lb/v2.0", "",
		},
		{
			"ids and a region",
			client.Credentials{UserID: "u", Password: "p", ProjectID: "x", Region: "S"},
			201, catalog,
			`{"auth":{"identity":{"methods":["password"],"password":{"user":{"id":"u","password":"p"}}},"scope":{"project":{"id":"x"}}}}`, "/v2.0", "",
		},
		{
			"application credential",
			client.Credentials{CredentialName: "c", CredentialSecret: "s", Username: "u", UserDomain: client.Domain{Name: "D"}, Interface: "admin"},
			201, catalog,
			`{"auth":{"identity":{"application_credential":{"name":"c","secret":"s","user":{"domain":{"name":"D"},"name":"u"}},"methods":["application_credential"]}}}`, "/admin/v2.0", "",
		},
		{"refused", client.Credentials{Username: "u"}, 401, `{"error":{"message":"no"}}`, "", "", "no"},
		{"no catalog", client.Credentials{Username: "u"}, 201, `{}`, "", "", "names no project"},
		{"other region", client.Credentials{Username: "u", Region: "T"}, 201, catalog, "", "", `no public load-balancer endpoint in region "T"`},
		{"no JSON", client.Credentials{Username: "u"}, 201, `x`, "", "", "read the answer"},
		{"redirected to nowhere", client.Credentials{Username: "u"}, 300, `{}`, "", "", "300"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var sent, asked string
			var s *httptest.Server
			s = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodGet {
					asked = r.URL.Path + " by " + r.Header.Get("X-Auth-Token")
					_, _ = io.WriteString(w, `{"loadbalancers":[]}`)
					return
				}
				b, _ := io.ReadAll(r.Body)
				sent = r.URL.Path + " " + string(b)
				w.Header().Set("X-Subject-Token", "t")
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, strings.ReplaceAll(c.answer, "URL", s.URL))
			}))
			defer s.Close()
			c.cred.AuthURL = s.URL + "/identity"
			got, err := client.Login(t.Context(), c.cred)
			if c.fails != "" {
				if err == nil || !strings.Contains(err.Error(), c.fails) {
					t.Errorf("%v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff("/identity/v3/auth/tokens "+c.sent, sent); diff != "" {
				t.Error(diff)
			}
			_, err = got.LoadBalancers().List(t.Context(), nil)
			if want := c.at + "/lbaas/loadbalancers by t"; err != nil || asked != want {
				t.Errorf("asked %s, want %s; %v", asked, want, err)
			}
		})
	}
}

// No file makes it fail in another way than by an error, and none is quoted.
func FuzzClouds(f *testing.F) {
	f.Add(cloudsText, "one")
	f.Add("clouds: [1]", "one")
	f.Add("a: &a [*a]", "")
	file := filepath.Join(f.TempDir(), "clouds.yaml")
	getenv := func(name string) string { return map[string]string{"OS_CLIENT_CONFIG_FILE": file}[name] }
	f.Fuzz(func(t *testing.T, text, name string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := client.Cloud(name, getenv)
		if err == nil && c.AuthURL == "" {
			t.Errorf("%+v", c)
		}
	})
}

func FuzzCatalog(f *testing.F) {
	var answer []byte
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Subject-Token", "t")
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write(answer)
	}))
	f.Cleanup(s.Close)
	f.Add([]byte(`{"token":{"catalog":[{"type":"load-balancer","endpoints":[{"interface":"public","url":"http://x"}]}]}}`), "")
	f.Fuzz(func(t *testing.T, body []byte, region string) {
		answer = body
		if c, err := client.Login(t.Context(), client.Credentials{AuthURL: s.URL, Region: region}); (c == nil) != (err != nil) {
			t.Errorf("%v, %v", c, err)
		}
	})
}
