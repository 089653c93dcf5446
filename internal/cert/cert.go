// Package cert is the control plane's own certificate authority: it issues short-lived certificates that name their
// holder, and makes the TLS configurations that check those names. It imports no other package of ours.
package cert

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"colonnade/internal/atomicfile"
)

// Role is what the holder of a certificate is.
type Role string

// Roles of certificate holders.
const (
	RoleController  Role = "controller"
	RoleAmphora     Role = "amphora"
	RoleDistributor Role = "distributor"
)

// Identity names the holder of a certificate. It is written as the one URI name colonnade://<role>/<id>.
type Identity struct {
	Role Role
	ID   string
}

func (i Identity) String() string { return "colonnade://" + string(i.Role) + "/" + i.ID }

// IdentityOf reads the holder's name; a certificate without exactly one such name is an error.
func IdentityOf(c *x509.Certificate) (Identity, error) {
	if len(c.URIs) != 1 || c.URIs[0].Scheme != "colonnade" || len(c.URIs[0].Path) < 2 {
		return Identity{}, errors.New("certificate does not name its holder")
	}
	return Identity{Role: Role(c.URIs[0].Host), ID: c.URIs[0].Path[1:]}, nil
}

// Bundle is an issued certificate with its key and the authority to trust, all PEM.
type Bundle struct {
	CertPEM  []byte
	KeyPEM   []byte // secret
	CAPEM    []byte
	NotAfter time.Time
}

// Validity of what the authority issues. Rotation happens at two thirds of a leaf's life.
const (
	authorityValidity = 10 * 365 * 24 * time.Hour
	LeafValidity      = 30 * 24 * time.Hour
	// backdate makes a fresh certificate valid for peers whose clock is a little behind.
	backdate = 5 * time.Minute
)

// Authority signs certificates. It is safe for concurrent use.
type Authority struct {
	cert  *x509.Certificate
	key   *ecdsa.PrivateKey
	caPEM []byte
	now   func() time.Time
}

const (
	authorityCertFile = "ca.pem"
	authorityKeyFile  = "ca.key"
)

// OpenAuthority loads the authority kept in dir, or makes one at first start. Two processes that start at once agree:
// the key file is created exclusively and the loser loads the winner's.
func OpenAuthority(dir string, now func() time.Time) (*Authority, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open authority: %w", err)
	}
	if err := createAuthority(dir, now()); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("create authority: %w", err)
	}
	certPEM, err := os.ReadFile(filepath.Join(dir, authorityCertFile))
	if err != nil {
		return nil, fmt.Errorf("open authority: %w", err)
	}
	keyPEM, err := os.ReadFile(filepath.Join(dir, authorityKeyFile))
	if err != nil {
		return nil, fmt.Errorf("open authority: %w", err)
	}
	block, _ := pem.Decode(certPEM)
	keyBlock, _ := pem.Decode(keyPEM)
	if block == nil || keyBlock == nil {
		return nil, fmt.Errorf("open authority: %s does not hold PEM; restore it from a backup", dir)
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("open authority: %w", err)
	}
	key, err := x509.ParseECPrivateKey(keyBlock.Bytes)
	if err != nil {
		return nil, fmt.Errorf("open authority: %w", err)
	}
	if !key.PublicKey.Equal(c.PublicKey) {
		return nil, fmt.Errorf("open authority: key and certificate in %s do not belong together", dir)
	}
	return &Authority{cert: c, key: key, caPEM: certPEM, now: now}, nil
}

// createAuthority writes both files or none: they are made in a directory of their own and the key, linked last, is
// what decides that the authority exists.
func createAuthority(dir string, now time.Time) error {
	keyPath := filepath.Join(dir, authorityKeyFile)
	if _, err := os.Stat(keyPath); err == nil {
		return fs.ErrExist
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	serial, err := newSerial()
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: "Colonnade CA"},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(authorityValidity),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return err
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	lock, err := os.OpenFile(filepath.Join(dir, ".lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = lock.Close() }()
	if err := lockFile(lock); err != nil {
		return err
	}
	if _, err := os.Stat(keyPath); err == nil {
		return fs.ErrExist
	}
	if err := atomicfile.Write(filepath.Join(dir, authorityCertFile), pemOf("CERTIFICATE", der), 0o644); err != nil {
		return err
	}
	return atomicfile.Write(keyPath, pemOf("EC PRIVATE KEY", keyDER), 0o600)
}

// Issue makes a key and a certificate for the holder, valid for both ends of a connection.
func (a *Authority) Issue(holder Identity, ips []net.IP, validity time.Duration) (Bundle, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Bundle{}, fmt.Errorf("issue certificate for %s: %w", holder, err)
	}
	serial, err := newSerial()
	if err != nil {
		return Bundle{}, fmt.Errorf("issue certificate for %s: %w", holder, err)
	}
	now := a.now()
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: string(holder.Role) + " " + holder.ID},
		URIs:         []*url.URL{{Scheme: "colonnade", Host: string(holder.Role), Path: "/" + holder.ID}},
		IPAddresses:  ips,
		NotBefore:    now.Add(-backdate),
		NotAfter:     now.Add(validity),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		return Bundle{}, fmt.Errorf("issue certificate for %s: %w", holder, err)
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return Bundle{}, fmt.Errorf("issue certificate for %s: %w", holder, err)
	}
	return Bundle{
		CertPEM:  pemOf("CERTIFICATE", der),
		KeyPEM:   pemOf("EC PRIVATE KEY", keyDER),
		CAPEM:    a.caPEM,
		NotAfter: template.NotAfter.UTC().Truncate(time.Second),
	}, nil
}

// CAPEM is the authority's certificate.
func (a *Authority) CAPEM() []byte { return a.caPEM }

func newSerial() (*big.Int, error) {
	return rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
}

func pemOf(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
