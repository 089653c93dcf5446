package wire

import "encoding/json"

// Ref names another object.
type Ref struct {
	ID string `json:"id"`
}

// Status is what every object of a load balancer's tree carries.
type Status struct {
	ProvisioningStatus string `json:"provisioning_status"`
	OperatingStatus    string `json:"operating_status"`
	// StatusReason says why an object is in ERROR or what is being tried again; absent when all is well.
	StatusReason string `json:"status_reason,omitempty"`
}

// Common is what every object of a load balancer's tree carries besides.
type Common struct {
	ID           string   `json:"id"`
	Name         string   `json:"name"`
	ProjectID    string   `json:"project_id"`
	TenantID     string   `json:"tenant_id"`
	AdminStateUp bool     `json:"admin_state_up"`
	Tags         []string `json:"tags"`
	CreatedAt    *string  `json:"created_at"` // ISO 8601 without zone, UTC
	UpdatedAt    *string  `json:"updated_at"`
	Status
}

// LoadBalancerFields are those of a load balancer but its children.
type LoadBalancerFields struct {
	Common
	Description      string              `json:"description"`
	VIPAddress       string              `json:"vip_address"`
	VIPPortID        string              `json:"vip_port_id"`
	VIPSubnetID      string              `json:"vip_subnet_id"`
	VIPNetworkID     string              `json:"vip_network_id"`
	VIPQosPolicyID   *string             `json:"vip_qos_policy_id"`
	VIPVnicType      string              `json:"vip_vnic_type"`
	VIPSgIDs         []string            `json:"vip_sg_ids"`
	AdditionalVIPs   []AdditionalVIPView `json:"additional_vips"`
	Provider         string              `json:"provider"`
	FlavorID         *string             `json:"flavor_id"`
	AvailabilityZone *string             `json:"availability_zone"`
	// AmphoraAddressPool is an extension, there when it was given.
	AmphoraAddressPool []string `json:"amphora_address_pool,omitempty"`
}

// AdditionalVIPView is one more VIP of a load balancer, as it is shown.
type AdditionalVIPView struct {
	SubnetID  string `json:"subnet_id"`
	IPAddress string `json:"ip_address"`
	PortID    string `json:"port_id"`
}

// LoadBalancer is a load balancer with its children by id.
type LoadBalancer struct {
	LoadBalancerFields
	Listeners []Ref `json:"listeners"`
	Pools     []Ref `json:"pools"`
}

// LoadBalancerTree is the answer to POST: the whole tree.
type LoadBalancerTree struct {
	LoadBalancerFields
	Listeners []ListenerTree `json:"listeners"`
	Pools     []PoolTree     `json:"pools"`
}

// ListenerCommon are the fields of a listener but its references.
type ListenerCommon struct {
	Common
	Description             string            `json:"description"`
	Protocol                string            `json:"protocol"`
	ProtocolPort            int               `json:"protocol_port"`
	ConnectionLimit         int               `json:"connection_limit"`
	InsertHeaders           map[string]string `json:"insert_headers"`
	TimeoutClientData       int               `json:"timeout_client_data"`
	TimeoutMemberConnect    int               `json:"timeout_member_connect"`
	TimeoutMemberData       int               `json:"timeout_member_data"`
	TimeoutTCPInspect       int               `json:"timeout_tcp_inspect"`
	AllowedCIDRs            []string          `json:"allowed_cidrs"` // null when everybody may
	DefaultTLSContainerRef  *string           `json:"default_tls_container_ref"`
	SNIContainerRefs        []string          `json:"sni_container_refs"`
	ClientCATLSContainerRef *string           `json:"client_ca_tls_container_ref"`
	ClientAuthentication    string            `json:"client_authentication"`
	ClientCRLContainerRef   *string           `json:"client_crl_container_ref"`
	TLSCiphers              *string           `json:"tls_ciphers"`
	TLSVersions             []string          `json:"tls_versions"`
	ALPNProtocols           []string          `json:"alpn_protocols"`
	HSTSMaxAge              *int              `json:"hsts_max_age"`
	HSTSIncludeSubdomains   bool              `json:"hsts_include_subdomains"`
	HSTSPreload             bool              `json:"hsts_preload"`
}

// Listener is a listener.
type Listener struct {
	ListenerCommon
	DefaultPoolID *string `json:"default_pool_id"`
	L7Policies    []Ref   `json:"l7policies"`
	LoadBalancers []Ref   `json:"loadbalancers"`
}

// ListenerTree is a listener inside a whole load balancer; its pools stand beside it.
type ListenerTree struct {
	ListenerCommon
	DefaultPoolID *string        `json:"default_pool_id"`
	L7Policies    []L7PolicyTree `json:"l7policies"`
}

// SessionPersistenceView is a pool's session persistence as it is shown.
type SessionPersistenceView struct {
	Type                   string  `json:"type"`
	CookieName             *string `json:"cookie_name"`
	PersistenceTimeout     *int    `json:"persistence_timeout"`
	PersistenceGranularity *string `json:"persistence_granularity"`
}

// PoolCommon are the fields of a pool but its children.
type PoolCommon struct {
	Common
	Description        string                  `json:"description"`
	Protocol           string                  `json:"protocol"`
	LBAlgorithm        string                  `json:"lb_algorithm"`
	SessionPersistence *SessionPersistenceView `json:"session_persistence"`
	TLSEnabled         bool                    `json:"tls_enabled"`
	TLSContainerRef    *string                 `json:"tls_container_ref"`
	CATLSContainerRef  *string                 `json:"ca_tls_container_ref"`
	CRLContainerRef    *string                 `json:"crl_container_ref"`
	TLSCiphers         *string                 `json:"tls_ciphers"`
	TLSVersions        []string                `json:"tls_versions"`
	ALPNProtocols      []string                `json:"alpn_protocols"`
}

// Pool is a pool with its children by id.
type Pool struct {
	PoolCommon
	LoadBalancers []Ref `json:"loadbalancers"`
	Listeners     []Ref `json:"listeners"`
	Members       []Ref `json:"members"`
	// HealthMonitorID is absent, not null, when there is none.
	HealthMonitorID string `json:"healthmonitor_id,omitempty"`
}

// PoolTree is a pool inside a whole load balancer.
type PoolTree struct {
	PoolCommon
	Members       []Member       `json:"members"`
	HealthMonitor *HealthMonitor `json:"healthmonitor"`
}

// Member is a member.
type Member struct {
	Common
	Address        string  `json:"address"`
	ProtocolPort   int     `json:"protocol_port"`
	Weight         int     `json:"weight"`
	Backup         bool    `json:"backup"`
	SubnetID       *string `json:"subnet_id"`
	MonitorAddress *string `json:"monitor_address"`
	MonitorPort    *int    `json:"monitor_port"`
	VnicType       string  `json:"vnic_type"`
}

// HealthMonitor is a health monitor.
type HealthMonitor struct {
	Common
	Type           string       `json:"type"`
	Delay          int          `json:"delay"`
	Timeout        int          `json:"timeout"`
	MaxRetries     int          `json:"max_retries"`
	MaxRetriesDown int          `json:"max_retries_down"`
	HTTPMethod     *string      `json:"http_method"`
	URLPath        *string      `json:"url_path"`
	ExpectedCodes  *string      `json:"expected_codes"`
	HTTPVersion    *json.Number `json:"http_version"`
	DomainName     *string      `json:"domain_name"`
	Pools          []Ref        `json:"pools"`
}

// Statistics are counters of a listener, or of all listeners of a load balancer.
type Statistics struct {
	ActiveConnections uint64 `json:"active_connections"`
	BytesIn           uint64 `json:"bytes_in"`
	BytesOut          uint64 `json:"bytes_out"`
	RequestErrors     uint64 `json:"request_errors"`
	TotalConnections  uint64 `json:"total_connections"`
}

// StatusNode is one object of a status tree; only the fields of its kind are there.
type StatusNode struct {
	ID                 string `json:"id"`
	Name               string `json:"name"`
	ProvisioningStatus string `json:"provisioning_status"`
	OperatingStatus    string `json:"operating_status"`
}

// StatusTree is what GET …/status answers under "statuses".
type StatusTree struct {
	LoadBalancer StatusLoadBalancer `json:"loadbalancer"`
}

// StatusLoadBalancer is the root of a status tree.
type StatusLoadBalancer struct {
	StatusNode
	Listeners []StatusListener `json:"listeners"`
}

// StatusListener is a listener in a status tree.
type StatusListener struct {
	StatusNode
	Pools []StatusPool `json:"pools"`
}

// StatusPool is a pool in a status tree.
type StatusPool struct {
	StatusNode
	HealthMonitor *StatusMonitor `json:"health_monitor"`
	Members       []StatusMember `json:"members"`
}

// StatusMonitor is a health monitor in a status tree.
type StatusMonitor struct {
	StatusNode
	Type string `json:"type"`
}

// StatusMember is a member in a status tree.
type StatusMember struct {
	StatusNode
	Address      string `json:"address"`
	ProtocolPort int    `json:"protocol_port"`
}
