package api_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"colonnade/internal/api"
	"colonnade/internal/identity"
)

// rights are what a role may, as measured of Octavia: each pair is about the own project and about another.
type rights struct {
	show   [2]int // GET of a load balancer
	list   int    // load balancers seen: 1 the own, 2 all, 0 the list is refused
	create [2]int // 201, 403
	// failover may be 409, for the load balancer is not ACTIVE.
	failover  int
	quota     [2]int // GET
	setQuota  int    // PUT of another's
	amphorae  int
	flavors   int
	profiles  int
	makes     int // POST of a flavor whose profile is not there, or 403
	members   [2]int
	allQuotas int // quotas in the list of all: 2, or the own
}

var (
	mayNothing = rights{
		show: [2]int{403, 403}, create: [2]int{403, 403}, failover: 403, quota: [2]int{403, 403}, setQuota: 403, amphorae: 403, flavors: 403,
		profiles: 403, makes: 403, members: [2]int{403, 403},
	}
	mayRead = rights{
		show: [2]int{200, 403}, list: 1, create: [2]int{403, 403}, failover: 403, quota: [2]int{200, 403}, setQuota: 403, amphorae: 403, flavors: 200,
		profiles: 403, makes: 403, members: [2]int{200, 403}, allQuotas: 1,
	}
	mayWrite = rights{
		show: [2]int{200, 403}, list: 1, create: [2]int{201, 403}, failover: 403, quota: [2]int{200, 403}, setQuota: 403, amphorae: 403, flavors: 200,
		profiles: 403, makes: 403, members: [2]int{200, 403}, allQuotas: 1,
	}
	mayReadAll = rights{
		show: [2]int{200, 200}, list: 2, create: [2]int{403, 403}, failover: 403, quota: [2]int{200, 200}, setQuota: 403, amphorae: 403, flavors: 200,
		profiles: 403, makes: 403, members: [2]int{200, 200}, allQuotas: 2,
	}
	mayQuotas = rights{
		show: [2]int{403, 403}, create: [2]int{403, 403}, failover: 403, quota: [2]int{200, 200}, setQuota: 202, amphorae: 403, flavors: 403,
		profiles: 403, makes: 403, members: [2]int{403, 403}, allQuotas: 2,
	}
	mayAll = rights{
		show: [2]int{200, 200}, list: 2, create: [2]int{201, 201}, failover: 409, quota: [2]int{200, 200}, setQuota: 202, amphorae: 200, flavors: 200,
		profiles: 200, makes: 400, members: [2]int{200, 200}, allQuotas: 2,
	}
	serves = func() rights { r := mayNothing; r.members = [2]int{200, 200}; return r }()
)

func TestRolesAndRights(t *testing.T) {
	for _, c := range []struct {
		roles         string
		common, fresh rights // with both families of roles, and with the new defaults enforced
	}{
		{"load-balancer_member", mayWrite, mayNothing},
		{"member", mayWrite, mayWrite},
		{"load-balancer_observer", mayRead, mayNothing},
		{"reader", mayRead, mayRead},
		{"load-balancer_global_observer", mayReadAll, mayNothing},
		{"load-balancer_quota_admin", mayQuotas, mayNothing},
		{"load-balancer_admin", mayAll, mayNothing},
		{"admin", mayAll, mayAll},
		{"service", serves, serves},
		{"", mayNothing, mayNothing},
		{"stranger", mayNothing, mayNothing},
		{"load-balancer_observer,reader", mayRead, mayRead},
		{"load-balancer_admin,member", mayAll, mayWrite},
		{"load-balancer_quota_admin,load-balancer_global_observer", func() rights { r := mayReadAll; r.setQuota = 202; return r }(), mayNothing},
	} {
		t.Run(c.roles, func(t *testing.T) {
			checkRights(t, newLab(t, people{}), c.roles, c.common)
			t.Run("new defaults", func(t *testing.T) { checkRights(t, newLab(t, identity.NewDefaults(people{})), c.roles, c.fresh) })
		})
	}
}

func checkRights(t *testing.T, l *lab, roles string, want rights) {
	t.Helper()
	const root = "/v2.0/lbaas"
	create := func(who, project string) answer {
		return l.do("POST", root+"/loadbalancers", fmt.Sprintf(`{"loadbalancer":{"vip_subnet_id":%q,"project_id":%q}}`, subnetID, project), "X-Auth-Token", who)
	}
	var lbs, pools [2]string
	for i, project := range []string{"own", "other"} {
		made := create("admin@x", project)
		if made.status != 201 {
			t.Fatal(made.body)
		}
		lbs[i] = made.id(t, "loadbalancer")
		l.settle(lbs[i])
		pool := l.do("POST", root+"/pools", fmt.Sprintf(`{"pool":{"loadbalancer_id":%q,"protocol":"TCP","lb_algorithm":"ROUND_ROBIN"}}`, lbs[i]), "X-Auth-Token", "admin@x")
		if pool.status != 201 {
			t.Fatal(pool.body)
		}
		pools[i] = pool.id(t, "pool")
		if a := l.do("PUT", quotas+"/"+project, `{"quota":{"pool":5}}`, "X-Auth-Token", "admin@x"); a.status != 202 {
			t.Fatal(a.body)
		}
	}
	who := roles + "@own"
	get := func(path string) answer { return l.do("GET", root+path, "", "X-Auth-Token", who) }
	listed := func(a answer, root string) int {
		if a.status == 403 {
			return 0
		}
		all, _ := a.get(t, root).([]any)
		return len(all)
	}
	got := rights{
		show: [2]int{get("/loadbalancers/" + lbs[0]).status, get("/loadbalancers/" + lbs[1]).status}, list: listed(get("/loadbalancers"), "loadbalancers"),
		failover: l.do("PUT", root+"/loadbalancers/"+lbs[0]+"/failover", "", "X-Auth-Token", who).status,
		quota:    [2]int{get("/quotas/own").status, get("/quotas/other").status}, amphorae: get("/../octavia/amphorae").status,
		flavors: get("/flavors").status, profiles: get("/flavorprofiles").status,
		makes:   l.do("POST", root+"/flavors", `{"flavor":{"name":"f","flavor_profile_id":"`+strangerID+`"}}`, "X-Auth-Token", who).status,
		members: [2]int{get("/pools/" + pools[0] + "/members").status, get("/pools/" + pools[1] + "/members").status}, allQuotas: listed(get("/quotas"), "quotas"),
	}
	refused := l.do("PUT", quotas+"/other", `{"quota":{"pool":7}}`, "X-Auth-Token", who)
	got.setQuota = refused.status
	got.create = [2]int{create(who, "own").status, create(who, "other").status}
	if got != want {
		t.Errorf("%s\n got %+v\nwant %+v", roles, got, want)
	}
	if refused.status == 403 && refused.body != `{"faultcode":"Client","faultstring":"Policy does not allow this request to be performed.","debuginfo":null}` {
		t.Error(refused.body)
	}
	// What is not there is so for everybody; what is there and foreign is refused.
	if a := get("/loadbalancers/" + strangerID); a.status != 404 {
		t.Errorf("unknown load balancer: %d", a.status)
	}
	if want.list == 1 {
		if a := get("/loadbalancers?project_id=other"); a.status != 403 {
			t.Errorf("list of another project: %d", a.status)
		}
	}
	if want.list == 2 {
		if n := listed(get("/loadbalancers?project_id=other&vip_port_id="), "loadbalancers"); n != 0 {
			t.Errorf("filters are not combined: %d", n)
		}
	}
}

// Nobody gets at anything by a route that forgot to ask: without a role every operation is refused, whatever its object.
func TestEveryRouteAsks(t *testing.T) {
	l := newLab(t, people{})
	made := l.do("POST", "/v2.0/lbaas/loadbalancers", `{"loadbalancer":{"vip_subnet_id":"`+subnetID+`","listeners":[{"protocol":"HTTP","protocol_port":80,"default_pool":{"name":"p","protocol":"HTTP","lb_algorithm":"ROUND_ROBIN","members":[{"address":"192.0.2.1","protocol_port":80}],"healthmonitor":{"type":"HTTP","delay":5,"timeout":2,"max_retries":2}}}]}}`, "X-Auth-Token", "member@own")
	if made.status != 201 {
		t.Fatal(made.body)
	}
	ids := map[string]string{
		"loadbalancers": made.id(t, "loadbalancer"), "listeners": made.id(t, "loadbalancer.listeners.0"), "pools": made.id(t, "loadbalancer.pools.0"),
		"members": made.id(t, "loadbalancer.pools.0.members.0"), "healthmonitors": made.id(t, "loadbalancer.pools.0.healthmonitor"),
	}
	raw, err := api.OpenAPI()
	if err != nil {
		t.Fatal(err)
	}
	var document struct {
		Paths map[string]map[string]struct {
			RequestBody *struct {
				Content map[string]struct {
					Schema struct {
						Properties map[string]struct {
							Type any `json:"type"`
						} `json:"properties"`
					} `json:"schema"`
				} `json:"content"`
			} `json:"requestBody"`
		} `json:"paths"`
	}
	if err := json.Unmarshal(raw, &document); err != nil {
		t.Fatal(err)
	}
	asked := 0
	for template, operations := range document.Paths {
		parts := strings.Split(template, "/")
		for i, part := range parts {
			if !strings.HasPrefix(part, "{") {
				continue
			}
			if parts[i] = ids[parts[i-1]]; parts[i] == "" {
				parts[i] = strangerID
			}
		}
		path := strings.Join(parts, "/")
		for method, op := range operations {
			if !slices.Contains([]string{"get", "put", "post", "delete"}, method) {
				continue
			}
			body := ""
			if op.RequestBody != nil {
				for name, schema := range op.RequestBody.Content["application/json"].Schema.Properties {
					if body = fmt.Sprintf(`{%q:{}}`, name); strings.Contains(fmt.Sprint(schema.Type), "array") {
						body = fmt.Sprintf(`{%q:[]}`, name)
					}
				}
			}
			asked++
			a := l.do(strings.ToUpper(method), path, body, "X-Auth-Token", "stranger@own")
			// 400 and 404 are for what is looked at first: a body, an object that is not there.
			if a.status != 403 && (a.status != 404 || !strings.Contains(path, strangerID)) && (a.status != 400 || body == "") {
				t.Errorf("%s %s: %d %s", method, template, a.status, a.body)
			}
		}
	}
	if asked < 50 {
		t.Errorf("%d operations", asked)
	}
}
