package cli

import "colonnade/internal/api/wire"

// listenerTLSFlags are the flags of a listener that ends TLS. An empty reference takes it away.
type listenerTLSFlags struct {
	Certificate       *string  `name:"default-tls-container-ref" placeholder:"REF" help:"Certificate with its key, in the key manager; empty for none."`
	SNI               []string `name:"sni-container-ref" placeholder:"REF" help:"Certificate for other names; may be repeated."`
	ClientCA          *string  `name:"client-ca-tls-container-ref" placeholder:"REF" help:"Certificate authority of clients."`
	ClientAuth        *string  `name:"client-authentication" help:"NONE, OPTIONAL or MANDATORY."`
	ClientCRL         *string  `name:"client-crl-container-ref" placeholder:"REF" help:"Clients' certificates that were revoked."`
	Ciphers           *string  `name:"tls-ciphers" help:"Cipher suites, as OpenSSL lists them."`
	Versions          []string `name:"tls-version" help:"TLSv1.2, TLSv1.3, …; may be repeated."`
	ALPN              []string `name:"alpn-protocol" help:"h2, http/1.1 or http/1.0; may be repeated."`
	HSTSMaxAge        *int     `name:"hsts-max-age" help:"How long browsers remember to use TLS alone, s."`
	IncludeSubdomains *bool    `name:"hsts-include-subdomains" negatable:"" help:"For subdomains too."`
	Preload           *bool    `name:"hsts-preload" negatable:"" help:"For lists built into browsers."`
}

// reference is a field that an empty flag clears.
func reference(given *string) wire.Opt[string] {
	if given != nil && *given == "" {
		return wire.Null[string]()
	}
	return opt(given)
}

func (f *listenerTLSFlags) tls() wire.ListenerTLS {
	return wire.ListenerTLS{
		DefaultTLSContainerRef: reference(f.Certificate), SNIContainerRefs: words(f.SNI), ClientCATLSContainerRef: reference(f.ClientCA),
		ClientAuthentication: opt(f.ClientAuth), ClientCRLContainerRef: reference(f.ClientCRL), TLSCiphers: opt(f.Ciphers),
		TLSVersions: words(f.Versions), ALPNProtocols: words(f.ALPN), HSTSMaxAge: opt(f.HSTSMaxAge),
		HSTSIncludeSubdomains: opt(f.IncludeSubdomains), HSTSPreload: opt(f.Preload),
	}
}

// poolTLSFlags are the flags of a pool that speaks TLS to its members. An empty reference takes it away.
type poolTLSFlags struct {
	TLS         *bool    `name:"tls" negatable:"" help:"Speak TLS to members."`
	Certificate *string  `name:"tls-container-ref" placeholder:"REF" help:"Certificate with its key that members are shown; empty for none."`
	CA          *string  `name:"ca-tls-container-ref" placeholder:"REF" help:"Certificate authority of members."`
	CRL         *string  `name:"crl-container-ref" placeholder:"REF" help:"Members' certificates that were revoked."`
	Ciphers     *string  `name:"tls-ciphers" help:"Cipher suites, as OpenSSL lists them."`
	Versions    []string `name:"tls-version" help:"TLSv1.2, TLSv1.3, …; may be repeated."`
	ALPN        []string `name:"alpn-protocol" help:"h2, http/1.1 or http/1.0; may be repeated."`
}

func (f *poolTLSFlags) tls() wire.PoolTLS {
	return wire.PoolTLS{
		TLSEnabled: opt(f.TLS), TLSContainerRef: reference(f.Certificate), CATLSContainerRef: reference(f.CA), CRLContainerRef: reference(f.CRL),
		TLSCiphers: opt(f.Ciphers), TLSVersions: words(f.Versions), ALPNProtocols: words(f.ALPN),
	}
}
