package api

import (
	"context"

	"colonnade/internal/amphora"
	"colonnade/internal/lb"
	"colonnade/internal/network"
	"colonnade/internal/store"
)

// Store is what the API needs of the database; *store.Store is one.
type Store interface {
	SecretStore
	// CreateTree writes a new load balancer with its cluster, and wakes worker and cluster manager.
	CreateTree(ctx context.Context, tree lb.Tree, cluster lb.Cluster) error
	// ChangeTree reads the tree, lets change modify it and writes what differs in one transaction; nothing is written
	// when change returns an error.
	ChangeTree(ctx context.Context, lbID, actor string, change func(*lb.Tree) error) (lb.Tree, error)
	Tree(ctx context.Context, lbID string) (lb.Tree, error)
	// State names what is committed: nothing is, between two equal ones.
	State(ctx context.Context) (string, error)

	LoadBalancers(ctx context.Context, q store.Query) ([]store.LoadBalancerItem, error)
	Listeners(ctx context.Context, q store.Query) ([]store.ListenerItem, error)
	L7Policies(ctx context.Context, q store.Query) ([]store.L7PolicyItem, error)
	L7Rules(ctx context.Context, q store.Query) ([]lb.L7Rule, error)
	Pools(ctx context.Context, q store.Query) ([]store.PoolItem, error)
	Members(ctx context.Context, q store.Query) ([]lb.Member, error)
	HealthMonitors(ctx context.Context, q store.Query) ([]lb.HealthMonitor, error)
	Amphorae(ctx context.Context, q store.Query) ([]store.AmphoraItem, error)
	Clusters(ctx context.Context, q store.Query) ([]store.ClusterItem, error)
	Distributors(ctx context.Context, q store.Query) ([]store.DistributorItem, error)

	// DefaultQuota is what holds for projects without limits of their own; what Quota, Quotas and UpdateQuota return
	// is what holds. UpdateQuota's change sees and sets a project's own limits.
	DefaultQuota() lb.Quota
	Quota(ctx context.Context, projectID string) (lb.Quota, error)
	Quotas(ctx context.Context, q store.Query) ([]store.QuotaItem, error)
	UpdateQuota(ctx context.Context, projectID string, change func(*lb.Quota)) (lb.Quota, error)
	ResetQuota(ctx context.Context, projectID string) error
	Offers(ctx context.Context, kind lb.OfferKind, q store.Query) ([]lb.Offer, error)
	OfferWithProfile(ctx context.Context, kind lb.OfferKind, id string) (lb.Offer, lb.OfferProfile, error)
	CreateOffer(ctx context.Context, kind lb.OfferKind, o lb.Offer) error
	UpdateOffer(ctx context.Context, kind lb.OfferKind, id string, change func(*lb.Offer) error) (lb.Offer, error)
	DeleteOffer(ctx context.Context, kind lb.OfferKind, id string) error
	OfferProfiles(ctx context.Context, kind lb.OfferKind, q store.Query) ([]lb.OfferProfile, error)
	CreateOfferProfile(ctx context.Context, kind lb.OfferKind, p lb.OfferProfile) error
	UpdateOfferProfile(ctx context.Context, kind lb.OfferKind, id string, change func(*lb.OfferProfile) error) (lb.OfferProfile, error)
	DeleteOfferProfile(ctx context.Context, kind lb.OfferKind, id string) error

	ListEvents(ctx context.Context, q store.Query) ([]lb.Event, error)
	// RecordEvent writes an event of its own, in the name of the caller of ctx.
	RecordEvent(ctx context.Context, e lb.Event) error
	feedStore

	// FindHealthMonitor and FindL7Policy return the id of the load balancer.
	FindHealthMonitor(ctx context.Context, id string) (string, error)
	FindL7Policy(ctx context.Context, id string) (string, error)
	RequestAmphoraFailover(ctx context.Context, amphoraID string) error
	RequestAmphoraConfiguration(ctx context.Context, amphoraID string) error
	DeleteAmphora(ctx context.Context, amphoraID string) error
	RequestLoadBalancerFailover(ctx context.Context, lbID string) error
	// ListenerStatistics are the sums over all amphorae, by listener id.
	ListenerStatistics(ctx context.Context, lbID string) (map[string]amphora.ListenerStats, error)
	AmphoraStatistics(ctx context.Context, amphoraID string) ([]amphora.ListenerStats, error)
}

// Provider is what the deployment's amphorae can do.
type Provider interface {
	// Supports refuses a tree that keeps to the API's rules and asks for what the amphorae cannot do, as an
	// lb.KindUnsupported fault. It is asked with every tree before it is written.
	Supports(t *lb.Tree) error
	// FlavorCapabilities and ZoneCapabilities are the options that profiles of flavors and of availability zones may have.
	FlavorCapabilities() []lb.Capability
	ZoneCapabilities() []lb.Capability
	// TakesAnyOption reports whether profiles may have other options too, which mean nothing.
	TakesAnyOption() bool
}

// Networks is what the API needs of the network driver for VIPs and members.
type Networks interface {
	Subnet(ctx context.Context, id string) (network.Subnet, error)
	Network(ctx context.Context, id string) (network.Network, error)
	EnsurePort(ctx context.Context, spec network.PortSpec) (network.Port, error)
	Port(ctx context.Context, id string) (network.Port, error)
	// ClaimPort gives a tenant's port to a load balancer; ReleasePort ends what a port was made or claimed for.
	ClaimPort(ctx context.Context, id, ownerID string) (network.Port, error)
	ReleasePort(ctx context.Context, id string) error
}

// NetworkOperator makes and removes networks, where the driver has networks of its own (bridge). It checks what it is
// given and answers with *lb.Fault.
type NetworkOperator interface {
	CreateNetwork(ctx context.Context, n network.Network) (network.Network, error)
	Networks(ctx context.Context) ([]network.Network, error)
	DeleteNetwork(ctx context.Context, id string) error
}
