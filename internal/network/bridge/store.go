package bridge

import (
	"context"

	"colonnade/internal/network"
)

// ManagementNetworkID is the id of the management network's row. It belongs to no project and is not listed.
const ManagementNetworkID = "00000000-0000-4000-8000-00000000c010"

// Store keeps networks, subnets and ports. Every method is one transaction; one that takes a function calls it inside
// that transaction, so that two callers can never decide on the same facts (on PostgreSQL: lock the network's row, or
// the table of subnets, first; a function may be called again when a transaction is retried and has no side effects).
// What is missing is an lb.KindNotFound fault, what is in the way an lb.KindConflict one; an error that a function
// returns is handed back as it is and nothing is written.
type Store interface {
	// CreateNetwork inserts the network and its Subnets. check gets every subnet there is, of all networks. A network
	// or subnet id that is taken is a conflict.
	CreateNetwork(ctx context.Context, n network.Network, check func(existing []network.Subnet) error) error
	// CreateSubnet inserts one more subnet of an existing network.
	CreateSubnet(ctx context.Context, s network.Subnet, check func(existing []network.Subnet) error) error
	// Networks lists all networks with their Subnets, by creation, then id.
	Networks(ctx context.Context) ([]network.Network, error)
	Network(ctx context.Context, id string) (network.Network, error)
	Subnet(ctx context.Context, id string) (network.Subnet, error)
	// DeleteNetwork removes the network and its subnets; a conflict while it has ports.
	DeleteNetwork(ctx context.Context, id string) error
	// DeleteSubnet is a conflict while the subnet has ports.
	DeleteSubnet(ctx context.Context, id string) error

	// InsertPort returns the port with p.ID if there is one, unchanged, whatever else p says. Else choose gets the
	// addresses taken on p.NetworkID and returns the subnet and address of the new port, which is inserted and
	// returned. (network, address) is unique. CIDR, Gateway and MTU of returned ports are filled in from subnet and
	// network by the store, here and below.
	InsertPort(ctx context.Context, p network.Port, choose func(taken map[string]bool) (subnetID, address string, err error)) (network.Port, error)
	Port(ctx context.Context, id string) (network.Port, error)
	// Ports lists the ports of this owner ("" for all), by id.
	Ports(ctx context.Context, ownerID string) ([]network.Port, error)
	// DeletePort removes the row; one that is gone is no error. A floating IP that stood for it stands for nothing then.
	DeletePort(ctx context.Context, id string) error

	// The Update methods let change modify what is not an id, an address or a reference; UpdateSubnet's gets the addresses in
	// use on the subnet.
	UpdateNetwork(ctx context.Context, id string, change func(*network.Network) error) (network.Network, error)
	UpdateSubnet(ctx context.Context, id string, change func(s *network.Subnet, addresses []string) error) (network.Subnet, error)
	UpdatePort(ctx context.Context, id string, change func(*network.Port) error) (network.Port, error)

	// InsertFloatingIP inserts a floating IP together with its port, as InsertPort does. A port has at most one that stands
	// for it: more is a conflict.
	InsertFloatingIP(ctx context.Context, f network.FloatingIP, p network.Port, choose func(taken map[string]bool) (subnetID, address string, err error)) (network.FloatingIP, error)
	FloatingIP(ctx context.Context, id string) (network.FloatingIP, error)
	// FloatingIPs lists all, by creation, then id.
	FloatingIPs(ctx context.Context) ([]network.FloatingIP, error)
	// UpdateFloatingIP lets change modify PortID and Description.
	UpdateFloatingIP(ctx context.Context, id string, change func(*network.FloatingIP) error) (network.FloatingIP, error)
	// DeleteFloatingIP removes it with its port; one that is gone is no error.
	DeleteFloatingIP(ctx context.Context, id string) error

	// InsertSecurityGroup returns the one with g.ID if there is one.
	InsertSecurityGroup(ctx context.Context, g network.SecurityGroup) (network.SecurityGroup, error)
	SecurityGroup(ctx context.Context, id string) (network.SecurityGroup, error)
	SecurityGroups(ctx context.Context) ([]network.SecurityGroup, error)
	UpdateSecurityGroup(ctx context.Context, id string, change func(*network.SecurityGroup) error) (network.SecurityGroup, error)
	DeleteSecurityGroup(ctx context.Context, id string) error
}
