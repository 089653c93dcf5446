package lb

import (
	"regexp"
	"strconv"
	"strings"
)

// Defaults of a health monitor's fields.
const (
	DefaultMaxRetriesDown = 3
	DefaultHTTPMethod     = "GET"
	DefaultURLPath        = "/"
	DefaultExpectedCodes  = "200"
)

// IsHTTPMonitor reports whether a monitor of this type has the HTTP-only fields.
func IsHTTPMonitor(monitorType string) bool {
	return monitorType == MonitorHTTP || monitorType == MonitorHTTPS
}

// ValidateHealthMonitor checks a monitor with all defaults filled in.
func ValidateHealthMonitor(h HealthMonitor) error {
	if !IsHTTPMonitor(h.Type) {
		return nil
	}
	if err := validateURLPath(h.URLPath); err != nil {
		return err
	}
	if err := validateExpectedCodes(h.ExpectedCodes); err != nil {
		return err
	}
	if h.DomainName == "" {
		return nil
	}
	switch h.HTTPVersion {
	case "1.1":
	case "":
		return Invalidf("'http_version' must be specified when 'domain_name' is provided.")
	default:
		return InvalidOption("http_version "+h.HTTPVersion, "health monitors HTTP 1.1 domain name health check")
	}
	return validateDomainName(h.DomainName)
}

// CheckMonitorPool refuses a monitor type that a pool of this protocol cannot have (as in Octavia).
func CheckMonitorPool(monitorType, poolProtocol string) error {
	udp := !SameTransport(poolProtocol, ProtocolTCP)
	switch monitorType {
	case MonitorHTTP, MonitorTCP:
	case MonitorUDPConnect, MonitorSCTP:
		if !udp {
			return Invalidf("The %s type is only supported for pools of type UDP/SCTP.", monitorType)
		}
	default:
		if udp {
			return Invalidf("The associated pool protocol is %s, so only a UDP-CONNECT/SCTP/TCP/HTTP health monitor is supported.", poolProtocol)
		}
	}
	return nil
}

// urlPath is RFC 3986's path and query; a fragment is never sent.
var urlPath = regexp.MustCompile(`^/(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*$`)

// validateURLPath takes what may stand in a request line; nothing of it can end the line or the word it stands in.
func validateURLPath(s string) error {
	if len(s) > 2048 || !urlPath.MatchString(s) {
		return Faultf(KindInvalid, "Health monitor URL path '%s' is not a valid path: it starts with / and has no scheme, host, fragment or space.", s)
	}
	return nil
}

var codeList = regexp.MustCompile(`^(\d{3}(\s*,\s*\d{3})*|\d{3}-\d{3})$`)

func validateExpectedCodes(s string) error {
	if len(s) > 64 || !codeList.MatchString(s) {
		return InvalidField("expected_codes", s, `Value should match the pattern ^(\d{3}(\s*,\s*\d{3})*)$|^(\d{3}-\d{3})$`)
	}
	for code := range strings.FieldsFuncSeq(s, func(r rune) bool { return r < '0' || r > '9' }) {
		if n, err := strconv.Atoi(code); err != nil || n < 100 || n > 599 {
			return InvalidField("expected_codes", s, "Value should name HTTP status codes")
		}
	}
	if from, to, isRange := strings.Cut(s, "-"); isRange && from > to {
		return InvalidField("expected_codes", s, "Value should be a range from the lower to the higher code")
	}
	return nil
}

var domainLabel = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$`)

func validateDomainName(s string) error {
	ok := len(s) <= 253
	for label := range strings.SplitSeq(strings.TrimSuffix(s, "."), ".") {
		ok = ok && domainLabel.MatchString(label)
	}
	if !ok {
		return InvalidField("domain_name", s, "Value should be a domain name")
	}
	return nil
}
