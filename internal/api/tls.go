package api

import (
	"colonnade/internal/api/wire"
	"colonnade/internal/lb"
)

// given makes of a field what it sets: null, and an empty text, are none.
func given(f wire.Opt[string], to *string) { f.Into(to, "") }

// listOr puts a list that must not be empty into *to; null is the default.
func listOr(f wire.Opt[[]string], to *[]string, standard []string, empty string) error {
	if f.Given() && len(f.V) == 0 {
		return lb.Invalidf("%s", empty)
	}
	f.Into(to, standard)
	return nil
}

const (
	noVersions = "Empty TLS version list. Either specify at least one TLS version or remove this parameter to use the default."
	noALPN     = "Empty ALPN protocol list. Either specify at least one ALPN protocol or remove this parameter to use the default."
)

// setListenerTLS puts the fields that are there into the listener. Ciphers, versions and ALPN protocols have defaults
// where TLS ends, and are null elsewhere.
func setListenerTLS(l *lb.Listener, in wire.ListenerTLS, rules lb.Rules) error {
	given(in.DefaultTLSContainerRef, &l.TLSContainerRef)
	in.SNIContainerRefs.Into(&l.SNIContainerRefs, nil)
	given(in.ClientCATLSContainerRef, &l.ClientCARef)
	given(in.ClientCRLContainerRef, &l.ClientCRLRef)
	in.ClientAuthentication.Into(&l.ClientAuthentication, lb.ClientAuthNone)
	if l.ClientAuthentication == "" {
		l.ClientAuthentication = lb.ClientAuthNone
	}
	ciphers, versions, alpn := rules.ListenerCiphers, rules.ListenerVersions, rules.ListenerALPN
	if l.Protocol != lb.ProtocolTerminatedHTTPS {
		ciphers, versions, alpn = "", nil, nil
	}
	in.TLSCiphers.Into(&l.TLSCiphers, ciphers)
	if err := listOr(in.TLSVersions, &l.TLSVersions, versions, noVersions); err != nil {
		return err
	}
	if err := listOr(in.ALPNProtocols, &l.ALPNProtocols, alpn, noALPN); err != nil {
		return err
	}
	if l.TLSCiphers == "" {
		l.TLSCiphers = ciphers
	}
	if len(l.TLSVersions) == 0 {
		l.TLSVersions = versions
	}
	if len(l.ALPNProtocols) == 0 {
		l.ALPNProtocols = alpn
	}
	if in.HSTSMaxAge.Set {
		l.HSTSMaxAge = nil
		if in.HSTSMaxAge.Given() {
			l.HSTSMaxAge = new(in.HSTSMaxAge.V)
		}
	}
	in.HSTSIncludeSubdomains.Into(&l.HSTSIncludeSubdomains, false)
	in.HSTSPreload.Into(&l.HSTSPreload, false)
	// Of what the request says alone: who takes max age away need not take the others with it.
	if l.HSTSMaxAge == nil && (in.HSTSIncludeSubdomains.V || in.HSTSPreload.V) {
		return lb.Invalidf("HSTS configuration options hsts_include_subdomains and hsts_preload only make sense if hsts_max_age is set as well.")
	}
	return nil
}

// setPoolTLS puts the fields that are there into the pool. Ciphers, versions and ALPN protocols have defaults where TLS is
// spoken, and are null elsewhere until somebody gives them.
func setPoolTLS(p *lb.Pool, in wire.PoolTLS, rules lb.Rules) error {
	hadCA := p.CARef != ""
	in.TLSEnabled.Into(&p.TLSEnabled, false)
	given(in.TLSContainerRef, &p.TLSContainerRef)
	given(in.CATLSContainerRef, &p.CARef)
	given(in.CRLContainerRef, &p.CRLRef)
	if hadCA && p.CARef == "" && p.CRLRef != "" {
		return lb.Invalidf("A CA reference cannot be removed when a certificate revocation list is present.")
	}
	in.TLSCiphers.Into(&p.TLSCiphers, "")
	if err := listOr(in.TLSVersions, &p.TLSVersions, nil, noVersions); err != nil {
		return err
	}
	if err := listOr(in.ALPNProtocols, &p.ALPNProtocols, nil, noALPN); err != nil {
		return err
	}
	if !p.TLSEnabled {
		return nil
	}
	if p.TLSCiphers == "" {
		p.TLSCiphers = rules.PoolCiphers
	}
	if len(p.TLSVersions) == 0 {
		p.TLSVersions = rules.PoolVersions
	}
	if len(p.ALPNProtocols) == 0 {
		p.ALPNProtocols = rules.PoolALPN
	}
	return nil
}

func showListenerTLS(v *wire.ListenerCommon, t lb.ListenerTLS) {
	v.DefaultTLSContainerRef, v.SNIContainerRefs = orNull(t.TLSContainerRef), list(t.SNIContainerRefs)
	v.ClientCATLSContainerRef, v.ClientCRLContainerRef = orNull(t.ClientCARef), orNull(t.ClientCRLRef)
	v.ClientAuthentication = t.ClientAuthentication
	v.TLSCiphers, v.TLSVersions, v.ALPNProtocols = orNull(t.TLSCiphers), orNil(t.TLSVersions), orNil(t.ALPNProtocols)
	v.HSTSMaxAge, v.HSTSIncludeSubdomains, v.HSTSPreload = t.HSTSMaxAge, t.HSTSIncludeSubdomains, t.HSTSPreload
}

func showPoolTLS(v *wire.PoolCommon, t lb.PoolTLS) {
	v.TLSEnabled, v.TLSContainerRef = t.TLSEnabled, orNull(t.TLSContainerRef)
	v.CATLSContainerRef, v.CRLContainerRef = orNull(t.CARef), orNull(t.CRLRef)
	v.TLSCiphers, v.TLSVersions, v.ALPNProtocols = orNull(t.TLSCiphers), orNil(t.TLSVersions), orNil(t.ALPNProtocols)
}

// orNil makes an empty list null.
func orNil(s []string) []string {
	if len(s) == 0 {
		return nil
	}
	return s
}
