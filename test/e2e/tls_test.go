package e2e_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"colonnade/internal/api/wire"
	"colonnade/internal/client"
	"colonnade/internal/stage"
	"colonnade/internal/testenv/pki"
)

// TestTLSFromSecretToClient keeps a certificate in the key manager, ends TLS with it on every amphora, exchanges it, loses
// it, and looks for its key where none may be.
func TestTLSFromSecretToClient(t *testing.T) {
	s := set(t, quick)
	sv, internet := serving(t, s, 0, 8)
	c := s.Client()
	ctx := within(t, 3*time.Minute)
	settled := func() {
		t.Helper()
		l, err := c.WaitSettled(ctx, sv.ID, nil)
		must(t, err)
		if l.ProvisioningStatus != "ACTIVE" {
			t.Fatalf("load balancer is %s", l.ProvisioningStatus)
		}
	}
	ca := pki.New(t, "Tenant")
	keep := func(l pki.Leaf) string {
		t.Helper()
		var parts []client.NamedSecret
		for name, text := range map[string]string{"certificate": l.CertPEM, "private_key": l.KeyPEM} {
			ref, err := c.StoreSecret(ctx, name, "opaque", []byte(text))
			must(t, err)
			parts = append(parts, client.NamedSecret{Name: name, Ref: ref})
		}
		ref, err := c.CreateSecretContainer(ctx, "shop", "certificate", parts)
		must(t, err)
		return ref
	}
	first, second := ca.Issue("shop.example"), ca.Issue("shop.example")
	ref := keep(first)
	in := wire.ListenerCreate{LoadBalancerID: wire.Some(sv.ID), Protocol: wire.Some("TERMINATED_HTTPS"), ProtocolPort: wire.Some(443)}
	in.Name, in.DefaultPoolID, in.DefaultTLSContainerRef = wire.Some("tls"), wire.Some(poolOf(t, s, sv, "web").ID), wire.Some(ref)
	listener, err := c.Listeners().Create(ctx, in)
	must(t, err)
	settled()

	// One request from each source; each has to see this certificate.
	asked := func(want pki.Leaf) error {
		for _, source := range internet.Sources {
			raw, err := internet.Dial(ctx, source, sv.VIP.String()+":443")
			if err != nil {
				return err
			}
			conn := tls.Client(raw, &tls.Config{RootCAs: ca.Pool(), ServerName: "shop.example"})
			_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
			if err := conn.Handshake(); err != nil {
				_ = conn.Close()
				return err
			}
			got := conn.ConnectionState().PeerCertificates[0].SerialNumber
			_, err = fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n")
			answer := make([]byte, 100)
			n, readErr := conn.Read(answer)
			_ = conn.Close()
			switch {
			case err != nil || readErr != nil || !strings.HasPrefix(string(answer[:n]), fmt.Sprintf("HTTP/1.1 %d", http.StatusOK)):
				return fmt.Errorf("%w, answer %q", errors.Join(err, readErr), answer[:n])
			case got.Cmp(want.X509.SerialNumber) != 0:
				return fmt.Errorf("another certificate: %s", got)
			}
		}
		return nil
	}
	must(t, asked(first))
	noKeyOnDisk(t, s, first)

	// A restarted agent knows its secrets.
	view, err := sv.View(ctx)
	must(t, err)
	for _, a := range view.Amphorae {
		_, err := s.Signal(ctx, a.ID, "agent", syscall.SIGKILL)
		must(t, err)
	}
	must(t, asked(first))

	// Another certificate.
	_, err = c.Listeners().Update(ctx, listener.ID, wire.ListenerUpdate{ListenerFields: wire.ListenerFields{ListenerTLS: wire.ListenerTLS{DefaultTLSContainerRef: wire.Some(keep(second))}}})
	must(t, err)
	settled()
	must(t, asked(second))
	noKeyOnDisk(t, s, second)

	// One that vanishes takes its listener down, and nothing else.
	now, err := c.Listeners().Get(ctx, listener.ID)
	must(t, err)
	must(t, c.DeleteSecretContainer(ctx, *now.DefaultTLSContainerRef))
	listeners, err := c.Listeners().List(ctx, map[string][]string{"name": {"web"}})
	must(t, err)
	_, err = c.Listeners().Update(ctx, listeners[0].ID, wire.ListenerUpdate{ListenerFields: wire.ListenerFields{TimeoutClientData: wire.Some(40000)}})
	must(t, err)
	settled()
	now, err = c.Listeners().Get(ctx, listener.ID)
	must(t, err)
	if now.ProvisioningStatus != "ERROR" || !strings.Contains(now.StatusReason, "not found") {
		t.Errorf("listener is %s: %s", now.ProvisioningStatus, now.StatusReason)
	}
	if got := served(t, sv, internet, sv.Web()); len(got) == 0 || strings.Contains(fmt.Sprint(got), "failed") {
		t.Errorf("the other listener: %v", got)
	}
	_, err = c.Listeners().Update(ctx, listener.ID, wire.ListenerUpdate{ListenerFields: wire.ListenerFields{ListenerTLS: wire.ListenerTLS{DefaultTLSContainerRef: wire.Some(ref)}}})
	must(t, err)
	settled()
	must(t, asked(first))
}

// noKeyOnDisk looks for a key in every file of a stage that is not in memory.
func noKeyOnDisk(t *testing.T, s *stage.Stage, l pki.Leaf) {
	t.Helper()
	secret := []byte(strings.Split(l.KeyPEM, "\n")[1])
	inMemory, files := 0, 0
	must(t, filepath.WalkDir(filepath.Dir(s.StateDir()), func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return nil //nolint:nilerr // what went away meanwhile has no key
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return nil //nolint:nilerr // the same
		}
		files++
		if !bytes.Contains(text, secret) {
			return nil
		}
		var on syscall.Statfs_t
		must(t, syscall.Statfs(path, &on))
		if on.Type != 0x01021994 {
			t.Errorf("the key is in %s", path)
		}
		inMemory++
		return nil
	}))
	if inMemory == 0 {
		t.Errorf("no amphora has the key in memory; %d files looked at", files)
	}
}
