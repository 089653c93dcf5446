package lb

import "slices"

// TLS versions, oldest first.
const (
	SSLv3  = "SSLv3"
	TLSv1  = "TLSv1"
	TLSv11 = "TLSv1.1"
	TLSv12 = "TLSv1.2"
	TLSv13 = "TLSv1.3"
)

// TLSVersions are all that the API knows, oldest first.
var TLSVersions = []string{SSLv3, TLSv1, TLSv11, TLSv12, TLSv13}

// ALPNProtocols are all that the API knows.
var ALPNProtocols = []string{"h2", "http/1.1", "http/1.0"}

// Whether clients of a listener show certificates.
const (
	ClientAuthNone      = "NONE"
	ClientAuthOptional  = "OPTIONAL"
	ClientAuthMandatory = "MANDATORY"
)

// ListenerTLS is how a listener that ends TLS does so. References name secrets or containers of the key manager; "" is
// none. Ciphers, versions and ALPN are empty where the listener ends no TLS and nobody asked for any.
type ListenerTLS struct {
	TLSContainerRef       string   `bun:"tls_certificate_id,nullzero"`
	SNIContainerRefs      []string `bun:"sni_container_refs,type:text"` // JSON text
	ClientCARef           string   `bun:"client_ca_tls_certificate_id,nullzero"`
	ClientAuthentication  string   `bun:"client_authentication"`
	ClientCRLRef          string   `bun:"client_crl_container_id,nullzero"`
	TLSCiphers            string   `bun:"tls_ciphers,nullzero"`     // OpenSSL's cipher list
	TLSVersions           []string `bun:"tls_versions,type:text"`   // JSON text
	ALPNProtocols         []string `bun:"alpn_protocols,type:text"` // JSON text
	HSTSMaxAge            *int     `bun:"hsts_max_age"`             // s; nil: no HSTS
	HSTSIncludeSubdomains bool     `bun:"hsts_include_subdomains"`
	HSTSPreload           bool     `bun:"hsts_preload"`
}

// PoolTLS is how a pool speaks TLS to its members. Ciphers, versions and ALPN are empty where Enabled is false and nobody
// asked for any.
type PoolTLS struct {
	TLSEnabled      bool     `bun:"tls_enabled"`
	TLSContainerRef string   `bun:"tls_certificate_id,nullzero"`    // certificate shown to members
	CARef           string   `bun:"ca_tls_certificate_id,nullzero"` // who has to have signed the members'
	CRLRef          string   `bun:"crl_container_id,nullzero"`
	TLSCiphers      string   `bun:"tls_ciphers,nullzero"`
	TLSVersions     []string `bun:"tls_versions,type:text"`
	ALPNProtocols   []string `bun:"alpn_protocols,type:text"`
}

// Certificates are the references to certificates with keys, the default one first.
func (t *ListenerTLS) Certificates() []string {
	if t.TLSContainerRef == "" {
		return t.SNIContainerRefs
	}
	return append([]string{t.TLSContainerRef}, t.SNIContainerRefs...)
}

// EndsTLS reports whether the listener decrypts what clients send.
func (l *Listener) EndsTLS() bool {
	return l.Protocol == ProtocolTerminatedHTTPS || l.Protocol == ProtocolPrometheus && len(l.Certificates()) > 0
}

func cloneListenerTLS(t ListenerTLS) ListenerTLS {
	t.SNIContainerRefs, t.TLSVersions, t.ALPNProtocols = slices.Clone(t.SNIContainerRefs), slices.Clone(t.TLSVersions), slices.Clone(t.ALPNProtocols)
	return t
}

func clonePoolTLS(t PoolTLS) PoolTLS {
	t.TLSVersions, t.ALPNProtocols = slices.Clone(t.TLSVersions), slices.Clone(t.ALPNProtocols)
	return t
}
