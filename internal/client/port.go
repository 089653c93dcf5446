package client

import "colonnade/internal/api/wire"

// Ports are where machines of tenants are on networks, for operators.
func (c *Client) Ports() Resource[wire.Port, wire.PortCreate, None] {
	return Resource[wire.Port, wire.PortCreate, None]{c, "/colonnade/ports", "port", "ports"}
}
