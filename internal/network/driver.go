// Package network is the border to whatever networks tenants and amphorae live on. Like compute, its Driver is
// declarative and keyed by our ids.
package network

import (
	"context"
	"net"
	"time"
)

// Network is a layer-2 segment with its subnets.
type Network struct {
	ID        string    `bun:"id,pk" json:"id"`
	Name      string    `bun:"name" json:"name"`
	ProjectID string    `bun:"project_id" json:"project_id"`
	MTU       int       `bun:"mtu" json:"mtu"`
	CreatedAt time.Time `bun:"created_at" json:"created_at"`
	Subnets   []Subnet  `bun:"-" json:"subnets"`

	Description string `bun:"description" json:"description"`
	Shared      bool   `bun:"shared" json:"shared"`     // every project may use it
	External    bool   `bun:"external" json:"external"` // its addresses are for floating IPs
	Isolated    bool   `bun:"isolated" json:"isolated"` // no route of the host leads into it
}

// Subnet is an address range of a network.
type Subnet struct {
	ID        string `bun:"id,pk" json:"id"`
	NetworkID string `bun:"network_id" json:"network_id"`
	Name      string `bun:"name" json:"name"`
	CIDR      string `bun:"cidr" json:"cidr"`
	GatewayIP string `bun:"gateway_ip,nullzero" json:"gateway_ip"`
	// AllocationStart and AllocationEnd bound the addresses given out, inclusive.
	AllocationStart string `bun:"allocation_start" json:"allocation_start"`
	AllocationEnd   string `bun:"allocation_end" json:"allocation_end"`

	Description string `bun:"description" json:"description"`
	NoDHCP      bool   `bun:"no_dhcp" json:"no_dhcp"` // a machine that is plugged in configures itself
	// AmphoraPool are the ranges (ParseRange) that amphorae's own addresses come from, and no others that are not asked for;
	// empty: amphorae take what everybody takes.
	AmphoraPool []string `bun:"amphora_pool,type:text" json:"amphora_pool"`
}

// NoGateway as Subnet.GatewayIP asks a driver that makes networks for a subnet without gateway; "" takes the first address.
const NoGateway = "none"

// Purpose says what a port is for; the driver secures ports by it (what networks let through).
type Purpose string

// Purposes of ports.
const (
	PurposeVIP        Purpose = "vip"        // holds the VIP's address; bound to the distributor
	PurposeFrontEnd   Purpose = "front-end"  // an amphora's own address beside the VIP
	PurposeBackEnd    Purpose = "back-end"   // an amphora towards members
	PurposeManagement Purpose = "management" // an agent
	PurposeTenant     Purpose = "tenant"     // a tenant's own machine (demo members, clients), or of no use yet
	PurposeFloating   Purpose = "floating"   // holds a floating IP's address; never plugged in
)

// PortSpec is a desired port.
type PortSpec struct {
	ID        string // ours, chosen by the caller so that a retry finds what the last try made
	NetworkID string // "" with PurposeManagement: the management network
	SubnetID  string // "" picks the network's first IPv4 subnet with a free address
	Address   string // "" allocates
	Purpose   Purpose
	OwnerID   string // load balancer, amphora or distributor
	ProjectID string
	// Pool are ranges that an address of PurposeFrontEnd or PurposeBackEnd is taken from, where they lie in the subnet; they
	// go before the subnet's own AmphoraPool.
	Pool []string
	// Of PurposeTenant only: texts for people, and where to plug it in.
	Name        string
	Description string
	DeviceID    string
	DeviceOwner string
	Namespace   string // network namespace by its name in /run/netns; "" plugs nothing in
	Interface   string // of the device inside
}

// Port is a port that exists.
type Port struct {
	ID        string  `bun:"id,pk" json:"id"`
	NetworkID string  `bun:"network_id" json:"network_id"`
	SubnetID  string  `bun:"subnet_id" json:"subnet_id"`
	MAC       string  `bun:"mac_address" json:"mac_address"`
	Address   string  `bun:"ip_address" json:"ip_address"`
	CIDR      string  `bun:"-" json:"cidr"`    // of its subnet
	Gateway   string  `bun:"-" json:"gateway"` // of its subnet; "" when none
	MTU       int     `bun:"-" json:"mtu"`
	Purpose   Purpose `bun:"purpose" json:"purpose"`
	OwnerID   string  `bun:"owner_id" json:"owner_id"`
	ProjectID string  `bun:"project_id" json:"project_id"`
	Name      string  `bun:"name" json:"name"`
	Namespace string  `bun:"namespace" json:"namespace"`
	Interface string  `bun:"interface" json:"interface"`
	Plugged   bool    `bun:"-" json:"-"` // of a tenant port: its device is there

	Description string `bun:"description" json:"description"`
	DeviceID    string `bun:"device_id" json:"device_id"`
	DeviceOwner string `bun:"device_owner" json:"device_owner"`
	TenantMade  bool   `bun:"tenant_made" json:"tenant_made"` // a VIP's port that outlives its load balancer
}

// Driver gives networks, subnets and ports. Errors about what the caller asked for are *lb.Fault.
type Driver interface {
	Probe(ctx context.Context) error
	// Subnet and Network look up; a missing one is an lb.KindNotFound fault.
	Subnet(ctx context.Context, id string) (Subnet, error)
	Network(ctx context.Context, id string) (Network, error)
	// EnsurePort makes the port exist; an existing one with this id is returned as it is. An address in use is a conflict.
	EnsurePort(ctx context.Context, spec PortSpec) (Port, error)
	Port(ctx context.Context, id string) (Port, error)
	// DeletePort removes port and address; deleting what is not there is no error.
	DeletePort(ctx context.Context, id string) error
	// ClaimPort gives a port of no use yet to a load balancer, as its VIP's port; one that serves somebody else is a
	// conflict. Claiming again changes nothing.
	ClaimPort(ctx context.Context, id, ownerID string) (Port, error)
	// ReleasePort ends what a port was made or claimed for: a claimed one is unplugged and of no use again, any other one is
	// deleted. Releasing what is not there is no error.
	ReleasePort(ctx context.Context, id string) error
	// Ports lists the ports we own with this owner ("" for all), for cleaning up.
	Ports(ctx context.Context, ownerID string) ([]Port, error)
}

// Inventor is a Driver whose networks exist because they are named. Invent is told what a request names together (any of
// ID, NetworkID, SubnetID, Address), before that is looked up.
type Inventor interface {
	Invent(spec PortSpec)
}

// Management is how the control plane reaches agents. On OpenStack it is the host's own stack; the bridge driver dials
// and listens inside the management namespace.
type Management interface {
	DialContext(ctx context.Context, netw, addr string) (net.Conn, error)
	// ListenHeartbeats opens the health role's UDP socket and returns the address agents send to.
	ListenHeartbeats(ctx context.Context) (net.PacketConn, string, error)
}
