package lb

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

// L7Target is what a request says of a policy's action and where it leads; nil is nothing, "" and 0 are null.
type L7Target struct {
	Action *string
	// Pool, URL and Prefix are redirect_pool_id, redirect_url and redirect_prefix.
	Pool, URL, Prefix *string
	Code              *int
}

func given(s *string) bool { return s != nil && *s != "" }

// Aim gives the policy the action and target of a request (as in Octavia): an action needs its target in the same
// request, a target alone brings its action, and what does not belong to the action goes.
func (p *L7Policy) Aim(t L7Target) error {
	if given(t.URL) && !validURL(*t.URL) { // also where it is not needed
		return badURL("redirect_url", *t.URL)
	}
	if given(t.Prefix) && !validURL(*t.Prefix) {
		return badURL("redirect_prefix", *t.Prefix)
	}
	if t.Action != nil {
		if err := t.keepFor(*t.Action); err != nil {
			return err
		}
	}
	if given(t.Pool) && (given(t.URL) || given(t.Prefix)) {
		return badPolicy("Cannot specify redirect_pool_id and redirect_url or redirect_prefix at the same time")
	}
	old := p.Action
	switch {
	case given(t.Pool):
		p.Action, p.RedirectPoolID = ActionRedirectPool, *t.Pool
	case given(t.URL):
		p.Action, p.RedirectURL = ActionRedirectURL, *t.URL
	case given(t.Prefix):
		p.Action, p.RedirectPrefix = ActionRedirectPrefix, *t.Prefix
	case t.Action != nil: // the one without a target
		p.Action = ActionReject
	}
	switch {
	case p.Action == ActionRedirectPool && t.Pool != nil && !given(t.Pool):
		return badPolicy("redirect_pool_id or redirect_pool must not be None")
	case p.Action == ActionRedirectURL && t.URL != nil && !given(t.URL):
		return badPolicy("redirect_url must not be None")
	case p.Action == ActionRedirectPrefix && t.Prefix != nil && !given(t.Prefix):
		return badPolicy("redirect_prefix must not be None")
	}
	if p.Action != ActionRedirectPool {
		p.RedirectPoolID = ""
	}
	if p.Action != ActionRedirectURL {
		p.RedirectURL = ""
	}
	if p.Action != ActionRedirectPrefix {
		p.RedirectPrefix = ""
	}
	switch redirects := p.Action == ActionRedirectURL || p.Action == ActionRedirectPrefix; {
	case !redirects:
		p.RedirectHTTPCode = 0
	case t.Code != nil && (*t.Code != 0 || p.Action == old):
		p.RedirectHTTPCode = *t.Code
	case p.Action != old:
		p.RedirectHTTPCode = DefaultRedirectCode
	}
	return nil
}

// keepFor drops the targets that an action has no use for, as far as Octavia does so before it looks for contradictions.
func (t *L7Target) keepFor(action string) error {
	switch action {
	case ActionReject:
		t.Pool, t.URL, t.Prefix = nil, nil, nil
	case ActionRedirectURL:
		if !given(t.URL) {
			return badPolicy("redirect_url must not be None")
		}
		t.Pool, t.Prefix = nil, nil
	case ActionRedirectPool:
		if !given(t.Pool) {
			return badPolicy("redirect_pool_id or redirect_pool must not be None")
		}
		t.URL = nil
	case ActionRedirectPrefix:
		if !given(t.Prefix) {
			return badPolicy("redirect_prefix must not be None")
		}
		t.URL = nil
	default:
		return Faultf(KindInvalid, "Invalid L7 Policy action specified: %s", action)
	}
	return nil
}

func badPolicy(what string) error {
	return Faultf(KindInvalid, "Invalid L7 Policy arguments: %s", what)
}

func badURL(field, url string) error { return InvalidField(field, url, "Not a valid URL: "+url) }

// ValidateL7Policy checks what can be said about a policy without its listener, rules apart.
func ValidateL7Policy(p L7Policy) error {
	for _, f := range []struct{ name, url string }{{"redirect_url", p.RedirectURL}, {"redirect_prefix", p.RedirectPrefix}} {
		if f.url != "" && !validURL(f.url) {
			return badURL(f.name, f.url)
		}
	}
	switch p.RedirectHTTPCode {
	case 0, 301, 302, 303, 307, 308:
		return nil
	}
	return InvalidField("redirect_http_code", strconv.Itoa(p.RedirectHTTPCode), "Value should be one of: 301, 302, 303, 307, 308")
}

// absoluteURL is RFC 3986's shape with scheme and host. Path, query and fragment may have characters that whoever sends
// the URL has to escape; the authority may not.
var absoluteURL = regexp.MustCompile(`^(?i:https?)://` +
	`(?:(?:[A-Za-z0-9._~!$&'()*+,;=:-]|%[0-9A-Fa-f]{2})*@)?` +
	`(?:\[[0-9A-Fa-f:.]+\]|(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+)` +
	`(?::[0-9]{0,5})?(?:[/?#].*)?$`)

func validURL(s string) bool {
	return absoluteURL.MatchString(s) && !strings.ContainsFunc(s, func(r rune) bool { return r == ' ' || unicode.IsControl(r) })
}

// headerToken is RFC 7230's token: a header's or cookie's name.
var headerToken = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")

var (
	headerValue       = regexp.MustCompile(`^[!-~]+$`)
	quotedHeaderValue = regexp.MustCompile(`^"[ -~]*"$`)
	cookieValue       = regexp.MustCompile("^[]A-Za-z0-9!#$%&'()*+,./:<=>?@[^_`{|}~-]+$")
	dnField           = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]*$`)
	wholeNumber       = regexp.MustCompile(`^[0-9]+$`)
)

// ValidateL7Rule checks a rule: which comparisons and values its type has, and that nothing in it could be more than text.
func ValidateL7Rule(r L7Rule) error {
	for _, f := range []struct{ name, text string }{{"key", r.Key}, {"value", r.Value}} {
		if strings.ContainsAny(f.text, "\r\n") {
			return InvalidField(f.name, f.text, `Value should match the pattern ^[^\r\n]*$`)
		}
	}
	if err := checkRule(r); err != nil {
		return Faultf(KindInvalid, "Error parsing L7Rule: %s", err)
	}
	return nil
}

// ruleError is what is wrong with a rule, in the words clients know.
func ruleError(format string, args ...any) error {
	return fmt.Errorf("Invalid L7 Rule: "+format, args...)
}

func badCharacters(what string) error {
	return fmt.Errorf("Invalid characters in %s", what) //nolint:staticcheck // a client reads it
}

func checkRule(r L7Rule) error {
	if r.Value == "" || r.Value == `""` {
		return ruleError("L7 rule type requires a value")
	}
	switch r.Type {
	case RuleHostName, RulePath:
		return checkValue(r, "comparison value", isHeaderValue)
	case RuleFileType:
		if r.CompareType != CompareRegex && r.CompareType != CompareEqualTo {
			return ruleError("invalid comparison type for rule type")
		}
		return checkValue(r, "comparison value", isHeaderValue)
	case RuleHeader, RuleCookie:
		if r.Key == "" {
			return ruleError("L7 rule type requires a key")
		}
		if !headerToken.MatchString(r.Key) {
			return badCharacters("key")
		}
		if r.Type == RuleCookie {
			return checkValue(r, "cookie value", cookieValue.MatchString)
		}
		return checkValue(r, "header value", isHeaderValue)
	case RuleHasCert, RuleVerifyResult:
		return checkCertificateRule(r)
	case RuleDNField:
		if err := checkValue(r, "value", func(string) bool { return true }); err != nil {
			return err
		}
		switch {
		case r.Key == "":
			return ruleError("L7rule type %s needs to specify a key and a value.", r.Type)
		case !dnField.MatchString(r.Key):
			return ruleError("Invalid L7rule distinguished name field.")
		}
		return nil
	}
	return ruleError("invalid rule type")
}

// checkCertificateRule is for the types that compare one word.
func checkCertificateRule(r L7Rule) error {
	_, err := strconv.ParseInt(r.Value, 10, 32)
	switch {
	case r.Key != "":
		return ruleError(`L7rule type %s does not use the "key" field.`, r.Type)
	case r.Type == RuleHasCert && !truth(r.Value):
		return ruleError("L7rule value %s is not a boolean True string.", r.Value)
	case r.Type == RuleVerifyResult && (err != nil || !wholeNumber.MatchString(r.Value)):
		return ruleError("L7rule type %s needs a int value, which is >= 0", r.Type)
	case r.CompareType != CompareEqualTo:
		return ruleError("L7rule type %s only supports the %s compare type.", r.Type, CompareEqualTo)
	}
	return nil
}

func isHeaderValue(s string) bool {
	return headerValue.MatchString(s) || quotedHeaderValue.MatchString(s)
}

// checkValue checks a value that is compared as text or as a regular expression.
func checkValue(r L7Rule, what string, plain func(string) bool) error {
	if strings.ContainsFunc(r.Value, unicode.IsControl) {
		return badCharacters(what)
	}
	switch r.CompareType {
	case CompareRegex:
		if err := checkRegex(r.Value); err != nil {
			return fmt.Errorf("Unable to parse regular expression: %w", err) //nolint:staticcheck // a client reads it
		}
	case CompareStartsWith, CompareEndsWith, CompareContains, CompareEqualTo:
		if !plain(r.Value) {
			return badCharacters(what)
		}
	default:
		return ruleError("invalid comparison type for rule type")
	}
	return nil
}
