package worker

import (
	"context"
	"fmt"

	"colonnade/internal/amphora"
	"colonnade/internal/lb"
)

// Secrets is where the worker gets the certificates that listeners and pools name, as PEM. What is missing or is not what
// it has to be is an lb.KindNotFound or lb.KindInvalid fault: of who names it.
type Secrets interface {
	Certificate(ctx context.Context, projectID, ref string) (string, error)
	Authority(ctx context.Context, projectID, ref string) (string, error)
	RevocationList(ctx context.Context, projectID, ref, authority string) (string, error)
}

// listenerTLS is how an amphora's listener ends TLS. Secrets are called by their place, so that another one in the same
// place needs no other configuration.
func listenerTLS(l lb.Listener) *amphora.ListenerTLS {
	if !l.EndsTLS() {
		return nil
	}
	t := &amphora.ListenerTLS{
		ClientAuthentication: l.ClientAuthentication, Ciphers: l.TLSCiphers, Versions: l.TLSVersions, ALPN: l.ALPNProtocols,
	}
	for i := range l.Certificates() {
		t.Certificates = append(t.Certificates, fmt.Sprintf("%s.%d.pem", l.ID, i))
	}
	if l.ClientCARef != "" {
		t.ClientCA = l.ID + ".ca.pem"
	}
	if l.ClientCRLRef != "" {
		t.ClientCRL = l.ID + ".crl.pem"
	}
	if l.HSTSMaxAge != nil {
		t.HSTS = &amphora.HSTS{MaxAge: *l.HSTSMaxAge, IncludeSubdomains: l.HSTSIncludeSubdomains, Preload: l.HSTSPreload}
	}
	return t
}

// poolTLS is how an amphora's pool speaks TLS to its members.
func poolTLS(p lb.Pool) *amphora.PoolTLS {
	if !p.TLSEnabled {
		return nil
	}
	t := &amphora.PoolTLS{Ciphers: p.TLSCiphers, Versions: p.TLSVersions, ALPN: p.ALPNProtocols}
	if p.TLSContainerRef != "" {
		t.Certificate = p.ID + ".cert.pem"
	}
	if p.CARef != "" {
		t.CA = p.ID + ".ca.pem"
	}
	if p.CRLRef != "" {
		t.CRL = p.ID + ".crl.pem"
	}
	return t
}

// secrets reads what the document names. An object whose secret is gone or useless is at fault, alone: then the document
// is to be made once more.
func (r *run) secrets(ctx context.Context, d *amphora.Desired) (again bool, err error) {
	if r.Secrets == nil {
		return false, nil
	}
	ctx, cancel := context.WithTimeout(ctx, r.StoreTimeout)
	defer cancel()
	out := map[string]string{}
	project := r.tree.LoadBalancer.ProjectID
	read := func(object, name string, get func() (string, error)) error {
		if name == "" || r.failed[object] != "" {
			return nil
		}
		text, err := get()
		if fault(err) {
			r.failed[object], again = err.Error(), true
			return nil
		}
		if err != nil {
			return fmt.Errorf("read secret %s: %w", name, err)
		}
		out[name] = text
		return nil
	}
	certificate := func(object, name, ref string) error {
		return read(object, name, func() (string, error) { return r.Secrets.Certificate(ctx, project, ref) })
	}
	authority := func(object, ca, crl, caRef, crlRef string) error {
		err := read(object, ca, func() (string, error) { return r.Secrets.Authority(ctx, project, caRef) })
		if err != nil {
			return err
		}
		return read(object, crl, func() (string, error) { return r.Secrets.RevocationList(ctx, project, crlRef, caRef) })
	}
	for i := range d.Listeners {
		t := d.Listeners[i].TLS
		l, err := r.tree.Listener(d.Listeners[i].ID)
		if t == nil || err != nil {
			continue
		}
		for i, ref := range l.Certificates() {
			if err := certificate(l.ID, t.Certificates[i], ref); err != nil {
				return false, err
			}
		}
		if err := authority(l.ID, t.ClientCA, t.ClientCRL, l.ClientCARef, l.ClientCRLRef); err != nil {
			return false, err
		}
	}
	for i := range d.Pools {
		t := d.Pools[i].TLS
		p, err := r.tree.Pool(d.Pools[i].ID)
		if t == nil || err != nil {
			continue
		}
		if err := certificate(p.ID, t.Certificate, p.TLSContainerRef); err != nil {
			return false, err
		}
		if err := authority(p.ID, t.CA, t.CRL, p.CARef, p.CRLRef); err != nil {
			return false, err
		}
	}
	if len(out) > 0 {
		d.Secrets = out
	}
	return again, nil
}

// document makes the document with its secrets.
func (r *run) document(ctx context.Context) (amphora.Desired, error) {
	for {
		doc := Document(r.tree, r.state.Cluster, r.Settings, r.failed)
		again, err := r.secrets(ctx, &doc)
		if err != nil || !again {
			return doc, err
		}
	}
}
