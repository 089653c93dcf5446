package agentrest

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"colonnade/internal/agentconf"
	"colonnade/internal/atomicfile"
	"colonnade/internal/cert"
	"colonnade/internal/lb"
)

// Certificate is the body of PUT /v1/certificate, all PEM.
type Certificate struct {
	Cert string `json:"cert" doc:"the agent's certificate, and the chain behind it if there is one"`
	Key  string `json:"key" doc:"its private key"`
	CA   string `json:"ca" doc:"the authorities to trust from now on"`
}

// String keeps the key out of whatever prints a body.
func (Certificate) String() string { return "certificate" }

// GoString is String.
func (Certificate) GoString() string { return "certificate" }

// LogValue is String.
func (Certificate) LogValue() slog.Value { return slog.StringValue("certificate") }

func (c Certificate) bundle() cert.Bundle {
	return cert.Bundle{CertPEM: []byte(c.Cert), KeyPEM: []byte(c.Key), CAPEM: []byte(c.CA)}
}

// CertificateStatus is the answer: until when the certificate in use is valid.
type CertificateStatus struct {
	NotAfter time.Time `json:"not_after"`
}

const (
	// renewedFile holds the last certificate that was sent, key and authority with it: one file, so that a crash leaves
	// all of the new or all of the old. The files of the first certificate stay as the compute driver wrote them.
	renewedFile = "renewed.json"
	// maxCertificate bounds the body: a certificate, a key and some authorities are a few KiB.
	maxCertificate = 64 << 10
	// certificateTimeout bounds the call when the caller's context has no earlier deadline.
	certificateTimeout = 2 * time.Second
)

// CertificateRoute replaces the agent's certificate. Server adds it to the agent's own routes; renew may be nil where
// only the description is wanted.
func CertificateRoute(renew func(ctx context.Context, b cert.Bundle) (time.Time, error)) Route {
	return Route{
		Method: http.MethodPut, Path: "/v1/certificate", Summary: "Use this certificate for new connections, and after a restart",
		Request: Certificate{}, MaxBody: maxCertificate, Response: CertificateStatus{}, Refusals: []Refusal{&cert.OlderError{}},
		Handle: func(ctx context.Context, _ *http.Request, body any) (any, error) {
			notAfter, err := renew(ctx, body.(*Certificate).bundle())
			if err != nil {
				return nil, err
			}
			return CertificateStatus{NotAfter: notAfter}, nil
		},
	}
}

// PutCertificate gives an agent its next certificate and returns until when the one is valid that it uses then. An
// agent that has one of longer validity already keeps it: that is no error.
func (c *Client) PutCertificate(ctx context.Context, holder cert.Identity, ip string, b cert.Bundle) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, certificateTimeout)
	defer cancel()
	t := Target{Holder: holder, IP: ip}
	var st CertificateStatus
	err := c.Do(ctx, t, http.MethodPut, "/v1/certificate", Certificate{Cert: string(b.CertPEM), Key: string(b.KeyPEM), CA: string(b.CAPEM)}, &st)
	if older, ok := As[cert.OlderError](err, http.StatusConflict, "not_after"); ok {
		return older.NotAfter, nil
	}
	if err != nil {
		return time.Time{}, err
	}
	c.Forget(t) // the next call connects by the new certificate; calls under way go on
	return st.NotAfter, nil
}

// holding is the certificate of a server as it changes.
type holding struct {
	dir    string
	holder cert.Identity
	now    func() time.Time
	log    *slog.Logger

	tls atomic.Pointer[tls.Config]

	mu      sync.Mutex // one renewal at a time
	present cert.Bundle
}

// hold reads what the agent has.
func hold(conf agentconf.Config, now func() time.Time, log *slog.Logger) (*holding, error) {
	h := &holding{dir: conf.Place.Dir, holder: cert.Identity{Role: cert.Role(conf.Kind), ID: conf.ID}, now: now, log: log}
	if _, _, err := readRenewed(h.dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		log.Error("renewed certificate cannot be used, taking the first one", "error", err)
	}
	b, err := ReadBundle(h.dir)
	if err != nil {
		return nil, err
	}
	return h, h.use(b)
}

// use serves connections that begin from now on.
func (h *holding) use(b cert.Bundle) error {
	conf, err := cert.ServerTLS(b, h.now, cert.ControllersOnly)
	if err != nil {
		return err
	}
	h.tls.Store(conf)
	h.present = b
	return nil
}

// serverTLS asks for the certificate at each new connection.
func (h *holding) serverTLS() *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS13,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return h.tls.Load(), nil },
	}
}

// renew checks, keeps and uses a certificate, in this order: what is used survives a restart.
func (h *holding) renew(ctx context.Context, next cert.Bundle) (time.Time, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	notAfter, err := cert.Succeeds(h.present, next, h.holder, h.now())
	var older *cert.OlderError
	switch {
	case errors.As(err, &older) && same(h.present, next): // sent again by one who was not answered
		return older.NotAfter, nil
	case errors.As(err, &older):
		return time.Time{}, err
	case err != nil:
		return time.Time{}, lb.Faultf(lb.KindInvalid, "%v", err)
	}
	raw, err := json.Marshal(Certificate{Cert: string(next.CertPEM), Key: string(next.KeyPEM), CA: string(next.CAPEM)})
	if err != nil {
		return time.Time{}, fmt.Errorf("keep certificate: %w", err)
	}
	if err := atomicfile.Write(filepath.Join(h.dir, renewedFile), raw, 0o600); err != nil {
		return time.Time{}, fmt.Errorf("keep certificate: %w", err)
	}
	if err := h.use(next); err != nil {
		return time.Time{}, err
	}
	h.log.InfoContext(ctx, "certificate renewed", "not_after", notAfter)
	return notAfter, nil
}

func same(a, b cert.Bundle) bool {
	return bytes.Equal(a.CertPEM, b.CertPEM) && bytes.Equal(a.KeyPEM, b.KeyPEM) && bytes.Equal(a.CAPEM, b.CAPEM)
}

// ReadBundle reads an agent's certificate: the last that was sent or, when there is none or it cannot be used or is
// valid for a shorter time, the one that the compute driver put beside the configuration.
func ReadBundle(dir string) (cert.Bundle, error) {
	first, firstErr := readFirst(dir)
	renewed, renewedUntil, renewedErr := readRenewed(dir)
	if renewedErr != nil {
		return first, firstErr
	}
	if firstErr == nil {
		if until, err := cert.Expiry(first); err == nil && until.After(renewedUntil) {
			return first, nil
		}
	}
	return renewed, nil
}

func readRenewed(dir string) (cert.Bundle, time.Time, error) {
	raw, err := os.ReadFile(filepath.Join(dir, renewedFile))
	if err != nil {
		return cert.Bundle{}, time.Time{}, err
	}
	var c Certificate
	if err := json.Unmarshal(raw, &c); err != nil {
		return cert.Bundle{}, time.Time{}, err
	}
	until, err := cert.Expiry(c.bundle())
	return c.bundle(), until, err
}

func readFirst(dir string) (cert.Bundle, error) {
	var b cert.Bundle
	for name, into := range map[string]*[]byte{
		agentconf.CAFile: &b.CAPEM, agentconf.CertFile: &b.CertPEM, agentconf.KeyFile: &b.KeyPEM,
	} {
		content, err := os.ReadFile(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			return cert.Bundle{}, fmt.Errorf("read agent certificate: %s is missing in %s", name, dir)
		}
		if err != nil {
			return cert.Bundle{}, fmt.Errorf("read agent certificate: %w", err)
		}
		*into = content
	}
	return b, nil
}
