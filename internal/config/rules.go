package config

import "colonnade/internal/lb"

// Rules are the operator's part in what requests may ask for.
type Rules struct {
	// Allow… are protocols and monitors that tenants may use.
	AllowTLSListeners        bool `toml:"allow_tls_terminated_listeners"`
	AllowPrometheusListeners bool `toml:"allow_prometheus_listeners"`
	AllowPingMonitors        bool `toml:"allow_ping_health_monitors"`
	// UDPConnectMinDelay is the shortest delay of a UDP-CONNECT monitor, s.
	UDPConnectMinDelay int `toml:"udp_connect_min_interval_health_monitor"`

	// Providers are the names that tenants may ask for; the first is what those get who name none.
	Providers []Provider `toml:"providers,inline"`

	ListenerCiphers   string   `toml:"default_listener_ciphers"` // OpenSSL's cipher list
	PoolCiphers       string   `toml:"default_pool_ciphers"`
	ProhibitedCiphers []string `toml:"prohibited_ciphers"`
	ListenerVersions  []string `toml:"default_listener_tls_versions"`
	PoolVersions      []string `toml:"default_pool_tls_versions"`
	MinimumVersion    string   `toml:"minimum_tls_version"` // "" allows all
	ListenerALPN      []string `toml:"default_listener_alpn_protocols"`
	PoolALPN          []string `toml:"default_pool_alpn_protocols"`
}

// Provider is a name that the one provider there is goes by.
type Provider struct {
	Name        string `toml:"name"`
	Description string `toml:"description"`
}

func defaultRules() Rules {
	r := lb.DefaultRules()
	var providers []Provider
	for _, p := range r.Providers {
		providers = append(providers, Provider(p))
	}
	return Rules{
		Providers:         providers,
		AllowTLSListeners: true, AllowPrometheusListeners: true, AllowPingMonitors: true, UDPConnectMinDelay: r.MinUDPConnectDelay,
		ListenerCiphers: r.ListenerCiphers, PoolCiphers: r.PoolCiphers, ListenerVersions: r.ListenerVersions, PoolVersions: r.PoolVersions,
		ListenerALPN: r.ListenerALPN, PoolALPN: r.PoolALPN, ProhibitedCiphers: []string{},
	}
}

// Domain is what the API works with.
func (r Rules) Domain() lb.Rules {
	var providers []lb.Capability
	for _, p := range r.Providers {
		providers = append(providers, lb.Capability(p))
	}
	return lb.Rules{
		Providers:       providers,
		ListenerCiphers: r.ListenerCiphers, PoolCiphers: r.PoolCiphers, ListenerVersions: r.ListenerVersions, PoolVersions: r.PoolVersions,
		ListenerALPN: r.ListenerALPN, PoolALPN: r.PoolALPN, ProhibitedCiphers: r.ProhibitedCiphers, MinimumVersion: r.MinimumVersion,
		NoTLSListeners: !r.AllowTLSListeners, NoPrometheusListeners: !r.AllowPrometheusListeners, NoPingMonitors: !r.AllowPingMonitors,
		MinUDPConnectDelay: r.UDPConnectMinDelay,
	}
}
