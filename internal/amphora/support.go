package amphora

import (
	"net/netip"
	"slices"

	"colonnade/internal/lb"
)

// What HAProxy amphorae run; everything else the API knows is refused before anything of it is written.
var (
	supportedListeners = []string{lb.ProtocolHTTP, lb.ProtocolHTTPS, lb.ProtocolTCP, lb.ProtocolTerminatedHTTPS, lb.ProtocolPrometheus}
	supportedPools     = []string{lb.ProtocolHTTP, lb.ProtocolHTTPS, lb.ProtocolTCP, lb.ProtocolProxy, lb.ProtocolProxyV2}
	supportedMonitors  = []string{lb.MonitorHTTP, lb.MonitorHTTPS, lb.MonitorTCP, lb.MonitorTLSHello}
)

// maxCheckSeconds is 20 days: HAProxy's timers end at 24.
const maxCheckSeconds = 20 * 24 * 3600

// HAProxy is the provider whose amphorae run HAProxy.
type HAProxy struct{}

// Supports refuses, as an lb.KindUnsupported fault, what the API's rules allow and these amphorae cannot do. It is the
// one place that says so: whoever teaches the amphora something takes its line away here.
func (HAProxy) Supports(t *lb.Tree) error {
	if err := supportsIPv4(t.LoadBalancer.VIPAddress, "an IPv6 VIP"); err != nil {
		return err
	}
	if err := supportsVIP(&t.LoadBalancer); err != nil {
		return err
	}
	for i := range t.Listeners {
		if err := supportsListener(&t.Listeners[i]); err != nil {
			return err
		}
	}
	for i := range t.Pools {
		if err := supportsPool(&t.Pools[i]); err != nil {
			return err
		}
	}
	return nil
}

func supportsVIP(l *lb.LoadBalancer) error {
	switch {
	case len(l.AdditionalVIPs) > 0:
		return lb.Unsupported("additional_vips")
	case l.VIPQoSPolicyID != "":
		return lb.Unsupported("vip_qos_policy_id")
	case len(l.VIPSecurityGroups) > 0: // amphorae let in what listeners' allowed_cidrs say
		return lb.Unsupported("vip_sg_ids")
	case l.VIPVnicType == lb.VnicDirect:
		return lb.Unsupported("vip_vnic_type %s", l.VIPVnicType)
	}
	return nil
}

// supportsIPv4 takes every address that is not IPv6; one that is not known yet is the driver's choice.
func supportsIPv4(address, what string) error {
	if a, err := netip.ParseAddr(address); err == nil && !a.Is4() {
		return lb.Unsupported("%s", what)
	}
	return nil
}

func supportsListener(l *lb.Listener) error {
	if !slices.Contains(supportedListeners, l.Protocol) {
		return lb.Unsupported("listener protocol %s", l.Protocol)
	}
	if len(l.L7Policies) > 0 && l.Protocol != lb.ProtocolHTTP && l.Protocol != lb.ProtocolTerminatedHTTPS {
		return lb.Unsupported("L7 policies of a %s listener", l.Protocol)
	}
	if l.EndsTLS() {
		return supportsVersions(l.TLSVersions)
	}
	return nil
}

// supportsVersions takes a range of the versions that OpenSSL still speaks.
func supportsVersions(versions []string) error {
	first, last := len(lb.TLSVersions), -1
	for i, v := range lb.TLSVersions {
		if slices.Contains(versions, v) {
			first, last = min(first, i), i
		}
	}
	if last >= 0 && lb.TLSVersions[first] == lb.SSLv3 {
		return lb.Unsupported("tls_versions %s", lb.SSLv3)
	}
	for i := first; i < last; i++ {
		if !slices.Contains(versions, lb.TLSVersions[i]) {
			return lb.Unsupported("tls_versions with %s and %s and without %s between them", lb.TLSVersions[first], lb.TLSVersions[last], lb.TLSVersions[i])
		}
	}
	return nil
}

func supportsPool(p *lb.Pool) error {
	if !slices.Contains(supportedPools, p.Protocol) {
		return lb.Unsupported("pool protocol %s", p.Protocol)
	}
	if p.TLSEnabled {
		if err := supportsVersions(p.TLSVersions); err != nil {
			return err
		}
	}
	if p.Algorithm == lb.SourceIPPort {
		return lb.Unsupported("lb_algorithm %s", p.Algorithm)
	}
	if sp := p.SessionPersistence; sp != nil && sp.Type != lb.PersistSourceIP &&
		(p.Protocol == lb.ProtocolTCP || p.Protocol == lb.ProtocolHTTPS) {
		return lb.Unsupported("session persistence %s for a pool of protocol %s", sp.Type, p.Protocol)
	}
	for i := range p.Members {
		if p.Members[i].VnicType == lb.VnicDirect {
			return lb.Unsupported("request_sriov")
		}
		if m := &p.Members[i]; m.SubnetID == "" {
			if err := supportsIPv4(m.Address, "an IPv6 member without a subnet_id (VIPs are IPv4)"); err != nil {
				return err
			}
		}
	}
	if h := p.HealthMonitor; h != nil {
		if !slices.Contains(supportedMonitors, h.Type) {
			return lb.Unsupported("health monitor type %s", h.Type)
		}
		if h.Delay < 1 || h.Timeout < 1 || h.Delay > maxCheckSeconds || h.Timeout > maxCheckSeconds {
			return lb.Unsupported("health monitor delay or timeout outside of 1 to %d", maxCheckSeconds)
		}
	}
	return nil
}

// FlavorCapabilities are those that do not ask something of images, of sizes of instances or of SR-IOV ports: the
// compute drivers there are know none of these.
func (HAProxy) FlavorCapabilities() []lb.Capability {
	return slices.DeleteFunc(lb.FlavorCapabilities(), func(c lb.Capability) bool {
		return slices.Contains([]string{"compute_flavor", "amp_image_tag", "sriov_vip", "allow_member_sriov"}, c.Name)
	})
}

// ZoneCapabilities are those that do not ask something of compute drivers with zones: there are none.
func (HAProxy) ZoneCapabilities() []lb.Capability {
	return slices.DeleteFunc(lb.ZoneCapabilities(), func(c lb.Capability) bool { return c.Name != "valid_vip_networks" })
}

// TakesAnyOption is false: what is accepted is done.
func (HAProxy) TakesAnyOption() bool { return false }
