package cert

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"hash/fnv"
	"time"
)

// RenewAt is when a holder's certificate is to be replaced: at two thirds of its life, or up to a twelfth of its life
// before, so that holders whose certificates were made together are not renewed together.
func RenewAt(id string, notAfter time.Time, validity time.Duration) time.Time {
	h := fnv.New32a()
	_, _ = h.Write([]byte(id)) // never fails
	early := time.Duration(float64(validity) / 12 * float64(h.Sum32()) / (1 << 32))
	return Overdue(notAfter, validity).Add(-early)
}

// Overdue is from when on a certificate should have been replaced: less than a third of its life is left.
func Overdue(notAfter time.Time, validity time.Duration) time.Time {
	return notAfter.Add(-validity / 3)
}

// OlderError refuses a certificate that is not valid for longer than the one in use. A controller that was stopped for
// a while does no harm by it.
type OlderError struct {
	NotAfter time.Time `json:"not_after"` // of the one in use
}

func (e *OlderError) Error() string {
	return "the certificate in use is valid until " + e.NotAfter.UTC().Format(time.RFC3339) + ", no shorter"
}

// HTTPStatus makes it a 409.
func (*OlderError) HTTPStatus() int { return 409 }

// Expiry is the end of a certificate's validity; one that cannot be used with its key is an error.
func Expiry(b Bundle) (time.Time, error) {
	pair, _, err := load(b)
	if err != nil {
		return time.Time{}, err
	}
	return pair.Leaf.NotAfter, nil
}

// Succeeds checks that next may take the place of present: its key fits, its chain leads to the authority that it
// brings and to the one trusted so far, it names holder, and is valid now and for longer. It returns until when.
func Succeeds(present, next Bundle, holder Identity, now time.Time) (time.Time, error) {
	pair, brought, err := load(next)
	if err != nil {
		return time.Time{}, err
	}
	current, trusted, err := load(present)
	if err != nil {
		return time.Time{}, fmt.Errorf("certificate in use: %w", err)
	}
	named, err := IdentityOf(pair.Leaf)
	if err != nil {
		return time.Time{}, err
	}
	if named != holder {
		return time.Time{}, &WrongHolderError{Got: named, Want: holder}
	}
	// A chain to both authorities is what keeps a change of the authority from locking everybody out.
	for _, pool := range []*x509.CertPool{trusted, brought} {
		_, err := pair.Leaf.Verify(x509.VerifyOptions{
			Roots: pool, Intermediates: intermediates(pair), CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		})
		if err != nil {
			return time.Time{}, fmt.Errorf("verify certificate: %w", err)
		}
	}
	if !pair.Leaf.NotAfter.After(current.Leaf.NotAfter) {
		return time.Time{}, &OlderError{NotAfter: current.Leaf.NotAfter}
	}
	return pair.Leaf.NotAfter, nil
}

// intermediates are the certificates that came behind the leaf.
func intermediates(pair tls.Certificate) *x509.CertPool {
	pool := x509.NewCertPool()
	for _, der := range pair.Certificate[1:] {
		if c, err := x509.ParseCertificate(der); err == nil { // what cannot be read is no link of a chain
			pool.AddCert(c)
		}
	}
	return pool
}
