package agentrest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"colonnade/internal/agentconf"
	"colonnade/internal/agentrest"
	"colonnade/internal/agentrest/agentresttest"
	"colonnade/internal/cert"
)

var holder = cert.Identity{Role: cert.RoleAmphora, ID: "a1"}

// clock is turned by the test, for authority, agent and controller alike.
type clock struct{ ns atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.ns.Store(time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano())
	return c
}

func (c *clock) now() time.Time        { return time.Unix(0, c.ns.Load()) }
func (c *clock) turn(by time.Duration) { c.ns.Add(int64(by)) }

// agent is a server whose directory outlives it.
type agent struct {
	*testing.T
	ca   *cert.Authority
	now  func() time.Time
	conf agentconf.Config
	logs strings.Builder // of the server; read when it has ended
}

func newAgent(t *testing.T, now func() time.Time, validity time.Duration) *agent {
	t.Helper()
	ca, err := cert.OpenAuthority(t.TempDir(), now)
	if err != nil {
		t.Fatal(err)
	}
	a := &agent{T: t, ca: ca, now: now}
	a.conf = agentresttest.Configure(t, holder, a.issue(holder, validity))
	return a
}

func (a *agent) issue(id cert.Identity, validity time.Duration) cert.Bundle {
	a.Helper()
	b, err := a.ca.Issue(id, nil, validity)
	if err != nil {
		a.Fatal(err)
	}
	return b
}

// run starts the agent; the returned function ends it.
func (a *agent) run() (stop func()) {
	log := slog.New(slog.NewTextHandler(&a.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	return agentresttest.Run(a, agentrest.NewServer(a.conf, routes(), log, a.now))
}

// client shows a controller's certificate, which it has anew for each connection.
func (a *agent) client() *agentrest.Client {
	bundle := func() (cert.Bundle, error) {
		return a.ca.Issue(cert.Identity{Role: cert.RoleController, ID: "test"}, nil, 3*time.Second)
	}
	return agentrest.NewClient(agentresttest.Dial, bundle, a.now)
}

// kept is until when the certificate is valid that a start of the agent would use.
func (a *agent) kept() time.Time {
	a.Helper()
	b, err := agentrest.ReadBundle(a.conf.Place.Dir)
	if err != nil {
		a.Fatal(err)
	}
	until, err := cert.Expiry(b)
	if err != nil {
		a.Fatal(err)
	}
	return until
}

func call(ctx context.Context, c *agentrest.Client, ip string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return c.Do(ctx, agentrest.Target{Holder: holder, IP: ip}, http.MethodPut, "/v1/echo", echo{Text: "x"}, &echo{})
}

// TestRotation has certificates of three seconds on both sides, and calls during ten seconds: on connections that stay,
// and on new ones. None is refused, and without the renewals all would be.
func TestRotation(t *testing.T) {
	const validity = 3 * time.Second
	c := newClock()
	a := newAgent(t, c.now, validity)
	ip := a.conf.ManagementIP
	t.Cleanup(a.run())
	kept, fresh := a.client(), a.client()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	notAfter := a.kept()
	renewals, calls := 0, 0
	for end := c.now().Add(10 * time.Second); c.now().Before(end); c.turn(50 * time.Millisecond) {
		var wg sync.WaitGroup
		for _, client := range []*agentrest.Client{kept, fresh, fresh} {
			calls++
			wg.Go(func() {
				if err := call(ctx, client, ip); err != nil {
					t.Errorf("E10 refused after %d renewals: %v", renewals, err)
				}
			})
		}
		if !c.now().Before(cert.RenewAt(holder.ID, notAfter, validity)) { // amid the calls
			renewals++
			wg.Go(func() {
				next, err := fresh.PutCertificate(ctx, holder, ip, a.issue(holder, validity))
				if err != nil || !next.After(notAfter) {
					t.Errorf("renewed until %s after %s: %v", next, notAfter, err)
				}
				notAfter = next
			})
		}
		wg.Wait()
		fresh.Forget(agentrest.Target{Holder: holder, IP: ip}) // what comes next connects anew
		if t.Failed() {
			return
		}
	}
	if renewals < 4 || calls != 600 {
		t.Errorf("%d renewals in %d calls", renewals, calls)
	}
	c.turn(2 * validity)
	if err := call(ctx, fresh, ip); err == nil {
		t.Error("an expired agent was spoken to: the test shows nothing")
	}
}

func TestCertificateRefused(t *testing.T) {
	c := newClock()
	a := newAgent(t, c.now, time.Hour)
	ip := a.conf.ManagementIP
	stop := a.run()
	client := a.client()
	foreignCA, err := cert.OpenAuthority(t.TempDir(), c.now)
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := foreignCA.Issue(holder, nil, 2*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	good := a.issue(holder, 2*time.Hour)
	with := func(change func(*cert.Bundle)) cert.Bundle { b := good; change(&b); return b }
	before := a.kept()
	for name, x := range map[string]struct {
		b    cert.Bundle
		text string
	}{
		"another amphora's":        {a.issue(cert.Identity{Role: cert.RoleAmphora, ID: "a2"}, 2*time.Hour), "certificate belongs to colonnade://amphora/a2"},
		"a distributor's":          {a.issue(cert.Identity{Role: cert.RoleDistributor, ID: "a1"}, 2*time.Hour), "certificate belongs to colonnade://distributor/a1"},
		"a controller's":           {a.issue(cert.Identity{Role: cert.RoleController, ID: "a1"}, 2*time.Hour), "certificate belongs to colonnade://controller/a1"},
		"expired":                  {a.issue(holder, -time.Minute), "expired"},
		"foreign":                  {foreign, "unknown authority"},
		"foreign, with our CA":     {cert.Bundle{CertPEM: foreign.CertPEM, KeyPEM: foreign.KeyPEM, CAPEM: good.CAPEM}, "unknown authority"},
		"a CA that is not its own": {with(func(b *cert.Bundle) { b.CAPEM = foreign.CAPEM }), "unknown authority"},
		"another key":              {with(func(b *cert.Bundle) { b.KeyPEM = foreign.KeyPEM }), "private key does not match"},
		"no key":                   {with(func(b *cert.Bundle) { b.KeyPEM = nil }), "load certificate"},
		"no certificate":           {with(func(b *cert.Bundle) { b.CertPEM = []byte("x") }), "load certificate"},
		"no authority":             {with(func(b *cert.Bundle) { b.CAPEM = nil }), "no authority"},
		"too long":                 {with(func(b *cert.Bundle) { b.CAPEM = []byte(strings.Repeat("x", 70<<10)) }), "too large"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := client.PutCertificate(t.Context(), holder, ip, x.b)
			var se *agentrest.StatusError
			if !errors.As(err, &se) || se.Status != http.StatusBadRequest || !strings.Contains(se.Text, x.text) {
				t.Errorf("got %v, want 400 and %q", err, x.text)
			}
		})
	}
	t.Run("one of a shorter life changes nothing, and the caller learns which is in use", func(t *testing.T) {
		until, err := client.PutCertificate(t.Context(), holder, ip, a.issue(holder, time.Minute))
		if err != nil || !until.Equal(before) {
			t.Errorf("got %s, %v, want %s", until, err, before)
		}
	})
	if got := a.kept(); !got.Equal(before) {
		t.Errorf("kept until %s, want %s as before", got, before)
	}
	t.Run("the same again is no error", func(t *testing.T) {
		for range 2 {
			if until, err := client.PutCertificate(t.Context(), holder, ip, good); err != nil || !until.Equal(good.NotAfter) {
				t.Errorf("got %s, %v", until, err)
			}
		}
	})
	stop()
	key := strings.Split(string(good.KeyPEM), "\n")[1]
	if text := a.logs.String(); strings.Contains(text, key) || strings.Contains(text, "PRIVATE") || !strings.Contains(text, "certificate renewed") {
		t.Errorf("the log should tell of the renewal and of no key:\n%s", text)
	}
	if text := fmt.Sprintf("%v %+v %#v", agentrest.Certificate{Key: key}, &agentrest.Certificate{Key: key}, agentrest.Certificate{Key: key}); strings.Contains(text, key) {
		t.Errorf("a printed body shows its key: %s", text)
	}
}

func TestCertificateOutlivesAgent(t *testing.T) {
	renewed := func(t *testing.T) (*agent, *clock) {
		c := newClock()
		a := newAgent(t, c.now, time.Minute)
		stop := a.run()
		if _, err := a.client().PutCertificate(t.Context(), holder, a.conf.ManagementIP, a.issue(holder, time.Hour)); err != nil {
			t.Fatal(err)
		}
		stop()
		return a, c
	}
	t.Run("a restart uses what was sent", func(t *testing.T) {
		a, c := renewed(t)
		c.turn(30 * time.Minute) // the first one has expired
		t.Cleanup(a.run())
		if err := call(t.Context(), a.client(), a.conf.ManagementIP); err != nil {
			t.Error(err)
		}
		info, err := os.Stat(filepath.Join(a.conf.Place.Dir, "renewed.json"))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("kept as %v, %v", info, err)
		}
	})
	t.Run("killed while it was written: the one before is used", func(t *testing.T) {
		a, _ := renewed(t)
		until := a.kept()
		raw, err := os.ReadFile(filepath.Join(a.conf.Place.Dir, "renewed.json"))
		if err != nil {
			t.Fatal(err)
		}
		// What a crash of atomicfile.Write leaves: part of the new content under another name.
		if err := os.WriteFile(filepath.Join(a.conf.Place.Dir, ".new-123"), raw[:len(raw)/2], 0o600); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(a.run())
		if err := call(t.Context(), a.client(), a.conf.ManagementIP); err != nil || !a.kept().Equal(until) {
			t.Errorf("uses the one until %s: %v", a.kept(), err)
		}
	})
	t.Run("a damaged file: the first one is used", func(t *testing.T) {
		a, _ := renewed(t)
		for _, damaged := range []string{"", "{", `{"cert":"x","key":"y","ca":"z"}`} {
			if err := os.WriteFile(filepath.Join(a.conf.Place.Dir, "renewed.json"), []byte(damaged), 0o600); err != nil {
				t.Fatal(err)
			}
			stop := a.run()
			if err := call(t.Context(), a.client(), a.conf.ManagementIP); err != nil {
				t.Errorf("%q: %v", damaged, err)
			}
			stop()
		}
	})
	t.Run("a certificate of a later build is used", func(t *testing.T) {
		a, _ := renewed(t)
		b := a.issue(holder, 2*time.Hour)
		for name, content := range map[string][]byte{agentconf.CAFile: b.CAPEM, agentconf.CertFile: b.CertPEM, agentconf.KeyFile: b.KeyPEM} {
			if err := os.WriteFile(filepath.Join(a.conf.Place.Dir, name), content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if !a.kept().Equal(b.NotAfter) {
			t.Errorf("uses the one until %s, want %s", a.kept(), b.NotAfter)
		}
	})
}

// TestControllerCertificateRenewed has the controller's own certificate expire while connections are idle.
func TestControllerCertificateRenewed(t *testing.T) {
	c := newClock()
	a := newAgent(t, c.now, time.Hour)
	ip := a.conf.ManagementIP
	stop := a.run()
	client := a.client()
	if err := call(t.Context(), client, ip); err != nil {
		t.Fatal(err)
	}
	stop() // with all connections
	c.turn(time.Minute)
	t.Cleanup(a.run())
	err := call(t.Context(), client, ip)
	for deadline := time.Now().Add(10 * time.Second); errors.Is(err, io.EOF) && time.Now().Before(deadline); {
		err = call(t.Context(), client, ip) // it had not noticed yet that its connection was gone
	}
	if err != nil {
		t.Errorf("without Forget the client shows its old certificate: %v", err)
	}
}
