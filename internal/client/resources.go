package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"colonnade/internal/api/wire"
)

// LoadBalancers are the load balancers; Create answers without the children's bodies, CreateTree with them.
func (c *Client) LoadBalancers() Resource[wire.LoadBalancer, wire.LoadBalancerCreate, wire.LoadBalancerUpdate] {
	return Resource[wire.LoadBalancer, wire.LoadBalancerCreate, wire.LoadBalancerUpdate]{c, "/lbaas/loadbalancers", "loadbalancer", "loadbalancers"}
}

// CreateTree makes a load balancer with everything in it and returns all of it.
func (c *Client) CreateTree(ctx context.Context, in wire.LoadBalancerCreate) (wire.LoadBalancerTree, error) {
	var out struct {
		LoadBalancer wire.LoadBalancerTree `json:"loadbalancer"`
	}
	err := c.do(ctx, http.MethodPost, "/lbaas/loadbalancers", nil, map[string]any{"loadbalancer": in}, &out)
	return out.LoadBalancer, err
}

// DeleteLoadBalancer asks for the removal of a load balancer, with its children if cascade.
func (c *Client) DeleteLoadBalancer(ctx context.Context, id string, cascade bool) error {
	return c.do(ctx, http.MethodDelete, "/lbaas/loadbalancers/"+url.PathEscape(id),
		url.Values{"cascade": {strconv.FormatBool(cascade)}}, nil, nil)
}

// Status reads a load balancer's status tree.
func (c *Client) Status(ctx context.Context, id string) (wire.StatusTree, error) {
	var out struct {
		Statuses wire.StatusTree `json:"statuses"`
	}
	err := c.do(ctx, http.MethodGet, "/lbaas/loadbalancers/"+url.PathEscape(id)+"/status", nil, nil, &out)
	return out.Statuses, err
}

// Statistics reads a load balancer's counters.
func (c *Client) Statistics(ctx context.Context, id string) (wire.Statistics, error) {
	return c.stats(ctx, "/lbaas/loadbalancers/"+url.PathEscape(id)+"/stats")
}

// ListenerStatistics reads a listener's counters.
func (c *Client) ListenerStatistics(ctx context.Context, id string) (wire.Statistics, error) {
	return c.stats(ctx, "/lbaas/listeners/"+url.PathEscape(id)+"/stats")
}

func (c *Client) stats(ctx context.Context, path string) (wire.Statistics, error) {
	var out struct {
		Stats wire.Statistics `json:"stats"`
	}
	err := c.do(ctx, http.MethodGet, path, nil, nil, &out)
	return out.Stats, err
}

// Listeners are the listeners.
func (c *Client) Listeners() Resource[wire.Listener, wire.ListenerCreate, wire.ListenerUpdate] {
	return Resource[wire.Listener, wire.ListenerCreate, wire.ListenerUpdate]{c, "/lbaas/listeners", "listener", "listeners"}
}

// Pools are the pools.
func (c *Client) Pools() Resource[wire.Pool, wire.PoolCreate, wire.PoolUpdate] {
	return Resource[wire.Pool, wire.PoolCreate, wire.PoolUpdate]{c, "/lbaas/pools", "pool", "pools"}
}

// Members are the members of one pool.
func (c *Client) Members(poolID string) Resource[wire.Member, wire.MemberCreate, wire.MemberUpdate] {
	return Resource[wire.Member, wire.MemberCreate, wire.MemberUpdate]{c, "/lbaas/pools/" + url.PathEscape(poolID) + "/members", "member", "members"}
}

// ReplaceMembers makes the pool's members those given; with additive it removes none.
func (c *Client) ReplaceMembers(ctx context.Context, poolID string, members []wire.MemberCreate, additive bool) error {
	return c.do(ctx, http.MethodPut, "/lbaas/pools/"+url.PathEscape(poolID)+"/members",
		url.Values{"additive_only": {strconv.FormatBool(additive)}}, map[string]any{"members": members}, nil)
}

// HealthMonitors are the health monitors.
func (c *Client) HealthMonitors() Resource[wire.HealthMonitor, wire.HealthMonitorCreate, wire.HealthMonitorUpdate] {
	return Resource[wire.HealthMonitor, wire.HealthMonitorCreate, wire.HealthMonitorUpdate]{c, "/lbaas/healthmonitors", "healthmonitor", "healthmonitors"}
}

// Amphorae are the amphorae, for operators.
func (c *Client) Amphorae() Resource[wire.Amphora, None, None] {
	return Resource[wire.Amphora, None, None]{c, "/octavia/amphorae", "amphora", "amphorae"}
}

// ConfigureAmphora asks for an amphora to be told its whole configuration once more.
func (c *Client) ConfigureAmphora(ctx context.Context, id string) error {
	return c.do(ctx, http.MethodPut, "/octavia/amphorae/"+url.PathEscape(id)+"/config", nil, nil, nil)
}

// Clusters are the clusters, for operators.
func (c *Client) Clusters() Resource[wire.Cluster, None, None] {
	return Resource[wire.Cluster, None, None]{c, "/octavia/clusters", "cluster", "clusters"}
}

// Distributors are the distributors, for operators.
func (c *Client) Distributors() Resource[wire.Distributor, None, None] {
	return Resource[wire.Distributor, None, None]{c, "/octavia/distributors", "distributor", "distributors"}
}

// Flavors are what operators offer tenants for their load balancers.
func (c *Client) Flavors() Resource[wire.Flavor, wire.FlavorCreate, wire.FlavorUpdate] {
	return Resource[wire.Flavor, wire.FlavorCreate, wire.FlavorUpdate]{c, "/lbaas/flavors", "flavor", "flavors"}
}

// FlavorProfiles are what flavors mean, for operators.
func (c *Client) FlavorProfiles() Resource[wire.FlavorProfile, wire.FlavorProfileCreate, wire.FlavorProfileUpdate] {
	return Resource[wire.FlavorProfile, wire.FlavorProfileCreate, wire.FlavorProfileUpdate]{c, "/lbaas/flavorprofiles", "flavorprofile", "flavorprofiles"}
}

// AvailabilityZones are the places that operators offer tenants.
func (c *Client) AvailabilityZones() Resource[wire.AvailabilityZone, wire.AvailabilityZoneCreate, wire.AvailabilityZoneUpdate] {
	return Resource[wire.AvailabilityZone, wire.AvailabilityZoneCreate, wire.AvailabilityZoneUpdate]{
		c, "/lbaas/availabilityzones", "availability_zone", "availability_zones",
	}
}

// AvailabilityZoneProfiles are what availability zones mean, for operators.
func (c *Client) AvailabilityZoneProfiles() Resource[wire.AvailabilityZoneProfile, wire.AvailabilityZoneProfileCreate, wire.AvailabilityZoneProfileUpdate] {
	return Resource[wire.AvailabilityZoneProfile, wire.AvailabilityZoneProfileCreate, wire.AvailabilityZoneProfileUpdate]{
		c, "/lbaas/availabilityzoneprofiles", "availability_zone_profile", "availability_zone_profiles",
	}
}

// Providers are what runs load balancers.
func (c *Client) Providers(ctx context.Context) ([]wire.Provider, error) {
	var out struct{ Providers []wire.Provider }
	err := c.do(ctx, http.MethodGet, "/lbaas/providers", nil, nil, &out)
	return out.Providers, err
}

// Capabilities are the options that a provider knows in profiles of flavors, or of availability zones.
func (c *Client) Capabilities(ctx context.Context, provider string, zones bool) ([]wire.Capability, error) {
	var out struct {
		Flavor []wire.Capability `json:"flavor_capabilities"`
		Zone   []wire.Capability `json:"availability_zone_capabilities"`
	}
	what := "/flavor_capabilities"
	if zones {
		what = "/availability_zone_capabilities"
	}
	err := c.do(ctx, http.MethodGet, "/lbaas/providers/"+url.PathEscape(provider)+what, nil, nil, &out)
	return append(out.Flavor, out.Zone...), err
}

// Networks are the networks that the operator made.
func (c *Client) Networks() Resource[wire.Network, wire.NetworkCreate, None] {
	return Resource[wire.Network, wire.NetworkCreate, None]{c, "/colonnade/networks", "network", "networks"}
}
