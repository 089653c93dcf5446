package lb

import (
	"fmt"
	"slices"
)

// Rules are those of the API that are the operator's to set.
type Rules struct {
	// What a listener that ends TLS, and a pool that speaks it, get when the request says nothing.
	ListenerCiphers, PoolCiphers   string
	ListenerVersions, PoolVersions []string
	ListenerALPN, PoolALPN         []string

	ProhibitedCiphers []string
	MinimumVersion    string // "" allows all

	// What nobody may make here.
	NoTLSListeners, NoPrometheusListeners, NoPingMonitors bool

	// Providers are the names that a request may ask for; all are names of the one provider there is. The first is what a
	// request that names none gets.
	Providers []Capability

	MinUDPConnectDelay int // s between checks of a UDP-CONNECT monitor, at least
}

// defaultCiphers are OWASP's suite B.
const defaultCiphers = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:" +
	"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:" +
	"ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:DHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES256-GCM-SHA384:DHE-RSA-CHACHA20-POLY1305"

// DefaultRules are Octavia's.
func DefaultRules() Rules {
	versions := []string{TLSv12, TLSv13}
	return Rules{
		ListenerCiphers: defaultCiphers, PoolCiphers: defaultCiphers, ListenerVersions: versions, PoolVersions: versions,
		ListenerALPN: ALPNProtocols, PoolALPN: ALPNProtocols, MinUDPConnectDelay: 3,
		Providers: []Capability{
			{ProviderName, "Clusters of HAProxy amphorae behind a distributor."},
			{ProviderAlias, "Another name of the provider '" + ProviderName + "'."},
		},
	}
}

// Check finds rules that contradict themselves.
func (r Rules) Check() error {
	for _, side := range []struct {
		what, ciphers  string
		versions, alpn []string
	}{{"listeners", r.ListenerCiphers, r.ListenerVersions, r.ListenerALPN}, {"pools", r.PoolCiphers, r.PoolVersions, r.PoolALPN}} {
		for _, err := range []error{r.checkCiphers(side.ciphers), r.checkVersions(side.versions), checkALPN(side.alpn)} {
			if err != nil {
				return fmt.Errorf("defaults of %s: %w", side.what, err)
			}
		}
		if side.ciphers == "" || len(side.versions) == 0 || len(side.alpn) == 0 {
			return fmt.Errorf("defaults of %s: ciphers, versions and ALPN protocols are needed", side.what)
		}
	}
	if r.MinimumVersion != "" && !slices.Contains(TLSVersions, r.MinimumVersion) {
		return fmt.Errorf("minimum TLS version %q: want one of %v", r.MinimumVersion, TLSVersions)
	}
	if len(r.Providers) == 0 || slices.ContainsFunc(r.Providers, func(p Capability) bool { return p.Name == "" || len(p.Name) > 64 }) {
		return fmt.Errorf("providers: want one at least, of 1 to 64 characters each")
	}
	return nil
}

// CheckProvider refuses a provider that is not there.
func (r Rules) CheckProvider(name string) error {
	if slices.ContainsFunc(r.Providers, func(p Capability) bool { return p.Name == name }) {
		return nil
	}
	return Faultf(KindInvalid, "Provider '%s' is not enabled.", name)
}

func disabled(option, value string) error {
	return Faultf(KindInvalid, "The selected %s is not allowed in this deployment: %s", option, value)
}
