package neutron

import (
	"time"

	"colonnade/internal/network"
)

// Network is a network as Neutron shows it.
type Network struct {
	ID                    string   `json:"id"`
	Name                  string   `json:"name"`
	Description           string   `json:"description"`
	ProjectID             string   `json:"project_id"`
	TenantID              string   `json:"tenant_id"`
	Status                string   `json:"status"`
	AdminStateUp          bool     `json:"admin_state_up"`
	MTU                   int      `json:"mtu"`
	Subnets               []string `json:"subnets"`
	Shared                bool     `json:"shared"`
	External              bool     `json:"router:external"`
	IsDefault             bool     `json:"is_default"`
	PortSecurityEnabled   bool     `json:"port_security_enabled"`
	AvailabilityZones     []string `json:"availability_zones"`
	AvailabilityZoneHints []string `json:"availability_zone_hints"`
	QosPolicyID           *string  `json:"qos_policy_id"`
	Tags                  []string `json:"tags"`
	CreatedAt             string   `json:"created_at"`
}

func networkView(n network.Network) Network {
	v := Network{
		ID: n.ID, Name: n.Name, Description: n.Description, ProjectID: n.ProjectID, TenantID: n.ProjectID, Status: "ACTIVE", AdminStateUp: true,
		MTU: n.MTU, Subnets: []string{}, Shared: n.Shared, External: n.External, PortSecurityEnabled: true,
		AvailabilityZones: []string{}, AvailabilityZoneHints: []string{}, Tags: []string{}, CreatedAt: stamp(n.CreatedAt),
	}
	for _, s := range n.Subnets {
		v.Subnets = append(v.Subnets, s.ID)
	}
	return v
}

// stamp writes a time as Neutron does.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

// Pool is a range of addresses of a subnet.
type Pool struct {
	Start string `json:"start"`
	End   string `json:"end"`
}

// Subnet is a subnet as Neutron shows it; AmphoraAddressPool is ours.
type Subnet struct {
	ID                 string   `json:"id"`
	Name               string   `json:"name"`
	Description        string   `json:"description"`
	ProjectID          string   `json:"project_id"`
	TenantID           string   `json:"tenant_id"`
	NetworkID          string   `json:"network_id"`
	IPVersion          int      `json:"ip_version"`
	CIDR               string   `json:"cidr"`
	GatewayIP          *string  `json:"gateway_ip"`
	AllocationPools    []Pool   `json:"allocation_pools"`
	EnableDHCP         bool     `json:"enable_dhcp"`
	DNSNameservers     []string `json:"dns_nameservers"`
	HostRoutes         []string `json:"host_routes"`
	ServiceTypes       []string `json:"service_types"`
	SubnetpoolID       *string  `json:"subnetpool_id"`
	IPv6RAMode         *string  `json:"ipv6_ra_mode"`
	IPv6AddressMode    *string  `json:"ipv6_address_mode"`
	Tags               []string `json:"tags"`
	AmphoraAddressPool []string `json:"amphora_address_pool"`
}

func subnetView(s network.Subnet, n network.Network) Subnet {
	return Subnet{
		ID: s.ID, Name: s.Name, Description: s.Description, ProjectID: n.ProjectID, TenantID: n.ProjectID, NetworkID: s.NetworkID, IPVersion: 4,
		CIDR: s.CIDR, GatewayIP: orNull(s.GatewayIP), AllocationPools: []Pool{{s.AllocationStart, s.AllocationEnd}}, EnableDHCP: !s.NoDHCP,
		DNSNameservers: []string{}, HostRoutes: []string{}, ServiceTypes: []string{}, Tags: []string{}, AmphoraAddressPool: texts(s.AmphoraPool),
	}
}

func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// FixedIP is an address of a port.
type FixedIP struct {
	SubnetID  string `json:"subnet_id"`
	IPAddress string `json:"ip_address"`
}

// Port is a port as Neutron shows it.
type Port struct {
	ID                  string    `json:"id"`
	Name                string    `json:"name"`
	Description         string    `json:"description"`
	ProjectID           string    `json:"project_id"`
	TenantID            string    `json:"tenant_id"`
	NetworkID           string    `json:"network_id"`
	Status              string    `json:"status"`
	AdminStateUp        bool      `json:"admin_state_up"`
	MACAddress          string    `json:"mac_address"`
	FixedIPs            []FixedIP `json:"fixed_ips"`
	DeviceID            string    `json:"device_id"`
	DeviceOwner         string    `json:"device_owner"`
	SecurityGroups      []string  `json:"security_groups"`
	PortSecurityEnabled bool      `json:"port_security_enabled"`
	AllowedAddressPairs []string  `json:"allowed_address_pairs"`
	ExtraDHCPOpts       []string  `json:"extra_dhcp_opts"`
	VnicType            string    `json:"binding:vnic_type"`
	QosPolicyID         *string   `json:"qos_policy_id"`
	Tags                []string  `json:"tags"`
}

// Device owners of ports that are not machines'.
const (
	ownerOctavia  = "Octavia"
	ownerFloating = "network:floatingip"
)

func portView(p network.Port) Port {
	v := Port{
		ID: p.ID, Name: p.Name, Description: p.Description, ProjectID: p.ProjectID, TenantID: p.ProjectID, NetworkID: p.NetworkID,
		Status: "DOWN", AdminStateUp: true, MACAddress: p.MAC, FixedIPs: []FixedIP{{p.SubnetID, p.Address}},
		DeviceID: p.DeviceID, DeviceOwner: p.DeviceOwner, SecurityGroups: []string{}, PortSecurityEnabled: p.Purpose == network.PurposeTenant,
		AllowedAddressPairs: []string{}, ExtraDHCPOpts: []string{}, VnicType: "normal", Tags: []string{},
	}
	if p.Plugged {
		v.Status = "ACTIVE"
	}
	switch p.Purpose {
	case network.PurposeVIP:
		v.DeviceID, v.DeviceOwner = "lb-"+p.OwnerID, ownerOctavia
		if !p.TenantMade {
			v.Name = "octavia-lb-" + p.OwnerID
		}
	case network.PurposeFrontEnd, network.PurposeBackEnd:
		v.Name, v.DeviceID, v.DeviceOwner = "octavia-amphora-"+p.OwnerID, p.OwnerID, ownerOctavia
	case network.PurposeFloating:
		v.DeviceID, v.DeviceOwner, v.Status, v.ProjectID, v.TenantID = p.OwnerID, ownerFloating, "N/A", "", ""
	case network.PurposeTenant, network.PurposeManagement:
	}
	return v
}

// FloatingIP is a floating IP as Neutron shows it.
type FloatingIP struct {
	ID                string       `json:"id"`
	ProjectID         string       `json:"project_id"`
	TenantID          string       `json:"tenant_id"`
	Description       string       `json:"description"`
	FloatingIPAddress string       `json:"floating_ip_address"`
	FloatingNetworkID string       `json:"floating_network_id"`
	FixedIPAddress    *string      `json:"fixed_ip_address"`
	PortID            *string      `json:"port_id"`
	RouterID          *string      `json:"router_id"`
	Status            string       `json:"status"`
	PortDetails       *PortDetails `json:"port_details"`
	QosPolicyID       *string      `json:"qos_policy_id"`
	DNSDomain         string       `json:"dns_domain"`
	DNSName           string       `json:"dns_name"`
	Tags              []string     `json:"tags"`
	CreatedAt         string       `json:"created_at"`
	UpdatedAt         string       `json:"updated_at"`
}

// PortDetails is what a floating IP shows of the port that it stands for.
type PortDetails struct {
	Name         string `json:"name"`
	NetworkID    string `json:"network_id"`
	MACAddress   string `json:"mac_address"`
	AdminStateUp bool   `json:"admin_state_up"`
	Status       string `json:"status"`
	DeviceID     string `json:"device_id"`
	DeviceOwner  string `json:"device_owner"`
}

// floatingView shows a floating IP; ports are those that there are, by id.
func floatingView(f network.FloatingIP, ports map[string]network.Port) FloatingIP {
	v := FloatingIP{
		ID: f.ID, ProjectID: f.ProjectID, TenantID: f.ProjectID, Description: f.Description, FloatingIPAddress: f.Address,
		FloatingNetworkID: f.NetworkID, Status: "DOWN", Tags: []string{}, CreatedAt: stamp(f.CreatedAt), UpdatedAt: stamp(f.UpdatedAt),
	}
	if f.PortID == "" {
		return v
	}
	v.Status, v.PortID, v.FixedIPAddress, v.RouterID = "ACTIVE", &f.PortID, &f.FixedAddress, orNull(gatewayRouter)
	if p, ok := ports[f.PortID]; ok {
		port := portView(p)
		v.PortDetails = &PortDetails{
			Name: port.Name, NetworkID: port.NetworkID, MACAddress: port.MACAddress, AdminStateUp: port.AdminStateUp,
			Status: port.Status, DeviceID: port.DeviceID, DeviceOwner: port.DeviceOwner,
		}
	}
	return v
}

// SecurityGroup is a security group as Neutron shows it. None has rules.
type SecurityGroup struct {
	ID          string              `json:"id"`
	Name        string              `json:"name"`
	Description string              `json:"description"`
	ProjectID   string              `json:"project_id"`
	TenantID    string              `json:"tenant_id"`
	Stateful    bool                `json:"stateful"`
	Shared      bool                `json:"shared"`
	Rules       []SecurityGroupRule `json:"security_group_rules"`
	Tags        []string            `json:"tags"`
	CreatedAt   string              `json:"created_at"`
	UpdatedAt   string              `json:"updated_at"`
}

func groupView(g network.SecurityGroup) SecurityGroup {
	return SecurityGroup{
		ID: g.ID, Name: g.Name, Description: g.Description, ProjectID: g.ProjectID, TenantID: g.ProjectID, Stateful: true,
		Rules: []SecurityGroupRule{}, Tags: []string{}, CreatedAt: stamp(g.CreatedAt), UpdatedAt: stamp(g.UpdatedAt),
	}
}

// SecurityGroupRule would be a rule; there are none.
type SecurityGroupRule struct {
	ID              string `json:"id"`
	SecurityGroupID string `json:"security_group_id"`
	Direction       string `json:"direction"`
	EtherType       string `json:"ethertype"`
	Protocol        string `json:"protocol"`
	ProjectID       string `json:"project_id"`
	TenantID        string `json:"tenant_id"`
	RemoteIPPrefix  string `json:"remote_ip_prefix"`
	RemoteGroupID   string `json:"remote_group_id"`
	PortRangeMin    int    `json:"port_range_min"`
	PortRangeMax    int    `json:"port_range_max"`
	Description     string `json:"description"`
}
