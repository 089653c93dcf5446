package amphora

import (
	"slices"

	"colonnade/internal/distributor"
	"colonnade/internal/lb"
)

// Desired is the body of PUT /v1/document: everything the worker wants an amphora to run, whole. Stamp.Revision is
// the load balancer's revision.
type Desired struct {
	lb.Stamp
	LoadBalancerID string     `json:"load_balancer_id"`
	ProjectID      string     `json:"project_id"`
	VIPs           []VIP      `json:"vips"`
	FrontEnd       Port       `json:"front_end"`
	BackEnds       []Port     `json:"back_ends,omitempty"`
	Listeners      []Listener `json:"listeners"`
	Pools          []Pool     `json:"pools"`
	ProbeKey       string     `json:"probe_key"` // 16 bytes in hex, shared with the distributor
	// SecondChance switches passing to earlier owners; off only for negative controls.
	SecondChance bool `json:"second_chance"`
	// DefaultConnectionLimit stands for a listener's -1.
	DefaultConnectionLimit int `json:"default_connection_limit"`
	// Secrets are certificates with keys, authorities and lists of what they revoked, PEM by the name that listeners and
	// pools have for it. An agent keeps them in memory alone.
	Secrets map[string]string `json:"secrets,omitempty"`
}

// VIP is an address every amphora of the cluster serves and none announces.
type VIP struct {
	Address string `json:"address"`
}

// Port is a tenant port plugged into the amphora, found by its MAC.
type Port struct {
	MAC        string                  `json:"mac_address"`
	Address    string                  `json:"ip_address"`
	SubnetCIDR string                  `json:"subnet_cidr"`
	Gateway    string                  `json:"gateway,omitempty"`
	MTU        int                     `json:"mtu,omitempty"`
	HostRoutes []distributor.HostRoute `json:"host_routes,omitempty"`
}

// Listener as the agent needs it; disabled ones are left out by the sender.
type Listener struct {
	ID                   string            `json:"id"`
	Protocol             string            `json:"protocol"`
	Port                 int               `json:"protocol_port"`
	ConnectionLimit      int               `json:"connection_limit"`
	DefaultPoolID        string            `json:"default_pool_id,omitempty"`
	InsertHeaders        map[string]string `json:"insert_headers,omitempty"`
	AllowedCIDRs         []string          `json:"allowed_cidrs,omitempty"`
	TimeoutClientData    int               `json:"timeout_client_data"`    // ms
	TimeoutMemberConnect int               `json:"timeout_member_connect"` // ms
	TimeoutMemberData    int               `json:"timeout_member_data"`    // ms
	TimeoutTCPInspect    int               `json:"timeout_tcp_inspect"`    // ms
	TLS                  *ListenerTLS      `json:"tls,omitempty"`
	L7Policies           []L7Policy        `json:"l7policies,omitempty"` // by position
}

// PoolIDs are the pools the listener sends to, each once: the default pool first.
func (l Listener) PoolIDs() []string {
	var ids []string
	add := func(id string) {
		if id != "" && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	add(l.DefaultPoolID)
	for _, p := range l.L7Policies {
		add(p.RedirectPoolID)
	}
	return ids
}

// L7Policy as the agent needs it: an enabled one with at least one rule.
type L7Policy struct {
	ID               string   `json:"id"`
	Action           string   `json:"action"`
	RedirectPoolID   string   `json:"redirect_pool_id,omitempty"`
	RedirectURL      string   `json:"redirect_url,omitempty"`
	RedirectPrefix   string   `json:"redirect_prefix,omitempty"`
	RedirectHTTPCode int      `json:"redirect_http_code,omitempty"` // 0: HAProxy's, 302
	Rules            []L7Rule `json:"rules"`
}

// L7Rule as the agent needs it: an enabled one.
type L7Rule struct {
	ID          string `json:"id"`
	Type        string `json:"type"`
	CompareType string `json:"compare_type"`
	Key         string `json:"key,omitempty"`
	Value       string `json:"value"`
	Invert      bool   `json:"invert,omitempty"`
}

// Pool as the agent needs it.
type Pool struct {
	ID                 string                 `json:"id"`
	Protocol           string                 `json:"protocol"`
	Algorithm          string                 `json:"lb_algorithm"`
	SessionPersistence *lb.SessionPersistence `json:"session_persistence,omitempty"`
	TLS                *PoolTLS               `json:"tls,omitempty"`
	Members            []Member               `json:"members"`
	Monitor            *Monitor               `json:"health_monitor,omitempty"`
}

// Member as the agent needs it.
type Member struct {
	ID             string `json:"id"`
	ServerID       int    `json:"server_id"` // HAProxy's numeric id, equal on every amphora
	Address        string `json:"address"`
	Port           int    `json:"protocol_port"`
	Weight         int    `json:"weight"`
	Backup         bool   `json:"backup"`
	Enabled        bool   `json:"enabled"`
	MonitorAddress string `json:"monitor_address,omitempty"`
	MonitorPort    int    `json:"monitor_port,omitempty"`
}

// Monitor as the agent needs it; a disabled one is left out by the sender.
type Monitor struct {
	ID             string `json:"id"`
	Type           string `json:"type"`
	Delay          int    `json:"delay"`   // s
	Timeout        int    `json:"timeout"` // s
	MaxRetries     int    `json:"max_retries"`
	MaxRetriesDown int    `json:"max_retries_down"`
	HTTPMethod     string `json:"http_method,omitempty"`
	URLPath        string `json:"url_path,omitempty"`
	ExpectedCodes  string `json:"expected_codes,omitempty"`
	HTTPVersion    string `json:"http_version,omitempty"`
	DomainName     string `json:"domain_name,omitempty"`
}

// TableDocument is the body of PUT /v1/table: the owner lists, sent by the cluster manager. Stamp.Revision is the
// table's version.
type TableDocument struct {
	lb.Stamp
	Table distributor.Table `json:"table"`
}

// Problem is one reason why a document was refused, mapped to the object whose lines HAProxy rejected.
type Problem struct {
	ObjectType string `json:"object_type"` // "listener", "l7policy", "l7rule", "pool", "member", "healthmonitor" or "" (the document as a whole)
	ObjectID   string `json:"object_id"`
	Reason     string `json:"reason"`
}

// RefusedError is the answer to a document the agent or HAProxy did not accept; the old one keeps running.
type RefusedError struct {
	Problems []Problem `json:"problems"`
}

// Status is the body of GET /v1/status and, changed parts only, the content of heartbeats.
type Status struct {
	AmphoraID       string   `json:"amphora_id"`
	BootID          string   `json:"boot_id"` // changes when the instance (not just its agent) starts anew
	DocumentApplied lb.Stamp `json:"document_applied"`
	TableApplied    lb.Stamp `json:"table_applied"`
	HAProxy         string   `json:"haproxy"` // "up", "down", or "idle" before the first document
	// HeldElsewhere counts established connections of rows whose owner (by the table) is another amphora: what a
	// draining amphora still waits for.
	HeldElsewhere int               `json:"held_elsewhere"`
	Connections   int               `json:"connections"` // established connections to the VIP
	Listeners     []ListenerStats   `json:"listeners,omitempty"`
	Members       map[string]string `json:"members,omitempty"` // member id -> HAProxy state: UP, DOWN, DRAIN, MAINT, "no check"
	HAProxyStarts int               `json:"haproxy_starts"`
	Reloads       int               `json:"reloads"`
	SecondChance  map[string]uint64 `json:"second_chance,omitempty"` // counters of the front-end program, by name
}

// ListenerStats are absolute counters since HAProxy's listener first started on this amphora, reloads included.
type ListenerStats struct {
	ListenerID        string `json:"listener_id"`
	Full              bool   `json:"full"`
	BytesIn           uint64 `json:"bytes_in"`
	BytesOut          uint64 `json:"bytes_out"`
	ActiveConnections uint64 `json:"active_connections"`
	TotalConnections  uint64 `json:"total_connections"`
	RequestErrors     uint64 `json:"request_errors"`
}

func (e *RefusedError) Error() string {
	if len(e.Problems) == 0 {
		return "document refused"
	}
	return "document refused: " + e.Problems[0].Reason
}

// HTTPStatus is 400: the document is at fault.
func (e *RefusedError) HTTPStatus() int { return 400 }
