package api

import (
	"encoding/json"
	"time"

	"colonnade/internal/api/wire"
	"colonnade/internal/lb"
)

// stamp writes a time as the API does: ISO 8601, microseconds, no zone; null when there is none.
func stamp(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	return new(t.UTC().Format("2006-01-02T15:04:05.000000"))
}

// orNull makes a zero value null.
func orNull[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

func list[T any](in []T) []T {
	if in == nil {
		return []T{}
	}
	return in
}

func refs(ids []string) []wire.Ref {
	out := make([]wire.Ref, len(ids))
	for i, id := range ids {
		out[i].ID = id
	}
	return out
}

func status(ps lb.ProvisioningStatus, os lb.OperatingStatus, reason string) wire.Status {
	return wire.Status{ProvisioningStatus: string(ps), OperatingStatus: string(os), StatusReason: reason}
}

// shownOperating is a load balancer's operating status: the v2 API knows no DOWN.
func shownOperating(os lb.OperatingStatus) lb.OperatingStatus {
	if os == lb.OperatingDown {
		return lb.OperatingErr
	}
	return os
}

func loadBalancerFields(l lb.LoadBalancer) wire.LoadBalancerFields {
	provider := l.Provider
	if provider == "" {
		provider = lb.ProviderAlias
	}
	return wire.LoadBalancerFields{
		Common: wire.Common{
			ID: l.ID, Name: l.Name, ProjectID: l.ProjectID, TenantID: l.ProjectID, AdminStateUp: l.Enabled,
			Tags: list(l.Tags), CreatedAt: stamp(l.CreatedAt), UpdatedAt: stamp(l.UpdatedAt),
			Status: status(l.ProvisioningStatus, shownOperating(l.OperatingStatus), l.StatusReason),
		},
		Description: l.Description,
		VIPAddress:  l.VIPAddress, VIPPortID: l.VIPPortID, VIPSubnetID: l.VIPSubnetID, VIPNetworkID: l.VIPNetworkID,
		VIPQosPolicyID: orNull(l.VIPQoSPolicyID), VIPVnicType: vnic(l.VIPVnicType), VIPSgIDs: list(l.VIPSecurityGroups),
		AdditionalVIPs: views(l.AdditionalVIPs, func(v lb.AdditionalVIP) wire.AdditionalVIPView {
			return wire.AdditionalVIPView{SubnetID: v.SubnetID, IPAddress: v.Address, PortID: v.PortID}
		}), Provider: provider,
		AmphoraAddressPool: l.AmphoraPool,
		FlavorID:           orNull(l.FlavorID), AvailabilityZone: orNull(l.AvailabilityZone),
	}
}

// vnic is the kind of a port as it is shown.
func vnic(kind string) string {
	if kind == "" {
		return lb.VnicNormal
	}
	return kind
}

func loadBalancerView(l lb.LoadBalancer, listeners, pools []string) wire.LoadBalancer {
	return wire.LoadBalancer{LoadBalancerFields: loadBalancerFields(l), Listeners: refs(listeners), Pools: refs(pools)}
}

func loadBalancerOf(t *lb.Tree) wire.LoadBalancer {
	v := wire.LoadBalancer{LoadBalancerFields: loadBalancerFields(t.LoadBalancer), Listeners: []wire.Ref{}, Pools: []wire.Ref{}}
	for i := range t.Listeners {
		v.Listeners = append(v.Listeners, wire.Ref{ID: t.Listeners[i].ID})
	}
	for i := range t.Pools {
		v.Pools = append(v.Pools, wire.Ref{ID: t.Pools[i].ID})
	}
	return v
}

func treeView(t *lb.Tree) wire.LoadBalancerTree {
	v := wire.LoadBalancerTree{
		LoadBalancerFields: loadBalancerFields(t.LoadBalancer),
		Listeners:          []wire.ListenerTree{}, Pools: []wire.PoolTree{},
	}
	for _, l := range t.Listeners {
		lv := wire.ListenerTree{ListenerCommon: listenerCommon(l), DefaultPoolID: orNull(l.DefaultPoolID), L7Policies: []wire.L7PolicyTree{}}
		for _, p := range l.L7Policies {
			lv.L7Policies = append(lv.L7Policies, policyTree(p))
		}
		v.Listeners = append(v.Listeners, lv)
	}
	for _, p := range t.Pools {
		v.Pools = append(v.Pools, poolTree(p))
	}
	return v
}

func poolTree(p lb.Pool) wire.PoolTree {
	v := wire.PoolTree{PoolCommon: poolCommon(p), Members: []wire.Member{}}
	for _, m := range p.Members {
		v.Members = append(v.Members, memberView(m))
	}
	if p.HealthMonitor != nil {
		v.HealthMonitor = new(monitorView(*p.HealthMonitor))
	}
	return v
}

func listenerCommon(l lb.Listener) wire.ListenerCommon {
	headers := l.InsertHeaders
	if headers == nil {
		headers = map[string]string{}
	}
	v := wire.ListenerCommon{
		Common: wire.Common{
			ID: l.ID, Name: l.Name, ProjectID: l.ProjectID, TenantID: l.ProjectID, AdminStateUp: l.Enabled,
			Tags: list(l.Tags), CreatedAt: stamp(l.CreatedAt), UpdatedAt: stamp(l.UpdatedAt),
			Status: status(l.ProvisioningStatus, l.OperatingStatus, l.StatusReason),
		},
		Description: l.Description, Protocol: l.Protocol, ProtocolPort: l.ProtocolPort,
		ConnectionLimit: l.ConnectionLimit, InsertHeaders: headers,
		TimeoutClientData: l.TimeoutClientData, TimeoutMemberConnect: l.TimeoutMemberConnect,
		TimeoutMemberData: l.TimeoutMemberData, TimeoutTCPInspect: l.TimeoutTCPInspect,
	}
	showListenerTLS(&v, l.ListenerTLS)
	if len(l.AllowedCIDRs) > 0 {
		v.AllowedCIDRs = l.AllowedCIDRs
	}
	return v
}

func listenerView(l lb.Listener, policies []string) wire.Listener {
	return wire.Listener{
		ListenerCommon: listenerCommon(l), DefaultPoolID: orNull(l.DefaultPoolID),
		L7Policies: refs(policies), LoadBalancers: refs([]string{l.LoadBalancerID}),
	}
}

func listenerOf(l lb.Listener) wire.Listener {
	return listenerView(l, views(l.L7Policies, func(p lb.L7Policy) string { return p.ID }))
}

func poolCommon(p lb.Pool) wire.PoolCommon {
	v := wire.PoolCommon{
		Common: wire.Common{
			ID: p.ID, Name: p.Name, ProjectID: p.ProjectID, TenantID: p.ProjectID, AdminStateUp: p.Enabled,
			Tags: list(p.Tags), CreatedAt: stamp(p.CreatedAt), UpdatedAt: stamp(p.UpdatedAt),
			Status: status(p.ProvisioningStatus, p.OperatingStatus, p.StatusReason),
		},
		Description: p.Description, Protocol: p.Protocol, LBAlgorithm: p.Algorithm,
	}
	showPoolTLS(&v, p.PoolTLS)
	if sp := p.SessionPersistence; sp != nil {
		v.SessionPersistence = &wire.SessionPersistenceView{
			Type: sp.Type, CookieName: orNull(sp.CookieName), PersistenceTimeout: sp.Timeout, PersistenceGranularity: orNull(sp.Granularity),
		}
	}
	return v
}

func poolView(p lb.Pool, listeners, members []string, monitorID string) wire.Pool {
	return wire.Pool{
		PoolCommon: poolCommon(p), LoadBalancers: refs([]string{p.LoadBalancerID}),
		Listeners: refs(listeners), Members: refs(members), HealthMonitorID: monitorID,
	}
}

func poolOf(t *lb.Tree, p lb.Pool) wire.Pool {
	members := make([]string, len(p.Members))
	for i := range p.Members {
		members[i] = p.Members[i].ID
	}
	monitorID := ""
	if p.HealthMonitor != nil {
		monitorID = p.HealthMonitor.ID
	}
	return poolView(p, t.PoolListeners(p.ID), members, monitorID)
}

func memberView(m lb.Member) wire.Member {
	return wire.Member{
		Common: wire.Common{
			ID: m.ID, Name: m.Name, ProjectID: m.ProjectID, TenantID: m.ProjectID, AdminStateUp: m.Enabled,
			Tags: list(m.Tags), CreatedAt: stamp(m.CreatedAt), UpdatedAt: stamp(m.UpdatedAt),
			Status: status(m.ProvisioningStatus, m.OperatingStatus, m.StatusReason),
		},
		Address: m.Address, ProtocolPort: m.ProtocolPort, Weight: m.Weight, Backup: m.Backup,
		SubnetID: orNull(m.SubnetID), MonitorAddress: orNull(m.MonitorAddress), MonitorPort: orNull(m.MonitorPort),
		VnicType: vnic(m.VnicType),
	}
}

func monitorView(h lb.HealthMonitor) wire.HealthMonitor {
	return wire.HealthMonitor{
		Common: wire.Common{
			ID: h.ID, Name: h.Name, ProjectID: h.ProjectID, TenantID: h.ProjectID, AdminStateUp: h.Enabled,
			Tags: list(h.Tags), CreatedAt: stamp(h.CreatedAt), UpdatedAt: stamp(h.UpdatedAt),
			Status: status(h.ProvisioningStatus, h.OperatingStatus, h.StatusReason),
		},
		Type: h.Type, Delay: h.Delay, Timeout: h.Timeout, MaxRetries: h.MaxRetries, MaxRetriesDown: h.MaxRetriesDown,
		HTTPMethod: orNull(h.HTTPMethod), URLPath: orNull(h.URLPath), ExpectedCodes: orNull(h.ExpectedCodes),
		HTTPVersion: (*json.Number)(orNull(h.HTTPVersion)), DomainName: orNull(h.DomainName),
		Pools: refs([]string{h.PoolID}),
	}
}

func policyCommon(p lb.L7Policy) wire.L7PolicyCommon {
	return wire.L7PolicyCommon{
		Common: wire.Common{
			ID: p.ID, Name: p.Name, ProjectID: p.ProjectID, TenantID: p.ProjectID, AdminStateUp: p.Enabled,
			Tags: list(p.Tags), CreatedAt: stamp(p.CreatedAt), UpdatedAt: stamp(p.UpdatedAt),
			Status: status(p.ProvisioningStatus, p.OperatingStatus, p.StatusReason),
		},
		Description: p.Description, Action: p.Action, ListenerID: p.ListenerID, RedirectPoolID: orNull(p.RedirectPoolID),
		RedirectURL: orNull(p.RedirectURL), RedirectPrefix: orNull(p.RedirectPrefix), RedirectHTTPCode: orNull(p.RedirectHTTPCode),
		Position: p.Position,
	}
}

func policyView(p lb.L7Policy, rules []string) wire.L7Policy {
	return wire.L7Policy{L7PolicyCommon: policyCommon(p), Rules: refs(rules)}
}

func policyOf(p lb.L7Policy) wire.L7Policy {
	return policyView(p, views(p.Rules, func(r lb.L7Rule) string { return r.ID }))
}

func policyTree(p lb.L7Policy) wire.L7PolicyTree {
	return wire.L7PolicyTree{L7PolicyCommon: policyCommon(p), Rules: views(p.Rules, ruleView)}
}

func ruleView(r lb.L7Rule) wire.L7Rule {
	return wire.L7Rule{
		ID: r.ID, ProjectID: r.ProjectID, TenantID: r.ProjectID, AdminStateUp: r.Enabled, Tags: list(r.Tags),
		CreatedAt: stamp(r.CreatedAt), UpdatedAt: stamp(r.UpdatedAt),
		Status: status(r.ProvisioningStatus, r.OperatingStatus, r.StatusReason),
		Type:   r.Type, CompareType: r.CompareType, Key: orNull(r.Key), Value: r.Value, Invert: r.Invert,
	}
}
