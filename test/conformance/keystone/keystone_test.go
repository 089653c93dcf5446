package keystone_test

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"colonnade/internal/amphora"
	"colonnade/internal/api"
	"colonnade/internal/identity"
	networknoop "colonnade/internal/network/noop"
	"colonnade/internal/store/storetest"
)

// cacheTime is how long a revoked token goes on.
const cacheTime = time.Second

// serve runs the API with Keystone behind it.
func serve(t *testing.T, k *keystone) *httptest.Server {
	t.Helper()
	who, err := identity.NewKeystone(identity.KeystoneOptions{
		URL: k.url, Username: "octavia", Password: "octavia", UserDomain: "Default", Project: "service", ProjectDomain: "Default",
		HTTP: &http.Client{}, Timeout: 10 * time.Second, CacheTime: cacheTime, Now: time.Now,
	})
	must(t, err)
	h, err := api.New(api.Deps{
		Store: storetest.Open(t, storetest.File(t)), Networks: networknoop.New(), Provider: amphora.HAProxy{}, Identity: who, AuthURL: k.url,
		Settings: api.DefaultSettings(), Log: slog.New(slog.DiscardHandler),
	})
	must(t, err)
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

func do(t *testing.T, method, url, token, body string) (status int, text string, header http.Header) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	must(t, err)
	r.Header.Set("X-Auth-Token", token)
	r.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(r)
	must(t, err)
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	must(t, err)
	return resp.StatusCode, string(b), resp.Header
}

func TestKeystone(t *testing.T) {
	k := startKeystone(t)
	services, shop, zoo := k.project("service"), k.project("shop"), k.project("zoo")
	k.grant("octavia", services, "service")
	k.grant("octavia", services, "admin")
	k.grant("alice", shop, "member")
	k.grant("alice", zoo, "load-balancer_observer")
	k.grant("bob", zoo, "load-balancer_quota_admin")
	k.grant("carol", zoo, "load-balancer_global_observer")
	k.grant("dan", zoo, "reader")
	s := serve(t, k)
	lbs := s.URL + "/load-balancer/v2.0/lbaas/loadbalancers"
	create := `{"loadbalancer":{"name":"shop's","vip_network_id":"11111111-1111-4111-8111-111111111111"}}`

	alice := k.login("alice", "alice", "shop")
	status, body, _ := do(t, "POST", lbs, alice, create)
	if status != 201 || !strings.Contains(body, `"project_id":"`+shop+`"`) {
		t.Fatalf("%d %s", status, body)
	}
	for _, c := range []struct {
		name, user, project   string
		list, rows, post, get int // status, load balancers seen, status, status of quotas
	}{
		{"administrator", "admin", "admin", 200, 1, 201, 200},
		{"member", "alice", "shop", 200, 1, 201, 200},
		{"observer of another project", "alice", "zoo", 200, 0, 403, 403},
		{"quota administrator", "bob", "zoo", 403, 0, 403, 200},
		{"global observer", "carol", "zoo", 200, 3, 403, 200},
		{"reader", "dan", "zoo", 200, 0, 403, 403},
		{"without a scope", "dan", "", 403, 0, 400, 403},
		{"service user", "octavia", "service", 200, 3, 201, 200}, // it is an administrator
	} {
		t.Run(c.name, func(t *testing.T) {
			password := c.user
			if c.user == "admin" {
				password = adminPassword
			}
			token := k.login(c.user, password, c.project)
			status, body, _ := do(t, "GET", lbs, token, "")
			if rows := strings.Count(body, `"vip_port_id"`); status != c.list || rows != c.rows {
				t.Errorf("list: %d, %d rows; want %d, %d", status, rows, c.list, c.rows)
			}
			if status, body, _ = do(t, "POST", lbs, token, create); status != c.post {
				t.Errorf("post: %d %s, want %d", status, body, c.post)
			}
			if status, body, _ = do(t, "GET", s.URL+"/v2/lbaas/quotas/"+shop, token, ""); status != c.get {
				t.Errorf("quota: %d %s, want %d", status, body, c.get)
			}
		})
	}
	for _, token := range []string{"", "nonsense", "gAAAAABnothing", alice[:len(alice)-3]} {
		status, body, header := do(t, "GET", lbs, token, "")
		if status != 401 || !strings.Contains(body, `"code":401`) || header.Get("WWW-Authenticate") != `Keystone uri="`+k.url+`"` {
			t.Errorf("%q: %d %v %s", token, status, header, body)
		}
	}

	t.Run("openstack", func(t *testing.T) { commandLine(t, k, s.URL) })

	t.Run("revoked", func(t *testing.T) {
		token := k.login("alice", "alice", "shop")
		wait(t, lbs, token, 200)
		r, err := http.NewRequestWithContext(t.Context(), "DELETE", k.url+"/auth/tokens", nil)
		must(t, err)
		r.Header.Set("X-Auth-Token", token)
		r.Header.Set("X-Subject-Token", token)
		resp, err := http.DefaultClient.Do(r)
		must(t, err)
		_ = resp.Body.Close()
		wait(t, lbs, token, 401)
	})
	t.Run("expired", func(t *testing.T) {
		token := k.login("dan", "dan", "zoo")
		wait(t, lbs, token, 200)
		wait(t, lbs, token, 401)
		wait(t, lbs, k.login("dan", "dan", "zoo"), 200) // our own token has expired too by now
	})
	t.Run("away", func(t *testing.T) {
		token := k.login("alice", "alice", "shop")
		k.stop()
		wait(t, lbs, token, 503)
		k.run()
		wait(t, lbs, token, 200)
	})
}

// wait asks until the answer has this status: what is cached and what expires takes its time.
func wait(t *testing.T, url, token string, want int) {
	t.Helper()
	for deadline := time.Now().Add(2 * tokenLife); ; time.Sleep(200 * time.Millisecond) {
		status, body, _ := do(t, "GET", url, token, "")
		if status == want {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d %s, want %d", status, body, want)
		}
	}
}

// commandLine finds the API in Keystone's catalog, by Debian's openstack command.
func commandLine(t *testing.T, k *keystone, url string) {
	service := k.call("POST", "/services", object{"service": object{"type": "load-balancer", "name": "octavia"}}, "service", "id")
	k.call("POST", "/endpoints", object{"endpoint": object{"service_id": service, "interface": "public", "region_id": "RegionOne", "url": url + "/load-balancer"}})
	cmd := exec.CommandContext(t.Context(), "openstack", "loadbalancer", "list", "-f", "value", "-c", "name")
	cmd.Env = append(os.Environ(), "OS_AUTH_URL="+k.url, "OS_USERNAME=alice", "OS_PASSWORD=alice", "OS_PROJECT_NAME=shop",
		"OS_USER_DOMAIN_ID=default", "OS_PROJECT_DOMAIN_ID=default", "OS_IDENTITY_API_VERSION=3")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "shop's") {
		t.Error(fmt.Sprint(err), string(out))
	}
}
