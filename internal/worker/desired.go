package worker

import (
	"slices"

	"colonnade/internal/amphora"
	"colonnade/internal/lb"
	"colonnade/internal/network"
)

// Settings of documents, equal for all load balancers.
type Settings struct {
	SecondChance           bool
	DefaultConnectionLimit int
}

// Document makes what every amphora of a load balancer is to run, without stamp and ports. Left out is what is switched
// off, being deleted, in ERROR until it is changed, or in failed: objects at fault in this very round.
func Document(t lb.Tree, c lb.Cluster, set Settings, failed map[string]string) amphora.Desired {
	l := t.LoadBalancer
	d := amphora.Desired{
		LoadBalancerID: l.ID, ProjectID: l.ProjectID, VIPs: []amphora.VIP{{Address: l.VIPAddress}}, ProbeKey: c.ProbeKey,
		SecondChance: set.SecondChance, DefaultConnectionLimit: set.DefaultConnectionLimit,
		Listeners: []amphora.Listener{}, Pools: []amphora.Pool{},
	}
	if !l.Enabled {
		return d
	}
	wanted := wanted(func(id string, enabled bool, s lb.ProvisioningStatus) bool {
		return enabled && s != lb.PendingDelete && s != lb.Error && failed[id] == ""
	})
	pools := map[string]amphora.Pool{}
	for _, p := range t.Pools {
		if wanted(p.ID, p.Enabled, p.ProvisioningStatus) {
			pools[p.ID] = poolOf(p, wanted)
		}
	}
	used := map[string]bool{}
	for _, li := range t.Listeners {
		if !wanted(li.ID, li.Enabled, li.ProvisioningStatus) {
			continue
		}
		poolID := li.DefaultPoolID
		if _, ok := pools[poolID]; !ok {
			poolID = ""
		}
		made := amphora.Listener{
			ID: li.ID, Protocol: li.Protocol, Port: li.ProtocolPort, ConnectionLimit: li.ConnectionLimit, DefaultPoolID: poolID,
			InsertHeaders: li.InsertHeaders, AllowedCIDRs: li.AllowedCIDRs, TimeoutClientData: li.TimeoutClientData,
			TimeoutMemberConnect: li.TimeoutMemberConnect, TimeoutMemberData: li.TimeoutMemberData, TimeoutTCPInspect: li.TimeoutTCPInspect,
			TLS: listenerTLS(li), L7Policies: policiesOf(li, pools, wanted),
		}
		for _, id := range made.PoolIDs() {
			used[id] = true
		}
		d.Listeners = append(d.Listeners, made)
	}
	for _, p := range t.Pools {
		if made, ok := pools[p.ID]; ok && used[p.ID] {
			d.Pools = append(d.Pools, made)
		}
	}
	return d
}

// wanted says whether an object is to be in the document.
type wanted func(id string, enabled bool, s lb.ProvisioningStatus) bool

// policiesOf are a listener's policies that do something. One without a rule, or whose pool is not there, does nothing. So
// does one with a rule at fault: without that rule it would match what it was not meant for.
func policiesOf(l lb.Listener, pools map[string]amphora.Pool, wanted wanted) []amphora.L7Policy {
	var out []amphora.L7Policy
	for _, p := range l.L7Policies {
		_, there := pools[p.RedirectPoolID]
		if !wanted(p.ID, p.Enabled, p.ProvisioningStatus) || p.RedirectPoolID != "" && !there {
			continue
		}
		made := amphora.L7Policy{
			ID: p.ID, Action: p.Action, RedirectPoolID: p.RedirectPoolID, RedirectURL: p.RedirectURL, RedirectPrefix: p.RedirectPrefix,
			RedirectHTTPCode: p.RedirectHTTPCode,
		}
		whole := true
		for _, r := range p.Rules {
			switch {
			case !r.Enabled || r.ProvisioningStatus == lb.PendingDelete:
			case wanted(r.ID, true, r.ProvisioningStatus):
				made.Rules = append(made.Rules, amphora.L7Rule{
					ID: r.ID, Type: r.Type, CompareType: r.CompareType, Key: r.Key, Value: r.Value, Invert: r.Invert,
				})
			default:
				whole = false
			}
		}
		if whole && len(made.Rules) > 0 {
			out = append(out, made)
		}
	}
	return out
}

func poolOf(p lb.Pool, wanted wanted) amphora.Pool {
	made := amphora.Pool{ID: p.ID, Protocol: p.Protocol, Algorithm: p.Algorithm, SessionPersistence: p.SessionPersistence, TLS: poolTLS(p), Members: []amphora.Member{}}
	for _, m := range p.Members {
		if !wanted(m.ID, true, m.ProvisioningStatus) { // a disabled member stays, in HAProxy's maintenance
			continue
		}
		made.Members = append(made.Members, amphora.Member{
			ID: m.ID, ServerID: m.ServerID, Address: m.Address, Port: m.ProtocolPort, Weight: m.Weight, Backup: m.Backup, Enabled: m.Enabled,
			MonitorAddress: m.MonitorAddress, MonitorPort: m.MonitorPort,
		})
	}
	if h := p.HealthMonitor; h != nil && wanted(h.ID, h.Enabled, h.ProvisioningStatus) {
		made.Monitor = &amphora.Monitor{
			ID: h.ID, Type: h.Type, Delay: h.Delay, Timeout: h.Timeout, MaxRetries: h.MaxRetries, MaxRetriesDown: h.MaxRetriesDown,
			HTTPMethod: h.HTTPMethod, URLPath: h.URLPath, ExpectedCodes: h.ExpectedCodes, HTTPVersion: h.HTTPVersion, DomainName: h.DomainName,
		}
	}
	return made
}

// portOf describes a port to an agent.
func portOf(p network.Port) amphora.Port {
	return amphora.Port{MAC: p.MAC, Address: p.Address, SubnetCIDR: p.CIDR, Gateway: p.Gateway, MTU: p.MTU}
}

// memberSubnets lists the subnets that members name, with the members, in a stable order.
func memberSubnets(t lb.Tree, failed map[string]string) (subnets []string, members map[string][]string) {
	members = map[string][]string{}
	for _, p := range t.Pools {
		for _, m := range p.Members {
			if m.SubnetID == "" || m.SubnetID == t.LoadBalancer.VIPSubnetID || m.ProvisioningStatus == lb.PendingDelete || p.ProvisioningStatus == lb.PendingDelete || failed[m.ID] != "" {
				continue
			}
			members[m.SubnetID] = append(members[m.SubnetID], m.ID)
		}
	}
	for id := range members {
		subnets = append(subnets, id)
	}
	slices.Sort(subnets)
	return subnets, members
}
