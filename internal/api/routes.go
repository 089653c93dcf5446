package api

import (
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"colonnade/internal/api/wire"
)

// Paths of collections.
const (
	lbaas     = "/v2.0/lbaas"
	octavia   = "/v2.0/octavia"
	colonnade = "/v2.0/colonnade"
)

// route is one line of the table below. in and out are examples of what is under the root of request and reply; nil
// is none.
type route struct {
	method, path, id string
	status           int
	inRoot           string
	in               any
	outRoot          string
	out              any
	list             bool
	serve            handler
	query            []string // of its own, beside those of lists
	// stream is in place of serve where the answer does not end.
	stream func(http.ResponseWriter, *http.Request, *call) error
}

func (s *server) table() []route {
	const get, post, put, del = http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete
	members := lbaas + "/pools/{pool_id}/members"
	rules := lbaas + "/l7policies/{l7policy_id}/rules"
	return []route{
		{method: get, path: lbaas + "/loadbalancers", id: "list-load-balancers", status: 200, outRoot: "loadbalancers", out: wire.LoadBalancer{}, list: true, serve: s.listLoadBalancers},
		{method: post, path: lbaas + "/loadbalancers", id: "create-load-balancer", status: 201, inRoot: "loadbalancer", in: wire.LoadBalancerCreate{}, outRoot: "loadbalancer", out: wire.LoadBalancerTree{}, serve: s.createLoadBalancer},
		{method: get, path: lbaas + "/loadbalancers/{id}", id: "show-load-balancer", status: 200, outRoot: "loadbalancer", out: wire.LoadBalancer{}, serve: s.showLoadBalancer},
		{method: put, path: lbaas + "/loadbalancers/{id}", id: "update-load-balancer", status: 200, inRoot: "loadbalancer", in: wire.LoadBalancerUpdate{}, outRoot: "loadbalancer", out: wire.LoadBalancer{}, serve: s.updateLoadBalancer},
		{method: del, path: lbaas + "/loadbalancers/{id}", id: "delete-load-balancer", status: 204, serve: s.deleteLoadBalancer, query: []string{"cascade"}},
		{method: get, path: lbaas + "/loadbalancers/{id}/stats", id: "show-load-balancer-statistics", status: 200, outRoot: "stats", out: wire.Statistics{}, serve: s.loadBalancerStatistics},
		{method: get, path: lbaas + "/loadbalancers/{id}/status", id: "show-load-balancer-status", status: 200, outRoot: "statuses", out: wire.StatusTree{}, serve: s.statusTree},
		{method: get, path: lbaas + "/loadbalancers/{id}/statuses", id: "show-load-balancer-statuses", status: 200, outRoot: "statuses", out: wire.StatusTree{}, serve: s.statusTree},
		{method: put, path: lbaas + "/loadbalancers/{id}/failover", id: "failover-load-balancer", status: 202, serve: s.failoverLoadBalancer},

		{method: get, path: lbaas + "/listeners", id: "list-listeners", status: 200, outRoot: "listeners", out: wire.Listener{}, list: true, serve: s.listListeners},
		{method: post, path: lbaas + "/listeners", id: "create-listener", status: 201, inRoot: "listener", in: wire.ListenerCreate{}, outRoot: "listener", out: wire.Listener{}, serve: s.createListener},
		{method: get, path: lbaas + "/listeners/{id}", id: "show-listener", status: 200, outRoot: "listener", out: wire.Listener{}, serve: s.showListener},
		{method: put, path: lbaas + "/listeners/{id}", id: "update-listener", status: 200, inRoot: "listener", in: wire.ListenerUpdate{}, outRoot: "listener", out: wire.Listener{}, serve: s.updateListener},
		{method: del, path: lbaas + "/listeners/{id}", id: "delete-listener", status: 204, serve: s.deleteListener},
		{method: get, path: lbaas + "/listeners/{id}/stats", id: "show-listener-statistics", status: 200, outRoot: "stats", out: wire.Statistics{}, serve: s.listenerStatistics},

		{method: get, path: lbaas + "/pools", id: "list-pools", status: 200, outRoot: "pools", out: wire.Pool{}, list: true, serve: s.listPools},
		{method: post, path: lbaas + "/pools", id: "create-pool", status: 201, inRoot: "pool", in: wire.PoolCreate{}, outRoot: "pool", out: wire.Pool{}, serve: s.createPool},
		{method: get, path: lbaas + "/pools/{id}", id: "show-pool", status: 200, outRoot: "pool", out: wire.Pool{}, serve: s.showPool},
		{method: put, path: lbaas + "/pools/{id}", id: "update-pool", status: 200, inRoot: "pool", in: wire.PoolUpdate{}, outRoot: "pool", out: wire.Pool{}, serve: s.updatePool},
		{method: del, path: lbaas + "/pools/{id}", id: "delete-pool", status: 204, serve: s.deletePool},

		{method: get, path: members, id: "list-members", status: 200, outRoot: "members", out: wire.Member{}, list: true, serve: s.listMembers},
		{method: post, path: members, id: "create-member", status: 201, inRoot: "member", in: wire.MemberCreate{}, outRoot: "member", out: wire.Member{}, serve: s.createMember},
		{method: put, path: members, id: "replace-members", status: 202, inRoot: "members", in: []wire.MemberCreate{}, serve: s.replaceMembers, query: []string{"additive_only"}},
		{method: get, path: members + "/{id}", id: "show-member", status: 200, outRoot: "member", out: wire.Member{}, serve: s.showMember},
		{method: put, path: members + "/{id}", id: "update-member", status: 200, inRoot: "member", in: wire.MemberUpdate{}, outRoot: "member", out: wire.Member{}, serve: s.updateMember},
		{method: del, path: members + "/{id}", id: "delete-member", status: 204, serve: s.deleteMember},

		{method: get, path: lbaas + "/healthmonitors", id: "list-health-monitors", status: 200, outRoot: "healthmonitors", out: wire.HealthMonitor{}, list: true, serve: s.listHealthMonitors},
		{method: post, path: lbaas + "/healthmonitors", id: "create-health-monitor", status: 201, inRoot: "healthmonitor", in: wire.HealthMonitorCreate{}, outRoot: "healthmonitor", out: wire.HealthMonitor{}, serve: s.createHealthMonitor},
		{method: get, path: lbaas + "/healthmonitors/{id}", id: "show-health-monitor", status: 200, outRoot: "healthmonitor", out: wire.HealthMonitor{}, serve: s.showHealthMonitor},
		{method: put, path: lbaas + "/healthmonitors/{id}", id: "update-health-monitor", status: 200, inRoot: "healthmonitor", in: wire.HealthMonitorUpdate{}, outRoot: "healthmonitor", out: wire.HealthMonitor{}, serve: s.updateHealthMonitor},
		{method: del, path: lbaas + "/healthmonitors/{id}", id: "delete-health-monitor", status: 204, serve: s.deleteHealthMonitor},

		{method: get, path: lbaas + "/quotas", id: "list-quotas", status: 200, outRoot: "quotas", out: wire.Quota{}, list: true, serve: s.listQuotas},
		{method: get, path: lbaas + "/quotas/defaults", id: "show-default-quota", status: 200, outRoot: "quota", out: wire.Quota{}, serve: s.defaultQuota},
		{method: get, path: lbaas + "/quotas/{project_id}", id: "show-quota", status: 200, outRoot: "quota", out: wire.Quota{}, serve: s.showQuota},
		{method: put, path: lbaas + "/quotas/{project_id}", id: "update-quota", status: 202, inRoot: "quota", in: wire.QuotaUpdate{}, outRoot: "quota", out: wire.Quota{}, serve: s.updateQuota},
		{method: del, path: lbaas + "/quotas/{project_id}", id: "reset-quota", status: 202, serve: s.resetQuota},
		{method: get, path: lbaas + "/quotas/{project_id}/default", id: "show-project-default-quota", status: 200, outRoot: "quota", out: wire.Quota{}, serve: s.defaultQuota},
		{method: get, path: lbaas + "/flavors", id: "list-flavors", status: 200, outRoot: "flavors", out: wire.Flavor{}, list: true, serve: s.listFlavors},
		{method: post, path: lbaas + "/flavors", id: "create-flavor", status: 201, inRoot: "flavor", in: wire.FlavorCreate{}, outRoot: "flavor", out: wire.Flavor{}, serve: s.createFlavor},
		{method: get, path: lbaas + "/flavors/{id}", id: "show-flavor", status: 200, outRoot: "flavor", out: wire.Flavor{}, serve: s.showFlavor},
		{method: put, path: lbaas + "/flavors/{id}", id: "update-flavor", status: 200, inRoot: "flavor", in: wire.FlavorUpdate{}, outRoot: "flavor", out: wire.Flavor{}, serve: s.updateFlavor},
		{method: del, path: lbaas + "/flavors/{id}", id: "delete-flavor", status: 204, serve: s.deleteFlavor},
		{method: get, path: lbaas + "/flavorprofiles", id: "list-flavor-profiles", status: 200, outRoot: "flavorprofiles", out: wire.FlavorProfile{}, list: true, serve: s.listFlavorProfiles},
		{method: post, path: lbaas + "/flavorprofiles", id: "create-flavor-profile", status: 201, inRoot: "flavorprofile", in: wire.FlavorProfileCreate{}, outRoot: "flavorprofile", out: wire.FlavorProfile{}, serve: s.createFlavorProfile},
		{method: get, path: lbaas + "/flavorprofiles/{id}", id: "show-flavor-profile", status: 200, outRoot: "flavorprofile", out: wire.FlavorProfile{}, serve: s.showFlavorProfile},
		{method: put, path: lbaas + "/flavorprofiles/{id}", id: "update-flavor-profile", status: 200, inRoot: "flavorprofile", in: wire.FlavorProfileUpdate{}, outRoot: "flavorprofile", out: wire.FlavorProfile{}, serve: s.updateFlavorProfile},
		{method: del, path: lbaas + "/flavorprofiles/{id}", id: "delete-flavor-profile", status: 204, serve: s.deleteFlavorProfile},
		{method: get, path: lbaas + "/availabilityzones", id: "list-availability-zones", status: 200, outRoot: "availability_zones", out: wire.AvailabilityZone{}, list: true, serve: s.listZones},
		{method: post, path: lbaas + "/availabilityzones", id: "create-availability-zone", status: 201, inRoot: "availability_zone", in: wire.AvailabilityZoneCreate{}, outRoot: "availability_zone", out: wire.AvailabilityZone{}, serve: s.createZone},
		{method: get, path: lbaas + "/availabilityzones/{id}", id: "show-availability-zone", status: 200, outRoot: "availability_zone", out: wire.AvailabilityZone{}, serve: s.showZone},
		{method: put, path: lbaas + "/availabilityzones/{id}", id: "update-availability-zone", status: 200, inRoot: "availability_zone", in: wire.AvailabilityZoneUpdate{}, outRoot: "availability_zone", out: wire.AvailabilityZone{}, serve: s.updateZone},
		{method: del, path: lbaas + "/availabilityzones/{id}", id: "delete-availability-zone", status: 204, serve: s.deleteZone},
		{method: get, path: lbaas + "/availabilityzoneprofiles", id: "list-availability-zone-profiles", status: 200, outRoot: "availability_zone_profiles", out: wire.AvailabilityZoneProfile{}, list: true, serve: s.listZoneProfiles},
		{method: post, path: lbaas + "/availabilityzoneprofiles", id: "create-availability-zone-profile", status: 201, inRoot: "availability_zone_profile", in: wire.AvailabilityZoneProfileCreate{}, outRoot: "availability_zone_profile", out: wire.AvailabilityZoneProfile{}, serve: s.createZoneProfile},
		{method: get, path: lbaas + "/availabilityzoneprofiles/{id}", id: "show-availability-zone-profile", status: 200, outRoot: "availability_zone_profile", out: wire.AvailabilityZoneProfile{}, serve: s.showZoneProfile},
		{method: put, path: lbaas + "/availabilityzoneprofiles/{id}", id: "update-availability-zone-profile", status: 200, inRoot: "availability_zone_profile", in: wire.AvailabilityZoneProfileUpdate{}, outRoot: "availability_zone_profile", out: wire.AvailabilityZoneProfile{}, serve: s.updateZoneProfile},
		{method: del, path: lbaas + "/availabilityzoneprofiles/{id}", id: "delete-availability-zone-profile", status: 204, serve: s.deleteZoneProfile},

		{method: get, path: lbaas + "/providers", id: "show-providers", status: 200, outRoot: "providers", out: []wire.Provider{}, serve: s.listProviders, query: []string{"name", "description", "fields"}},
		{method: get, path: lbaas + "/providers/{provider}/flavor_capabilities", id: "show-flavor-capabilities", status: 200, outRoot: "flavor_capabilities", out: []wire.Capability{}, serve: s.listFlavorCapabilities, query: []string{"name", "description", "fields"}},
		{method: get, path: lbaas + "/providers/{provider}/availability_zone_capabilities", id: "show-availability-zone-capabilities", status: 200, outRoot: "availability_zone_capabilities", out: []wire.Capability{}, serve: s.listZoneCapabilities, query: []string{"name", "description", "fields"}},

		{method: get, path: lbaas + "/l7policies", id: "list-l7policies", status: 200, outRoot: "l7policies", out: wire.L7Policy{}, list: true, serve: s.listL7Policies},
		{method: post, path: lbaas + "/l7policies", id: "create-l7policy", status: 201, inRoot: "l7policy", in: wire.L7PolicyCreate{}, outRoot: "l7policy", out: wire.L7Policy{}, serve: s.createL7Policy},
		{method: get, path: lbaas + "/l7policies/{id}", id: "show-l7policy", status: 200, outRoot: "l7policy", out: wire.L7Policy{}, serve: s.showL7Policy},
		{method: put, path: lbaas + "/l7policies/{id}", id: "update-l7policy", status: 200, inRoot: "l7policy", in: wire.L7PolicyUpdate{}, outRoot: "l7policy", out: wire.L7Policy{}, serve: s.updateL7Policy},
		{method: del, path: lbaas + "/l7policies/{id}", id: "delete-l7policy", status: 204, serve: s.deleteL7Policy},

		{method: get, path: rules, id: "list-l7rules", status: 200, outRoot: "rules", out: wire.L7Rule{}, list: true, serve: s.listL7Rules},
		{method: post, path: rules, id: "create-l7rule", status: 201, inRoot: "rule", in: wire.L7RuleCreate{}, outRoot: "rule", out: wire.L7Rule{}, serve: s.createL7Rule},
		{method: get, path: rules + "/{id}", id: "show-l7rule", status: 200, outRoot: "rule", out: wire.L7Rule{}, serve: s.showL7Rule},
		{method: put, path: rules + "/{id}", id: "update-l7rule", status: 200, inRoot: "rule", in: wire.L7RuleUpdate{}, outRoot: "rule", out: wire.L7Rule{}, serve: s.updateL7Rule},
		{method: del, path: rules + "/{id}", id: "delete-l7rule", status: 204, serve: s.deleteL7Rule},

		{method: get, path: octavia + "/amphorae", id: "list-amphorae", status: 200, outRoot: "amphorae", out: wire.Amphora{}, list: true, serve: s.listAmphorae},
		{method: get, path: octavia + "/amphorae/{id}", id: "show-amphora", status: 200, outRoot: "amphora", out: wire.Amphora{}, serve: s.showAmphora},
		{method: get, path: octavia + "/amphorae/{id}/stats", id: "show-amphora-statistics", status: 200, outRoot: "amphora_stats", out: []wire.AmphoraStatistics{}, serve: s.amphoraStatistics},
		{method: put, path: octavia + "/amphorae/{id}/failover", id: "failover-amphora", status: 202, serve: s.failoverAmphora},
		{method: put, path: octavia + "/amphorae/{id}/config", id: "configure-amphora", status: 202, serve: s.configureAmphora},
		{method: del, path: octavia + "/amphorae/{id}", id: "delete-amphora", status: 204, serve: s.deleteAmphora},
		{method: get, path: octavia + "/clusters", id: "list-clusters", status: 200, outRoot: "clusters", out: wire.Cluster{}, list: true, serve: s.listClusters},
		{method: get, path: octavia + "/clusters/{id}", id: "show-cluster", status: 200, outRoot: "cluster", out: wire.Cluster{}, serve: s.showCluster},
		{method: get, path: octavia + "/distributors", id: "list-distributors", status: 200, outRoot: "distributors", out: wire.Distributor{}, list: true, serve: s.listDistributors},
		{method: get, path: octavia + "/distributors/{id}", id: "show-distributor", status: 200, outRoot: "distributor", out: wire.Distributor{}, serve: s.showDistributor},

		{method: get, path: colonnade + "/events", id: "list-events", status: 200, outRoot: "events", out: wire.Event{}, list: true, serve: s.listEvents, query: []string{"since", "until"}},
		{method: get, path: eventStream, id: "follow-events", status: 200, stream: s.followEvents, query: slices.Sorted(maps.Keys(streamFilters))},

		{method: get, path: colonnade + "/networks", id: "list-networks", status: 200, outRoot: "networks", out: wire.Network{}, list: true, serve: s.listNetworks},
		{method: post, path: colonnade + "/networks", id: "create-network", status: 201, inRoot: "network", in: wire.NetworkCreate{}, outRoot: "network", out: wire.Network{}, serve: s.createNetwork},
		{method: get, path: colonnade + "/networks/{id}", id: "show-network", status: 200, outRoot: "network", out: wire.Network{}, serve: s.showNetwork},
		{method: del, path: colonnade + "/networks/{id}", id: "delete-network", status: 204, serve: s.deleteNetwork},

		{method: get, path: colonnade + "/ports", id: "list-ports", status: 200, outRoot: "ports", out: wire.Port{}, list: true, serve: s.listPorts},
		{method: post, path: colonnade + "/ports", id: "create-port", status: 201, inRoot: "port", in: wire.PortCreate{}, outRoot: "port", out: wire.Port{}, serve: s.createPort},
		{method: get, path: colonnade + "/ports/{id}", id: "show-port", status: 200, outRoot: "port", out: wire.Port{}, serve: s.showPort},
		{method: del, path: colonnade + "/ports/{id}", id: "delete-port", status: 204, serve: s.deletePort},
	}
}

// routes registers the table with huma, which puts it on the mux and into the OpenAPI document.
func (s *server) routes(mux *http.ServeMux) huma.API {
	cfg := huma.DefaultConfig("Colonnade", "2.30")
	cfg.OpenAPIPath, cfg.DocsPath, cfg.SchemasPath = "", "", "" // served by New
	cfg.CreateHooks = nil                                       // no $schema in bodies
	cfg.Info.Description = "The Load Balancer v2 API as Octavia's clients use it, and the operator's calls. " +
		"The same paths are served under /v2 and /load-balancer/v2.0, those of /v2.0/lbaas without /lbaas too."
	cfg.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"token": {Type: "apiKey", In: "header", Name: "X-Auth-Token"},
	}
	cfg.Security = []map[string][]string{{"token": {}}}
	registry := cfg.Components.Schemas
	for t, as := range optTypes {
		registry.RegisterTypeAlias(t, as)
	}
	api := humago.New(mux, cfg)
	fault := registry.Schema(reflect.TypeFor[wire.Fault](), true, "Fault")
	for _, r := range s.table() {
		if r.stream != nil {
			s.handleStream(api, r.operation(registry, fault), r.stream)
			continue
		}
		s.handle(api, r.operation(registry, fault), r.serve)
	}
	return api
}

// optTypes are the three-valued fields' types, which are nullable values in the document.
var optTypes = map[reflect.Type]reflect.Type{
	reflect.TypeFor[wire.Opt[string]]():                   reflect.TypeFor[*string](),
	reflect.TypeFor[wire.Opt[int]]():                      reflect.TypeFor[*int](),
	reflect.TypeFor[wire.Opt[bool]]():                     reflect.TypeFor[*bool](),
	reflect.TypeFor[wire.Opt[float64]]():                  reflect.TypeFor[*float64](),
	reflect.TypeFor[wire.Opt[[]string]]():                 reflect.TypeFor[[]string](),
	reflect.TypeFor[wire.Opt[map[string]string]]():        reflect.TypeFor[map[string]string](),
	reflect.TypeFor[wire.Opt[[]wire.AdditionalVIP]]():     reflect.TypeFor[[]wire.AdditionalVIP](),
	reflect.TypeFor[wire.Opt[[]wire.ListenerCreate]]():    reflect.TypeFor[[]wire.ListenerCreate](),
	reflect.TypeFor[wire.Opt[[]wire.PoolCreate]]():        reflect.TypeFor[[]wire.PoolCreate](),
	reflect.TypeFor[wire.Opt[wire.PoolCreate]]():          reflect.TypeFor[wire.PoolCreate](),
	reflect.TypeFor[wire.Opt[[]wire.L7PolicyCreate]]():    reflect.TypeFor[[]wire.L7PolicyCreate](),
	reflect.TypeFor[wire.Opt[[]wire.L7RuleCreate]]():      reflect.TypeFor[[]wire.L7RuleCreate](),
	reflect.TypeFor[wire.Opt[wire.SessionPersistence]]():  reflect.TypeFor[wire.SessionPersistence](),
	reflect.TypeFor[wire.Opt[[]wire.MemberCreate]]():      reflect.TypeFor[[]wire.MemberCreate](),
	reflect.TypeFor[wire.Opt[wire.HealthMonitorCreate]](): reflect.TypeFor[wire.HealthMonitorCreate](),
}

func (r route) operation(registry huma.Registry, fault *huma.Schema) huma.Operation {
	op := huma.Operation{
		OperationID: r.id, Method: r.method, Path: r.path, DefaultStatus: r.status, Tags: []string{tagOf(r.path)},
		Summary: strings.ToUpper(r.id[:1]) + strings.ReplaceAll(r.id[1:], "-", " "),
		Responses: map[string]*huma.Response{
			"default": {Description: "An error; faultstring says what is wrong.", Content: content(fault)},
		},
	}
	schema := func(v any) *huma.Schema { return registry.Schema(reflect.TypeOf(v), true, "") }
	done := &huma.Response{Description: http.StatusText(r.status)}
	if r.out != nil {
		item := schema(r.out)
		properties := map[string]*huma.Schema{r.outRoot: item}
		if r.list {
			properties[r.outRoot] = &huma.Schema{Type: huma.TypeArray, Items: item}
			properties[linksKey(r.outRoot)] = schema([]wire.Link{})
		}
		done.Content = content(&huma.Schema{Type: huma.TypeObject, Properties: properties})
	}
	if r.stream != nil {
		done.Description = "Events as they happen, each with its id; data is an event as list-events shows it. Send the last id as Last-Event-ID to go on from there."
		done.Content = map[string]*huma.MediaType{"text/event-stream": {Schema: &huma.Schema{Type: huma.TypeString}}}
		op.Parameters = append(op.Parameters, &huma.Param{Name: "Last-Event-ID", In: "header", Schema: &huma.Schema{Type: huma.TypeString}})
	}
	op.Responses[strconv.Itoa(r.status)] = done
	if r.in != nil {
		op.RequestBody = &huma.RequestBody{Required: true, Content: content(&huma.Schema{
			Type: huma.TypeObject, Required: []string{r.inRoot}, AdditionalProperties: false,
			Properties: map[string]*huma.Schema{r.inRoot: schema(r.in)},
		})}
	}
	for _, segment := range strings.Split(r.path, "/") {
		name, ok := strings.CutPrefix(segment, "{")
		if !ok {
			continue
		}
		p := &huma.Param{Name: strings.TrimSuffix(name, "}"), In: "path", Required: true, Schema: &huma.Schema{Type: huma.TypeString, Format: "uuid"}}
		if p.Name == "provider" || p.Name == "project_id" || strings.HasPrefix(r.path, lbaas+"/availabilityzones/") {
			p.Schema.Format = "" // a name
		}
		op.Parameters = append(op.Parameters, p)
	}
	query := r.query
	if r.list {
		query = slices.Concat(paging, query)
	}
	for _, name := range query {
		op.Parameters = append(op.Parameters, &huma.Param{Name: name, In: "query", Schema: &huma.Schema{Type: huma.TypeString}})
	}
	return op
}

func content(schema *huma.Schema) map[string]*huma.MediaType {
	return map[string]*huma.MediaType{"application/json": {Schema: schema}}
}

// tagOf names the resource of a path.
func tagOf(path string) string { return strings.Split(path, "/")[3] }
