package wire

// LoadBalancerCreate is what POST /lbaas/loadbalancers takes under "loadbalancer".
type LoadBalancerCreate struct {
	Name             Opt[string]           `json:"name,omitzero" maxLength:"255"`
	Description      Opt[string]           `json:"description,omitzero" maxLength:"255"`
	AdminStateUp     Opt[bool]             `json:"admin_state_up,omitzero"`
	ProjectID        Opt[string]           `json:"project_id,omitzero" maxLength:"36"`
	TenantID         Opt[string]           `json:"tenant_id,omitzero" maxLength:"36"`
	VIPAddress       Opt[string]           `json:"vip_address,omitzero" format:"ip"`
	VIPPortID        Opt[string]           `json:"vip_port_id,omitzero" format:"uuid"`
	VIPSubnetID      Opt[string]           `json:"vip_subnet_id,omitzero" format:"uuid"`
	VIPNetworkID     Opt[string]           `json:"vip_network_id,omitzero" format:"uuid"`
	VIPQosPolicyID   Opt[string]           `json:"vip_qos_policy_id,omitzero" format:"uuid"`
	VIPSgIDs         Opt[[]string]         `json:"vip_sg_ids,omitzero" itemsFormat:"uuid"`
	AdditionalVIPs   Opt[[]AdditionalVIP]  `json:"additional_vips,omitzero"`
	Listeners        Opt[[]ListenerCreate] `json:"listeners,omitzero"`
	Pools            Opt[[]PoolCreate]     `json:"pools,omitzero"`
	Provider         Opt[string]           `json:"provider,omitzero" maxLength:"64"`
	FlavorID         Opt[string]           `json:"flavor_id,omitzero" format:"uuid"`
	AvailabilityZone Opt[string]           `json:"availability_zone,omitzero" maxLength:"255"`
	Tags             Opt[[]string]         `json:"tags,omitzero" itemsMaxLength:"255"`
	// AmphoraAddressPool is an extension: ranges that amphorae's own addresses come from.
	AmphoraAddressPool Opt[[]string] `json:"amphora_address_pool,omitzero" itemsMaxLength:"64"`
}

// AdditionalVIP is one more VIP of a load balancer.
type AdditionalVIP struct {
	SubnetID  Opt[string] `json:"subnet_id" format:"uuid"`
	IPAddress Opt[string] `json:"ip_address,omitzero" format:"ip"`
}

// LoadBalancerUpdate is what PUT takes.
type LoadBalancerUpdate struct {
	Name           Opt[string]   `json:"name,omitzero" maxLength:"255"`
	Description    Opt[string]   `json:"description,omitzero" maxLength:"255"`
	AdminStateUp   Opt[bool]     `json:"admin_state_up,omitzero"`
	VIPQosPolicyID Opt[string]   `json:"vip_qos_policy_id,omitzero" format:"uuid"`
	VIPSgIDs       Opt[[]string] `json:"vip_sg_ids,omitzero" itemsFormat:"uuid"`
	Tags           Opt[[]string] `json:"tags,omitzero" itemsMaxLength:"255"`
}

// ListenerTLS are the fields of a listener that need TLS.
type ListenerTLS struct {
	DefaultTLSContainerRef  Opt[string]   `json:"default_tls_container_ref,omitzero" maxLength:"255"`
	SNIContainerRefs        Opt[[]string] `json:"sni_container_refs,omitzero" itemsMaxLength:"255"`
	ClientCATLSContainerRef Opt[string]   `json:"client_ca_tls_container_ref,omitzero" maxLength:"255"`
	ClientAuthentication    Opt[string]   `json:"client_authentication,omitzero" enum:"NONE,OPTIONAL,MANDATORY"`
	ClientCRLContainerRef   Opt[string]   `json:"client_crl_container_ref,omitzero" maxLength:"255"`
	TLSCiphers              Opt[string]   `json:"tls_ciphers,omitzero" maxLength:"2048"`
	TLSVersions             Opt[[]string] `json:"tls_versions,omitzero" itemsMaxLength:"32"`
	ALPNProtocols           Opt[[]string] `json:"alpn_protocols,omitzero" itemsMaxLength:"32"`
	HSTSMaxAge              Opt[int]      `json:"hsts_max_age,omitzero" minimum:"0"`
	HSTSIncludeSubdomains   Opt[bool]     `json:"hsts_include_subdomains,omitzero"`
	HSTSPreload             Opt[bool]     `json:"hsts_preload,omitzero"`
}

// ListenerFields are those that both POST and PUT take.
type ListenerFields struct {
	Name                 Opt[string]            `json:"name,omitzero" maxLength:"255"`
	Description          Opt[string]            `json:"description,omitzero" maxLength:"255"`
	AdminStateUp         Opt[bool]              `json:"admin_state_up,omitzero"`
	ConnectionLimit      Opt[int]               `json:"connection_limit,omitzero" minimum:"-1"`
	DefaultPoolID        Opt[string]            `json:"default_pool_id,omitzero" format:"uuid"`
	InsertHeaders        Opt[map[string]string] `json:"insert_headers,omitzero" itemsMaxLength:"255"`
	TimeoutClientData    Opt[int]               `json:"timeout_client_data,omitzero" minimum:"0" maximum:"2073600000"`
	TimeoutMemberConnect Opt[int]               `json:"timeout_member_connect,omitzero" minimum:"0" maximum:"2073600000"`
	TimeoutMemberData    Opt[int]               `json:"timeout_member_data,omitzero" minimum:"0" maximum:"2073600000"`
	TimeoutTCPInspect    Opt[int]               `json:"timeout_tcp_inspect,omitzero" minimum:"0" maximum:"2073600000"`
	AllowedCIDRs         Opt[[]string]          `json:"allowed_cidrs,omitzero" itemsFormat:"cidr"`
	Tags                 Opt[[]string]          `json:"tags,omitzero" itemsMaxLength:"255"`
	ListenerTLS
}

// ListenerCreate is what POST /lbaas/listeners takes under "listener". DefaultPool and L7Policies are for a listener
// inside a whole load balancer.
type ListenerCreate struct {
	LoadBalancerID Opt[string]           `json:"loadbalancer_id,omitzero" format:"uuid"`
	Protocol       Opt[string]           `json:"protocol" enum:"HTTP,HTTPS,SCTP,PROMETHEUS,TCP,TERMINATED_HTTPS,UDP"`
	ProtocolPort   Opt[int]              `json:"protocol_port" minimum:"1" maximum:"65535"`
	ProjectID      Opt[string]           `json:"project_id,omitzero" maxLength:"36"`
	TenantID       Opt[string]           `json:"tenant_id,omitzero" maxLength:"36"`
	DefaultPool    Opt[PoolCreate]       `json:"default_pool,omitzero"`
	L7Policies     Opt[[]L7PolicyCreate] `json:"l7policies,omitzero"`
	ListenerFields
}

// ListenerUpdate is what PUT takes.
type ListenerUpdate struct {
	ListenerFields
}

// SessionPersistence keeps a client on one member.
type SessionPersistence struct {
	Type                   Opt[string] `json:"type,omitzero" enum:"SOURCE_IP,HTTP_COOKIE,APP_COOKIE"`
	CookieName             Opt[string] `json:"cookie_name,omitzero" maxLength:"255"`
	PersistenceTimeout     Opt[int]    `json:"persistence_timeout,omitzero"`
	PersistenceGranularity Opt[string] `json:"persistence_granularity,omitzero" format:"ip"`
}

// PoolFields are those that both POST and PUT take.
type PoolFields struct {
	Name               Opt[string]             `json:"name,omitzero" maxLength:"255"`
	Description        Opt[string]             `json:"description,omitzero" maxLength:"255"`
	AdminStateUp       Opt[bool]               `json:"admin_state_up,omitzero"`
	SessionPersistence Opt[SessionPersistence] `json:"session_persistence,omitzero"`
	Tags               Opt[[]string]           `json:"tags,omitzero" itemsMaxLength:"255"`
	PoolTLS
}

// PoolTLS are the fields of a pool that speaks TLS to its members.
type PoolTLS struct {
	TLSEnabled        Opt[bool]     `json:"tls_enabled,omitzero"`
	TLSContainerRef   Opt[string]   `json:"tls_container_ref,omitzero" maxLength:"255"`
	CATLSContainerRef Opt[string]   `json:"ca_tls_container_ref,omitzero" maxLength:"255"`
	CRLContainerRef   Opt[string]   `json:"crl_container_ref,omitzero" maxLength:"255"`
	TLSCiphers        Opt[string]   `json:"tls_ciphers,omitzero" maxLength:"2048"`
	TLSVersions       Opt[[]string] `json:"tls_versions,omitzero" itemsMaxLength:"32"`
	ALPNProtocols     Opt[[]string] `json:"alpn_protocols,omitzero" itemsMaxLength:"32"`
}

// PoolCreate is what POST /lbaas/pools takes under "pool". Protocol and algorithm are mandatory there, but not in a
// pool that only names another one of the same request.
type PoolCreate struct {
	LoadBalancerID Opt[string]              `json:"loadbalancer_id,omitzero" format:"uuid"`
	ListenerID     Opt[string]              `json:"listener_id,omitzero" format:"uuid"`
	Protocol       Opt[string]              `json:"protocol,omitzero" enum:"HTTP,HTTPS,PROXY,PROXYV2,SCTP,TCP,UDP"`
	LBAlgorithm    Opt[string]              `json:"lb_algorithm,omitzero" enum:"LEAST_CONNECTIONS,ROUND_ROBIN,SOURCE_IP,SOURCE_IP_PORT"`
	ProjectID      Opt[string]              `json:"project_id,omitzero" maxLength:"36"`
	TenantID       Opt[string]              `json:"tenant_id,omitzero" maxLength:"36"`
	Members        Opt[[]MemberCreate]      `json:"members,omitzero"`
	HealthMonitor  Opt[HealthMonitorCreate] `json:"healthmonitor,omitzero"`
	PoolFields
}

// PoolUpdate is what PUT takes.
type PoolUpdate struct {
	LBAlgorithm Opt[string] `json:"lb_algorithm,omitzero" enum:"LEAST_CONNECTIONS,ROUND_ROBIN,SOURCE_IP,SOURCE_IP_PORT"`
	PoolFields
}

// MemberFields are those that both POST and PUT take.
type MemberFields struct {
	Name           Opt[string]   `json:"name,omitzero" maxLength:"255"`
	AdminStateUp   Opt[bool]     `json:"admin_state_up,omitzero"`
	Weight         Opt[int]      `json:"weight,omitzero" minimum:"0" maximum:"256"`
	Backup         Opt[bool]     `json:"backup,omitzero"`
	MonitorAddress Opt[string]   `json:"monitor_address,omitzero" format:"ip"`
	MonitorPort    Opt[int]      `json:"monitor_port,omitzero" minimum:"1" maximum:"65535"`
	Tags           Opt[[]string] `json:"tags,omitzero" itemsMaxLength:"255"`
}

// MemberCreate is what POST …/members takes under "member", and each entry of a batch.
type MemberCreate struct {
	Address      Opt[string] `json:"address" format:"ip"`
	ProtocolPort Opt[int]    `json:"protocol_port" minimum:"1" maximum:"65535"`
	SubnetID     Opt[string] `json:"subnet_id,omitzero" format:"uuid"`
	ProjectID    Opt[string] `json:"project_id,omitzero" maxLength:"36"`
	TenantID     Opt[string] `json:"tenant_id,omitzero" maxLength:"36"`
	RequestSRIOV Opt[bool]   `json:"request_sriov,omitzero"`
	MemberFields
}

// MemberUpdate is what PUT takes.
type MemberUpdate struct {
	MemberFields
}

// HealthMonitorFields are those that both POST and PUT take.
type HealthMonitorFields struct {
	Name           Opt[string]   `json:"name,omitzero" maxLength:"255"`
	AdminStateUp   Opt[bool]     `json:"admin_state_up,omitzero"`
	MaxRetriesDown Opt[int]      `json:"max_retries_down,omitzero" minimum:"1" maximum:"10"`
	HTTPMethod     Opt[string]   `json:"http_method,omitzero" enum:"CONNECT,DELETE,GET,HEAD,OPTIONS,PATCH,POST,PUT,TRACE"`
	URLPath        Opt[string]   `json:"url_path,omitzero" maxLength:"2048"`
	ExpectedCodes  Opt[string]   `json:"expected_codes,omitzero" maxLength:"64"`
	HTTPVersion    Opt[float64]  `json:"http_version,omitzero" enum:"1.0,1.1"`
	DomainName     Opt[string]   `json:"domain_name,omitzero" minLength:"1" maxLength:"255"`
	Tags           Opt[[]string] `json:"tags,omitzero" itemsMaxLength:"255"`
}

// HealthMonitorCreate is what POST /lbaas/healthmonitors takes under "healthmonitor"; pool_id is mandatory there, but
// not in a monitor inside a pool.
type HealthMonitorCreate struct {
	PoolID     Opt[string] `json:"pool_id,omitzero" format:"uuid"`
	Type       Opt[string] `json:"type" enum:"HTTP,HTTPS,PING,SCTP,TCP,TLS-HELLO,UDP-CONNECT"`
	Delay      Opt[int]    `json:"delay" minimum:"0"`
	Timeout    Opt[int]    `json:"timeout" minimum:"0"`
	MaxRetries Opt[int]    `json:"max_retries" minimum:"1" maximum:"10"`
	ProjectID  Opt[string] `json:"project_id,omitzero" maxLength:"36"`
	TenantID   Opt[string] `json:"tenant_id,omitzero" maxLength:"36"`
	HealthMonitorFields
}

// HealthMonitorUpdate is what PUT takes.
type HealthMonitorUpdate struct {
	Delay      Opt[int] `json:"delay,omitzero" minimum:"0"`
	Timeout    Opt[int] `json:"timeout,omitzero" minimum:"0"`
	MaxRetries Opt[int] `json:"max_retries,omitzero" minimum:"1" maximum:"10"`
	HealthMonitorFields
}

// NetworkCreate is what POST /colonnade/networks takes under "network": a network with its one subnet.
type NetworkCreate struct {
	Name            Opt[string] `json:"name" minLength:"1" maxLength:"255"`
	CIDR            Opt[string] `json:"cidr" format:"cidr"`
	GatewayIP       Opt[string] `json:"gateway_ip,omitzero" format:"ip"`
	AllocationStart Opt[string] `json:"allocation_start,omitzero" format:"ip"`
	AllocationEnd   Opt[string] `json:"allocation_end,omitzero" format:"ip"`
	MTU             Opt[int]    `json:"mtu,omitzero" minimum:"1280" maximum:"65535"`
	ProjectID       Opt[string] `json:"project_id,omitzero" maxLength:"36"`
	// External networks have the addresses of floating IPs, shared ones are for all projects. Without a gateway an external
	// one has addresses of an uplink's own segment.
	External           Opt[bool]     `json:"external,omitzero"`
	Shared             Opt[bool]     `json:"shared,omitzero"`
	NoGateway          Opt[bool]     `json:"no_gateway,omitzero"`
	AmphoraAddressPool Opt[[]string] `json:"amphora_address_pool,omitzero" itemsMaxLength:"64"`
}
