package cert_test

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"colonnade/internal/cert"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func at(t time.Time) func() time.Time { return func() time.Time { return t } }

func authority(t *testing.T, now time.Time) *cert.Authority {
	t.Helper()
	a, err := cert.OpenAuthority(t.TempDir(), at(now))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func issue(t *testing.T, a *cert.Authority, id cert.Identity, validity time.Duration) cert.Bundle {
	t.Helper()
	b, err := a.Issue(id, nil, validity)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// handshake connects client and server over loopback and returns what each side said. The client also reads, because
// in TLS 1.3 a refused client certificate only shows after the client's own handshake is done.
func handshake(t *testing.T, server, client *tls.Config) (serverErr, clientErr error) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	done := make(chan error, 1)
	go func() {
		c, err := ln.Accept()
		if err != nil {
			done <- err
			return
		}
		defer func() { _ = c.Close() }()
		tc := tls.Server(c, server)
		if err := tc.Handshake(); err != nil {
			done <- err
			return
		}
		_, err = tc.Write([]byte("x"))
		done <- err
	}()
	raw, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = raw.Close() }()
	tc := tls.Client(raw, client)
	if clientErr = tc.Handshake(); clientErr == nil {
		_, clientErr = io.ReadFull(tc, make([]byte, 1))
	}
	_ = raw.Close()
	return <-done, clientErr
}

func TestHandshake(t *testing.T) {
	ours, foreign := authority(t, start), authority(t, start)
	amp1 := cert.Identity{Role: cert.RoleAmphora, ID: "a1"}
	amp2 := cert.Identity{Role: cert.RoleAmphora, ID: "a2"}
	ctl := cert.Identity{Role: cert.RoleController, ID: "c1"}
	later := start.Add(2 * time.Hour)
	cases := []struct {
		name           string
		server, client cert.Bundle
		now            time.Time
		ok             bool
	}{
		{"controller to the amphora it means", issue(t, ours, amp1, time.Hour), issue(t, ours, ctl, time.Hour), start, true},
		{"S47 another amphora answers", issue(t, ours, amp2, time.Hour), issue(t, ours, ctl, time.Hour), start, false},
		{"S47 an amphora calls an amphora", issue(t, ours, amp1, time.Hour), issue(t, ours, amp2, time.Hour), start, false},
		{"S47 foreign controller", issue(t, ours, amp1, time.Hour), issue(t, foreign, ctl, time.Hour), start, false},
		{"S47 foreign amphora", issue(t, foreign, amp1, time.Hour), issue(t, ours, ctl, time.Hour), start, false},
		{"S47 expired amphora", issue(t, ours, amp1, time.Hour), issue(t, ours, ctl, 3*time.Hour), later, false},
		{"S47 expired controller", issue(t, ours, amp1, 3*time.Hour), issue(t, ours, ctl, time.Hour), later, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			server, err := cert.ServerTLS(c.server, at(c.now), cert.ControllersOnly)
			if err != nil {
				t.Fatal(err)
			}
			client, err := cert.ClientTLS(c.client, at(c.now), amp1)
			if err != nil {
				t.Fatal(err)
			}
			serverErr, clientErr := handshake(t, server, client)
			if ok := serverErr == nil && clientErr == nil; ok != c.ok {
				t.Errorf("connected = %v, want %v (server: %v, client: %v)", ok, c.ok, serverErr, clientErr)
			}
		})
	}
}

func TestClientWithoutCertificateIsRefused(t *testing.T) {
	a := authority(t, start)
	server, err := cert.ServerTLS(issue(t, a, cert.Identity{Role: cert.RoleAmphora, ID: "a1"}, time.Hour), at(start), cert.ControllersOnly)
	if err != nil {
		t.Fatal(err)
	}
	serverErr, _ := handshake(t, server, &tls.Config{MinVersion: tls.VersionTLS13, InsecureSkipVerify: true})
	if serverErr == nil {
		t.Error("a client without certificate was let in")
	}
}

func TestWrongHolderIsNamed(t *testing.T) {
	want := cert.Identity{Role: cert.RoleController, ID: "*"}
	got := cert.Identity{Role: cert.RoleAmphora, ID: "a1"}
	var wrong *cert.WrongHolderError
	if err := cert.ControllersOnly(got); !errors.As(err, &wrong) || wrong.Got != got || wrong.Want != want {
		t.Errorf("got %v", err)
	}
}

func TestAuthorityIsMadeOnce(t *testing.T) {
	dir := t.TempDir()
	var wg sync.WaitGroup
	pems := make([]string, 8)
	for i := range pems {
		wg.Add(1)
		go func() {
			defer wg.Done()
			a, err := cert.OpenAuthority(dir, at(start))
			if err != nil {
				t.Error(err)
				return
			}
			pems[i] = string(a.CAPEM())
		}()
	}
	wg.Wait()
	for i := range pems {
		if pems[i] != pems[0] {
			t.Fatalf("start %d has another authority", i)
		}
	}
	info, err := os.Stat(filepath.Join(dir, "ca.key"))
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("key mode %v, want 0600", info.Mode().Perm())
	}
}

func TestHalfWrittenAuthorityIsMadeAnew(t *testing.T) {
	dir := t.TempDir()
	// Killed between certificate and key: the certificate stands alone.
	if err := os.WriteFile(filepath.Join(dir, "ca.pem"), []byte("left over"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := cert.OpenAuthority(dir, at(start)); err != nil {
		t.Fatal(err)
	}
}
