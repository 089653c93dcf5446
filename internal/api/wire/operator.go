package wire

import "encoding/json"

// Amphora is one instance that balances.
type Amphora struct {
	ID             string  `json:"id"`
	LoadBalancerID *string `json:"loadbalancer_id"`
	ClusterID      *string `json:"cluster_id"`
	ComputeID      *string `json:"compute_id"`
	LBNetworkIP    *string `json:"lb_network_ip"`
	VRRPIP         *string `json:"vrrp_ip"` // its own address on the front-end network
	HAIP           *string `json:"ha_ip"`   // the VIP
	VRRPPortID     *string `json:"vrrp_port_id"`
	HAPortID       *string `json:"ha_port_id"`
	CertExpiration *string `json:"cert_expiration"`
	CertBusy       bool    `json:"cert_busy"`
	Role           string  `json:"role"`
	Status         string  `json:"status"`
	StatusReason   string  `json:"status_reason,omitempty"`
	VRRPInterface  *string `json:"vrrp_interface"`
	VRRPID         *int    `json:"vrrp_id"`
	VRRPPriority   *int    `json:"vrrp_priority"`
	CachedZone     *string `json:"cached_zone"`
	ImageID        *string `json:"image_id"`
	ComputeFlavor  *string `json:"compute_flavor"`
	CreatedAt      *string `json:"created_at"`
	UpdatedAt      *string `json:"updated_at"`
	// Position is the place in the cluster that flows hash to; null for a standby or a draining amphora.
	Position        *int    `json:"position"`
	FrontEndMAC     *string `json:"frontend_mac"`
	OutOfService    bool    `json:"out_of_service"`
	DrainingSince   *string `json:"draining_since"`
	AppliedRevision int64   `json:"applied_revision"`
	AppliedTable    int64   `json:"applied_table"`
}

// AmphoraStatistics are the counters of one listener on one amphora.
type AmphoraStatistics struct {
	ID             string `json:"id"`
	LoadBalancerID string `json:"loadbalancer_id"`
	ListenerID     string `json:"listener_id"`
	Statistics
}

// Cluster is the set of amphorae of one load balancer (S67).
type Cluster struct {
	ID                 string  `json:"id"`
	Name               string  `json:"name"`
	ProjectID          string  `json:"project_id"`
	TenantID           string  `json:"tenant_id"`
	LoadBalancerID     string  `json:"load_balancer_id"`
	DistributorID      *string `json:"distributor_id"`
	ClusterType        string  `json:"cluster_type"`
	DesiredSize        int     `json:"desired_size"`
	MinSize            int     `json:"min_size"`
	StandbySize        int     `json:"standby_size"`
	StandbyReady       int     `json:"standby_ready"`
	Cooldown           float64 `json:"cooldown"` // s
	Enabled            bool    `json:"enabled"`
	ProvisioningStatus string  `json:"provisioning_status"`
	OperatingStatus    string  `json:"operating_status"`
	Amphorae           []Ref   `json:"amphorae"`
	// Table is the forwarding table (distributor.Table), or null before the first.
	Table     json.RawMessage `json:"table"`
	CreatedAt *string         `json:"created_at"`
	UpdatedAt *string         `json:"updated_at"`
}

// DistributorVIP is one VIP a distributor owns.
type DistributorVIP struct {
	LoadBalancerID string  `json:"loadbalancer_id"`
	VIPAddress     string  `json:"vip_address"`
	PortID         *string `json:"port_id"`
}

// Distributor is one layer-2 forwarder.
type Distributor struct {
	ID             string           `json:"id"`
	ProjectID      string           `json:"project_id"`
	TenantID       string           `json:"tenant_id"`
	Status         string           `json:"status"`
	StatusReason   string           `json:"status_reason,omitempty"`
	ComputeID      *string          `json:"compute_id"`
	LBNetworkIP    *string          `json:"lb_network_ip"`
	CertExpiration *string          `json:"cert_expiration"`
	VIPs           []DistributorVIP `json:"vips"`
	CreatedAt      *string          `json:"created_at"`
	UpdatedAt      *string          `json:"updated_at"`
}

// Network is a network the operator made.
type Network struct {
	ID        string   `json:"id"`
	Name      string   `json:"name"`
	ProjectID string   `json:"project_id"`
	MTU       int      `json:"mtu"`
	External  bool     `json:"external"`
	Shared    bool     `json:"shared"`
	CreatedAt *string  `json:"created_at"`
	Subnets   []Subnet `json:"subnets"`
}

// Subnet is an address range of a network.
type Subnet struct {
	ID              string `json:"id"`
	Name            string `json:"name"`
	CIDR            string `json:"cidr"`
	GatewayIP       string `json:"gateway_ip"`
	AllocationStart string `json:"allocation_start"`
	AllocationEnd   string `json:"allocation_end"`
	// AmphoraAddressPool are the ranges that amphorae's own addresses come from; none: from everybody's.
	AmphoraAddressPool []string `json:"amphora_address_pool"`
}

// Link leads to another page of a list.
type Link struct {
	Rel  string `json:"rel"`
	Href string `json:"href"`
}

// Fault is the body of an answer that is an error (shape A).
type Fault struct {
	FaultCode   string  `json:"faultcode"`
	FaultString string  `json:"faultstring"`
	DebugInfo   *string `json:"debuginfo"`
}
