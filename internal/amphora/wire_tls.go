package amphora

// ListenerTLS is how a listener ends TLS. What it names stands in Desired.Secrets.
type ListenerTLS struct {
	// Certificates are PEM files of certificate, chain and key. The first is for names that no other has.
	Certificates         []string `json:"certificates"`
	ClientCA             string   `json:"client_ca,omitempty"`
	ClientCRL            string   `json:"client_crl,omitempty"`
	ClientAuthentication string   `json:"client_authentication"`
	Ciphers              string   `json:"ciphers,omitempty"`
	Versions             []string `json:"versions,omitempty"`
	ALPN                 []string `json:"alpn_protocols,omitempty"`
	HSTS                 *HSTS    `json:"hsts,omitempty"`
}

// HSTS makes browsers use TLS alone.
type HSTS struct {
	MaxAge            int  `json:"max_age"` // s
	IncludeSubdomains bool `json:"include_subdomains,omitempty"`
	Preload           bool `json:"preload,omitempty"`
}

// PoolTLS is how a pool speaks TLS to its members. What it names stands in Desired.Secrets.
type PoolTLS struct {
	Certificate string   `json:"certificate,omitempty"` // that members are shown, with its key
	CA          string   `json:"ca,omitempty"`          // who has to have signed the members'; "" is anybody
	CRL         string   `json:"crl,omitempty"`
	Ciphers     string   `json:"ciphers,omitempty"`
	Versions    []string `json:"versions,omitempty"`
	ALPN        []string `json:"alpn_protocols,omitempty"`
}

// WithoutSecrets is the document as it may be written to a disk or a log.
func (d Desired) WithoutSecrets() Desired {
	d.Secrets = nil
	return d
}
