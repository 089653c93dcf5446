package api

import (
	"context"

	"colonnade/internal/api/wire"
	"colonnade/internal/lb"
)

// Certificates knows what references of listeners and pools name.
type Certificates interface {
	// CheckCertificates refuses references that name no certificate with its key that the project has, as an
	// lb.KindInvalid fault.
	CheckCertificates(ctx context.Context, projectID string, refs []string) error
	// CheckAuthority refuses references that name no authority, or no list that it has signed; "" is none.
	CheckAuthority(ctx context.Context, projectID, ca, crl string) error
}

// checkListenerSecrets looks at what a new or changed listener names.
func (s *server) checkListenerSecrets(ctx context.Context, projectID string, t lb.ListenerTLS) error {
	if err := s.Certificates.CheckCertificates(ctx, projectID, t.Certificates()); err != nil {
		return err
	}
	return s.Certificates.CheckAuthority(ctx, projectID, t.ClientCARef, t.ClientCRLRef)
}

// checkPoolSecrets looks at what a new or changed pool names.
func (s *server) checkPoolSecrets(ctx context.Context, projectID string, t lb.PoolTLS) error {
	var refs []string
	if t.TLSContainerRef != "" {
		refs = []string{t.TLSContainerRef}
	}
	if err := s.Certificates.CheckCertificates(ctx, projectID, refs); err != nil {
		return err
	}
	return s.Certificates.CheckAuthority(ctx, projectID, t.CARef, t.CRLRef)
}

// checkListenerChange looks at the secrets that a change of a listener names.
func (s *server) checkListenerChange(ctx context.Context, l lb.Listener, in wire.ListenerTLS) error {
	if !namesSecrets(in) {
		return nil
	}
	err := setListenerTLS(&l, in, s.Settings.Rules)
	if err == nil {
		err = s.Settings.Rules.CheckListener(l) // a reference that has no business here is not looked up
	}
	if err != nil {
		return err
	}
	return s.checkListenerSecrets(ctx, l.ProjectID, l.ListenerTLS)
}

// checkPoolChange looks at the secrets that a change of a pool names.
func (s *server) checkPoolChange(ctx context.Context, p lb.Pool, in wire.PoolTLS) error {
	if !poolNamesSecrets(in) {
		return nil
	}
	err := setPoolTLS(&p, in, s.Settings.Rules)
	if err == nil {
		err = s.Settings.Rules.CheckPool(p)
	}
	if err != nil {
		return err
	}
	return s.checkPoolSecrets(ctx, p.ProjectID, p.PoolTLS)
}

// checkSecrets looks at what new listeners and pools of a project name.
func (s *server) checkSecrets(ctx context.Context, projectID string, listeners []lb.Listener, pools []lb.Pool) error {
	for i := range listeners {
		if err := s.checkListenerSecrets(ctx, projectID, listeners[i].ListenerTLS); err != nil {
			return err
		}
	}
	for i := range pools {
		if err := s.checkPoolSecrets(ctx, projectID, pools[i].PoolTLS); err != nil {
			return err
		}
	}
	return nil
}

// namesSecrets reports whether a change of a listener is about what it names: what it named before was looked at then.
func namesSecrets(in wire.ListenerTLS) bool {
	return in.DefaultTLSContainerRef.Set || in.SNIContainerRefs.Set || in.ClientCATLSContainerRef.Set || in.ClientCRLContainerRef.Set
}

// poolNamesSecrets is namesSecrets for pools.
func poolNamesSecrets(in wire.PoolTLS) bool {
	return in.TLSContainerRef.Set || in.CATLSContainerRef.Set || in.CRLContainerRef.Set
}

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
