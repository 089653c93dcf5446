package cert

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"time"
)

// WrongHolderError says that a certificate of our authority belongs to somebody else than was meant.
type WrongHolderError struct {
	Got, Want Identity
}

func (e *WrongHolderError) Error() string {
	return fmt.Sprintf("certificate belongs to %s, want %s", e.Got, e.Want)
}

// ServerTLS is the configuration of an agent: TLS 1.3, client certificates of our authority whose holder accept allows.
func ServerTLS(b Bundle, now func() time.Time, accept func(Identity) error) (*tls.Config, error) {
	pair, pool, err := load(b)
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Time:         now,
		Certificates: []tls.Certificate{pair},
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    pool,
		VerifyConnection: func(cs tls.ConnectionState) error {
			holder, err := IdentityOf(cs.PeerCertificates[0])
			if err != nil {
				return err
			}
			return accept(holder)
		},
	}, nil
}

// ControllersOnly accepts any controller; it is what agents pass to ServerTLS.
func ControllersOnly(holder Identity) error {
	if holder.Role != RoleController {
		return &WrongHolderError{Got: holder, Want: Identity{Role: RoleController, ID: "*"}}
	}
	return nil
}

// ClientTLS is the configuration for one connection to the agent want. Names of hosts play no part: the holder's name
// inside a certificate of our authority does.
func ClientTLS(b Bundle, now func() time.Time, want Identity) (*tls.Config, error) {
	pair, pool, err := load(b)
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Time:         now,
		Certificates: []tls.Certificate{pair},
		// The chain is verified below against our authority alone; only the host name check is left out.
		InsecureSkipVerify: true, //nolint:gosec // VerifyConnection verifies chain, use and holder
		VerifyConnection: func(cs tls.ConnectionState) error {
			if len(cs.PeerCertificates) == 0 {
				return errors.New("agent sent no certificate")
			}
			leaf := cs.PeerCertificates[0]
			if _, err := leaf.Verify(x509.VerifyOptions{
				Roots: pool, CurrentTime: now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
			}); err != nil {
				return fmt.Errorf("verify agent certificate: %w", err)
			}
			got, err := IdentityOf(leaf)
			if err != nil {
				return err
			}
			if got != want {
				return &WrongHolderError{Got: got, Want: want}
			}
			return nil
		},
	}, nil
}

func load(b Bundle) (tls.Certificate, *x509.CertPool, error) {
	pair, err := tls.X509KeyPair(b.CertPEM, b.KeyPEM)
	if err != nil {
		return tls.Certificate{}, nil, fmt.Errorf("load certificate: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(b.CAPEM) {
		return tls.Certificate{}, nil, errors.New("load certificate: no authority in PEM")
	}
	return pair, pool, nil
}
