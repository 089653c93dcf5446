package neutron

import (
	"context"
	"net/netip"
	"slices"

	"colonnade/internal/lb"
	"colonnade/internal/network"
)

// Resource is a collection, as the version's root lists them.
type Resource struct {
	Name       string `json:"name"`
	Collection string `json:"collection"`
	Links      []link `json:"links"`
}

func resources(_ context.Context, r Request) (any, error) {
	var out []Resource
	for _, k := range (&API{}).kinds() {
		out = append(out, Resource{k.root, k.plural, []link{{"self", r.URL + "/" + k.path}}})
	}
	return object{"resources": out}, nil
}

// Versions answers for the root: the one version there is.
func Versions(url string) any {
	return object{"versions": []object{{"id": "v2.0", "status": "CURRENT", "links": []link{{"self", url + "/v2.0/"}}}}}
}

// none is a list that is always empty.
func none[V any](plural string) Handler {
	return func(_ context.Context, r Request) (any, error) { return listed(r, plural, []V{}) }
}

// missing shows what never exists.
func missing(kind, text string) Handler {
	return func(_ context.Context, r Request) (any, error) { return nil, hidden(kind, text, r.ID) }
}

func isIPv6(address string) bool {
	a, err := netip.ParseAddr(address)
	return err == nil && !a.Is4()
}

// gatewayRouter is the id of the one router there is: the gateway, which joins all networks with a gateway address to
// the outside.
const gatewayRouter = "00000000-0000-4000-8000-00000000c011"

// Router is a router as Neutron shows it.
type Router struct {
	ID                  string           `json:"id"`
	Name                string           `json:"name"`
	Description         string           `json:"description"`
	ProjectID           string           `json:"project_id"`
	TenantID            string           `json:"tenant_id"`
	Status              string           `json:"status"`
	AdminStateUp        bool             `json:"admin_state_up"`
	ExternalGatewayInfo *ExternalGateway `json:"external_gateway_info"`
	Routes              []string         `json:"routes"`
	Distributed         bool             `json:"distributed"`
	HA                  bool             `json:"ha"`
	AvailabilityZones   []string         `json:"availability_zones"`
	Tags                []string         `json:"tags"`
}

// ExternalGateway is where a router leads.
type ExternalGateway struct {
	NetworkID        string    `json:"network_id"`
	EnableSNAT       bool      `json:"enable_snat"`
	ExternalFixedIPs []FixedIP `json:"external_fixed_ips"`
}

func (a *API) router(ctx context.Context) (Router, error) {
	all, err := a.networks(ctx)
	if err != nil {
		return Router{}, err
	}
	v := Router{
		ID: gatewayRouter, Name: "gateway", Description: "joins all networks to the outside", Status: "ACTIVE", AdminStateUp: true,
		Routes: []string{}, AvailabilityZones: []string{}, Tags: []string{},
	}
	if i := slices.IndexFunc(all, func(n network.Network) bool { return n.External }); i >= 0 {
		v.ExternalGatewayInfo = &ExternalGateway{NetworkID: all[i].ID, ExternalFixedIPs: []FixedIP{}}
	}
	return v, nil
}

func (a *API) listRouters(ctx context.Context, r Request) (any, error) {
	v, err := a.router(ctx)
	if err != nil {
		return nil, err
	}
	return listed(r, "routers", []Router{v})
}

func (a *API) showRouter(ctx context.Context, r Request) (any, error) {
	if r.ID != gatewayRouter {
		return nil, hidden(routerNotFound, routerMissing, r.ID)
	}
	v, err := a.router(ctx)
	if err != nil {
		return nil, err
	}
	return one(r, "router", v)
}

// Extension is a part of the API that clients ask for before they use it.
type Extension struct {
	Alias       string   `json:"alias"`
	Name        string   `json:"name"`
	Description string   `json:"description"`
	Updated     string   `json:"updated"`
	Links       []string `json:"links"`
}

// extensions are those whose calls or fields are there.
var extensions = func() (all []Extension) {
	for _, e := range [][3]string{
		{"external-net", "Neutron external network", "Networks with router:external."},
		{"router", "Neutron L3 Router", "Floating IPs; one router, that cannot be changed."},
		{"fip-port-details", "Floating IP Port Details Extension", "Floating IPs show port_details."},
		{"net-mtu", "Network MTU", "Networks have an mtu."},
		{"security-group", "security-group", "Security groups, for look-ups: they have no rules."},
		{"project-id", "project_id field enabled", "Objects have a project_id."},
		{"standard-attr-description", "standard-attr-description", "Objects have a description."},
		{"pagination", "Pagination support", "limit, marker and page_reverse."},
		{"sorting", "Sorting support", "sort_key and sort_dir."},
		{"filter-validation", "Filter parameters validation", "Filters that are not known are refused."},
		{"colonnade-amphora-address-pool", "Amphora address pool", "Subnets have an amphora_address_pool."},
	} {
		all = append(all, Extension{Alias: e[0], Name: e[1], Description: e[2], Updated: "2026-11-23T00:00:00-00:00", Links: []string{}})
	}
	return all
}()

func listExtensions(_ context.Context, r Request) (any, error) {
	return listed(r, "extensions", extensions)
}

func showExtension(_ context.Context, r Request) (any, error) {
	i := slices.IndexFunc(extensions, func(e Extension) bool { return e.Alias == r.ID })
	if i < 0 {
		return nil, faultf("ExtensionNotFound", lb.KindNotFound, "Extension with alias %s does not exist", r.ID)
	}
	return one(r, "extension", extensions[i])
}

// Quota is what a project may have of each kind: as much as it likes.
type Quota struct {
	Network           int `json:"network"`
	Subnet            int `json:"subnet"`
	Port              int `json:"port"`
	Router            int `json:"router"`
	FloatingIP        int `json:"floatingip"`
	SecurityGroup     int `json:"security_group"`
	SecurityGroupRule int `json:"security_group_rule"`
}

func (a *API) showQuota(ctx context.Context, r Request) (any, error) {
	if !a.Who(ctx).Reads(r.ID) {
		return nil, forbidden
	}
	return one(r, "quota", Quota{-1, -1, -1, -1, -1, -1, -1})
}

// Agent would be an agent of Neutron; there are none.
type Agent struct {
	ID        string `json:"id"`
	AgentType string `json:"agent_type"`
	Binary    string `json:"binary"`
	Host      string `json:"host"`
	Alive     bool   `json:"alive"`
}
