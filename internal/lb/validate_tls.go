package lb

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// CheckListener checks what can be said about a listener without its load balancer and without its secrets.
func (r Rules) CheckListener(l Listener) error {
	if err := ValidateListener(l); err != nil {
		return err
	}
	ends, certificates := l.EndsTLS(), l.Certificates()
	name := l.Protocol
	if l.Protocol == ProtocolPrometheus && ends {
		name += " with TLS"
	}
	switch {
	case SameTransport(l.Protocol, ProtocolTCP):
	case len(certificates) > 0:
		return Invalidf("%s protocol listener does not support TLS.", l.Protocol)
	}
	switch {
	case r.NoTLSListeners && ends:
		return disabled("protocol", name)
	case r.NoPrometheusListeners && l.Protocol == ProtocolPrometheus:
		return disabled("protocol", l.Protocol)
	case !ends && len(certificates) > 0:
		return Invalidf("Certificate container references are not allowed on %s protocol listeners.", l.Protocol)
	case l.ClientCARef != "" && len(certificates) == 0:
		return Invalidf("An SNI or default certificate container reference must be provided with a client CA container reference.")
	case ends && len(certificates) == 0:
		return Invalidf("An SNI or default certificate container reference must be provided for %s protocol listeners.", name)
	case l.ClientAuthentication != ClientAuthNone && l.ClientCARef == "":
		return Invalidf("Client authentication setting %s requires a client CA container reference.", l.ClientAuthentication)
	case l.ClientCRLRef != "" && l.ClientCARef == "":
		return Invalidf("A client authentication CA reference is required to specify a client authentication revocation list.")
	case l.HSTSMaxAge != nil && l.Protocol != ProtocolTerminatedHTTPS:
		return Invalidf("The HSTS feature can only be used for listeners using the TERMINATED_HTTPS protocol.")
	}
	return r.checkSuite(l.TLSCiphers, l.TLSVersions, l.ALPNProtocols)
}

// CheckPool checks what can be said about a pool without its load balancer and without its secrets, members and monitor
// apart.
func (r Rules) CheckPool(p Pool) error {
	if err := ValidatePool(p); err != nil {
		return err
	}
	if p.CRLRef != "" && p.CARef == "" {
		return Invalidf("A CA certificate reference is required to specify a revocation list.")
	}
	return r.checkSuite(p.TLSCiphers, p.TLSVersions, p.ALPNProtocols)
}

// CheckMonitor checks a monitor with all defaults filled in against the protocol of its pool.
func (r Rules) CheckMonitor(h HealthMonitor, poolProtocol string) error {
	if r.NoPingMonitors && h.Type == MonitorPing {
		return disabled("type", h.Type)
	}
	if err := CheckMonitorPool(h.Type, poolProtocol); err != nil {
		return err
	}
	if h.Type == MonitorUDPConnect && h.Delay < r.MinUDPConnectDelay {
		return Invalidf("The request delay value %d should be larger than %d for UDP-CONNECT health monitor type.", h.Delay, r.MinUDPConnectDelay)
	}
	return ValidateHealthMonitor(h)
}

func (r Rules) checkSuite(ciphers string, versions, alpn []string) error {
	if err := r.checkCiphers(ciphers); err != nil {
		return err
	}
	if err := r.checkVersions(versions); err != nil {
		return err
	}
	return checkALPN(alpn)
}

// cipherList has nothing in it that could end the word it stands in.
var cipherList = regexp.MustCompile(`^[A-Za-z0-9\-+!:@=_.]*$`)

func (r Rules) checkCiphers(list string) error {
	if !cipherList.MatchString(list) {
		return Invalidf("Invalid characters in cipher string. Only alphanumeric, -, +, !, :, @, =, _, and . are allowed.")
	}
	var rejected []string
	for cipher := range strings.SplitSeq(list, ":") {
		if cipher != "" && slices.Contains(r.ProhibitedCiphers, cipher) {
			rejected = append(rejected, cipher)
		}
	}
	if len(rejected) > 0 {
		return Invalidf("The following ciphers have been prohibited by an administrator: %s", strings.Join(rejected, ", "))
	}
	return nil
}

func (r Rules) checkVersions(versions []string) error {
	var unknown, below []string
	for _, v := range versions {
		switch at := slices.Index(TLSVersions, v); {
		case at < 0:
			unknown = append(unknown, v)
		case r.MinimumVersion != "" && at < slices.Index(TLSVersions, r.MinimumVersion):
			below = append(below, v)
		}
	}
	if len(unknown) > 0 {
		return Invalidf("Invalid TLS versions: %s", strings.Join(unknown, ", "))
	}
	if len(below) > 0 {
		return Invalidf("Requested TLS versions are less than the minimum: %s < %s", strings.Join(below, ", "), r.MinimumVersion)
	}
	return nil
}

func checkALPN(protocols []string) error {
	for _, p := range protocols {
		if !slices.Contains(ALPNProtocols, p) {
			return InvalidField("alpn_protocols", p, "Value should be a valid ALPN protocol ID")
		}
	}
	return nil
}

// Headers that a listener can be told to insert: those of any HTTP listener, and those that tell of a client's certificate.
var (
	knownHeaders = []string{
		"X-Forwarded-For", "X-Forwarded-Port", "X-Forwarded-Proto", "X-Forwarded-IP", "X-Client-IP", "X-Real-IP",
	}
	tlsHeaders = []string{
		"X-SSL-Client-Verify", "X-SSL-Client-Has-Cert", "X-SSL-Client-DN", "X-SSL-Client-CN", "X-SSL-Issuer",
		"X-SSL-Client-SHA1", "X-SSL-Client-Not-Before", "X-SSL-Client-Not-After",
	}
)

func validateInsertHeaders(protocol string, headers map[string]string) error {
	if len(headers) > 0 && protocol != ProtocolHTTP && protocol != ProtocolTerminatedHTTPS {
		return InvalidOption("insert-headers", fmt.Sprintf("a %s protocol listener.", protocol))
	}
	for name, value := range headers {
		tls := slices.Contains(tlsHeaders, name)
		switch {
		case !tls && !slices.Contains(knownHeaders, name):
			return InvalidOption(fmt.Sprintf("['%s']", name), "insert_headers")
		case tls && protocol != ProtocolTerminatedHTTPS:
			return InvalidOption(fmt.Sprintf("['%s']", name), fmt.Sprintf("%s protocol listener.", protocol))
		case !truth(value) && !strings.EqualFold(value, "false"):
			return InvalidOption(value, "insert_headers "+name)
		}
	}
	return nil
}
