package lb

import "fmt"

// Kinds of ports, as the API calls them.
const (
	VnicNormal = "normal"
	VnicDirect = "direct" // a virtual function of the machine's card (SR-IOV)
)

// AdditionalVIP is one more address of a load balancer, in another subnet of the VIP's network. Its port is ours.
type AdditionalVIP struct {
	SubnetID string `json:"subnet_id"`
	Address  string `json:"ip_address"`
	PortID   string `json:"port_id"`
}

// VIPs are all addresses of the load balancer, the primary one first.
func (l *LoadBalancer) VIPs() []string {
	vips := []string{l.VIPAddress}
	for _, v := range l.AdditionalVIPs {
		vips = append(vips, v.Address)
	}
	return vips
}

// VIPPorts are the ids of the ports that are the load balancer's as long as it lives.
func (l *LoadBalancer) VIPPorts() []string {
	var ids []string
	if l.VIPPortID != "" {
		ids = append(ids, l.VIPPortID)
	}
	for _, v := range l.AdditionalVIPs {
		ids = append(ids, v.PortID)
	}
	return ids
}

// CheckAllowedCIDRs refuses ranges of an IP family that no VIP has, and any where the tenant's own security groups say
// who may connect.
func CheckAllowedCIDRs(cidrs []string, l LoadBalancer) error {
	if len(cidrs) > 0 && len(l.VIPSecurityGroups) > 0 {
		return Invalidf("Allowed CIDRs are not allowed when using custom VIP Security Groups.")
	}
	return CheckCIDRFamilies(cidrs, l.VIPs()...)
}

// CheckAdditionalVIPs refuses a subnet that is used more than once.
func CheckAdditionalVIPs(l LoadBalancer) error {
	used := map[string]bool{l.VIPSubnetID: true}
	for _, v := range l.AdditionalVIPs {
		if used[v.SubnetID] {
			return Invalidf("Duplicate VIP subnet(s) specified. Only one IP can be bound per subnet.")
		}
		used[v.SubnetID] = true
	}
	return nil
}

// listed writes texts as faults quote lists.
func listed(texts []string) string {
	out := "["
	for i, t := range texts {
		if i > 0 {
			out += ", "
		}
		out += fmt.Sprintf("'%s'", t)
	}
	return out + "]"
}
