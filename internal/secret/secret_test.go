package secret_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"colonnade/internal/lb"
	"colonnade/internal/secret"
	"colonnade/internal/testenv/pki"
)

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// shelf keeps rows in memory.
type shelf struct {
	secrets    map[string]lb.Secret
	containers map[string]lb.SecretContainer
}

func (s shelf) Secret(_ context.Context, id string) (lb.Secret, error) {
	if r, ok := s.secrets[id]; ok {
		return r, nil
	}
	return lb.Secret{}, lb.Faultf(lb.KindNotFound, "Secret %s not found.", id)
}

func (s shelf) SecretContainer(_ context.Context, id string) (lb.SecretContainer, error) {
	if r, ok := s.containers[id]; ok {
		return r, nil
	}
	return lb.SecretContainer{}, lb.Faultf(lb.KindNotFound, "Container %s not found.", id)
}

const (
	id1 = "11111111-1111-4111-8111-111111111111"
	id2 = "22222222-2222-4222-8222-222222222222"
	id3 = "33333333-3333-4333-8333-333333333333"
	id4 = "44444444-4444-4444-8444-444444444444"
	url = "https://cloud.example/key-manager/v1/"
)

func newVault() (*secret.Vault, shelf) {
	s := shelf{map[string]lb.Secret{}, map[string]lb.SecretContainer{}}
	return &secret.Vault{Store: s, Key: secret.NewKey([32]byte{1}), Now: time.Now}, s
}

func put(v *secret.Vault, s shelf, id, payload string) {
	row := lb.Secret{ID: id, ProjectID: "p"}
	row.Payload = v.Seal(row, []byte(payload))
	s.secrets[id] = row
}

func TestSealed(t *testing.T) {
	k := secret.NewKey([32]byte{1})
	sealed := k.Seal("a", []byte("payload"))
	if bytes.Contains(sealed, []byte("payload")) {
		t.Fatal("not sealed")
	}
	plain, err := k.Open("a", sealed)
	ok(t, err)
	if string(plain) != "payload" {
		t.Fatalf("%q", plain)
	}
	if _, err := k.Open("b", sealed); err == nil {
		t.Error("opened under another name")
	}
	if _, err := secret.NewKey([32]byte{2}).Open("a", sealed); err == nil || !strings.Contains(err.Error(), "another key") {
		t.Errorf("opened with another key: %v", err)
	}
	for i := range sealed {
		changed := bytes.Clone(sealed)
		changed[i] ^= 1
		if _, err := k.Open("a", changed); err == nil {
			t.Fatalf("byte %d changed and nobody sees", i)
		}
	}
	for n := range sealed {
		if _, err := k.Open("a", sealed[:n]); err == nil {
			t.Fatalf("%d bytes of it open", n)
		}
	}
}

func TestKeyFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "key")
	if _, err := secret.OpenKey(file, false); err == nil {
		t.Fatal("no file, no error")
	}
	made, err := secret.OpenKey(file, true)
	ok(t, err)
	info, err := os.Stat(file)
	ok(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	read, err := secret.OpenKey(file, true)
	ok(t, err)
	if _, err := read.Open("a", made.Seal("a", nil)); err != nil {
		t.Error(err)
	}
	ok(t, os.WriteFile(file, []byte("short"), 0o600))
	if _, err := secret.OpenKey(file, true); err == nil {
		t.Error("a broken key was taken or replaced")
	}
}

func openssl(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), "openssl", args...).CombinedOutput(); err != nil {
		t.Fatalf("openssl %v: %v\n%s", args, err, out)
	}
}

// Bundles as the documentation of Octavia makes them, by old and new versions of OpenSSL.
func TestBundles(t *testing.T) {
	ca := pki.New(t, "Tenant")
	leaf := ca.Issue("a.example")
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	ok(t, os.WriteFile(at("key"), []byte(leaf.KeyPEM), 0o600))
	ok(t, os.WriteFile(at("crt"), []byte(leaf.CertPEM), 0o600))
	ok(t, os.WriteFile(at("ca"), []byte(ca.PEM), 0o600))
	export := func(name string, more ...string) string {
		openssl(t, append([]string{"pkcs12", "-export", "-inkey", at("key"), "-in", at("crt"), "-certfile", at("ca"), "-out", at(name)}, more...)...)
		raw, err := os.ReadFile(at(name))
		ok(t, err)
		return string(raw)
	}
	v, s := newVault()
	for name, payload := range map[string]string{
		"new":          export("new", "-passout", "pass:"),
		"legacy":       export("legacy", "-legacy", "-passout", "pass:"),
		"3DES":         export("3des", "-certpbe", "PBE-SHA1-3DES", "-keypbe", "PBE-SHA1-3DES", "-macalg", "sha1", "-passout", "pass:"),
		"plain":        export("plain", "-certpbe", "NONE", "-keypbe", "NONE", "-passout", "pass:"),
		"without MAC":  export("nomac", "-nomac", "-passout", "pass:"),
		"as base64":    base64.StdEncoding.EncodeToString([]byte(export("b64", "-passout", "pass:"))),
		"PEM":          leaf.PEM() + ca.PEM,
		"PEM, mixed":   ca.PEM + leaf.KeyPEM + leaf.CertPEM,
		"PEM, encoded": base64.StdEncoding.EncodeToString([]byte(leaf.CertPEM + leaf.KeyPEM + ca.PEM)),
	} {
		put(v, s, id1, payload)
		for _, ref := range []string{url + "secrets/" + id1, id1, "secrets/" + id1, url + "secrets/" + id1 + "/"} {
			if strings.HasPrefix(ref, "secrets/") {
				ref = "/" + ref
			}
			text, err := v.Certificate(t.Context(), "p", ref)
			if err != nil {
				t.Errorf("%s by %s: %v", name, ref, err)
				continue
			}
			pair, err := tls.X509KeyPair([]byte(text), []byte(text))
			if err != nil || len(pair.Certificate) != 2 || !bytes.Equal(pair.Certificate[0], leaf.X509.Raw) {
				t.Errorf("%s: %v, %d certificates", name, err, len(pair.Certificate))
			}
		}
		ok(t, v.CheckCertificates(t.Context(), "p", []string{id1}))
	}
	for name, payload := range map[string]string{
		"pass phrase":   export("pass", "-passout", "pass:secret"),
		"no bundle":     "\x30\x03\x02\x01\x03",
		"nothing at it": "hello",
		"no key":        export("nokey", "-nokeys", "-passout", "pass:"),
	} {
		put(v, s, id1, payload)
		err := v.CheckCertificates(t.Context(), "p", []string{id1})
		if lb.KindOf(err) != lb.KindInvalid || !strings.HasPrefix(err.Error(), "The PKCS12 bundle is unreadable. Please check the PKCS12 bundle validity.") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestContainers(t *testing.T) {
	ca := pki.New(t, "Tenant")
	leaf, other := ca.Issue("a.example"), ca.Issue("a.example")
	dir := t.TempDir()
	ok(t, os.WriteFile(filepath.Join(dir, "key"), []byte(leaf.KeyPEM), 0o600))
	encrypted := func(args ...string) string {
		out := filepath.Join(dir, "enc")
		openssl(t, append(append([]string{}, args...), "-in", filepath.Join(dir, "key"), "-out", out, "-passout", "pass:sesame")...)
		raw, err := os.ReadFile(out)
		ok(t, err)
		return string(raw)
	}
	v, s := newVault()
	s.containers[id4] = lb.SecretContainer{ID: id4, ProjectID: "p", Type: "certificate", Secrets: []lb.SecretRef{
		{Name: "certificate", SecretID: id1}, {Name: "private_key", SecretID: id2}, {Name: "intermediates", SecretID: id3},
	}}
	put(v, s, id1, leaf.CertPEM)
	put(v, s, id3, ca.PEM)
	put(v, s, id2, leaf.KeyPEM)
	for _, ref := range []string{url + "containers/" + id4, id4} {
		if _, err := v.Certificate(t.Context(), "p", ref); err != nil {
			t.Errorf("%s: %v", ref, err)
		}
	}
	refused := func(what string, project, ref string) {
		t.Helper()
		err := v.CheckCertificates(t.Context(), project, []string{id4, ref})
		if lb.KindOf(err) != lb.KindInvalid || !strings.Contains(err.Error(), "Could not retrieve certificate: ['") || !strings.Contains(err.Error(), ref) {
			t.Errorf("%s: %v", what, err)
		}
	}
	refused("a project of another", "q", id4)
	refused("no reference at all", "p", "x")
	refused("a secret that is none", "p", url+"secrets/"+id4)
	put(v, s, id2, other.KeyPEM)
	refused("another's key", "p", id4)
	put(v, s, id2, "")
	refused("no key", "p", id4)

	passphrase := "55555555-5555-4555-8555-555555555555"
	c := s.containers[id4]
	c.Secrets = append(c.Secrets, lb.SecretRef{Name: "private_key_passphrase", SecretID: passphrase})
	s.containers[id4] = c
	put(v, s, passphrase, "sesame\n")
	for what, key := range map[string]string{"PKCS #8": encrypted("pkcs8", "-topk8"), "PKCS #8, 3DES": encrypted("pkcs8", "-topk8", "-v2", "des3"), "traditional": encrypted("ec", "-aes256")} {
		put(v, s, id2, key)
		if _, err := v.Certificate(t.Context(), "p", id4); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	put(v, s, passphrase, "wrong")
	refused("wrong pass phrase", "p", id4)

	row := s.secrets[id1]
	row.Expiration = time.Now().Add(-time.Second)
	s.secrets[id1] = row
	refused("expired", "p", id4)
}

func TestAuthorities(t *testing.T) {
	ca, other := pki.New(t, "Tenant"), pki.New(t, "Other")
	v, s := newVault()
	put(v, s, id1, ca.PEM)
	put(v, s, id2, ca.CRL())
	put(v, s, id3, other.CRL())
	put(v, s, id4, "nonsense")
	const missing = "99999999-9999-4999-8999-999999999999"
	for _, c := range []struct{ name, ca, crl, want string }{
		{"nothing", "", "", ""},
		{"authority", id1, "", ""},
		{"with list", id1, id2, ""},
		{"another's list", id1, id3, "Validation failure: The CRL specified is not valid for client certificate authority reference supplied."},
		{"list that is none", id1, id4, "Validation failure: The client authentication certificate revocation list is invalid. It must be a valid x509 PEM format certificate revocation list. Error: no PEM"},
		{"authority that is none", id4, "", "Validation failure: The client authentication CA certificate is invalid. It must be a valid x509 PEM format certificate. Error: there is none"},
		{"missing authority", missing, "", "Could not retrieve certificate: ['" + missing + "']"},
		{"missing list", id1, missing, "Could not retrieve certificate: ['" + missing + "']"},
	} {
		got := ""
		if err := v.CheckAuthority(t.Context(), "p", c.ca, c.crl); err != nil {
			if got = err.Error(); lb.KindOf(err) != lb.KindInvalid {
				t.Errorf("%s: kind %v", c.name, lb.KindOf(err))
			}
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	if text, err := v.RevocationList(t.Context(), "p", id2, id1); err != nil || !strings.HasPrefix(text, "-----BEGIN X509 CRL-----") {
		t.Errorf("%q %v", text, err)
	}
}

// Whatever a tenant stores as a bundle, it is a certificate with its key or a fault.
func FuzzBundle(f *testing.F) {
	ca := pki.New(f, "Tenant")
	f.Add([]byte(ca.Issue("a.example").PEM()))
	f.Add([]byte("MIIB"))
	f.Add([]byte("\x30\x80\x02\x01\x03\x30\x80"))
	f.Fuzz(func(t *testing.T, payload []byte) {
		v, s := newVault()
		put(v, s, id1, string(payload))
		text, err := v.Certificate(t.Context(), "p", id1)
		if err != nil {
			if k := lb.KindOf(err); k != lb.KindInvalid && k != lb.KindNotFound {
				t.Fatalf("%v", err)
			}
			return
		}
		if _, err := tls.X509KeyPair([]byte(text), []byte(text)); err != nil {
			t.Fatal(err)
		}
		_, _ = v.Authority(t.Context(), "p", id1)
	})
}
