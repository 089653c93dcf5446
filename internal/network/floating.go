package network

import (
	"context"
	"time"
)

// FloatingIP is an address of an external network that stands, one to one, for the address of one port.
type FloatingIP struct {
	ID          string    `bun:"id,pk"` // and that of its port on the external network
	ProjectID   string    `bun:"project_id"`
	Description string    `bun:"description"`
	PortID      string    `bun:"port_id,nullzero"` // the port it stands for; "" none
	CreatedAt   time.Time `bun:"created_at"`
	UpdatedAt   time.Time `bun:"updated_at"`

	NetworkID    string `bun:"-"` // the external network
	SubnetID     string `bun:"-"`
	Address      string `bun:"-"`
	FixedAddress string `bun:"-"` // of the port it stands for
	FixedNetwork string `bun:"-"` // id of that port's network
}

// FloatingIPSpec is a desired floating IP.
type FloatingIPSpec struct {
	ID          string // chosen by the caller, so that a retry finds what the last try made
	ProjectID   string
	Description string
	NetworkID   string // external
	SubnetID    string // "" takes any of the network's
	Address     string // "" allocates
	PortID      string // "" stands for nothing yet
}

// FloatingIPs is what a driver does that translates addresses.
type FloatingIPs interface {
	// EnsureFloatingIP makes it exist; one with this id is returned as it is. What a request may not name is an
	// lb.KindInvalid fault, what is in use an lb.KindConflict one.
	EnsureFloatingIP(ctx context.Context, spec FloatingIPSpec) (FloatingIP, error)
	FloatingIP(ctx context.Context, id string) (FloatingIP, error)
	// FloatingIPs lists all, by creation, then id.
	FloatingIPs(ctx context.Context) ([]FloatingIP, error)
	// UpdateFloatingIP changes PortID or Description; packets go the new way, and connections of the old way end, when it
	// returns. change may be called again and has no side effects.
	UpdateFloatingIP(ctx context.Context, id string, change func(*FloatingIP) error) (FloatingIP, error)
	// DeleteFloatingIP gives the address back; deleting what is not there is no error.
	DeleteFloatingIP(ctx context.Context, id string) error
}
