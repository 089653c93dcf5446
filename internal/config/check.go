package config

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"colonnade/internal/lb"
)

// minAge of an orphan: the VIP's port is made before the row that names it, within one request.
const minAge = time.Second

// minValidity of a certificate leaves ten seconds for its renewal.
const minValidity = 30 * time.Second

// Check finds what cannot work, all of it at once.
func (c Config) Check() error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if _, err := netip.ParseAddrPort(c.API.Listen); err != nil {
		wrong("api.listen %q: want address:port, like 127.0.0.1:9876", c.API.Listen)
	}
	if _, err := netip.ParseAddrPort(c.Metrics.Listen); err != nil && c.Metrics.Listen != "" {
		wrong("metrics.listen %q: want address:port, like 127.0.0.1:9877, or nothing", c.Metrics.Listen)
	}
	if len(c.Health.HeartbeatPorts) == 0 {
		wrong("health.heartbeat_ports: want at least one port")
	}
	ports := map[int]bool{}
	for _, port := range c.Health.HeartbeatPorts {
		if port < 1 || port > 65535 || ports[port] {
			wrong("health.heartbeat_ports: %d is no port, or named twice", port)
		}
		ports[port] = true
	}
	if c.Cluster.Type != lb.ClusterFixed {
		wrong("cluster.type %q: only %q is built in", c.Cluster.Type, lb.ClusterFixed)
	}
	switch lb.Topology(c.Cluster.Topology) {
	case lb.TopologySingle, lb.TopologyActiveStandby, lb.TopologyActiveActive:
	default:
		wrong("cluster.topology %q: want %s, %s or %s", c.Cluster.Topology, lb.TopologySingle, lb.TopologyActiveStandby, lb.TopologyActiveActive)
	}
	if c.Cluster.DesiredSize < 1 || c.Cluster.DesiredSize > lb.MaxClusterSize {
		wrong("cluster.desired_size %d: want 1 to %d", c.Cluster.DesiredSize, lb.MaxClusterSize)
	}
	if c.Cluster.MinSize < 1 || c.Cluster.MinSize > c.Cluster.DesiredSize {
		wrong("cluster.min_size %d: want 1 to desired_size (%d)", c.Cluster.MinSize, c.Cluster.DesiredSize)
	}
	if c.Cluster.StandbySize < 0 || c.Cluster.StandbySize > lb.MaxStandbySize {
		wrong("cluster.standby_size %d: want 0 to %d", c.Cluster.StandbySize, lb.MaxStandbySize)
	}
	if c.Cluster.DefaultConnectionLimit < 1 {
		wrong("cluster.default_connection_limit %d: want 1 or more", c.Cluster.DefaultConnectionLimit)
	}
	if time.Duration(c.Cluster.CertificateValidity) < minValidity {
		wrong("cluster.certificate_validity: want %s or more", minValidity)
	}
	for _, d := range []struct {
		name string
		is   Duration
	}{{"housekeeping.every", c.Housekeeping.Every}, {"housekeeping.keep_deleted", c.Housekeeping.KeepDeleted}} {
		if time.Duration(d.is) < time.Millisecond {
			wrong("%s: want a duration with its unit, like \"30s\", that is longer than nothing", d.name)
		}
	}
	if time.Duration(c.Housekeeping.MinAge) < minAge {
		wrong("housekeeping.min_age: want %s or more", minAge)
	}
	durations := map[string]Duration{"cluster.cooldown": c.Cluster.Cooldown, "cluster.drain_timeout": c.Cluster.DrainTimeout}
	for _, name := range slices.Sorted(maps.Keys(durations)) {
		// A number without a unit is read as nanoseconds, which nobody means.
		if d := time.Duration(durations[name]); d != 0 && d < time.Millisecond {
			wrong("%s: want a duration with its unit, like \"30s\", that is not negative", name)
		}
	}
	c.API.checkEdge(wrong)
	c.Quotas.check(wrong)
	c.checkIdentity(wrong)
	errs = append(errs, c.checkDrivers()...)
	if err := c.Rules.Domain().Check(); err != nil {
		wrong("rules: %w", err)
	}
	ranges := map[string]string{"network.management_cidr": c.Network.ManagementCIDR, "network.host_link_cidr": c.Network.HostLinkCIDR}
	for _, name := range slices.Sorted(maps.Keys(ranges)) {
		cidr := ranges[name]
		if p, err := netip.ParsePrefix(cidr); err != nil || p != p.Masked() || !p.Addr().Is4() {
			wrong("%s %q: want an IPv4 network, like 198.19.0.0/18", name, cidr)
		}
	}
	names := map[string]bool{}
	for _, s := range c.Network.TenantCIDRs {
		if p, err := netip.ParsePrefix(s); err != nil || p != p.Masked() {
			wrong("network.tenant_cidrs: %q: want a network, like 198.18.0.0/16", s)
		}
	}
	for _, n := range c.Network.Networks {
		if n.Name == "" || names[n.Name] {
			wrong("network.networks: name %q is missing or given twice", n.Name)
		}
		names[n.Name] = true
		if p, err := netip.ParsePrefix(n.CIDR); err != nil || p != p.Masked() {
			wrong("network.networks %q: cidr %q: want a network, like 198.18.1.0/24", n.Name, n.CIDR)
		}
	}
	if c.Log.Format != "text" && c.Log.Format != "json" {
		wrong("log.format %q: want text or json", c.Log.Format)
	}
	switch c.Log.Level {
	case "debug", "info", "warn", "error":
	default:
		wrong("log.level %q: want debug, info, warn or error", c.Log.Level)
	}
	return errors.Join(errs...)
}

// checkDrivers finds drivers that are not there, or do not go together.
func (c Config) checkDrivers() (errs []error) {
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Network.Driver != "bridge" && c.Network.Driver != Noop {
		wrong("network.driver %q: only \"bridge\" and \"noop\" are built in", c.Network.Driver)
	}
	if c.Compute.Driver != "netns" && c.Compute.Driver != Noop {
		wrong("compute.driver %q: only \"netns\" and \"noop\" are built in", c.Compute.Driver)
	}
	if (c.Network.Driver == Noop) != (c.Compute.Driver == Noop) {
		wrong("network.driver %q with compute.driver %q: \"noop\" has to be both or neither", c.Network.Driver, c.Compute.Driver)
	}
	if c.IsNoop() && len(c.Network.Networks) > 0 {
		wrong("network.networks: driver \"noop\" makes none, every network is there")
	}
	if c.Noop.StayPending && !c.IsNoop() {
		wrong("noop.stay_pending: needs the drivers \"noop\"")
	}
	return errs
}
