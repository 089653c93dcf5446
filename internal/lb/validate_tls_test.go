package lb_test

import (
	"testing"

	"colonnade/internal/lb"
)

const failure = "Validation failure: "

func TestCheckListener(t *testing.T) {
	const noCerts = failure + "An SNI or default certificate container reference must be provided "
	of := func(protocol string, edit func(*lb.Listener), rules ...func(*lb.Rules)) error {
		l, r := lb.Listener{Protocol: protocol}, lb.DefaultRules()
		l.ClientAuthentication = lb.ClientAuthNone
		edit(&l)
		for _, f := range rules {
			f(&r)
		}
		return r.CheckListener(l)
	}
	nothing := func(*lb.Listener) {}
	cert := func(more func(*lb.Listener)) func(*lb.Listener) {
		return func(l *lb.Listener) { l.TLSContainerRef = "c"; more(l) }
	}
	checkRules(t, []rule{
		{"HTTP", of("HTTP", nothing), 0, ""},
		{"UDP", of("UDP", nothing), 0, ""},
		{"PROMETHEUS", of("PROMETHEUS", nothing), 0, ""},
		{"PROMETHEUS with TLS", of("PROMETHEUS", cert(nothing)), 0, ""},
		{"TERMINATED_HTTPS", of("TERMINATED_HTTPS", cert(nothing)), 0, ""},
		{"SNI alone", of("TERMINATED_HTTPS", func(l *lb.Listener) { l.SNIContainerRefs = []string{"s"} }), 0, ""},
		{"no certificate", of("TERMINATED_HTTPS", nothing), lb.KindInvalid, noCerts + "for TERMINATED_HTTPS protocol listeners."},
		{"certificate on HTTP", of("HTTP", cert(nothing)), lb.KindInvalid, failure + "Certificate container references are not allowed on HTTP protocol listeners."},
		{"certificate on UDP", of("UDP", cert(nothing)), lb.KindInvalid, failure + "UDP protocol listener does not support TLS."},
		{"certificate on SCTP", of("SCTP", cert(nothing)), lb.KindInvalid, failure + "SCTP protocol listener does not support TLS."},
		{"header on UDP", of("UDP", func(l *lb.Listener) { l.InsertHeaders = map[string]string{"X-Forwarded-For": "true"} }), lb.KindInvalid, "insert-headers is not a valid option for a UDP protocol listener."},
		{"headers of TLS", of("TERMINATED_HTTPS", cert(func(l *lb.Listener) {
			l.InsertHeaders = map[string]string{"X-SSL-Client-CN": "true", "X-Real-IP": "false"}
		})), 0, ""},
		{"client CA without a certificate", of("HTTP", func(l *lb.Listener) { l.ClientCARef = "a" }), lb.KindInvalid, noCerts + "with a client CA container reference."},
		{"client CA", of("TERMINATED_HTTPS", cert(func(l *lb.Listener) { l.ClientCARef, l.ClientCRLRef, l.ClientAuthentication = "a", "r", "MANDATORY" })), 0, ""},
		{"authentication without CA", of("TERMINATED_HTTPS", cert(func(l *lb.Listener) { l.ClientAuthentication = "OPTIONAL" })), lb.KindInvalid, failure + "Client authentication setting OPTIONAL requires a client CA container reference."},
		{"CRL without CA", of("TERMINATED_HTTPS", cert(func(l *lb.Listener) { l.ClientCRLRef = "r" })), lb.KindInvalid, failure + "A client authentication CA reference is required to specify a client authentication revocation list."},
		{"HSTS", of("TERMINATED_HTTPS", cert(func(l *lb.Listener) { l.HSTSMaxAge = new(0) })), 0, ""},
		{"HSTS on HTTP", of("HTTP", func(l *lb.Listener) { l.HSTSMaxAge = new(5) }), lb.KindInvalid, failure + "The HSTS feature can only be used for listeners using the TERMINATED_HTTPS protocol."},
		{"suites", of("TERMINATED_HTTPS", cert(func(l *lb.Listener) {
			l.TLSCiphers, l.TLSVersions, l.ALPNProtocols = "HIGH:!aNULL:@SECLEVEL=2", []string{"SSLv3"}, []string{"http/1.0"}
		})), 0, ""},
		{"cipher list that ends a line", of("TERMINATED_HTTPS", cert(func(l *lb.Listener) { l.TLSCiphers = "a\n" })), lb.KindInvalid, failure + "Invalid characters in cipher string. Only alphanumeric, -, +, !, :, @, =, _, and . are allowed."},
		{"prohibited", of("TERMINATED_HTTPS", cert(func(l *lb.Listener) { l.TLSCiphers = "A:B:C" }), func(r *lb.Rules) { r.ProhibitedCiphers = []string{"B", "C", "D"} }), lb.KindInvalid, failure + "The following ciphers have been prohibited by an administrator: B, C"},
		{"unknown version", of("TERMINATED_HTTPS", cert(func(l *lb.Listener) { l.TLSVersions = []string{"TLSv1.2", "TLSv9", "tlsv1"} })), lb.KindInvalid, failure + "Invalid TLS versions: TLSv9, tlsv1"},
		{"old version", of("TERMINATED_HTTPS", cert(func(l *lb.Listener) { l.TLSVersions = []string{"SSLv3", "TLSv1", "TLSv1.2"} }), func(r *lb.Rules) { r.MinimumVersion = "TLSv1.1" }), lb.KindInvalid, failure + "Requested TLS versions are less than the minimum: SSLv3, TLSv1 < TLSv1.1"},
		{"unknown ALPN", of("TERMINATED_HTTPS", cert(func(l *lb.Listener) { l.ALPNProtocols = []string{"h3"} })), lb.KindInvalid, "Invalid input for field/attribute alpn_protocols. Value: 'h3'. Value should be a valid ALPN protocol ID"},
		{"TLS switched off", of("TERMINATED_HTTPS", cert(nothing), func(r *lb.Rules) { r.NoTLSListeners = true }), lb.KindInvalid, "The selected protocol is not allowed in this deployment: TERMINATED_HTTPS"},
		{"TLS switched off, PROMETHEUS", of("PROMETHEUS", cert(nothing), func(r *lb.Rules) { r.NoTLSListeners = true }), lb.KindInvalid, "The selected protocol is not allowed in this deployment: PROMETHEUS with TLS"},
		{"TLS switched off, PROMETHEUS without", of("PROMETHEUS", nothing, func(r *lb.Rules) { r.NoTLSListeners = true }), 0, ""},
		{"PROMETHEUS switched off", of("PROMETHEUS", nothing, func(r *lb.Rules) { r.NoPrometheusListeners = true }), lb.KindInvalid, "The selected protocol is not allowed in this deployment: PROMETHEUS"},
	})
}

func TestCheckPool(t *testing.T) {
	of := func(protocol string, edit func(*lb.Pool)) error {
		p := lb.Pool{Protocol: protocol, Algorithm: lb.RoundRobin}
		edit(&p)
		return lb.DefaultRules().CheckPool(p)
	}
	persist := func(sp lb.SessionPersistence) func(*lb.Pool) {
		return func(p *lb.Pool) { p.SessionPersistence = &sp }
	}
	const datagramsOnly = failure + "persistence_timeout and persistence_granularity is only for UDP and SCTP protocol pools."
	checkRules(t, []rule{
		{"TLS", of("HTTP", func(p *lb.Pool) { p.TLSEnabled, p.CARef, p.CRLRef, p.TLSContainerRef = true, "a", "r", "c" }), 0, ""},
		{"CRL without CA", of("HTTP", func(p *lb.Pool) { p.CRLRef = "r" }), lb.KindInvalid, failure + "A CA certificate reference is required to specify a revocation list."},
		{"version", of("HTTP", func(p *lb.Pool) { p.TLSVersions = []string{"1.2"} }), lb.KindInvalid, failure + "Invalid TLS versions: 1.2"},
		{"UDP", of("UDP", persist(lb.SessionPersistence{Type: "SOURCE_IP", Timeout: new(3), Granularity: "255.255.255.0"})), 0, ""},
		{"SCTP", of("SCTP", persist(lb.SessionPersistence{Type: "SOURCE_IP"})), 0, ""},
		{"negative timeout", of("SCTP", persist(lb.SessionPersistence{Type: "SOURCE_IP", Timeout: new(-1)})), lb.KindInvalid, "Invalid input for field/attribute persistence_timeout. Value: '-1'. Value should be greater or equal to 0"},
		{"UDP with a cookie's name", of("UDP", persist(lb.SessionPersistence{Type: "HTTP_COOKIE", CookieName: "c"})), lb.KindInvalid, failure + "Cookie names are not supported for UDP/SCTP pools."},
		{"UDP with a cookie", of("UDP", persist(lb.SessionPersistence{Type: "HTTP_COOKIE"})), lb.KindInvalid, failure + "Session persistence of type HTTP_COOKIE is not supported for UDP/SCTP protocol pools."},
		{"timeout on TCP", of("TCP", persist(lb.SessionPersistence{Type: "SOURCE_IP", Timeout: new(0)})), lb.KindInvalid, datagramsOnly},
		{"granularity on HTTP", of("HTTP", persist(lb.SessionPersistence{Type: "SOURCE_IP", Granularity: "255.0.0.0"})), lb.KindInvalid, datagramsOnly},
	})
}

func TestCheckMonitor(t *testing.T) {
	of := func(monitor, pool string, delay int, rules ...func(*lb.Rules)) error {
		r := lb.DefaultRules()
		for _, f := range rules {
			f(&r)
		}
		return r.CheckMonitor(lb.HealthMonitor{Type: monitor, Delay: delay, URLPath: "/", ExpectedCodes: "200"}, pool)
	}
	const associated = failure + "The associated pool protocol is UDP, so only a UDP-CONNECT/SCTP/TCP/HTTP health monitor is supported."
	checkRules(t, []rule{
		{"UDP-CONNECT", of("UDP-CONNECT", "UDP", 3), 0, ""},
		{"UDP-CONNECT, often", of("UDP-CONNECT", "SCTP", 2), lb.KindInvalid, failure + "The request delay value 2 should be larger than 3 for UDP-CONNECT health monitor type."},
		{"UDP-CONNECT on HTTP", of("UDP-CONNECT", "HTTP", 3), lb.KindInvalid, failure + "The UDP-CONNECT type is only supported for pools of type UDP/SCTP."},
		{"SCTP on TCP", of("SCTP", "TCP", 1), lb.KindInvalid, failure + "The SCTP type is only supported for pools of type UDP/SCTP."},
		{"PING", of("PING", "TCP", 1), 0, ""},
		{"PING switched off", of("PING", "TCP", 1, func(r *lb.Rules) { r.NoPingMonitors = true }), lb.KindInvalid, "The selected type is not allowed in this deployment: PING"},
		{"PING on UDP", of("PING", "UDP", 1), lb.KindInvalid, associated},
		{"TLS-HELLO on UDP", of("TLS-HELLO", "UDP", 1), lb.KindInvalid, associated},
		{"HTTPS on UDP", of("HTTPS", "UDP", 1), lb.KindInvalid, associated},
		{"HTTP on UDP", of("HTTP", "UDP", 1), 0, ""},
	})
}

func TestRulesCheck(t *testing.T) {
	for _, c := range []struct {
		name string
		edit func(*lb.Rules)
		want string
	}{
		{"defaults", func(*lb.Rules) {}, ""},
		{"nothing", func(r *lb.Rules) { *r = lb.Rules{} }, "defaults of listeners: ciphers, versions and ALPN protocols are needed"},
		{"prohibited default", func(r *lb.Rules) { r.ProhibitedCiphers = []string{"TLS_AES_128_GCM_SHA256"} }, "defaults of listeners: " + failure + "The following ciphers have been prohibited by an administrator: TLS_AES_128_GCM_SHA256"},
		{"default below the minimum", func(r *lb.Rules) { r.PoolVersions, r.MinimumVersion = []string{"TLSv1.1"}, "TLSv1.2" }, "defaults of pools: " + failure + "Requested TLS versions are less than the minimum: TLSv1.1 < TLSv1.2"},
		{"no such minimum", func(r *lb.Rules) { r.MinimumVersion = "1.2" }, `minimum TLS version "1.2": want one of [SSLv3 TLSv1 TLSv1.1 TLSv1.2 TLSv1.3]`},
	} {
		r := lb.DefaultRules()
		c.edit(&r)
		got := ""
		if err := r.Check(); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
