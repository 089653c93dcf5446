// Package neutron is the part of OpenStack's Network v2.0 API that clients of load balancers call: networks, subnets,
// ports, floating IPs, and enough of security groups, routers and extensions for look-ups. Its handlers know no HTTP;
// package api, which alone imports it, serves them under /network/v2.0 and says who asks.
package neutron

import (
	"context"
	"net/http"
	"net/netip"
	"net/url"

	"colonnade/internal/identity"
	"colonnade/internal/lb"
	"colonnade/internal/network"
)

// Networks is what there is to look up and to change: the network driver. It checks what it is given and answers with
// *lb.Fault; a missing object is lb.KindNotFound.
type Networks interface {
	network.FloatingIPs
	network.SecurityGroups

	// Networks lists all but the management network, with their subnets.
	Networks(ctx context.Context) ([]network.Network, error)
	CreateNetwork(ctx context.Context, n network.Network) (network.Network, error)
	UpdateNetwork(ctx context.Context, id string, change func(*network.Network) error) (network.Network, error)
	DeleteNetwork(ctx context.Context, id string) error

	CreateSubnet(ctx context.Context, s network.Subnet) (network.Subnet, error)
	UpdateSubnet(ctx context.Context, id string, change func(*network.Subnet) error) (network.Subnet, error)
	DeleteSubnet(ctx context.Context, id string) error

	// AllPorts lists all ports but agents', with what is plugged in.
	AllPorts(ctx context.Context) ([]network.Port, error)
	Port(ctx context.Context, id string) (network.Port, error)
	Plugged(id string) (bool, error)
	// CreatePort takes an address for a port of nobody's yet.
	CreatePort(ctx context.Context, spec network.PortSpec) (network.Port, error)
	UpdatePort(ctx context.Context, id string, change func(*network.Port) error) (network.Port, error)
	DeletePort(ctx context.Context, id string) error

	SecurityGroups(ctx context.Context) ([]network.SecurityGroup, error)
	CreateSecurityGroup(ctx context.Context, g network.SecurityGroup) (network.SecurityGroup, error)
	UpdateSecurityGroup(ctx context.Context, id string, change func(*network.SecurityGroup) error) (network.SecurityGroup, error)
	DeleteSecurityGroup(ctx context.Context, id string) error
}

// Deps is what the handlers stand on.
type Deps struct {
	// Networks is nil where networks are made elsewhere; all calls answer 501 then, but look-ups by id in Named.
	Networks Networks
	// Named is nil where nothing can be looked up.
	Named Named
	// Who makes a request.
	Who func(ctx context.Context) identity.Principal
	// Decode reads {"<root>": …} strictly into dst, by the tags that package api/wire describes.
	Decode func(body []byte, argument, root string, dst any) error
	// Project says for which project something is made, of what the body says and of the caller's, and refuses others'.
	Project func(ctx context.Context, given ...string) (string, error)
	// TenantRanges are where subnets may lie that projects make for themselves: all networks share one gateway.
	TenantRanges []netip.Prefix
}

// API is the handlers.
type API struct{ Deps }

// Request is one call.
type Request struct {
	ID    string // of the object, from the path
	Query url.Values
	Body  []byte
	URL   string // as the client wrote it, without query
}

// Handler serves a call; a nil answer is an empty body.
type Handler func(ctx context.Context, r Request) (any, error)

// Route is one call of the API. In and Out are examples of what is under the root of request and answer; nil is none.
type Route struct {
	Method, Path    string // below /network
	Name            string
	Status          int
	InRoot, OutRoot string
	In, Out         any
	List            bool
	Serve           Handler
}

// Routes are all calls there are.
func (a *API) Routes() []Route {
	routes := []Route{
		{Method: http.MethodGet, Path: "/v2.0", Name: "list-resources", Status: 200, OutRoot: "resources", Out: []Resource{}, Serve: resources},
		{Method: http.MethodPost, Path: "/v2.0/security-group-rules", Name: "create-security-group-rule", Status: 201, Serve: refuseRule},
	}
	for _, r := range a.readable(a.kinds()) {
		path, one := "/v2.0/"+r.path, "/v2.0/"+r.path+"/{id}"
		add := func(method, path, verb string, status int, in any, inRoot string, out any, outRoot string, list bool, serve Handler) {
			if serve != nil {
				name := verb + "-" + r.word
				if list {
					name += "s"
				}
				routes = append(routes, Route{
					Method: method, Path: path, Name: name, Status: status, InRoot: inRoot, In: in, OutRoot: outRoot, Out: out, List: list, Serve: serve,
				})
			}
		}
		add(http.MethodGet, path, "list", 200, nil, "", r.view, r.plural, true, r.list)
		add(http.MethodGet, one, "show", 200, nil, "", r.view, r.root, false, r.show)
		add(http.MethodPost, path, "create", 201, r.create, r.root, r.view, r.root, false, r.made)
		add(http.MethodPut, one, "update", 200, r.update, r.root, r.view, r.root, false, r.changed)
		add(http.MethodDelete, one, "delete", 204, nil, "", nil, "", false, r.deleted)
	}
	return routes
}

// kind is one resource with its calls; nil ones are not there.
type kind struct {
	path, root, plural, word           string
	view, create, update               any
	list, show, made, changed, deleted Handler
}

func (a *API) kinds() []kind {
	return []kind{
		{
			path: "networks", root: "network", plural: "networks", word: "network", view: Network{}, create: NetworkCreate{}, update: NetworkUpdate{},
			list: a.listNetworks, show: a.showNetwork, made: a.createNetwork, changed: a.updateNetwork, deleted: a.deleteNetwork,
		},
		{
			path: "subnets", root: "subnet", plural: "subnets", word: "subnet", view: Subnet{}, create: SubnetCreate{}, update: SubnetUpdate{},
			list: a.listSubnets, show: a.showSubnet, made: a.createSubnet, changed: a.updateSubnet, deleted: a.deleteSubnet,
		},
		{
			path: "ports", root: "port", plural: "ports", word: "port", view: Port{}, create: PortCreate{}, update: PortUpdate{},
			list: a.listPorts, show: a.showPort, made: a.createPort, changed: a.updatePort, deleted: a.deletePort,
		},
		{
			path: "floatingips", root: "floatingip", plural: "floatingips", word: "floating-ip",
			view: FloatingIP{}, create: FloatingIPCreate{}, update: FloatingIPUpdate{},
			list: a.listFloatingIPs, show: a.showFloatingIP, made: a.createFloatingIP, changed: a.updateFloatingIP, deleted: a.deleteFloatingIP,
		},
		{
			path: "security-groups", root: "security_group", plural: "security_groups", word: "security-group",
			view: SecurityGroup{}, create: SecurityGroupCreate{}, update: SecurityGroupUpdate{},
			list: a.listSecurityGroups, show: a.showSecurityGroup, made: a.createSecurityGroup, changed: a.updateSecurityGroup, deleted: a.deleteSecurityGroup,
		},
		{
			path: "security-group-rules", root: "security_group_rule", plural: "security_group_rules", word: "security-group-rule", view: SecurityGroupRule{},
			list: none[SecurityGroupRule]("security_group_rules"), show: missing("SecurityGroupRuleNotFound", "Security group rule %s does not exist"),
		},
		{path: "routers", root: "router", plural: "routers", word: "router", view: Router{}, list: a.listRouters, show: a.showRouter},
		{path: "extensions", root: "extension", plural: "extensions", word: "extension", view: Extension{}, list: listExtensions, show: showExtension},
		{path: "quotas", root: "quota", plural: "quotas", word: "quota", view: Quota{}, show: a.showQuota},
		{path: "agents", root: "agent", plural: "agents", word: "agent", view: Agent{}, list: none[Agent]("agents")},
	}
}

// driver is the networks, if there are any that are ours.
func (a *API) driver() (Networks, error) {
	if a.Networks == nil {
		return nil, lb.Faultf(lb.KindUnsupported, "Networks are made elsewhere in this deployment.")
	}
	return a.Networks, nil
}
