package v3_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"colonnade/internal/identity"
	v3 "colonnade/internal/identity/v3"
	"colonnade/internal/store/storetest"
)

const (
	apiToken      = "0123456789abcdef"
	adminPassword = "correct horse battery staple"
	base          = "https://lb.example.com"
)

// alicesHash costs less than those of `colonnade password`.
const alicesHash = "$2a$04$GFkv8qnMhJ293UTOxUcP6.7PV3MP0ntc8a/mdMqez7G6Ad3YuTkT."

// lab is the API over a real database, with a clock that the test moves.
type lab struct {
	t        testing.TB
	dsn      string
	now      time.Time
	accounts *identity.Embedded
	handler  http.Handler
}

func newLab(t testing.TB, dsn string, change ...func(*identity.Options, *identity.User)) *lab {
	t.Helper()
	l := &lab{t: t, dsn: dsn, now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	alice := identity.User{
		Name: "alice", PasswordHash: alicesHash, Roles: map[string][]string{"shop": {"member", "load-balancer_quota_admin"}, "zoo": {"reader"}},
	}
	token, err := identity.NewToken(apiToken)
	if err != nil {
		t.Fatal(err)
	}
	o := identity.Options{Storage: storetest.Open(t, dsn), APIToken: token, Validity: time.Hour, Now: func() time.Time { return l.now }}
	for _, c := range change {
		c(&o, &alice)
	}
	directory, err := identity.NewDirectory([]identity.Project{{Name: "shop"}, {Name: "zoo", ID: "0123zoo"}, {Name: "empty"}}, []identity.User{alice})
	if err != nil {
		t.Fatal(err)
	}
	if o.Directory, err = directory.WithAdmin(adminPassword); err != nil {
		t.Fatal(err)
	}
	if l.accounts, err = identity.NewEmbedded(o); err != nil {
		t.Fatal(err)
	}
	l.handler = v3.Routes(v3.Options{
		Accounts: l.accounts, Region: "R", Services: []v3.Service{{Type: "load-balancer", Name: "octavia", Path: "/load-balancer"}},
		Base: func(context.Context) string { return base }, Client: func(context.Context) string { return "198.18.0.9" }, Log: slog.New(slog.DiscardHandler),
	})
	return l
}

type answer struct {
	status int
	header http.Header
	body   string
	json   map[string]any
}

func (l *lab) do(method, path, body string, header ...string) answer {
	r := httptest.NewRequest(method, "/identity"+path, strings.NewReader(body))
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	l.handler.ServeHTTP(w, r)
	b, _ := io.ReadAll(w.Result().Body)
	a := answer{status: w.Code, header: w.Header(), body: string(b)}
	_ = json.Unmarshal(b, &a.json)
	return a
}

// get finds a value by a path of keys and indexes.
func (a answer) get(path string) any {
	var v any = a.json
	for part := range strings.SplitSeq(path, ".") {
		switch at := v.(type) {
		case map[string]any:
			v = at[part]
		case []any:
			var i int
			if _, err := fmt.Sscan(part, &i); err != nil || i >= len(at) {
				return nil
			}
			v = at[i]
		default:
			return nil
		}
	}
	return v
}

// names lists what is called "name" in a list of the answer.
func (a answer) names(path string) (all []string) {
	list, _ := a.get(path).([]any)
	for _, one := range list {
		all = append(all, fmt.Sprint(one.(map[string]any)["name"]))
	}
	return all
}

func password(user, password, scope string) string {
	return fmt.Sprintf(`{"auth":{"identity":{"methods":["password"],"password":{"user":{"name":%q,"domain":{"name":"Default"},"password":%q}}}%s}}`, user, password, scope)
}

func project(name string) string {
	return fmt.Sprintf(`,"scope":{"project":{"name":%q,"domain":{"id":"default"}}}`, name)
}

func (l *lab) login(body string) string {
	l.t.Helper()
	a := l.do("POST", "/v3/auth/tokens", body)
	if a.status != 201 {
		l.t.Fatalf("login: %d %s", a.status, a.body)
	}
	return a.header.Get("X-Subject-Token")
}

// who is what the Load Balancer API makes of a token.
func (l *lab) who(token string) (identity.Principal, error) {
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("X-Auth-Token", token)
	return l.accounts.Authenticate(r)
}

func TestLogin(t *testing.T) {
	l := newLab(t, storetest.File(t))
	user := func(fields string) string {
		return `{"auth":{"identity":{"methods":["password"],"password":{"user":{` + fields + `}}}}}`
	}
	unscoped := l.login(password("alice", "alice's", ""))
	byToken := func(token, scope string) string {
		return fmt.Sprintf(`{"auth":{"identity":{"methods":["token"],"token":{"id":%q}}%s}}`, token, scope)
	}
	for _, c := range []struct {
		name, body string
		status     int
		project    any
		roles      []string
	}{
		{"password, project by name", password("alice", "alice's", project("shop")), 201, "shop", []string{"load-balancer_quota_admin", "member", "reader"}},
		{"project by id", password("alice", "alice's", `,"scope":{"project":{"id":"0123zoo"}}`), 201, "zoo", []string{"reader"}},
		{"unscoped", password("alice", "alice's", ""), 201, nil, nil},
		{"unscoped, said", password("alice", "alice's", `,"scope":"unscoped"`), 201, nil, nil},
		{"unscoped, said otherwise", password("alice", "alice's", `,"scope":{"unscoped":{}}`), 201, nil, nil},
		{"user by id", user(`"id":"` + identity.ID("user", "alice") + `","password":"alice's"`), 201, nil, nil},
		{"administrator", password("admin", adminPassword, project("default")), 201, "default", []string{"admin", "manager", "member", "reader"}},
		{"administrator of the domain", password("admin", adminPassword, `,"scope":{"domain":{"id":"default"}}`), 201, nil, []string{"admin", "manager", "member", "reader"}},
		{"token", byToken(unscoped, project("zoo")), 201, "zoo", []string{"reader"}},
		{"API token", byToken(apiToken, project("zoo")), 201, "zoo", []string{"admin", "manager", "member", "reader"}},

		{"wrong password", password("alice", "bob's", ""), 401, nil, nil},
		{"long password", password("alice", strings.Repeat("x", 100), ""), 401, nil, nil},
		{"no password", user(`"name":"alice","domain":{"id":"default"}`), 401, nil, nil},
		{"unknown user", password("bob", "bob's", ""), 401, nil, nil},
		{"hash for password", password("alice", alicesHash, ""), 401, nil, nil},
		{"administrator's hash for password", password("admin", "{SHA256}", ""), 401, nil, nil},
		{"other domain", user(`"name":"alice","domain":{"name":"x"},"password":"alice's"`), 401, nil, nil},
		{"no role there", password("alice", "alice's", project("empty")), 401, nil, nil},
		{"unknown project", password("alice", "alice's", project("x")), 401, nil, nil},
		{"project of another domain", password("alice", "alice's", `,"scope":{"project":{"name":"shop","domain":{"id":"x"}}}`), 401, nil, nil},
		{"no role in the domain", password("alice", "alice's", `,"scope":{"domain":{"id":"default"}}`), 401, nil, nil},
		{"system", password("admin", adminPassword, `,"scope":{"system":{"all":true}}`), 401, nil, nil},
		{"no such token", byToken("x", ""), 401, nil, nil},
		{"forged token", byToken(unscoped[:len(unscoped)-2]+"AA", ""), 401, nil, nil},
		{"unknown method", `{"auth":{"identity":{"methods":["totp"]}}}`, 401, nil, nil},

		{"two scopes", password("alice", "alice's", `,"scope":{"project":{"id":"x"},"domain":{"id":"default"}}`), 400, nil, nil},
		{"nameless project", password("alice", "alice's", `,"scope":{"project":{}}`), 400, nil, nil},
		{"no methods", `{"auth":{"identity":{}}}`, 400, nil, nil},
		{"two methods", `{"auth":{"identity":{"methods":["password","token"]}}}`, 400, nil, nil},
		{"method without its object", `{"auth":{"identity":{"methods":["password"]}}}`, 400, nil, nil},
		{"nobody", user(`"password":"x"`), 400, nil, nil},
		{"empty", ``, 400, nil, nil},
		{"null", `null`, 400, nil, nil},
		{"wrong type", `{"auth":{"identity":{"methods":"password"}}}`, 400, nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := l.do("POST", "/v3/auth/tokens", c.body)
			if a.status != c.status || a.get("token.project.name") != c.project {
				t.Fatalf("%d %s", a.status, a.body)
			}
			token := a.header.Get("X-Subject-Token")
			if c.status != 201 {
				if a.get("error.code") != float64(c.status) || token != "" || c.status == 401 && a.header.Get("WWW-Authenticate") != `Keystone uri="`+base+`/identity"` {
					t.Errorf("%v %s", a.header, a.body)
				}
				if strings.Contains(a.body, "bob") || strings.Contains(a.body, "alice") {
					t.Errorf("tells: %s", a.body)
				}
				return
			}
			if diff := cmp.Diff(c.roles, a.names("token.roles")); diff != "" {
				t.Error(diff)
			}
			if p, err := l.who(token); err != nil || !slices.Equal(p.Roles, c.roles) || (p.ProjectID == "") != (c.project == nil) {
				t.Errorf("%+v, %v", p, err)
			}
			if catalog := a.get("token.catalog.1.endpoints.0.url"); c.roles != nil && catalog != base+"/load-balancer" || c.roles == nil && catalog != nil {
				t.Errorf("catalog: %v", catalog)
			}
			again := l.do("GET", "/v3/auth/tokens", "", "X-Auth-Token", token, "X-Subject-Token", token)
			if diff := cmp.Diff(a.json, again.json); diff != "" || again.status != 200 || again.header.Get("X-Subject-Token") != token {
				t.Error(again.status, diff)
			}
		})
	}
}

func TestTokenOnTheWire(t *testing.T) {
	l := newLab(t, storetest.File(t))
	a := l.do("POST", "/v3/auth/tokens", password("alice", "alice's", project("zoo")))
	delete(a.json["token"].(map[string]any), "audit_ids")
	domain := map[string]any{"id": "default", "name": "Default"}
	endpoint := func(service, face, path string) any {
		return map[string]any{
			"id": identity.ID("endpoint", service+" "+face), "interface": face, "region": "R", "region_id": "R", "url": base + path,
		}
	}
	service := func(kind, name, path string) any {
		return map[string]any{
			"id": identity.ID("service", kind), "type": kind, "name": name,
			"endpoints": []any{endpoint(kind, "public", path), endpoint(kind, "internal", path), endpoint(kind, "admin", path)},
		}
	}
	want := map[string]any{"token": map[string]any{
		"methods":   []any{"password"},
		"user":      map[string]any{"id": identity.ID("user", "alice"), "name": "alice", "domain": domain, "password_expires_at": nil},
		"issued_at": "2026-01-01T00:00:00.000000Z", "expires_at": "2026-01-01T01:00:00.000000Z",
		"project": map[string]any{"id": "0123zoo", "name": "zoo", "domain": domain}, "is_domain": false,
		"roles":   []any{map[string]any{"id": identity.RoleID("reader"), "name": "reader"}},
		"catalog": []any{service("identity", "keystone", "/identity"), service("load-balancer", "octavia", "/load-balancer")},
	}}
	if diff := cmp.Diff(want, a.json); diff != "" {
		t.Error(diff)
	}
	if a := l.do("POST", "/v3/auth/tokens?nocatalog", password("alice", "alice's", project("zoo"))); a.get("token.catalog") != nil {
		t.Error("a catalog that was not wanted")
	}
	versions := l.do("GET", "", "")
	if versions.status != 300 || versions.get("versions.values.0.links.0.href") != base+"/identity/v3/" {
		t.Errorf("%d %s", versions.status, versions.body)
	}
	if version := l.do("GET", "/v3", ""); version.status != 200 || version.get("version.id") != "v3.14" {
		t.Errorf("%d %s", version.status, version.body)
	}
}

// A token is worth what the configuration says at the time, ends by itself, can be ended, and is every api role's.
func TestTokensEnd(t *testing.T) {
	for _, d := range storetest.Databases {
		t.Run(d.Name, func(t *testing.T) {
			dsn := d.New(t)
			l := newLab(t, dsn)
			token := l.login(password("alice", "alice's", project("shop")))
			other := newLab(t, dsn) // another api role, or this one after a restart
			valid := func(l *lab, token string, want bool) {
				t.Helper()
				if p, err := l.who(token); (err == nil) != want {
					t.Errorf("%+v, %v, want valid %t", p, err, want)
				}
			}
			valid(other, token, true)
			child := other.login(fmt.Sprintf(`{"auth":{"identity":{"methods":["token"],"token":{"id":%q}}%s}}`, token, project("zoo")))
			valid(l, child, true)
			if a := l.do("DELETE", "/v3/auth/tokens", "", "X-Auth-Token", token, "X-Subject-Token", token); a.status != 204 || a.body != "" {
				t.Errorf("%d %s", a.status, a.body)
			}
			valid(l, token, false)
			valid(l, child, false) // it was got by the other
			other.now = other.now.Add(time.Second)
			valid(other, token, false)

			token = l.login(password("alice", "alice's", project("shop")))
			valid(newLab(t, dsn, func(_ *identity.Options, u *identity.User) { delete(u.Roles, "shop") }), token, false)
			valid(newLab(t, dsn, func(_ *identity.Options, u *identity.User) { u.PasswordHash = identity.Locked }), token, false)
			valid(newLab(t, dsn, func(_ *identity.Options, u *identity.User) { u.Name = "carol" }), token, false)
			l.now = l.now.Add(59 * time.Minute)
			valid(l, token, true)
			// What is got by a token ends with it.
			late := l.do("POST", "/v3/auth/tokens", fmt.Sprintf(`{"auth":{"identity":{"methods":["token"],"token":{"id":%q}}}}`, token))
			if late.get("token.expires_at") != "2026-01-01T01:00:00.000000Z" {
				t.Errorf("%s", late.body)
			}
			l.now = l.now.Add(time.Minute)
			valid(l, token, false)

			l.now = l.now.Add(31 * 24 * time.Hour) // a key's life
			valid(l, l.login(password("alice", "alice's", "")), true)
			if keys, err := l.accounts.Storage.SigningKeys(t.Context()); err != nil || len(keys) != 1 {
				t.Errorf("%d keys, %v", len(keys), err)
			}
		})
	}
}

func TestWhoMaySeeTokens(t *testing.T) {
	l := newLab(t, storetest.File(t), func(_ *identity.Options, u *identity.User) { u.Roles["empty"] = []string{"service"} })
	alice, admin := l.login(password("alice", "alice's", project("shop"))), l.login(password("admin", adminPassword, project("default")))
	service := l.login(password("alice", "alice's", project("empty")))
	for _, c := range []struct {
		name, method, who, about string
		status                   int
	}{
		{"own", "GET", alice, alice, 200},
		{"own, head", "HEAD", alice, alice, 200},
		{"another's", "GET", alice, admin, 403},
		{"administrator", "GET", admin, alice, 200},
		{"service", "GET", service, admin, 200},
		{"by the API token", "GET", apiToken, alice, 200},
		{"none", "GET", alice, "", 400},
		{"invalid", "GET", admin, "x", 404},
		{"invalid, for nobody to know", "GET", alice, "x", 403},
		{"by nobody", "GET", "", alice, 401},
		{"revoke another's", "DELETE", service, admin, 403},
		{"revoke the API token", "DELETE", admin, apiToken, 403},
		{"revoke", "DELETE", admin, alice, 204},
		{"revoked", "GET", alice, alice, 401},
	} {
		t.Run(c.name, func(t *testing.T) {
			if a := l.do(c.method, "/v3/auth/tokens", "", "X-Auth-Token", c.who, "X-Subject-Token", c.about); a.status != c.status {
				t.Errorf("%d %s, want %d", a.status, a.body, c.status)
			}
		})
	}
}

func TestLookUps(t *testing.T) {
	l := newLab(t, storetest.File(t))
	alice, admin := l.login(password("alice", "alice's", project("shop"))), l.login(password("admin", adminPassword, project("default")))
	unscoped := l.login(password("alice", "alice's", ""))
	me := identity.ID("user", "alice")
	for _, c := range []struct {
		who, path string
		status    int
		root      string
		want      []string
	}{
		{alice, "/auth/projects", 200, "projects", []string{"shop", "zoo"}},
		{unscoped, "/auth/projects", 200, "projects", []string{"shop", "zoo"}},
		{alice, "/projects", 200, "projects", []string{"shop", "zoo"}},
		{alice, "/projects?name=zoo&domain_id=default&enabled=True", 200, "projects", []string{"zoo"}},
		{alice, "/projects?name=empty", 200, "projects", nil},
		{alice, "/projects?enabled=False", 200, "projects", nil},
		{admin, "/projects", 200, "projects", []string{"default", "empty", "shop", "zoo"}},
		{admin, "/projects?is_domain=true", 200, "projects", nil},
		{alice, "/projects/0123zoo", 200, "", nil},
		{alice, "/projects/default", 403, "", nil},
		{alice, "/projects/x", 403, "", nil},
		{admin, "/projects/x", 404, "", nil},
		{alice, "/users", 200, "users", []string{"alice"}},
		{alice, "/users?name=admin", 200, "users", nil},
		{admin, "/users", 200, "users", []string{"admin", "alice"}},
		{alice, "/users/" + me, 200, "", nil},
		{alice, "/users/" + me + "/projects", 200, "projects", []string{"shop", "zoo"}},
		{alice, "/users/" + identity.ID("user", "admin"), 403, "", nil},
		{admin, "/users/x", 404, "", nil},
		{alice, "/roles", 200, "roles", []string{"load-balancer_quota_admin", "member", "reader"}},
		{admin, "/roles?name=reader", 200, "roles", []string{"reader"}},
		{alice, "/roles/" + identity.RoleID("member"), 200, "", nil},
		{alice, "/roles/" + identity.RoleID("admin"), 403, "", nil},
		{admin, "/roles/x", 404, "", nil},
		{alice, "/domains?name=Default", 200, "domains", []string{"Default"}},
		{alice, "/domains/default", 200, "", nil},
		{alice, "/domains/x", 404, "", nil},
		{alice, "/auth/domains", 200, "domains", nil},
		{admin, "/auth/domains", 200, "domains", []string{"Default"}},
		{alice, "/auth/catalog", 200, "catalog", []string{"keystone", "octavia"}},
		{unscoped, "/auth/catalog", 403, "", nil},
		{"", "/projects", 401, "", nil},
	} {
		t.Run(c.path, func(t *testing.T) {
			a := l.do("GET", "/v3"+c.path, "", "X-Auth-Token", c.who)
			if a.status != c.status {
				t.Fatalf("%d %s, want %d", a.status, a.body, c.status)
			}
			if diff := cmp.Diff(c.want, a.names(c.root)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestApplicationCredentials(t *testing.T) {
	l := newLab(t, storetest.File(t))
	alice, admin := l.login(password("alice", "alice's", project("shop"))), l.login(password("admin", adminPassword, project("default")))
	path := "/v3/users/" + identity.ID("user", "alice") + "/application_credentials"
	create := func(who, fields string) answer {
		return l.do("POST", path, `{"application_credential":{`+fields+`}}`, "X-Auth-Token", who)
	}
	by := func(id, secret, more string) string {
		return fmt.Sprintf(`{"auth":{"identity":{"methods":["application_credential"],"application_credential":{"id":%q,"secret":%q}}%s}}`, id, secret, more)
	}
	made := create(alice, `"name":"robot","roles":[{"name":"reader"}],"expires_at":"2026-01-01T00:30:00"`)
	if made.status != 201 {
		t.Fatal(made.body)
	}
	id, secret := made.get("application_credential.id").(string), made.get("application_credential.secret").(string)
	a := l.do("POST", "/v3/auth/tokens", by(id, secret, ""))
	if a.status != 201 || a.get("token.expires_at") != "2026-01-01T00:30:00.000000Z" || a.get("token.application_credential.restricted") != true || a.get("token.project.name") != "shop" {
		t.Errorf("%d %s", a.status, a.body)
	}
	if diff := cmp.Diff([]string{"reader"}, a.names("token.roles")); diff != "" {
		t.Error(diff)
	}
	token := a.header.Get("X-Subject-Token")
	byName := fmt.Sprintf(`{"auth":{"identity":{"methods":["application_credential"],"application_credential":{"name":"robot","user":{"name":"alice","domain":{"id":"default"}},"secret":%q}}}}`, secret)
	chosen := create(alice, `"name":"chosen","secret":"my own","unrestricted":true`)
	free := l.login(by(fmt.Sprint(chosen.get("application_credential.id")), "my own", ""))
	for _, c := range []struct {
		name   string
		a      answer
		status int
	}{
		{"by name", l.do("POST", "/v3/auth/tokens", byName), 201},
		{"wrong secret", l.do("POST", "/v3/auth/tokens", by(id, secret+"x", "")), 401},
		{"unknown", l.do("POST", "/v3/auth/tokens", by("x", secret, "")), 401},
		{"another scope", l.do("POST", "/v3/auth/tokens", by(id, secret, project("zoo"))), 401},
		{"another scope later", l.do("POST", "/v3/auth/tokens", fmt.Sprintf(`{"auth":{"identity":{"methods":["token"],"token":{"id":%q}}}}`, token)), 403},
		{"same name", create(alice, `"name":"robot"`), 409},
		{"no name", create(alice, `"description":"x"`), 400},
		{"past", create(alice, `"name":"x","expires_at":"2025-12-31T00:00:00.000000"`), 400},
		{"no time", create(alice, `"name":"x","expires_at":"soon"`), 400},
		{"more rights", create(alice, `"name":"x","roles":[{"name":"admin"}]`), 400},
		{"unknown role", create(alice, `"name":"x","roles":[{"id":"x"}]`), 404},
		{"access rules", create(alice, `"name":"x","access_rules":[{"path":"/"}]`), 400},
		{"long secret", create(alice, `"name":"x","secret":"`+strings.Repeat("x", 73)+`"`), 400},
		{"no body", l.do("POST", path, ``, "X-Auth-Token", alice), 400},
		{"by itself", create(token, `"name":"x"`), 403},
		{"by a free one", create(free, `"name":"x"`), 201},
		{"for another", create(admin, `"name":"x"`), 403},
		{"list", l.do("GET", path+"?name=robot", "", "X-Auth-Token", alice), 200},
		{"show", l.do("GET", path+"/"+id, "", "X-Auth-Token", alice), 200},
		{"show, by an administrator", l.do("GET", path+"/"+id, "", "X-Auth-Token", admin), 200},
		{"show nothing", l.do("GET", path+"/x", "", "X-Auth-Token", alice), 404},
		{"show another's", l.do("GET", "/v3/users/"+identity.ID("user", "admin")+"/application_credentials", "", "X-Auth-Token", alice), 403},
		{"delete by itself", l.do("DELETE", path+"/"+id, "", "X-Auth-Token", token), 403},
	} {
		if c.a.status != c.status {
			t.Errorf("%s: %d %s, want %d", c.name, c.a.status, c.a.body, c.status)
		}
		if (c.name == "list" || c.name == "show") && strings.Contains(c.a.body, "secret") {
			t.Errorf("%s tells a secret: %s", c.name, c.a.body)
		}
	}
	if _, err := l.who(token); err != nil {
		t.Error(err)
	}
	if a := l.do("DELETE", path+"/"+id, "", "X-Auth-Token", alice); a.status != 204 {
		t.Errorf("%d %s", a.status, a.body)
	}
	if _, err := l.who(token); err == nil {
		t.Error("a token outlives its application credential")
	}
}

func TestGuessingIsSlow(t *testing.T) {
	l := newLab(t, storetest.File(t))
	wrong, right := password("admin", "guess", ""), password("admin", adminPassword, "")
	for range 10 {
		if a := l.do("POST", "/v3/auth/tokens", wrong); a.status != 401 {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	for _, body := range []string{wrong, right} {
		if a := l.do("POST", "/v3/auth/tokens", body); a.status != 429 || a.header.Get("Retry-After") == "" {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
	if a := l.do("POST", "/v3/auth/tokens", password("alice", "alice's", "")); a.status != 201 {
		t.Errorf("others suffer: %d", a.status)
	}
	l.now = l.now.Add(5 * time.Second)
	if a := l.do("POST", "/v3/auth/tokens", right); a.status != 201 {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// With noauth everybody is the administrator of whichever project they name.
func TestOpen(t *testing.T) {
	l := newLab(t, storetest.File(t), func(o *identity.Options, _ *identity.User) { o.Open = true })
	token := l.login(password("anybody", "anything", project("made-up")))
	for _, c := range []struct{ token, header, want string }{{token, "", "made-up"}, {token, "other", "other"}, {"", "", ""}, {"x", "p", "p"}} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("X-Auth-Token", c.token)
		r.Header.Set("X-Project-Id", c.header)
		p, err := l.accounts.Authenticate(r)
		if err != nil || !p.Admin() || !p.NoQuota || p.ProjectID != c.want {
			t.Errorf("%q %q: %+v, %v", c.token, c.header, p, err)
		}
	}
	if a := l.do("GET", "/v3/projects?name=shop", ""); !slices.Equal(a.names("projects"), []string{"shop"}) {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// Nothing that is no token passes for one, and no request makes the API fail.
func FuzzLogin(f *testing.F) {
	l := newLab(f, storetest.File(f), func(_ *identity.Options, u *identity.User) { u.PasswordHash = identity.Locked })
	for _, s := range []string{
		password("alice", "x", project("shop")), password("admin", "x", `,"scope":"unscoped"`), `{"auth":{"identity":{"methods":["token"],"token":{"id":"cnt.a.b.c"}}}}`,
		`{"auth":{"identity":{"methods":["application_credential"],"application_credential":{"id":"x","secret":"y"}},"scope":{"system":{}}}}`, `{"auth":null}`, `[]`, `{"auth":{"identity":{"methods":[]},"scope":1}}`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		l.now = l.now.Add(time.Minute)
		a := l.do("POST", "/v3/auth/tokens", body)
		if a.status != 400 && a.status != 401 && a.status != 429 || a.header.Get("X-Subject-Token") != "" {
			t.Errorf("%d %s", a.status, a.body)
		}
	})
}

func FuzzToken(f *testing.F) {
	l := newLab(f, storetest.File(f))
	token := l.login(password("admin", adminPassword, project("default")))
	for _, s := range []string{token, token + "A", "cnt...", "cnt.a", strings.ToUpper(token), token[:len(token)-1], "cnt." + token, ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, given string) {
		p, err := l.who(given)
		if (err == nil) != (given == token || given == apiToken) {
			t.Errorf("%q: %+v, %v", given, p, err)
		}
	})
}

func FuzzApplicationCredential(f *testing.F) {
	l := newLab(f, storetest.File(f))
	token := l.login(password("admin", adminPassword, project("default")))
	path := "/v3/users/" + identity.ID("user", "admin") + "/application_credentials"
	for _, s := range []string{`{"application_credential":{"name":"a","roles":[{"id":"x"}],"expires_at":"2026-02-01T00:00:00"}}`, `{"application_credential":{"name":"\u0000"}}`, `{}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		a := l.do("POST", path, body, "X-Auth-Token", token)
		if a.status >= 500 {
			t.Errorf("%d %s", a.status, a.body)
		}
		if a.status == 201 {
			if d := l.do("DELETE", path+"/"+fmt.Sprint(a.get("application_credential.id")), "", "X-Auth-Token", token); d.status != 204 {
				t.Errorf("%d %s", d.status, d.body)
			}
		}
	})
}
