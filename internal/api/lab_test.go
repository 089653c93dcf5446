package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"colonnade/internal/amphora"
	"colonnade/internal/api"
	"colonnade/internal/identity"
	"colonnade/internal/lb"
	"colonnade/internal/network"
	"colonnade/internal/network/bridge"
	"colonnade/internal/secret"
	"colonnade/internal/store"
)

const (
	netID      = "11111111-1111-4111-8111-111111111111"
	subnetID   = "22222222-2222-4222-8222-222222222222"
	strangerID = "99999999-9999-4999-8999-999999999999"
	token      = "0123456789abcdef"
)

// lab is the API over a real database and the bridge driver's address management; no device is made.
type lab struct {
	t       testing.TB
	file    string // of the database
	store   *store.Store
	handler http.Handler
	deps    api.Deps
	header  []string // of every request
}

// rows makes and removes networks in the database alone, where the bridge driver would make devices too.
type rows struct{ *store.Store }

func (r rows) CreateNetwork(ctx context.Context, n network.Network) (network.Network, error) {
	return n, r.Store.CreateNetwork(ctx, n, func([]network.Subnet) error { return nil })
}

func newLab(t testing.TB, who identity.Authenticator, settings ...api.Settings) *lab {
	t.Helper()
	return newLabOn(t, filepath.Join(t.TempDir(), "colonnade.db"), who, settings...)
}

// newLabOn makes a lab over a database that another may have been made over before.
func newLabOn(t testing.TB, file string, who identity.Authenticator, settings ...api.Settings) *lab {
	t.Helper()
	s, err := store.Open(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	driver, err := bridge.New(bridge.Config{Prefix: "cnt-api", StateDir: t.TempDir(), RunDir: t.TempDir(), Store: s})
	if err != nil {
		t.Fatal(err)
	}
	subnet := network.Subnet{
		ID: subnetID, NetworkID: netID, Name: "web", CIDR: "198.18.10.0/24", GatewayIP: "198.18.10.1",
		AllocationStart: "198.18.10.2", AllocationEnd: "198.18.10.254",
	}
	n := network.Network{ID: netID, Name: "web", ProjectID: "default", Shared: true, MTU: 1500, Subnets: []network.Subnet{subnet}}
	if _, err := (rows{s}).CreateNetwork(t.Context(), n); err != nil && lb.KindOf(err) != lb.KindConflict {
		t.Fatal(err)
	}
	if who == nil {
		if who, err = identity.NewToken(token); err != nil {
			t.Fatal(err)
		}
	}
	vault := &secret.Vault{Store: s, Key: secret.NewKey([32]byte{1}), Now: time.Now}
	l := &lab{t: t, file: file, store: s, deps: api.Deps{
		Store: s, Networks: driver, Operator: rows{s}, Ports: driver, Provider: amphora.HAProxy{}, Certificates: vault, Vault: vault, Identity: who,
		Settings: append(settings, api.DefaultSettings())[0], Log: slog.New(slog.DiscardHandler),
	}}
	l.with(func(*api.Deps) {})
	return l
}

// with makes the handler anew with other dependencies.
func (l *lab) with(change func(*api.Deps)) {
	l.t.Helper()
	change(&l.deps)
	h, err := api.New(l.deps)
	if err != nil {
		l.t.Fatal(err)
	}
	l.handler = h
}

// flavor makes a flavor with its profile.
func (l *lab) flavor(name, data string) (profileID, id string) {
	l.t.Helper()
	b, _ := json.Marshal(data)
	profileID = l.must(201, "POST", "/v2.0/lbaas/flavorprofiles", `{"flavorprofile":{"name":"`+name+`","provider_name":"amphora","flavor_data":`+string(b)+`}}`).id(l.t, "flavorprofile")
	return profileID, l.must(201, "POST", "/v2.0/lbaas/flavors", `{"flavor":{"name":"`+name+`","flavor_profile_id":"`+profileID+`"}}`).id(l.t, "flavor")
}

// zone makes an availability zone with its profile.
func (l *lab) zone(name, data string) (profileID string) {
	l.t.Helper()
	b, _ := json.Marshal(data)
	profileID = l.must(201, "POST", "/v2.0/lbaas/availabilityzoneprofiles", `{"availability_zone_profile":{"name":"`+name+`","provider_name":"amphora","availability_zone_data":`+string(b)+`}}`).id(l.t, "availability_zone_profile")
	l.must(201, "POST", "/v2.0/lbaas/availabilityzones", `{"availability_zone":{"name":"`+name+`","availability_zone_profile_id":"`+profileID+`"}}`)
	return profileID
}

type answer struct {
	status int
	header http.Header
	body   string
}

// get reads a value of the body by a path such as "loadbalancer.listeners.0.id".
func (a answer) get(t testing.TB, path string) any {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(a.body), &v); err != nil {
		t.Fatalf("body %q: %v", a.body, err)
	}
	for name := range strings.FieldsFuncSeq(path, func(r rune) bool { return r == '.' }) {
		switch x := v.(type) {
		case map[string]any:
			v = x[name]
		case []any:
			var i int
			if _, err := fmt.Sscan(name, &i); err != nil || i >= len(x) {
				t.Fatalf("no %s in %s", path, a.body)
			}
			v = x[i]
		default:
			t.Fatalf("no %s in %s", path, a.body)
		}
	}
	return v
}

func (a answer) id(t testing.TB, root string) string {
	t.Helper()
	id, _ := a.get(t, root+".id").(string)
	if id == "" {
		t.Fatalf("no id of %s in %d %s", root, a.status, a.body)
	}
	return id
}

func (l *lab) do(method, path, body string, header ...string) answer {
	l.t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("X-Auth-Token", token)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	header = append(slices.Clone(l.header), header...)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	l.handler.ServeHTTP(w, r)
	return answer{w.Code, w.Header(), w.Body.String()}
}

// must fails the test unless the answer has this status.
func (l *lab) must(status int, method, path, body string) answer {
	l.t.Helper()
	a := l.do(method, path, body)
	if a.status != status {
		l.t.Fatalf("%s %s: %d, want %d: %s", method, path, a.status, status, a.body)
	}
	return a
}

// settle does the worker's last step: what is pending becomes ACTIVE, what is to be deleted goes.
func (l *lab) settle(lbID string) {
	l.t.Helper()
	t, err := l.store.Tree(l.t.Context(), lbID)
	if err != nil {
		l.t.Fatal(err)
	}
	lease := lb.Lease{Kind: lb.WorkWorker, Key: lbID, Epoch: t.LoadBalancer.Epoch}
	err = l.store.UpdateTree(l.t.Context(), lease, func(t *lb.Tree) (lb.Outcome, error) {
		t.Settle(lb.Settlement{Revision: t.LoadBalancer.Revision})
		return lb.Outcome{}, nil
	})
	if err != nil {
		l.t.Fatal(err)
	}
}

// counts are the numbers of rows of all tables but that of events: what is refused is an event, too.
func (l *lab) counts() map[string]int {
	l.t.Helper()
	var names []string
	ctx := l.t.Context()
	if err := l.store.Reader().NewRaw("SELECT name FROM sqlite_master WHERE type = 'table' AND name <> 'event'").Scan(ctx, &names); err != nil {
		l.t.Fatal(err)
	}
	out := map[string]int{}
	for _, name := range names {
		var n int
		if err := l.store.Reader().NewRaw("SELECT count(*) FROM \""+name+"\"").Scan(ctx, &n); err != nil {
			l.t.Fatal(err)
		}
		out[name] = n
	}
	return out
}

// balancer makes a settled load balancer with one HTTP listener on port 80, its pool, a member and a monitor.
func (l *lab) balancer() (lbID, listenerID, poolID, memberID, monitorID string) {
	l.t.Helper()
	a := l.must(201, "POST", "/v2.0/lbaas/loadbalancers", `{"loadbalancer":{"name":"web","vip_subnet_id":"`+subnetID+`",
		"listeners":[{"name":"http","protocol":"HTTP","protocol_port":80,"default_pool":{"name":"servers","protocol":"HTTP","lb_algorithm":"ROUND_ROBIN",
		"members":[{"address":"198.18.10.50","protocol_port":8080}],
		"healthmonitor":{"type":"HTTP","delay":1,"timeout":1,"max_retries":2}}}]}}`)
	lbID = a.id(l.t, "loadbalancer")
	l.settle(lbID)
	return lbID, a.id(l.t, "loadbalancer.listeners.0"), a.id(l.t, "loadbalancer.pools.0"),
		a.id(l.t, "loadbalancer.pools.0.members.0"), a.id(l.t, "loadbalancer.pools.0.healthmonitor")
}
