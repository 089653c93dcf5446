package haproxy_test

import (
	"crypto/sha1"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"colonnade/internal/amphora"
	"colonnade/internal/amphora/haproxy"
	"colonnade/internal/lb"
	"colonnade/internal/linuxnet"
	"colonnade/internal/testenv/golden"
	"colonnade/internal/testenv/pki"
)

// Names of secrets: those of a listener's certificates by their place, and of authorities.
const (
	certA  = listenerHTTP + ".0.pem"
	certB  = listenerHTTP + ".1.pem"
	caOf   = listenerHTTP + ".ca.pem"
	crlOf  = listenerHTTP + ".crl.pem"
	poolCA = poolA + ".ca.pem"
	mine   = poolA + ".cert.pem"
)

// terminated is a document whose listener ends TLS with these certificates.
func terminated(change func(*amphora.Desired), leaves ...pki.Leaf) amphora.Desired {
	return edit(func(d *amphora.Desired) {
		l := &d.Listeners[0]
		l.Protocol, l.Port = lb.ProtocolTerminatedHTTPS, 443
		l.TLS = &amphora.ListenerTLS{
			ClientAuthentication: lb.ClientAuthNone, Versions: []string{lb.TLSv12, lb.TLSv13}, ALPN: lb.ALPNProtocols, Ciphers: lb.DefaultRules().ListenerCiphers,
		}
		d.Secrets = map[string]string{}
		for i, leaf := range leaves {
			name := fmt.Sprintf("%s.%d.pem", listenerHTTP, i)
			l.TLS.Certificates = append(l.TLS.Certificates, name)
			d.Secrets[name] = leaf.PEM()
		}
		change(d)
	})
}

func nothing(*amphora.Desired) {}

func TestRenderTLS(t *testing.T) {
	ca := pki.New(t, "Tenant")
	a, b := ca.Issue("a.example"), ca.Issue("b.example")
	for name, d := range map[string]amphora.Desired{
		"terminated_https": terminated(func(d *amphora.Desired) {
			l := &d.Listeners[0]
			l.TLS.ClientCA, l.TLS.ClientCRL, l.TLS.ClientAuthentication = caOf, crlOf, lb.ClientAuthMandatory
			l.TLS.HSTS = &amphora.HSTS{MaxAge: 31536000, IncludeSubdomains: true, Preload: true}
			d.Secrets[caOf], d.Secrets[crlOf] = ca.PEM, ca.CRL()
			l.InsertHeaders = map[string]string{}
			for _, h := range []string{
				"X-Forwarded-For", "X-Forwarded-Port", "X-Forwarded-Proto", "X-Forwarded-IP", "X-Client-IP", "X-Real-IP", "X-SSL-Client-Verify", "X-SSL-Client-Has-Cert", "X-SSL-Client-DN",
				"X-SSL-Client-CN", "X-SSL-Issuer", "X-SSL-Client-SHA1", "X-SSL-Client-Not-Before", "X-SSL-Client-Not-After",
			} {
				l.InsertHeaders[h] = "true"
			}
			d.Pools[0].Protocol = lb.ProtocolProxyV2
		}, a, b),
		"terminated_old": terminated(func(d *amphora.Desired) {
			d.Listeners[0].TLS.Versions, d.Listeners[0].TLS.Ciphers, d.Listeners[0].TLS.ALPN = []string{lb.TLSv1, lb.TLSv11, lb.TLSv12}, "HIGH:!aNULL", nil
		}, a),
		"terminated_newest": terminated(func(d *amphora.Desired) {
			d.Listeners[0].TLS.Ciphers = "TLS_AES_256_GCM_SHA384"
		}, a),
		"tls_to_members": edit(func(d *amphora.Desired) {
			d.Pools[0].TLS = &amphora.PoolTLS{Certificate: mine, CA: poolCA, CRL: poolA + ".crl.pem", Ciphers: "ECDHE+AESGCM", Versions: []string{lb.TLSv12}, ALPN: []string{"h2", "http/1.1"}}
			d.Secrets = map[string]string{mine: a.PEM(), poolCA: ca.PEM, poolA + ".crl.pem": ca.CRL()}
			d.Pools[0].Monitor = monitor(lb.MonitorHTTPS)
		}),
		"tls_to_anybody": edit(func(d *amphora.Desired) {
			d.Listeners[0].Protocol, d.Pools[0].Protocol = lb.ProtocolTCP, lb.ProtocolTCP
			d.Pools[0].TLS = &amphora.PoolTLS{ALPN: []string{"h2"}}
			d.Pools[0].Monitor = monitor(lb.MonitorTCP)
		}),
		"tls_hello": edit(func(d *amphora.Desired) {
			d.Pools[0].Monitor = monitor(lb.MonitorTCP)
			d.Pools[0].Monitor.Type = lb.MonitorTLSHello
		}),
		"prometheus": edit(func(d *amphora.Desired) {
			d.Listeners[0].Protocol, d.Listeners[0].DefaultPoolID = lb.ProtocolPrometheus, ""
		}),
	} {
		t.Run(name, func(t *testing.T) {
			got, err := haproxy.Render(d, settings)
			if err != nil {
				t.Fatal(err)
			}
			golden.Want(t, filepath.Join("testdata", name+".cfg"), got)
			dir := t.TempDir()
			write := func(name, content string) {
				if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			write("haproxy.cfg", got)
			write("servers.state", "1\n")
			for name, text := range haproxy.SecretFiles(d) {
				write("secrets/"+name, text)
			}
			if err := haproxy.CheckFile(t.Context(), dir, "haproxy.cfg", got); err != nil {
				var refused *amphora.RefusedError
				errors.As(err, &refused)
				t.Errorf("haproxy -c: %v %+v", err, refused)
			}
		})
	}
}

func TestRefusedTLS(t *testing.T) {
	ca := pki.New(t, "Tenant")
	a, b := ca.Issue("a.example"), ca.Issue("b.example")
	of := func(change func(*amphora.Desired)) amphora.Desired { return terminated(change, a) }
	for name, d := range map[string]amphora.Desired{
		"no certificate":           terminated(nothing),
		"a secret that is missing": of(func(d *amphora.Desired) { delete(d.Secrets, certA) }),
		"another's key":            of(func(d *amphora.Desired) { d.Secrets[certA] = a.CertPEM + b.KeyPEM }),
		"no key":                   of(func(d *amphora.Desired) { d.Secrets[certA] = a.CertPEM }),
		"a path for a name": of(func(d *amphora.Desired) {
			d.Listeners[0].TLS.Certificates[0] = "../" + certA
			d.Secrets["../"+certA] = a.PEM()
		}),
		"no authority": of(func(d *amphora.Desired) { d.Listeners[0].TLS.ClientAuthentication = lb.ClientAuthMandatory }),
		"authority that is none": of(func(d *amphora.Desired) {
			d.Listeners[0].TLS.ClientCA, d.Secrets[caOf] = caOf, a.KeyPEM
		}),
		"TLS on HTTP": of(func(d *amphora.Desired) { d.Listeners[0].Protocol = lb.ProtocolHTTP }),
		"SSLv3":       of(func(d *amphora.Desired) { d.Listeners[0].TLS.Versions = []string{lb.SSLv3} }),
		"X-SSL on HTTP": edit(func(d *amphora.Desired) {
			d.Listeners[0].InsertHeaders = map[string]string{"X-SSL-Client-CN": "true"}
		}),
	} {
		if problems := haproxy.Check(d); len(problems) == 0 || problems[0].ObjectType != "listener" {
			t.Errorf("%s: %+v", name, problems)
		}
	}
}

// Whatever the words of TLS are, they stay the words they are.
func FuzzTLSWords(f *testing.F) {
	for _, s := range append(slices.Clone(hostile), "h2", "TLSv1.2", "ECDHE-ECDSA-AES128-GCM-SHA256", certA, "OPTIONAL", "X-SSL-Client-CN") {
		f.Add(s, 5)
	}
	ca := pki.New(f, "Tenant")
	leaf := ca.Issue("a.example")
	f.Fuzz(func(t *testing.T, s string, age int) {
		for _, change := range []func(*amphora.Desired){
			func(d *amphora.Desired) { d.Listeners[0].TLS.Ciphers = s },
			func(d *amphora.Desired) { d.Listeners[0].TLS.Versions = []string{s} },
			func(d *amphora.Desired) { d.Listeners[0].TLS.ALPN = []string{s} },
			func(d *amphora.Desired) { d.Listeners[0].TLS.Certificates, d.Secrets[s] = []string{s}, leaf.PEM() },
			func(d *amphora.Desired) { d.Listeners[0].TLS.ClientCA, d.Secrets[s] = s, ca.PEM },
			func(d *amphora.Desired) { d.Listeners[0].TLS.ClientAuthentication = s },
			func(d *amphora.Desired) { d.Listeners[0].TLS.HSTS = &amphora.HSTS{MaxAge: age} },
			func(d *amphora.Desired) { d.Listeners[0].InsertHeaders = map[string]string{s: "true"} },
			func(d *amphora.Desired) { d.Pools[0].TLS = &amphora.PoolTLS{Ciphers: s} },
			func(d *amphora.Desired) { d.Pools[0].TLS = &amphora.PoolTLS{Versions: []string{s}} },
			func(d *amphora.Desired) { d.Pools[0].TLS, d.Secrets[s] = &amphora.PoolTLS{CA: s}, ca.PEM },
		} {
			d := terminated(change, leaf)
			text, err := haproxy.Render(d, settings)
			if err != nil {
				continue // refused
			}
			plain, _ := haproxy.Render(terminated(nothing, leaf), settings)
			// Beside the one line of a header there are no more lines and nothing that begins another section.
			if more := strings.Count(text, "\n") - strings.Count(plain, "\n"); more < 0 || more > 1 || strings.ContainsAny(text, "\r\x00") {
				t.Fatalf("%q makes\n%s", s, text)
			}
		}
	})
}

// secure is a client of the VIP by TLS.
type secure struct {
	w      *world
	config *tls.Config
}

// reply is what a client of TLS sees.
type reply struct {
	status int
	header http.Header
	proto  int
	tls    *tls.ConnectionState
}

// get asks once, over a connection of its own.
func (s secure) get(path string, h2 bool) (reply, string, error) {
	client := http.Client{Transport: &http.Transport{DialContext: s.w.dial, DisableKeepAlives: true, TLSClientConfig: s.config, ForceAttemptHTTP2: h2}, Timeout: 5 * time.Second}
	res, err := client.Get("https://198.18.1.100" + path)
	if err != nil {
		return reply{}, "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return reply{res.StatusCode, res.Header, res.ProtoMajor, res.TLS}, string(body), err
}

// unmount takes the secrets' file system away before the test's directory goes.
func (w *world) unmount() {
	w.t.Cleanup(func() { _ = syscall.Unmount(filepath.Join(w.place.Dir, "secrets"), syscall.MNT_DETACH) })
}

func TestTerminatedHTTPS(t *testing.T) {
	w := newWorld(t, 1)
	w.unmount()
	ca := pki.New(t, "Tenant")
	a, b, client, revoked := ca.Issue("a.example"), ca.Issue("b.example", "*.b.example"), ca.Issue("client"), ca.Issue("former client")
	as := func(name string, change ...func(*tls.Config)) secure {
		conf := &tls.Config{RootCAs: ca.Pool(), ServerName: name}
		for _, f := range change {
			f(conf)
		}
		return secure{w, conf}
	}
	base := func(change func(*amphora.Desired), leaves ...pki.Leaf) amphora.Desired {
		return terminated(func(d *amphora.Desired) {
			d.Pools[0].Members = d.Pools[0].Members[:1]
			d.Listeners[0].TLS.HSTS = &amphora.HSTS{MaxAge: 300, Preload: true}
			change(d)
		}, leaves...)
	}
	w.apply(base(nothing, a, b))
	for _, c := range []struct{ name, cert string }{{"a.example", "a.example"}, {"b.example", "b.example"}, {"www.b.example", "b.example"}} {
		res, body, err := as(c.name).get("/", false)
		if err != nil || body != "1" || res.tls.PeerCertificates[0].Subject.CommonName != c.cert {
			t.Fatalf("SNI %s: %v %s", c.name, err, body)
		}
		if got := res.header.Get("Strict-Transport-Security"); got != "max-age=300; preload" {
			t.Errorf("HSTS %q", got)
		}
	}
	if _, _, err := as("c.example").get("/", false); err == nil {
		t.Error("a name that no certificate has was served with one")
	}
	res, _, err := as("a.example").get("/", true)
	if err != nil || res.proto != 2 || res.tls.NegotiatedProtocol != "h2" {
		t.Errorf("ALPN h2: %v %+v", err, res)
	}
	if _, _, err := as("a.example", func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS11, tls.VersionTLS11 }).get("/", false); err == nil {
		t.Error("TLS 1.1 was spoken")
	}
	if _, _, err := as("a.example", func(c *tls.Config) {
		c.MaxVersion, c.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA}
	}).get("/", false); err == nil {
		t.Error("a cipher that is not in the list was spoken")
	}

	// As many names as one likes.
	many := []pki.Leaf{a}
	for n := range 40 {
		many = append(many, ca.Issue(fmt.Sprintf("n%d.example", n)))
	}
	w.apply(base(nothing, many...))
	for _, name := range []string{"a.example", "n0.example", "n39.example"} {
		if res, _, err := as(name).get("/", false); err != nil || res.tls.PeerCertificates[0].Subject.CommonName != name {
			t.Errorf("%s of 41: %v", name, err)
		}
	}
	// TLS 1.3 alone, without h2.
	w.apply(base(func(d *amphora.Desired) {
		d.Listeners[0].TLS.Versions, d.Listeners[0].TLS.ALPN = []string{lb.TLSv13}, []string{"http/1.1"}
	}, a))
	if _, _, err := as("a.example", func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }).get("/", false); err == nil {
		t.Error("TLS 1.2 was spoken")
	}
	if res, _, err := as("a.example").get("/", true); err != nil || res.proto != 1 {
		t.Errorf("TLS 1.3, http/1.1: %v", err)
	}
	// TLS 1.0 for who insists.
	w.apply(base(func(d *amphora.Desired) {
		d.Listeners[0].TLS.Versions, d.Listeners[0].TLS.Ciphers = []string{lb.TLSv1, lb.TLSv11, lb.TLSv12}, "HIGH:!aNULL"
	}, a))
	if _, _, err := as("a.example", func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS10 }).get("/", false); err != nil {
		t.Errorf("TLS 1.0: %v", err)
	}

	// Clients' certificates.
	show := func(l pki.Leaf) func(*tls.Config) {
		return func(c *tls.Config) {
			c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &l.TLS, nil }
		}
	}
	stranger := pki.New(t, "Stranger").Issue("client")
	with := func(mode string) amphora.Desired {
		return base(func(d *amphora.Desired) {
			x := d.Listeners[0].TLS
			x.ClientCA, x.ClientCRL, x.ClientAuthentication = caOf, crlOf, mode
			d.Secrets[caOf], d.Secrets[crlOf] = ca.PEM, ca.CRL(revoked)
		}, a)
	}
	for _, c := range []struct {
		mode, who string
		client    secure
		ok        bool
	}{
		{lb.ClientAuthMandatory, "with certificate", as("a.example", show(client)), true},
		{lb.ClientAuthMandatory, "without", as("a.example"), false},
		{lb.ClientAuthMandatory, "stranger", as("a.example", show(stranger)), false},
		{lb.ClientAuthMandatory, "revoked", as("a.example", show(revoked)), false},
		{lb.ClientAuthOptional, "without", as("a.example"), true},
		{lb.ClientAuthOptional, "with certificate", as("a.example", show(client)), true},
		{lb.ClientAuthOptional, "revoked", as("a.example", show(revoked)), false},
		{lb.ClientAuthNone, "without", as("a.example"), true},
	} {
		w.apply(with(c.mode))
		if _, _, err := c.client.get("/", false); (err == nil) != c.ok {
			t.Errorf("%s, %s: %v", c.mode, c.who, err)
		}
	}
}

// Headers as members see them, whatever the client pretends.
func TestInsertedHeaders(t *testing.T) {
	w := newWorld(t, 0)
	w.unmount()
	ca := pki.New(t, "Tenant")
	a, client := ca.Issue("a.example"), ca.Issue("client")
	seen := make(chan http.Header, 10)
	ln, err := linuxnet.Listen(t.Context(), w.ns, "tcp", "198.18.2.1:8080")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen <- r.Header })}
	go func() { _ = srv.Serve(ln) }()
	t.Cleanup(func() { _ = srv.Close() })
	names := []string{
		"X-Forwarded-For", "X-Forwarded-Port", "X-Forwarded-Proto", "X-Forwarded-IP", "X-Client-IP", "X-Real-IP", "X-SSL-Client-Verify", "X-SSL-Client-Has-Cert", "X-SSL-Client-DN",
		"X-SSL-Client-CN", "X-SSL-Issuer", "X-SSL-Client-SHA1", "X-SSL-Client-Not-Before", "X-SSL-Client-Not-After",
	}
	w.apply(terminated(func(d *amphora.Desired) {
		d.Pools[0].Members = d.Pools[0].Members[:1]
		l := &d.Listeners[0]
		l.TLS.ClientCA, l.TLS.ClientAuthentication, d.Secrets[caOf] = caOf, lb.ClientAuthMandatory, ca.PEM
		l.InsertHeaders = map[string]string{}
		for _, n := range names {
			l.InsertHeaders[n] = "true"
		}
	}, a))
	c := http.Client{Transport: &http.Transport{DialContext: w.dial, DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: ca.Pool(), ServerName: "a.example", Certificates: []tls.Certificate{client.TLS}}}}
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://198.18.1.100/", nil)
	for _, n := range names[1:] {
		req.Header.Set(n, "forged")
	}
	res, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	got := <-seen
	want := map[string]string{
		"X-Forwarded-Port": "443", "X-Forwarded-Proto": "https", "X-SSL-Client-Verify": "0", "X-SSL-Client-Has-Cert": "1",
		"X-SSL-Client-CN": "client", "X-SSL-Client-SHA1": strings.ToUpper(sha1Hex(client.X509.Raw)), "X-SSL-Client-DN": "/O=Tenant/CN=client", "X-SSL-Issuer": "/CN=Tenant",
		"X-SSL-Client-Not-Before": client.X509.NotBefore.UTC().Format("060102150405Z"), "X-SSL-Client-Not-After": client.X509.NotAfter.UTC().Format("060102150405Z"),
	}
	for _, n := range []string{"X-Forwarded-For", "X-Forwarded-IP", "X-Client-IP", "X-Real-IP"} {
		want[n] = got.Get("X-Forwarded-For")
	}
	if ip := net.ParseIP(got.Get("X-Forwarded-For")); ip == nil {
		t.Errorf("X-Forwarded-For %q", got.Get("X-Forwarded-For"))
	}
	for n, v := range want {
		if strings.Trim(got.Get(n), `"`) != v {
			t.Errorf("%s: %q, want %q", n, got.Get(n), v)
		}
	}
}

// A new certificate in the place of another needs no reload, and nobody notices but by the certificate.
func TestCertificatesAreExchangedInTheRunningProcess(t *testing.T) {
	w := newWorld(t, 1)
	w.unmount()
	ca, other := pki.New(t, "Tenant"), pki.New(t, "Other")
	first, second := ca.Issue("a.example", "old.example"), ca.Issue("a.example", "new.example")
	b := ca.Issue("b.example")
	doc := func(l pki.Leaf, clientCA *pki.Authority) amphora.Desired {
		return terminated(func(d *amphora.Desired) {
			d.Pools[0].Members = d.Pools[0].Members[:1]
			d.Listeners[0].TLS.ClientCA, d.Listeners[0].TLS.ClientAuthentication, d.Secrets[caOf] = caOf, lb.ClientAuthOptional, clientCA.PEM
		}, l, b)
	}
	w.apply(doc(first, ca))
	// A connection that is open all the time.
	raw, err := w.dial(t.Context(), "tcp", "198.18.1.100:443")
	if err != nil {
		t.Fatal(err)
	}
	conn := tls.Client(raw, &tls.Config{RootCAs: ca.Pool(), ServerName: "a.example"})
	if err := conn.Handshake(); err != nil {
		t.Fatal(err)
	}
	say := func(text string) {
		t.Helper()
		_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
		if _, err := io.WriteString(conn, text); err != nil {
			t.Fatal(err)
		}
	}
	ask := func(text string) {
		t.Helper()
		say(text)
		buf := make([]byte, 4096)
		if n, err := conn.Read(buf); err != nil || !strings.HasPrefix(string(buf[:n]), "HTTP/1.1 200") {
			t.Fatalf("%v %s", err, buf[:n])
		}
	}
	const request, end = "GET / HTTP/1.1\r\nHost: a.example\r\n", "\r\n"
	ask(request + end)
	serial := func(name string) string {
		t.Helper()
		res, _, err := secure{w, &tls.Config{RootCAs: ca.Pool(), ServerName: name}}.get("/", false)
		if err != nil {
			return err.Error()
		}
		return res.tls.PeerCertificates[0].SerialNumber.String()
	}
	if got := serial("a.example"); got != first.X509.SerialNumber.String() {
		t.Fatalf("first: %s", got)
	}
	w.apply(doc(second, other))
	for name, want := range map[string]pki.Leaf{"a.example": second, "new.example": second, "b.example": b} {
		if got := serial(name); got != want.X509.SerialNumber.String() {
			t.Errorf("%s: %s", name, got)
		}
	}
	ask(request + end)
	w.counts(1, 0)
	// The authority of clients went with it.
	conf := &tls.Config{RootCAs: ca.Pool(), ServerName: "a.example", Certificates: []tls.Certificate{other.Issue("x").TLS}}
	if _, _, err := (secure{w, conf}).get("/", false); err != nil {
		t.Errorf("client of the new authority: %v", err)
	}
	// Another number of certificates is a reload, and a request that is under way lives through it.
	say(request)
	w.apply(terminated(func(d *amphora.Desired) { d.Pools[0].Members = d.Pools[0].Members[:1] }, second))
	ask(end)
	w.counts(1, 1)
	if err := w.b.Prune(terminated(nothing, second)); err != nil {
		t.Fatal(err)
	}
	kept, err := haproxy.KeptSecrets(w.place.Dir)
	if err != nil || len(kept) != 1 || kept[certA] != second.PEM() {
		t.Errorf("kept: %v %d", err, len(kept))
	}
	var s syscall.Statfs_t
	if err := syscall.Statfs(filepath.Join(w.place.Dir, "secrets"), &s); err != nil || s.Type != 0x01021994 {
		t.Errorf("secrets are not in memory: %v %x", err, s.Type)
	}
	if info, err := os.Stat(filepath.Join(w.place.Dir, "secrets", certA)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
	// A restart of HAProxy reads them again.
	_ = syscall.Kill(w.pid(), syscall.SIGKILL)
	eventually(t, "served again", func() bool { return serial("a.example") == second.X509.SerialNumber.String() })
}

// A session that a listener for everybody gave out opens no other one, that wants to see certificates.
func TestSessionsAreOneListenersOwn(t *testing.T) {
	w := newWorld(t, 1)
	w.unmount()
	ca := pki.New(t, "Tenant")
	a := ca.Issue("a.example")
	w.apply(terminated(func(d *amphora.Desired) {
		d.Pools[0].Members = d.Pools[0].Members[:1]
		closed := d.Listeners[0]
		conf := *closed.TLS
		closed.ID, closed.Port, closed.TLS = listenerTCP, 8443, &conf
		conf.ClientCA, conf.ClientAuthentication = listenerTCP+".ca.pem", lb.ClientAuthMandatory
		d.Secrets[conf.ClientCA] = ca.PEM
		d.Listeners = append(d.Listeners, closed)
	}, a))
	session := filepath.Join(t.TempDir(), "session")
	ask := func(port string, args ...string) string {
		t.Helper()
		args = append([]string{"--net=" + w.ns, "openssl", "s_client", "-connect", "198.18.1.100:" + port, "-ign_eof"}, args...)
		cmd := exec.CommandContext(t.Context(), "nsenter", args...)
		cmd.Stdin = strings.NewReader("GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n")
		out, _ := cmd.CombinedOutput() // it fails when it is refused
		return string(out)
	}
	for _, how := range [][]string{{"-tls1_2", "-no_ticket"}, {"-tls1_2"}, {"-tls1_3"}} {
		_ = os.Remove(session)
		if out := ask("443", append(how, "-sess_out", session)...); !strings.Contains(out, "HTTP/1.1 200") {
			t.Fatalf("%v: the open listener: %s", how, out)
		}
		if _, err := os.Stat(session); err != nil {
			continue // no session is as good
		}
		if out := ask("8443", append(how, "-sess_in", session)...); strings.Contains(out, "HTTP/1.1 200") {
			t.Errorf("%v: the other listener let a client without a certificate in: %s", how, out)
		}
	}
}

// A document that is refused leaves the certificates that run.
func TestRefusedCertificateLeavesTheFormer(t *testing.T) {
	w := newWorld(t, 1)
	w.unmount()
	ca := pki.New(t, "Tenant")
	good, other := ca.Issue("a.example"), ca.Issue("a.example")
	w.apply(terminated(nothing, good))
	bad := terminated(func(d *amphora.Desired) { d.Listeners[0].TLS.Ciphers = "NO-SUCH-CIPHER" }, other)
	var refused *amphora.RefusedError
	if err := w.b.Apply(t.Context(), bad, ready); !errors.As(err, &refused) || refused.Problems[0].ObjectType != "listener" || refused.Problems[0].ObjectID != listenerHTTP {
		t.Fatalf("%v", err)
	}
	if kept, err := haproxy.KeptSecrets(w.place.Dir); err != nil || kept[certA] != good.PEM() {
		t.Errorf("the file is another's: %v", err)
	}
}

func TestTLSToMembers(t *testing.T) {
	w := newWorld(t, 0)
	w.unmount()
	ca := pki.New(t, "Tenant")
	front, mineLeaf, back := ca.Issue("a.example"), ca.Issue("balancer"), ca.Issue("a.example")
	revoked := ca.Issue("a.example")
	who := make(chan string, 100)
	serve := func(n int, cert tls.Certificate) {
		ln, err := linuxnet.Listen(t.Context(), w.ns, "tcp", fmt.Sprintf("198.18.2.1:%d", n))
		if err != nil {
			t.Fatal(err)
		}
		conf := &tls.Config{Certificates: []tls.Certificate{cert}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.Pool(), NextProtos: []string{"h2", "http/1.1"}}
		srv := &http.Server{TLSConfig: conf, Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			who <- fmt.Sprint(r.TLS.PeerCertificates[0].Subject.CommonName, " ", r.TLS.ServerName, " ", r.Proto)
			fmt.Fprint(rw, "secret")
		})}
		go func() { _ = srv.ServeTLS(ln, "", "") }()
		t.Cleanup(func() { _ = srv.Close() })
	}
	serve(8080, back.TLS)
	serve(8081, revoked.TLS)
	serve(8082, pki.New(t, "Stranger").Issue("a.example").TLS)
	doc := func(port int) amphora.Desired {
		return terminated(func(d *amphora.Desired) {
			m := member(1)
			m.Port = port
			d.Pools[0].Members = []amphora.Member{m}
			d.Pools[0].TLS = &amphora.PoolTLS{Certificate: mine, CA: poolCA, CRL: poolA + ".crl.pem", Versions: []string{lb.TLSv12, lb.TLSv13}, ALPN: []string{"h2", "http/1.1"}}
			d.Secrets[mine], d.Secrets[poolCA], d.Secrets[poolA+".crl.pem"] = mineLeaf.PEM(), ca.PEM, ca.CRL(revoked)
		}, front)
	}
	ask := func() (int, string) {
		t.Helper()
		res, body, err := secure{w, &tls.Config{RootCAs: ca.Pool(), ServerName: "a.example"}}.get("/", false)
		if err != nil {
			t.Fatal(err)
		}
		return res.status, body
	}
	w.apply(doc(8080))
	if status, body := ask(); status != 200 || body != "secret" {
		t.Fatalf("%d %s", status, body)
	}
	if got := <-who; got != "balancer a.example HTTP/2.0" {
		t.Errorf("member saw %q", got)
	}
	for port, what := range map[int]string{8081: "revoked", 8082: "a stranger's"} {
		w.apply(doc(port))
		if status, _ := ask(); status != 503 {
			t.Errorf("member whose certificate is %s: %d", what, status)
		}
	}
	// A member more, in the running process.
	w.apply(doc(8080))
	_, before := w.b.Counts()
	d := doc(8080)
	d.Pools[0].Members = append(d.Pools[0].Members, member(2))
	d.Pools[0].Members[1].Address, d.Pools[0].Members[1].Port = "198.18.2.1", 8081
	w.apply(d)
	_, after := w.b.Counts()
	t.Logf("a member more: %d reloads", after-before)
	if status, body := ask(); status != 200 && status != 503 {
		t.Errorf("%d %s", status, body)
	}
}

// A member that speaks no TLS is down for TLS-HELLO, and up for TCP.
func TestTLSHello(t *testing.T) {
	w := newWorld(t, 1)
	leaf := pki.New(t, "Any").Issue("m")
	ln, err := linuxnet.Listen(t.Context(), w.ns, "tcp", "198.18.2.1:8443")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{TLSConfig: &tls.Config{Certificates: []tls.Certificate{leaf.TLS}}}
	go func() { _ = srv.ServeTLS(ln, "", "") }()
	t.Cleanup(func() { _ = srv.Close() })
	d := document()
	d.Listeners[0].Protocol, d.Pools[0].Protocol = lb.ProtocolTCP, lb.ProtocolTCP
	d.Pools[0].Monitor = monitor(lb.MonitorTCP)
	d.Pools[0].Monitor.Type, d.Pools[0].Monitor.Delay, d.Pools[0].Monitor.Timeout, d.Pools[0].Monitor.MaxRetriesDown = lb.MonitorTLSHello, 1, 1, 1
	d.Pools[0].Members[1].Address, d.Pools[0].Members[1].Port = "198.18.2.1", 8443
	w.apply(d)
	eventually(t, "the one without TLS is down, the other up", func() bool {
		o, err := w.b.Observe(t.Context())
		return err == nil && o.Members[memberID(1)] == "DOWN" && o.Members[memberID(2)] == "UP"
	})
}

func TestPrometheus(t *testing.T) {
	w := newWorld(t, 1)
	d := document()
	d.Listeners = append(d.Listeners, amphora.Listener{ID: listenerTCP, Protocol: lb.ProtocolPrometheus, Port: 9100, ConnectionLimit: -1})
	w.apply(d)
	get := func(path string) (int, string) {
		client := http.Client{Transport: &http.Transport{DialContext: w.dial, DisableKeepAlives: true}, Timeout: 5 * time.Second}
		res, err := client.Get("http://198.18.1.100:9100" + path)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(body)
	}
	if status, body := get("/metrics"); status != 200 || !strings.Contains(body, `haproxy_frontend_bytes_in_total{proxy="`+listenerHTTP+`"}`) {
		t.Errorf("%d %.300s", status, body)
	}
	if status, _ := get("/"); status != 404 {
		t.Errorf("%d", status)
	}
}

func sha1Hex(der []byte) string {
	sum := sha1.Sum(der)
	return hex.EncodeToString(sum[:])
}
