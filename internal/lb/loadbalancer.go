package lb

import "time"

// LoadBalancer is a tenant's load balancer.
type LoadBalancer struct {
	ID                 string             `bun:"id,pk"`
	ProjectID          string             `bun:"project_id"`
	Name               string             `bun:"name"`
	Description        string             `bun:"description"`
	ProvisioningStatus ProvisioningStatus `bun:"provisioning_status"`
	OperatingStatus    OperatingStatus    `bun:"operating_status"`
	StatusReason       string             `bun:"status_reason"` // why ERROR, or what is being retried; "" when all is well
	Enabled            bool               `bun:"enabled"`
	Provider           string             `bun:"provider"`
	VIPAddress         string             `bun:"vip_address"`
	VIPPortID          string             `bun:"vip_port_id"`
	VIPSubnetID        string             `bun:"vip_subnet_id"`
	VIPNetworkID       string             `bun:"vip_network_id"`
	VIPPortOwned       bool               `bun:"vip_port_owned"` // we made the port, so we delete it
	// VIPQoSPolicyID and VIPSecurityGroups name what the network service does with the VIP's port.
	VIPQoSPolicyID    string          `bun:"vip_qos_policy_id,nullzero"`
	VIPSecurityGroups []string        `bun:"vip_sg_ids,type:text"` // JSON text
	VIPVnicType       string          `bun:"vip_vnic_type"`        // VnicDirect, or "" for VnicNormal
	AdditionalVIPs    []AdditionalVIP `bun:"additional_vips,type:text"`
	// AmphoraPool are the ranges that amphorae's own addresses come from; JSON text.
	AmphoraPool      []string  `bun:"amphora_pool,type:text"`
	FlavorID         string    `bun:"flavor_id,nullzero"`
	AvailabilityZone string    `bun:"availability_zone,nullzero"`
	Topology         Topology  `bun:"topology"`
	Tags             []string  `bun:"tags,type:text"` // JSON text
	CreatedAt        time.Time `bun:"created_at"`
	UpdatedAt        time.Time `bun:"updated_at,nullzero"`

	// Revision is the number of the desired configuration; every accepted write raises it.
	Revision int64 `bun:"revision"`
	// Epoch rises with each lease on this load balancer and fences every write (docs/ARCHITECTURE.md, the way of a change).
	Epoch int64 `bun:"epoch"`
	// PendingSince is when the present PENDING_* status began, by the database's clock; zero when settled.
	PendingSince time.Time `bun:"pending_since,nullzero"`
}

// Listener protocols.
const (
	ProtocolHTTP            = "HTTP"
	ProtocolHTTPS           = "HTTPS"
	ProtocolTCP             = "TCP"
	ProtocolUDP             = "UDP"
	ProtocolSCTP            = "SCTP"
	ProtocolTerminatedHTTPS = "TERMINATED_HTTPS"
	ProtocolPrometheus      = "PROMETHEUS"
	ProtocolProxy           = "PROXY"
	ProtocolProxyV2         = "PROXYV2"
)

// Listener accepts connections on one port of the VIP.
type Listener struct {
	ID                   string             `bun:"id,pk"`
	LoadBalancerID       string             `bun:"load_balancer_id"`
	ProjectID            string             `bun:"project_id"`
	Name                 string             `bun:"name"`
	Description          string             `bun:"description"`
	ProvisioningStatus   ProvisioningStatus `bun:"provisioning_status"`
	OperatingStatus      OperatingStatus    `bun:"operating_status"`
	StatusReason         string             `bun:"status_reason"`
	Enabled              bool               `bun:"enabled"`
	Protocol             string             `bun:"protocol"`
	ProtocolPort         int                `bun:"protocol_port"`
	ConnectionLimit      int                `bun:"connection_limit"` // -1: the operator's default
	DefaultPoolID        string             `bun:"default_pool_id,nullzero"`
	InsertHeaders        map[string]string  `bun:"insert_headers,type:text"` // JSON text
	AllowedCIDRs         []string           `bun:"allowed_cidrs,type:text"`  // JSON text; empty: everybody
	TimeoutClientData    int                `bun:"timeout_client_data"`      // ms
	TimeoutMemberConnect int                `bun:"timeout_member_connect"`   // ms
	TimeoutMemberData    int                `bun:"timeout_member_data"`      // ms
	TimeoutTCPInspect    int                `bun:"timeout_tcp_inspect"`      // ms
	Tags                 []string           `bun:"tags,type:text"`
	CreatedAt            time.Time          `bun:"created_at"`
	UpdatedAt            time.Time          `bun:"updated_at,nullzero"`
	ListenerTLS

	L7Policies []L7Policy `bun:"-"` // by position, with their rules
}

// Algorithms of a pool.
const (
	RoundRobin       = "ROUND_ROBIN"
	LeastConnections = "LEAST_CONNECTIONS"
	SourceIP         = "SOURCE_IP"
	SourceIPPort     = "SOURCE_IP_PORT"
)

// Session persistence types.
const (
	PersistSourceIP   = "SOURCE_IP"
	PersistHTTPCookie = "HTTP_COOKIE"
	PersistAppCookie  = "APP_COOKIE"
)

// SessionPersistence keeps a client on one member.
type SessionPersistence struct {
	Type       string `json:"type"`
	CookieName string `json:"cookie_name,omitempty"`
	// Timeout (s) and Granularity (the netmask within which clients are one) are of UDP and SCTP pools alone.
	Timeout     *int   `json:"persistence_timeout,omitempty"`
	Granularity string `json:"persistence_granularity,omitempty"`
}

// Pool is a set of members and the way to choose among them.
type Pool struct {
	ID                 string              `bun:"id,pk"`
	LoadBalancerID     string              `bun:"load_balancer_id"`
	ProjectID          string              `bun:"project_id"`
	Name               string              `bun:"name"`
	Description        string              `bun:"description"`
	ProvisioningStatus ProvisioningStatus  `bun:"provisioning_status"`
	OperatingStatus    OperatingStatus     `bun:"operating_status"`
	StatusReason       string              `bun:"status_reason"`
	Enabled            bool                `bun:"enabled"`
	Protocol           string              `bun:"protocol"`
	Algorithm          string              `bun:"lb_algorithm"`
	SessionPersistence *SessionPersistence `bun:"session_persistence,type:text"` // JSON text or NULL
	Tags               []string            `bun:"tags,type:text"`
	CreatedAt          time.Time           `bun:"created_at"`
	UpdatedAt          time.Time           `bun:"updated_at,nullzero"`
	PoolTLS

	// LastServerID is the highest Member.ServerID ever given out in this pool; no number is given twice.
	LastServerID int `bun:"last_server_id"`

	Members       []Member       `bun:"-"`
	HealthMonitor *HealthMonitor `bun:"-"`
}

// Member is one server of a pool.
type Member struct {
	ID                 string             `bun:"id,pk"`
	PoolID             string             `bun:"pool_id"`
	ProjectID          string             `bun:"project_id"`
	Name               string             `bun:"name"`
	ProvisioningStatus ProvisioningStatus `bun:"provisioning_status"`
	OperatingStatus    OperatingStatus    `bun:"operating_status"`
	StatusReason       string             `bun:"status_reason"`
	Enabled            bool               `bun:"enabled"`
	Address            string             `bun:"ip_address"`
	ProtocolPort       int                `bun:"protocol_port"`
	Weight             int                `bun:"weight"` // 0…256; 0 drains
	Backup             bool               `bun:"backup"`
	SubnetID           string             `bun:"subnet_id,nullzero"`
	MonitorAddress     string             `bun:"monitor_address,nullzero"`
	MonitorPort        int                `bun:"monitor_port,nullzero"`
	// ServerID is the number HAProxy knows the member by, equal on every amphora and never used twice in a pool,
	// so that SOURCE_IP decides alike everywhere.
	ServerID  int       `bun:"server_id"`
	VnicType  string    `bun:"vnic_type"` // VnicDirect, or "" for VnicNormal
	Tags      []string  `bun:"tags,type:text"`
	CreatedAt time.Time `bun:"created_at"`
	UpdatedAt time.Time `bun:"updated_at,nullzero"`
}

// Health monitor types.
const (
	MonitorHTTP       = "HTTP"
	MonitorHTTPS      = "HTTPS"
	MonitorTCP        = "TCP"
	MonitorPing       = "PING"
	MonitorTLSHello   = "TLS-HELLO"
	MonitorUDPConnect = "UDP-CONNECT"
	MonitorSCTP       = "SCTP"
)

// HealthMonitor checks the members of one pool.
type HealthMonitor struct {
	ID                 string             `bun:"id,pk"`
	PoolID             string             `bun:"pool_id"`
	ProjectID          string             `bun:"project_id"`
	Name               string             `bun:"name"`
	ProvisioningStatus ProvisioningStatus `bun:"provisioning_status"`
	OperatingStatus    OperatingStatus    `bun:"operating_status"`
	StatusReason       string             `bun:"status_reason"`
	Enabled            bool               `bun:"enabled"`
	Type               string             `bun:"type"`
	Delay              int                `bun:"delay"`   // s between checks
	Timeout            int                `bun:"timeout"` // s one check may take
	MaxRetries         int                `bun:"rise_threshold"`
	MaxRetriesDown     int                `bun:"fall_threshold"`
	HTTPMethod         string             `bun:"http_method,nullzero"`
	URLPath            string             `bun:"url_path,nullzero"`
	ExpectedCodes      string             `bun:"expected_codes,nullzero"`
	HTTPVersion        string             `bun:"http_version,nullzero"` // "1.0", "1.1" or ""
	DomainName         string             `bun:"domain_name,nullzero"`
	Tags               []string           `bun:"tags,type:text"`
	CreatedAt          time.Time          `bun:"created_at"`
	UpdatedAt          time.Time          `bun:"updated_at,nullzero"`
}

// Tree is everything a tenant configured under one load balancer.
type Tree struct {
	LoadBalancer LoadBalancer
	Listeners    []Listener // with their policies and rules
	Pools        []Pool     // with their members and health monitor
	// AcceptPending lets changes be made while others are under way (the operator's accept_while_pending); it is
	// set by who changes the tree and stored nowhere.
	AcceptPending bool
}
