package lb

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// ProviderName is how this service calls itself in the API's provider field.
const ProviderName = "amphora"

// ProviderAlias is another name of the same provider, as upstream.
const ProviderAlias = "octavia"

// Unsupported is the fault for something the API knows and this deployment does not do; nothing of it is accepted and
// then ignored.
func Unsupported(format string, args ...any) error {
	return Faultf(KindUnsupported, "Provider '%s' does not support a requested option: %s", ProviderName, fmt.Sprintf(format, args...))
}

// Invalidf is the fault for a combination of values that makes no sense.
func Invalidf(format string, args ...any) error {
	return Faultf(KindInvalid, "Validation failure: %s", fmt.Sprintf(format, args...))
}

// InvalidOption is the fault for a value that an option does not know.
func InvalidOption(value, option string) error {
	return Faultf(KindInvalid, "%s is not a valid option for %s", value, option)
}

// InvalidField is the fault for a field whose value is out of bounds, in the words the API's clients know.
func InvalidField(field, value, reason string) error {
	return Faultf(KindInvalid, "Invalid input for field/attribute %s. Value: '%s'. %s", field, value, reason)
}

// Field values of a listener when the request names none.
const (
	DefaultConnectionLimit      = -1
	DefaultTimeoutClientData    = 50000 // ms
	DefaultTimeoutMemberConnect = 5000  // ms
	DefaultTimeoutMemberData    = 50000 // ms
	DefaultTimeoutTCPInspect    = 0     // ms
)

// poolProtocols says which pools a listener may use (as in Octavia).
var poolProtocols = map[string][]string{
	ProtocolHTTP:            {ProtocolHTTP, ProtocolProxy, ProtocolProxyV2},
	ProtocolHTTPS:           {ProtocolHTTPS, ProtocolProxy, ProtocolProxyV2, ProtocolTCP},
	ProtocolTCP:             {ProtocolHTTP, ProtocolHTTPS, ProtocolProxy, ProtocolProxyV2, ProtocolTCP},
	ProtocolTerminatedHTTPS: {ProtocolHTTP, ProtocolProxy, ProtocolProxyV2},
	ProtocolUDP:             {ProtocolUDP},
	ProtocolSCTP:            {ProtocolSCTP},
}

// CheckListenerPool refuses a pool that a listener of this protocol cannot send to.
func CheckListenerPool(listenerProtocol, poolProtocol string) error {
	if slices.Contains(poolProtocols[listenerProtocol], poolProtocol) {
		return nil
	}
	return Invalidf("The pool protocol '%s' is invalid while the listener protocol is '%s'.", poolProtocol, listenerProtocol)
}

// SameTransport reports whether two listener protocols compete for the same port number.
func SameTransport(a, b string) bool { return transport(a) == transport(b) }

func transport(protocol string) string {
	switch protocol {
	case ProtocolUDP, ProtocolSCTP:
		return protocol
	default:
		return ProtocolTCP
	}
}

// ValidateListener checks what can be said about a listener without its load balancer.
func ValidateListener(l Listener) error {
	return validateInsertHeaders(l.Protocol, l.InsertHeaders)
}

func truth(s string) bool { return strings.EqualFold(s, "true") }

// NormalizeCIDR masks host bits away: 10.0.0.5/8 is 10.0.0.0/8. A bare address stands for itself alone.
func NormalizeCIDR(s string) (string, error) {
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		return netip.PrefixFrom(a, a.BitLen()).String(), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return "", InvalidField("allowed_cidrs", s, "Value should be IPv4 or IPv6 CIDR format")
	}
	return p.Masked().String(), nil
}

// CheckCIDRFamilies refuses allowed CIDRs of an IP family the load balancer has no VIP of.
func CheckCIDRFamilies(cidrs []string, vips ...string) error {
	for _, c := range cidrs {
		p, err := netip.ParsePrefix(c)
		fits := func(vip string) bool {
			v, vipErr := netip.ParseAddr(vip)
			if vipErr != nil { // not allocated yet: the driver allocates IPv4
				v = netip.IPv4Unspecified()
			}
			return err == nil && p.Addr().Is4() == v.Is4()
		}
		if !slices.ContainsFunc(vips, fits) {
			return Invalidf("CIDR %s IP version incompatible with all VIPs %s IP version.", c, listed(vips))
		}
	}
	return nil
}

// cookieName is RFC 6265's token without the apostrophe, which HAProxy reads as a quote inside a fetch's argument.
var cookieName = regexp.MustCompile("^[A-Za-z0-9!#$%&*+.^_`|~-]{1,255}$")

// ValidatePool checks what can be said about a pool's own fields.
func ValidatePool(p Pool) error {
	sp := p.SessionPersistence
	if sp == nil {
		return nil
	}
	const datagrams = ProtocolUDP + "/" + ProtocolSCTP
	switch udp := !SameTransport(p.Protocol, ProtocolTCP); {
	case !udp && (sp.Timeout != nil || sp.Granularity != ""):
		return Invalidf("persistence_timeout and persistence_granularity is only for UDP and SCTP protocol pools.")
	case udp && sp.CookieName != "":
		return Invalidf("Cookie names are not supported for %s pools.", datagrams)
	case udp && sp.Type != PersistSourceIP:
		return Invalidf("Session persistence of type %s is not supported for %s protocol pools.", sp.Type, datagrams)
	case sp.Timeout != nil && *sp.Timeout < 0:
		return InvalidField("persistence_timeout", strconv.Itoa(*sp.Timeout), "Value should be greater or equal to 0")
	}
	switch sp.Type {
	case PersistSourceIP, PersistHTTPCookie:
		if sp.CookieName != "" {
			return Invalidf(`Field "cookie_name" can only be specified with session persistence of type "APP_COOKIE".`)
		}
	case PersistAppCookie:
		if sp.CookieName == "" {
			return Invalidf(`Field "cookie_name" must be specified when using the "APP_COOKIE" session persistence type.`)
		}
		if !cookieName.MatchString(sp.CookieName) {
			return Invalidf(`Supplied "cookie_name" is invalid.`)
		}
	default:
		return InvalidOption(sp.Type, "session_persistence type")
	}
	return nil
}

// reservedAddresses are never members: the metadata service of clouds.
var reservedAddresses = []string{"169.254.169.254"}

// ValidateMember checks what can be said about a member without its pool.
func ValidateMember(m Member) error {
	for _, s := range []string{m.Address, m.MonitorAddress} {
		if s == "" {
			continue
		}
		a, err := netip.ParseAddr(s)
		if err != nil || a.Zone() != "" {
			return InvalidField("address", s, "Value should be IPv4 or IPv6 format")
		}
		if slices.Contains(reservedAddresses, a.Unmap().String()) {
			return InvalidOption(s, "member address")
		}
		if a.Is4In6() {
			return InvalidField("address", s, "Value should be an IPv4 address in IPv4 format")
		}
	}
	return nil
}
