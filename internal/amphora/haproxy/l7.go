package haproxy

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"colonnade/internal/amphora"
	"colonnade/internal/lb"
)

// policy is an L7 policy as lines of its frontend.
type policy struct {
	ID    string
	Lines []string
}

// precedence is the order in which a request meets policies, before their positions: what Octavia's documentation says of
// its amphorae, and tenants rely on. A REJECT holds wherever it stands.
var precedence = map[string]int{lb.ActionReject: 0, lb.ActionRedirectURL: 1, lb.ActionRedirectPrefix: 1, lb.ActionRedirectPool: 2}

// renderPolicies writes the policies of a listener in the order they apply. HAProxy itself looks at all "http-request"
// rules before any "use_backend", and takes another order in the file for a mistake.
func renderPolicies(l amphora.Listener) []policy {
	ordered := slices.Clone(l.L7Policies)
	slices.SortStableFunc(ordered, func(a, b amphora.L7Policy) int { return precedence[a.Action] - precedence[b.Action] })
	var out []policy
	for _, p := range ordered {
		made := policy{ID: p.ID}
		condition := ""
		for _, r := range p.Rules {
			made.Lines = append(made.Lines, aclLine(r))
			condition += " "
			if r.Invert {
				condition += "!"
			}
			condition += r.ID
		}
		made.Lines = append(made.Lines, actionOf(l, p)+" if"+condition)
		out = append(out, made)
	}
	return out
}

func actionOf(l amphora.Listener, p amphora.L7Policy) string {
	code := ""
	if p.RedirectHTTPCode != 0 {
		code = " code " + strconv.Itoa(p.RedirectHTTPCode)
	}
	switch p.Action {
	case lb.ActionRedirectPool:
		return "use_backend " + backendName(p.RedirectPoolID, l.ID)
	case lb.ActionRedirectURL:
		return "http-request redirect location " + redirectTarget(p.RedirectURL) + code
	case lb.ActionRedirectPrefix:
		return "http-request redirect prefix " + redirectTarget(p.RedirectPrefix) + code
	default: // REJECT; Check knows no other
		return "http-request deny"
	}
}

// urlCharacters are those of RFC 3986, the percent sign apart.
const urlCharacters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~:/?#[]@!$&'()*+,;="

// redirectTarget writes a URL as a header carries it, what does not belong into one escaped, for a place where HAProxy
// takes a percent sign for the beginning of a variable.
func redirectTarget(url string) string {
	var b strings.Builder
	for i := range len(url) {
		switch c := url[i]; {
		case strings.IndexByte(urlCharacters, c) >= 0:
			b.WriteByte(c)
		case c == '%' && len(url)-i > 2 && isHex(url[i+1]) && isHex(url[i+2]):
			b.WriteString("%%")
		default:
			fmt.Fprintf(&b, "%%%%%02X", c)
		}
	}
	return quote(b.String())
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

// comparisons are HAProxy's names of them.
var comparisons = map[string]string{
	lb.CompareRegex: "reg", lb.CompareStartsWith: "beg", lb.CompareEndsWith: "end", lb.CompareContains: "sub", lb.CompareEqualTo: "str",
}

// aclLine writes a rule as the condition of its name.
func aclLine(r amphora.L7Rule) string {
	compare := "-m " + comparisons[r.CompareType]
	var what string
	switch r.Type {
	case lb.RuleHostName:
		what = "req.hdr(host) -i"
	case lb.RulePath:
		what = "path"
	case lb.RuleFileType:
		what = "path"
		if r.CompareType == lb.CompareEqualTo {
			compare = "-m end"
		}
	case lb.RuleHeader:
		what = "req.hdr(" + fetchArgument(r.Key) + ")"
	case lb.RuleCookie:
		what = "req.cook(" + fetchArgument(r.Key) + ")"
	case lb.RuleHasCert:
		return "acl " + r.ID + " ssl_c_used"
	case lb.RuleVerifyResult:
		return "acl " + r.ID + " ssl_c_verify eq " + strconv.Itoa(atoi(r.Value))
	case lb.RuleDNField:
		what = "ssl_c_s_dn(" + fetchArgument(r.Key) + ")"
	}
	// After "--" nothing is an option, whatever it begins with.
	return "acl " + r.ID + " " + what + " " + compare + " -- " + word(pattern(r))
}

// fetchArgument quotes a token for the parser of arguments, which is behind that of words.
func fetchArgument(s string) string { return quote(strings.ReplaceAll(s, "'", `\'`)) }

// reference finds what could refer to a group by its number.
var reference = regexp.MustCompile(`\\[1-9]|\(\?\([1-9]`)

// pattern is what a rule compares with: of a quoted string what is between the quotes, as Octavia's amphorae do.
func pattern(r amphora.L7Rule) string {
	if v := r.Value; r.CompareType != lb.CompareRegex && len(v) > 1 && v[0] == '"' && v[len(v)-1] == '"' {
		return v[1 : len(v)-1]
	}
	if r.CompareType == lb.CompareRegex && reference.MatchString(r.Value) {
		return "(?-n)" + r.Value // HAProxy has groups of conditions remember nothing
	}
	return r.Value
}

// word quotes any text without control characters; the file stays ASCII.
func word(s string) string {
	var b strings.Builder
	b.WriteByte('\'')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '\'':
			b.WriteString(`'\''`)
		case c > '~':
			fmt.Fprintf(&b, `'\x%02x'`, c)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('\'')
	return b.String()
}

// policies checks a listener's policies and rules.
func (c *checker) policies(l amphora.Listener) {
	for _, p := range l.L7Policies {
		c.id(objPolicy, p.ID)
		bad := func(format string, args ...any) { c.add(objPolicy, p.ID, format, args...) }
		if mode(l) != "http" {
			bad("listener protocol %s has no L7 policies", l.Protocol)
		}
		targets := map[string]string{lb.ActionRedirectPool: p.RedirectPoolID, lb.ActionRedirectURL: p.RedirectURL, lb.ActionRedirectPrefix: p.RedirectPrefix}
		if _, known := precedence[p.Action]; !known {
			bad("action %q is not supported", p.Action)
		}
		for action, target := range targets {
			if (target != "") != (action == p.Action) {
				bad("action %s with %q for %s", p.Action, target, action)
			}
		}
		if err := lb.ValidateL7Policy(lb.L7Policy{RedirectURL: p.RedirectURL, RedirectPrefix: p.RedirectPrefix, RedirectHTTPCode: p.RedirectHTTPCode}); err != nil {
			bad("%s", err)
		}
		if p.RedirectPoolID != "" {
			if pool, found := c.pools[p.RedirectPoolID]; !found {
				bad("redirect pool %q is not in the document", p.RedirectPoolID)
			} else if !slices.Contains(poolsOf[l.Protocol], pool.Protocol) {
				bad("listener protocol %s cannot use a pool of protocol %s", l.Protocol, pool.Protocol)
			}
		}
		if len(p.Rules) == 0 || len(p.Rules) > lb.MostL7Rules {
			bad("%d rules", len(p.Rules))
		}
		for _, r := range p.Rules {
			c.id(objRule, r.ID)
			if err := lb.ValidateL7Rule(lb.L7Rule{Type: r.Type, CompareType: r.CompareType, Key: r.Key, Value: r.Value}); err != nil {
				c.add(objRule, r.ID, "%s", err)
			}
		}
	}
}
