package client

import (
	"colonnade/internal/api/neutron"
)

// FloatingIPs are addresses outside that stand for ports.
func (c *Client) FloatingIPs() Resource[neutron.FloatingIP, neutron.FloatingIPCreate, neutron.FloatingIPUpdate] {
	return Resource[neutron.FloatingIP, neutron.FloatingIPCreate, neutron.FloatingIPUpdate]{c, "/floatingips", "floatingip", "floatingips"}
}

// TenantPorts are the ports that the caller may know of, VIPs' included.
func (c *Client) TenantPorts() Resource[neutron.Port, neutron.PortCreate, neutron.PortUpdate] {
	return Resource[neutron.Port, neutron.PortCreate, neutron.PortUpdate]{c, "/ports", "port", "ports"}
}

// TenantNetworks are the networks that the caller may know of.
func (c *Client) TenantNetworks() Resource[neutron.Network, neutron.NetworkCreate, neutron.NetworkUpdate] {
	return Resource[neutron.Network, neutron.NetworkCreate, neutron.NetworkUpdate]{c, "/networks", "network", "networks"}
}
