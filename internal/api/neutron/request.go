package neutron

import "colonnade/internal/api/wire"

// NetworkCreate is what POST takes. What is not available is known, so that its refusal can say so.
type NetworkCreate struct {
	Name                  wire.Opt[string]   `json:"name,omitzero" maxLength:"255"`
	Description           wire.Opt[string]   `json:"description,omitzero" maxLength:"255"`
	ProjectID             wire.Opt[string]   `json:"project_id,omitzero" maxLength:"36"`
	TenantID              wire.Opt[string]   `json:"tenant_id,omitzero" maxLength:"36"`
	AdminStateUp          wire.Opt[bool]     `json:"admin_state_up,omitzero"`
	Shared                wire.Opt[bool]     `json:"shared,omitzero"`
	External              wire.Opt[bool]     `json:"router:external,omitzero"`
	MTU                   wire.Opt[int]      `json:"mtu,omitzero" minimum:"1280" maximum:"65535"`
	PortSecurityEnabled   wire.Opt[bool]     `json:"port_security_enabled,omitzero"`
	IsDefault             wire.Opt[bool]     `json:"is_default,omitzero"`
	AvailabilityZoneHints wire.Opt[[]string] `json:"availability_zone_hints,omitzero" itemsMaxLength:"255"`
	NetworkType           wire.Opt[string]   `json:"provider:network_type,omitzero" maxLength:"255"`
	PhysicalNetwork       wire.Opt[string]   `json:"provider:physical_network,omitzero" maxLength:"255"`
	SegmentationID        wire.Opt[int]      `json:"provider:segmentation_id,omitzero"`
	QosPolicyID           wire.Opt[string]   `json:"qos_policy_id,omitzero" maxLength:"36"`
	DNSDomain             wire.Opt[string]   `json:"dns_domain,omitzero" maxLength:"255"`
}

// NetworkUpdate is what PUT takes.
type NetworkUpdate struct {
	Name         wire.Opt[string] `json:"name,omitzero" maxLength:"255"`
	Description  wire.Opt[string] `json:"description,omitzero" maxLength:"255"`
	AdminStateUp wire.Opt[bool]   `json:"admin_state_up,omitzero"`
	Shared       wire.Opt[bool]   `json:"shared,omitzero"`
	External     wire.Opt[bool]   `json:"router:external,omitzero"`
	MTU          wire.Opt[int]    `json:"mtu,omitzero" minimum:"1280" maximum:"65535"`
}

// PoolRequest is a range of addresses that a subnet gives out.
type PoolRequest struct {
	Start wire.Opt[string] `json:"start" format:"ip"`
	End   wire.Opt[string] `json:"end" format:"ip"`
}

// SubnetCommon are the fields of a subnet that may also change.
type SubnetCommon struct {
	Name               wire.Opt[string]              `json:"name,omitzero" maxLength:"255"`
	Description        wire.Opt[string]              `json:"description,omitzero" maxLength:"255"`
	GatewayIP          wire.Opt[string]              `json:"gateway_ip,omitzero" format:"ip"`
	AllocationPools    wire.Opt[[]PoolRequest]       `json:"allocation_pools,omitzero"`
	EnableDHCP         wire.Opt[bool]                `json:"enable_dhcp,omitzero"`
	DNSNameservers     wire.Opt[[]string]            `json:"dns_nameservers,omitzero" itemsMaxLength:"255"`
	HostRoutes         wire.Opt[[]map[string]string] `json:"host_routes,omitzero"`
	ServiceTypes       wire.Opt[[]string]            `json:"service_types,omitzero" itemsMaxLength:"255"`
	AmphoraAddressPool wire.Opt[[]string]            `json:"amphora_address_pool,omitzero" itemsMaxLength:"64"`
}

// SubnetCreate is what POST takes.
type SubnetCreate struct {
	SubnetCommon
	NetworkID       wire.Opt[string] `json:"network_id" format:"uuid"`
	CIDR            wire.Opt[string] `json:"cidr,omitzero" maxLength:"64"`
	IPVersion       wire.Opt[int]    `json:"ip_version,omitzero" minimum:"4" maximum:"6"`
	ProjectID       wire.Opt[string] `json:"project_id,omitzero" maxLength:"36"`
	TenantID        wire.Opt[string] `json:"tenant_id,omitzero" maxLength:"36"`
	IPv6RAMode      wire.Opt[string] `json:"ipv6_ra_mode,omitzero" maxLength:"36"`
	IPv6AddressMode wire.Opt[string] `json:"ipv6_address_mode,omitzero" maxLength:"36"`
	SubnetpoolID    wire.Opt[string] `json:"subnetpool_id,omitzero" maxLength:"36"`
	Prefixlen       wire.Opt[int]    `json:"prefixlen,omitzero"`
	UseDefaultPool  wire.Opt[bool]   `json:"use_default_subnetpool,omitzero"`
	SegmentID       wire.Opt[string] `json:"segment_id,omitzero" maxLength:"36"`
}

// SubnetUpdate is what PUT takes.
type SubnetUpdate struct{ SubnetCommon }

// FixedIPRequest is an address that a port wants.
type FixedIPRequest struct {
	SubnetID  wire.Opt[string] `json:"subnet_id,omitzero" format:"uuid"`
	IPAddress wire.Opt[string] `json:"ip_address,omitzero" format:"ip"`
}

// PortCommon are the fields of a port that may also change.
type PortCommon struct {
	Name                wire.Opt[string]              `json:"name,omitzero" maxLength:"255"`
	Description         wire.Opt[string]              `json:"description,omitzero" maxLength:"255"`
	AdminStateUp        wire.Opt[bool]                `json:"admin_state_up,omitzero"`
	DeviceID            wire.Opt[string]              `json:"device_id,omitzero" maxLength:"255"`
	DeviceOwner         wire.Opt[string]              `json:"device_owner,omitzero" maxLength:"255"`
	FixedIPs            wire.Opt[[]FixedIPRequest]    `json:"fixed_ips,omitzero"`
	MACAddress          wire.Opt[string]              `json:"mac_address,omitzero" maxLength:"17"`
	SecurityGroups      wire.Opt[[]string]            `json:"security_groups,omitzero" itemsFormat:"uuid"`
	PortSecurityEnabled wire.Opt[bool]                `json:"port_security_enabled,omitzero"`
	AllowedAddressPairs wire.Opt[[]map[string]string] `json:"allowed_address_pairs,omitzero"`
	ExtraDHCPOpts       wire.Opt[[]map[string]string] `json:"extra_dhcp_opts,omitzero"`
	VnicType            wire.Opt[string]              `json:"binding:vnic_type,omitzero" maxLength:"36"`
	HostID              wire.Opt[string]              `json:"binding:host_id,omitzero" maxLength:"255"`
	Profile             wire.Opt[map[string]string]   `json:"binding:profile,omitzero" itemsMaxLength:"255"`
	QosPolicyID         wire.Opt[string]              `json:"qos_policy_id,omitzero" maxLength:"36"`
	DNSName             wire.Opt[string]              `json:"dns_name,omitzero" maxLength:"255"`
	DNSDomain           wire.Opt[string]              `json:"dns_domain,omitzero" maxLength:"255"`
}

// PortCreate is what POST takes.
type PortCreate struct {
	PortCommon
	NetworkID wire.Opt[string] `json:"network_id" format:"uuid"`
	ProjectID wire.Opt[string] `json:"project_id,omitzero" maxLength:"36"`
	TenantID  wire.Opt[string] `json:"tenant_id,omitzero" maxLength:"36"`
}

// PortUpdate is what PUT takes.
type PortUpdate struct{ PortCommon }

// FloatingIPUpdate is what PUT takes; a null port_id takes it away from its port.
type FloatingIPUpdate struct {
	Description    wire.Opt[string] `json:"description,omitzero" maxLength:"255"`
	PortID         wire.Opt[string] `json:"port_id,omitzero" format:"uuid"`
	FixedIPAddress wire.Opt[string] `json:"fixed_ip_address,omitzero" format:"ip"`
	QosPolicyID    wire.Opt[string] `json:"qos_policy_id,omitzero" maxLength:"36"`
}

// FloatingIPCreate is what POST takes.
type FloatingIPCreate struct {
	FloatingIPUpdate
	FloatingNetworkID wire.Opt[string] `json:"floating_network_id" format:"uuid"`
	SubnetID          wire.Opt[string] `json:"subnet_id,omitzero" format:"uuid"`
	FloatingIPAddress wire.Opt[string] `json:"floating_ip_address,omitzero" format:"ip"`
	ProjectID         wire.Opt[string] `json:"project_id,omitzero" maxLength:"36"`
	TenantID          wire.Opt[string] `json:"tenant_id,omitzero" maxLength:"36"`
	DNSName           wire.Opt[string] `json:"dns_name,omitzero" maxLength:"255"`
	DNSDomain         wire.Opt[string] `json:"dns_domain,omitzero" maxLength:"255"`
}

// SecurityGroupUpdate is what PUT takes.
type SecurityGroupUpdate struct {
	Name        wire.Opt[string] `json:"name,omitzero" maxLength:"255"`
	Description wire.Opt[string] `json:"description,omitzero" maxLength:"255"`
	Stateful    wire.Opt[bool]   `json:"stateful,omitzero"`
}

// SecurityGroupCreate is what POST takes.
type SecurityGroupCreate struct {
	SecurityGroupUpdate
	ProjectID wire.Opt[string] `json:"project_id,omitzero" maxLength:"36"`
	TenantID  wire.Opt[string] `json:"tenant_id,omitzero" maxLength:"36"`
}
