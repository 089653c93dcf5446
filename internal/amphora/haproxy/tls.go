package haproxy

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"colonnade/internal/amphora"
	"colonnade/internal/lb"
)

var (
	// secretGrammar is that of names of files with secrets: they stand in the configuration and in commands.
	secretGrammar = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\.[a-z0-9]{1,16}\.pem$`)
	// cipherGrammar has nothing in it that ends a word.
	cipherGrammar = regexp.MustCompile(`^[A-Za-z0-9+!:@=_.-]*$`)
)

var clientVerify = map[string]string{lb.ClientAuthNone: "none", lb.ClientAuthOptional: "optional", lb.ClientAuthMandatory: "required"}

// tlsHeaders tell members of the client's certificate.
var tlsHeaders = map[string]string{
	"X-SSL-Client-Verify":     "%[ssl_c_verify]",
	"X-SSL-Client-Has-Cert":   "%[ssl_c_used]",
	"X-SSL-Client-DN":         "%{+Q}[ssl_c_s_dn]",
	"X-SSL-Client-CN":         "%{+Q}[ssl_c_s_dn(cn)]",
	"X-SSL-Issuer":            "%{+Q}[ssl_c_i_dn]",
	"X-SSL-Client-SHA1":       "%{+Q}[ssl_c_sha1,hex]",
	"X-SSL-Client-Not-Before": "%{+Q}[ssl_c_notbefore]",
	"X-SSL-Client-Not-After":  "%{+Q}[ssl_c_notafter]",
}

// headerLines insert what a listener is told to insert; what a client sends under the same name is replaced.
func headerLines(l amphora.Listener) []string {
	proto := "http"
	if l.TLS != nil {
		proto = "https"
	}
	plain := map[string]string{
		"X-Forwarded-Port": "%[dst_port]", "X-Forwarded-Proto": proto, "X-Forwarded-IP": "%[src]", "X-Client-IP": "%[src]", "X-Real-IP": "%[src]",
	}
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(l.InsertHeaders)) {
		if l.InsertHeaders[name] != "true" {
			continue
		}
		if name == "X-Forwarded-For" {
			lines = append(lines, "option forwardfor")
			continue
		}
		value, ok := plain[name]
		if !ok {
			value = tlsHeaders[name]
		}
		lines = append(lines, "http-request set-header "+name+" "+value)
	}
	return lines
}

func insertable(protocol, name string) bool {
	switch name {
	case "X-Forwarded-For", "X-Forwarded-Port", "X-Forwarded-Proto", "X-Forwarded-IP", "X-Client-IP", "X-Real-IP":
		return true
	}
	return tlsHeaders[name] != "" && protocol == lb.ProtocolTerminatedHTTPS
}

// secretPath is a secret's file as the configuration and the runtime API name it.
func secretPath(name string) string { return secretsDir + "/" + name }

// listSuffix ends the name of the file that lists a listener's certificates: a line of the configuration has room for few.
const listSuffix = ".list.pem"

// secretFiles are the files a document needs beside the configuration, by name.
func secretFiles(d amphora.Desired) map[string]string {
	files := maps.Clone(d.Secrets)
	for _, l := range d.Listeners {
		if l.TLS == nil {
			continue
		}
		list := ""
		for _, name := range l.TLS.Certificates {
			list += secretPath(name) + "\n"
		}
		files[l.ID+listSuffix] = list
	}
	return files
}

// bindOptions make a listener end TLS.
func bindOptions(l amphora.Listener) string {
	t := l.TLS
	if t == nil {
		return ""
	}
	o := " ssl crt-list " + secretPath(l.ID+listSuffix)
	if t.ClientCA != "" {
		o += " ca-file " + secretPath(t.ClientCA) + " verify " + clientVerify[t.ClientAuthentication]
	}
	if t.ClientCRL != "" {
		o += " crl-file " + secretPath(t.ClientCRL)
	}
	return o + suiteOptions(t.Ciphers, t.Versions) + alpnOption(t.ALPN)
}

// tlsLines are what a frontend that ends TLS does with answers.
func tlsLines(t *amphora.ListenerTLS) []string {
	if t == nil {
		return nil
	}
	// The list is a file of its own; that it is another has to be seen here.
	lines := []string{fmt.Sprintf("# %d certificates", len(t.Certificates))}
	if t.HSTS == nil {
		return lines
	}
	value := fmt.Sprintf("max-age=%d", t.HSTS.MaxAge)
	if t.HSTS.IncludeSubdomains {
		value += "; includeSubDomains"
	}
	if t.HSTS.Preload {
		value += "; preload"
	}
	return append(lines, "http-response set-header Strict-Transport-Security "+quote(value))
}

// memberTLS makes a pool speak TLS to its members. Names of members are checked only against what the client asked for.
func memberTLS(mode string, t *amphora.PoolTLS) string {
	if t == nil {
		return ""
	}
	o := " ssl"
	if t.Certificate != "" {
		o += " crt " + secretPath(t.Certificate)
	}
	if t.CA != "" {
		o += " ca-file " + secretPath(t.CA)
		if t.CRL != "" {
			o += " crl-file " + secretPath(t.CRL)
		}
		o += " verify required"
	} else {
		o += " verify none"
	}
	o += " sni ssl_fc_sni" + suiteOptions(t.Ciphers, t.Versions)
	if mode == "http" { // in tcp mode it is not we who speak it
		o += alpnOption(t.ALPN)
	}
	return o
}

func alpnOption(protocols []string) string {
	if len(protocols) == 0 {
		return ""
	}
	return " alpn " + strings.Join(protocols, ",")
}

var versionWords = map[string]string{lb.TLSv1: "TLSv1.0", lb.TLSv11: "TLSv1.1", lb.TLSv12: "TLSv1.2", lb.TLSv13: "TLSv1.3"}

// suiteOptions writes ciphers and versions. OpenSSL has TLS 1.3's suites in a list of their own.
func suiteOptions(ciphers string, versions []string) string {
	o := ""
	var old, suites []string
	for c := range strings.SplitSeq(ciphers, ":") {
		switch {
		case c == "":
		case strings.HasPrefix(c, "TLS_"):
			suites = append(suites, c)
		default:
			old = append(old, c)
		}
	}
	at := versionRange(versions)
	if len(at) > 0 && (at[0] == lb.TLSv1 || at[0] == lb.TLSv11) && !strings.Contains(ciphers, "@SECLEVEL") {
		// OpenSSL's usual security level refuses the signatures of these versions, whatever their number.
		if len(old) == 0 {
			old = append(old, "DEFAULT")
		}
		old = append(old, "@SECLEVEL=0")
	}
	if len(old) > 0 {
		o += " ciphers " + strings.Join(old, ":")
	} else if len(suites) > 0 {
		at = []string{lb.TLSv13} // nothing is left that an older version could use
	}
	if len(suites) > 0 {
		o += " ciphersuites " + strings.Join(suites, ":")
	}
	if len(at) > 0 {
		o += " ssl-min-ver " + versionWords[at[0]] + " ssl-max-ver " + versionWords[at[len(at)-1]]
	}
	return o
}

// versionRange sorts versions, oldest first, without repetition.
func versionRange(versions []string) []string {
	var out []string
	for _, v := range lb.TLSVersions {
		if slices.Contains(versions, v) {
			out = append(out, v)
		}
	}
	return out
}

// suite checks ciphers and versions of a listener or pool; bad takes what is found.
func (c *checker) suite(bad func(string, ...any), ciphers string, versions, alpn []string) {
	if !cipherGrammar.MatchString(ciphers) {
		bad("tls_ciphers %q", ciphers)
	}
	for _, v := range versions {
		if versionWords[v] == "" {
			bad("tls_versions: %q is not supported", v)
		}
	}
	for _, p := range alpn {
		if !slices.Contains(lb.ALPNProtocols, p) {
			bad("alpn_protocols: %q", p)
		}
	}
}

func (c *checker) listenerTLS(l amphora.Listener) {
	bad := func(format string, args ...any) { c.add(objListener, l.ID, format, args...) }
	t := l.TLS
	switch {
	case t == nil && l.Protocol == lb.ProtocolTerminatedHTTPS:
		bad("a TERMINATED_HTTPS listener needs a certificate")
	case t == nil:
	case l.Protocol != lb.ProtocolTerminatedHTTPS && l.Protocol != lb.ProtocolPrometheus:
		bad("a listener of protocol %s ends no TLS", l.Protocol)
	case len(t.Certificates) == 0:
		bad("TLS needs a certificate")
	default:
		for _, name := range t.Certificates {
			c.keyPair(bad, name)
		}
		c.authority(bad, t.ClientCA, t.ClientCRL)
		if clientVerify[t.ClientAuthentication] == "" || t.ClientAuthentication != lb.ClientAuthNone && t.ClientCA == "" {
			bad("client_authentication %q", t.ClientAuthentication)
		}
		if t.HSTS != nil && t.HSTS.MaxAge < 0 {
			bad("hsts_max_age %d", t.HSTS.MaxAge)
		}
		c.suite(bad, t.Ciphers, t.Versions, t.ALPN)
	}
}

func (c *checker) poolTLS(p amphora.Pool) {
	t := p.TLS
	if t == nil {
		return
	}
	bad := func(format string, args ...any) { c.add(objPool, p.ID, format, args...) }
	if t.Certificate != "" {
		c.keyPair(bad, t.Certificate)
	}
	c.authority(bad, t.CA, t.CRL)
	c.suite(bad, t.Ciphers, t.Versions, t.ALPN)
}

// keyPair checks that a secret is a certificate with the key that belongs to it. A file that is none would end the
// process at its next start, and every listener with it.
func (c *checker) keyPair(bad func(string, ...any), name string) {
	text, ok := c.secret(bad, name)
	if !ok {
		return
	}
	if _, err := tls.X509KeyPair([]byte(text), []byte(text)); err != nil {
		bad("certificate %s: %v", name, err)
	}
}

func (c *checker) authority(bad func(string, ...any), ca, crl string) {
	if ca == "" {
		if crl != "" {
			bad("a revocation list needs an authority")
		}
		return
	}
	if text, ok := c.secret(bad, ca); ok {
		block, _ := pem.Decode([]byte(text))
		if block == nil {
			bad("authority %s is no PEM", ca)
		} else if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			bad("authority %s: %v", ca, err)
		}
	}
	if crl == "" {
		return
	}
	if text, ok := c.secret(bad, crl); ok {
		block, _ := pem.Decode([]byte(text))
		if block == nil {
			bad("revocation list %s is no PEM", crl)
		} else if _, err := x509.ParseRevocationList(block.Bytes); err != nil {
			bad("revocation list %s: %v", crl, err)
		}
	}
}

func (c *checker) secret(bad func(string, ...any), name string) (string, bool) {
	text, ok := c.secrets[name]
	switch {
	case !secretGrammar.MatchString(name):
		bad("secret %q has no name of one", name)
		return "", false
	case !ok:
		bad("secret %s is not in the document", name)
	}
	return text, ok
}

// secretCommands put secrets that were exchanged for others of the same names into the running process.
func secretCommands(old, next amphora.Desired) []Command {
	var out []Command
	kinds := map[string]string{}
	for _, l := range next.Listeners {
		if t := l.TLS; t != nil {
			for _, name := range t.Certificates {
				kinds[name] = "cert"
			}
			kinds[t.ClientCA], kinds[t.ClientCRL] = "ca-file", "crl-file"
		}
	}
	for _, p := range next.Pools {
		if t := p.TLS; t != nil {
			kinds[t.Certificate], kinds[t.CA], kinds[t.CRL] = "cert", "ca-file", "crl-file"
		}
	}
	for _, name := range slices.Sorted(maps.Keys(kinds)) {
		if name == "" || old.Secrets[name] == next.Secrets[name] {
			continue
		}
		what := kinds[name] + " " + secretPath(name)
		out = append(
			out,
			Command{Line: "set ssl " + what, Payload: oneBlock(next.Secrets[name]), Answers: []string{"transaction created", "Transaction created", "transaction updated", "Transaction updated"}},
			Command{Line: "commit ssl " + what, Answers: []string{"Success!"}},
		)
	}
	return out
}

// oneBlock takes out empty lines: they end a payload.
func oneBlock(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if strings.TrimSpace(line) != "" {
			b.WriteString(strings.TrimSpace(line) + "\n")
		}
	}
	return b.String()
}
