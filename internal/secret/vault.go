package secret

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"colonnade/internal/lb"
)

// Store is what the vault needs of the database.
type Store interface {
	Secret(ctx context.Context, id string) (lb.Secret, error)
	SecretContainer(ctx context.Context, id string) (lb.SecretContainer, error)
}

// Vault opens what the store keeps.
type Vault struct {
	Store Store
	Key   Key
	Now   func() time.Time
}

// Seal makes of a payload what Secret.Payload holds.
func (v *Vault) Seal(s lb.Secret, payload []byte) []byte { return v.Key.Seal(sealedAs(s), payload) }

// Payload opens a secret.
func (v *Vault) Payload(s lb.Secret) ([]byte, error) {
	if len(s.Payload) == 0 {
		return nil, lb.Faultf(lb.KindNotFound, "Secret %s has no payload.", s.ID)
	}
	return v.Key.Open(sealedAs(s), s.Payload)
}

// sealedAs binds a payload to its row: it is worth nothing in another.
func sealedAs(s lb.Secret) string { return "secret " + s.ID + " of " + s.ProjectID }

// reference ends with what it names: …/v1/secrets/<id>, …/v1/containers/<id>, or an id alone.
var reference = regexp.MustCompile(`(?:^|/(secrets|containers)/)([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})/?$`)

func parse(ref string) (kind, id string, err error) {
	m := reference.FindStringSubmatch(ref)
	if m == nil {
		return "", "", lb.Faultf(lb.KindNotFound, "%s names no secret and no container.", ref)
	}
	return m[1], m[2], nil
}

// secret reads and opens a secret of a project.
func (v *Vault) secret(ctx context.Context, projectID, id string) ([]byte, error) {
	s, err := v.Store.Secret(ctx, id)
	if err != nil {
		return nil, err
	}
	if s.ProjectID != projectID || !s.Expiration.IsZero() && !v.Now().Before(s.Expiration) {
		return nil, lb.Faultf(lb.KindNotFound, "Secret %s not found.", id)
	}
	return v.Payload(s)
}

// Certificate is what a reference names as one PEM text: certificate, its chain, key. The reference is that of a container
// of type certificate, or of a secret that is a PKCS12 bundle or such a text. What is missing or is no certificate with
// its key is an lb.KindNotFound or lb.KindInvalid fault.
func (v *Vault) Certificate(ctx context.Context, projectID, ref string) (string, error) {
	kind, id, err := parse(ref)
	if err != nil {
		return "", err
	}
	if kind != "secrets" {
		c, err := v.Store.SecretContainer(ctx, id)
		if err == nil {
			return v.container(ctx, projectID, c)
		}
		if kind != "" || lb.KindOf(err) != lb.KindNotFound {
			return "", err
		}
	}
	payload, err := v.secret(ctx, projectID, id)
	if err != nil {
		return "", err
	}
	return bundle(payload)
}

func (v *Vault) container(ctx context.Context, projectID string, c lb.SecretContainer) (string, error) {
	if c.ProjectID != projectID {
		return "", lb.Faultf(lb.KindNotFound, "Container %s not found.", c.ID)
	}
	part := map[string][]byte{}
	for _, name := range []string{"certificate", "intermediates", "private_key", "private_key_passphrase"} {
		id := c.Secret(name)
		if id == "" {
			continue
		}
		payload, err := v.secret(ctx, projectID, id)
		if err != nil {
			return "", err
		}
		part[name] = payload
	}
	key, err := privateKey(part["private_key"], part["private_key_passphrase"])
	if err != nil {
		return "", err
	}
	certificates, err := chain(append(certificatesOf(part["certificate"]), certificatesOf(part["intermediates"])...), key)
	if err != nil {
		return "", err
	}
	return assemble(certificates, key)
}

// Authority is the certificate authority that a reference names, as PEM.
func (v *Vault) Authority(ctx context.Context, projectID, ref string) (string, error) {
	text, _, err := v.authority(ctx, projectID, ref)
	return text, err
}

func (v *Vault) authority(ctx context.Context, projectID, ref string) (string, *x509.Certificate, error) {
	payload, err := v.plain(ctx, projectID, ref)
	if err != nil {
		return "", nil, err
	}
	certificates := certificatesOf(payload)
	if len(certificates) == 0 {
		return "", nil, lb.Invalidf("The client authentication CA certificate is invalid. It must be a valid x509 PEM format certificate. Error: there is none")
	}
	text := ""
	var first *x509.Certificate
	for _, der := range certificates {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return "", nil, lb.Invalidf("The client authentication CA certificate is invalid. It must be a valid x509 PEM format certificate. Error: %s", err)
		}
		if first == nil {
			first = c
		}
		text += encode("CERTIFICATE", der)
	}
	return text, first, nil
}

// RevocationList is the list of revoked certificates that a reference names, as PEM. It has to be that authority's.
func (v *Vault) RevocationList(ctx context.Context, projectID, ref, authority string) (string, error) {
	_, ca, err := v.authority(ctx, projectID, authority)
	if err != nil {
		return "", err
	}
	payload, err := v.plain(ctx, projectID, ref)
	if err != nil {
		return "", err
	}
	const invalid = "The client authentication certificate revocation list is invalid. It must be a valid x509 PEM format certificate revocation list. Error: %s"
	block, _ := pem.Decode(payload)
	if block == nil {
		return "", lb.Invalidf(invalid, "no PEM")
	}
	crl, err := x509.ParseRevocationList(block.Bytes)
	if err != nil {
		return "", lb.Invalidf(invalid, err)
	}
	if err := crl.CheckSignatureFrom(ca); err != nil {
		return "", lb.Invalidf("The CRL specified is not valid for client certificate authority reference supplied.")
	}
	return encode("X509 CRL", block.Bytes), nil
}

// plain is the payload of a reference to a secret.
func (v *Vault) plain(ctx context.Context, projectID, ref string) ([]byte, error) {
	kind, id, err := parse(ref)
	if err != nil {
		return nil, err
	}
	if kind == "containers" {
		return nil, lb.Faultf(lb.KindNotFound, "%s names a container and not a secret.", ref)
	}
	payload, err := v.secret(ctx, projectID, id)
	if err != nil {
		return nil, err
	}
	return text(payload), nil
}

// text undoes base64 around PEM: who stores a file as bytes has it so.
func text(payload []byte) []byte {
	if strings.Contains(string(payload), "-----BEGIN") {
		return payload
	}
	if plain, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(string(payload)), "")); err == nil {
		return plain
	}
	return payload
}

// CheckCertificates refuses references that name no certificate with its key, all that do not at once.
func (v *Vault) CheckCertificates(ctx context.Context, projectID string, refs []string) error {
	var bad []string
	for _, ref := range refs {
		_, err := v.Certificate(ctx, projectID, ref)
		var unreadable *bundleError
		switch {
		case errors.As(err, &unreadable):
			return lb.Faultf(lb.KindInvalid, "%s", unreadable)
		case isFault(err):
			bad = append(bad, ref)
		case err != nil:
			return err
		}
	}
	return unretrieved(bad)
}

// CheckAuthority refuses references that name no authority, or no list that it has signed; "" is none.
func (v *Vault) CheckAuthority(ctx context.Context, projectID, ca, crl string) error {
	if ca == "" {
		return nil
	}
	var bad []string
	_, err := v.Authority(ctx, projectID, ca)
	if err == nil && crl != "" {
		_, err = v.RevocationList(ctx, projectID, crl, ca)
		if lb.KindOf(err) == lb.KindNotFound {
			bad = append(bad, crl)
		}
	} else if lb.KindOf(err) == lb.KindNotFound {
		bad = append(bad, ca)
	}
	if len(bad) > 0 {
		return unretrieved(bad)
	}
	return err
}

func unretrieved(refs []string) error {
	if len(refs) == 0 {
		return nil
	}
	return lb.Faultf(lb.KindInvalid, "Could not retrieve certificate: ['%s']", strings.Join(refs, "', '"))
}

// isFault reports whether a secret is at fault, and not the moment.
func isFault(err error) bool {
	k := lb.KindOf(err)
	return k == lb.KindNotFound || k == lb.KindInvalid
}

// Anything is a key manager that has whatever is asked for: for amphorae that do nothing with it.
type Anything struct{}

// CheckCertificates takes every reference.
func (Anything) CheckCertificates(context.Context, string, []string) error { return nil }

// CheckAuthority takes every reference.
func (Anything) CheckAuthority(context.Context, string, string, string) error { return nil }

var errEncrypted = errors.New("the key is encrypted, and its passphrase is missing or wrong")

func encode(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func invalid(format string, args ...any) error {
	return lb.Faultf(lb.KindInvalid, "%s", fmt.Sprintf(format, args...))
}
