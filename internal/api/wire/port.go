package wire

// Port is where a machine of a tenant is on a network.
type Port struct {
	ID         string  `json:"id"`
	Name       string  `json:"name"`
	ProjectID  string  `json:"project_id"`
	NetworkID  string  `json:"network_id"`
	SubnetID   string  `json:"subnet_id"`
	IPAddress  string  `json:"ip_address"`
	CIDR       string  `json:"cidr"` // of the subnet
	GatewayIP  string  `json:"gateway_ip"`
	MACAddress string  `json:"mac_address"`
	MTU        int     `json:"mtu"`
	Namespace  *string `json:"namespace"` // the network namespace it is plugged into, by its name in /run/netns
	Interface  *string `json:"interface"` // its device there
	Status     string  `json:"status"`    // ACTIVE when it is plugged in, else DOWN
}

// PortCreate is what POST /colonnade/ports takes under "port". Without a namespace the port is an address that is kept
// for a machine.
type PortCreate struct {
	NetworkID Opt[string] `json:"network_id" format:"uuid"`
	SubnetID  Opt[string] `json:"subnet_id,omitzero" format:"uuid"`
	Name      Opt[string] `json:"name,omitzero" maxLength:"64"`
	IPAddress Opt[string] `json:"ip_address,omitzero" format:"ip"`
	Namespace Opt[string] `json:"namespace,omitzero" minLength:"1" maxLength:"64"`
	Interface Opt[string] `json:"interface,omitzero" minLength:"1" maxLength:"15"`
	ProjectID Opt[string] `json:"project_id,omitzero" maxLength:"36"`
}
