package lb_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"colonnade/internal/lb"
)

func TestAim(t *testing.T) {
	const bad = "Invalid L7 Policy arguments: "
	pool := lb.L7Policy{Action: lb.ActionRedirectPool, RedirectPoolID: "p"}
	url := lb.L7Policy{Action: lb.ActionRedirectURL, RedirectURL: "http://u", RedirectHTTPCode: 308}
	prefix := lb.L7Policy{Action: lb.ActionRedirectPrefix, RedirectPrefix: "http://x", RedirectHTTPCode: 302}
	reject := lb.L7Policy{Action: lb.ActionReject}
	with := func(p lb.L7Policy, code int) lb.L7Policy { p.RedirectHTTPCode = code; return p }
	u, x, p, none := new("http://u"), new("http://x"), new("p"), new("")
	for _, c := range []struct {
		name   string
		before lb.L7Policy
		target lb.L7Target
		want   lb.L7Policy
		fault  string
	}{
		{"reject clears all", url, lb.L7Target{Action: new(lb.ActionReject), Pool: p, URL: u, Prefix: x, Code: new(301)}, reject, ""},
		{"pool", lb.L7Policy{}, lb.L7Target{Action: new(lb.ActionRedirectPool), Pool: p, Code: new(308)}, pool, ""},
		{"pool clears the rest", url, lb.L7Target{Pool: p}, pool, ""},
		{"pool by its action, URL dropped", lb.L7Policy{}, lb.L7Target{Action: new(lb.ActionRedirectPool), Pool: p, URL: u}, pool, ""},
		{"URL with the usual code", pool, lb.L7Target{URL: u}, with(url, 302), ""},
		{"URL by its action, the rest dropped", reject, lb.L7Target{Action: new(lb.ActionRedirectURL), URL: u, Pool: p, Prefix: x, Code: new(308)}, url, ""},
		{"another URL keeps its code", with(url, 307), lb.L7Target{URL: u}, with(url, 307), ""},
		{"URL with null for a code", lb.L7Policy{}, lb.L7Target{Action: new(lb.ActionRedirectURL), URL: u, Code: new(0)}, with(url, 302), ""},
		{"prefix", url, lb.L7Target{Prefix: x}, prefix, ""},
		{"prefix by its action, URL dropped", pool, lb.L7Target{Action: new(lb.ActionRedirectPrefix), Prefix: x, URL: u}, prefix, ""},
		{"URL before prefix", pool, lb.L7Target{URL: u, Prefix: x}, with(url, 302), ""},
		{"code alone", url, lb.L7Target{Code: new(303)}, with(url, 303), ""},
		{"no code", url, lb.L7Target{Code: new(0)}, with(url, 0), ""},
		{"a code is nothing to a REJECT", reject, lb.L7Target{Code: new(303)}, reject, ""},
		{"nothing", url, lb.L7Target{}, url, ""},
		{"null where nothing is", pool, lb.L7Target{URL: none, Prefix: none}, pool, ""},
		{"null for the pool", pool, lb.L7Target{Pool: none}, lb.L7Policy{}, bad + "redirect_pool_id or redirect_pool must not be None"},
		{"null for the URL", url, lb.L7Target{URL: none}, lb.L7Policy{}, bad + "redirect_url must not be None"},
		{"null for the prefix", prefix, lb.L7Target{Prefix: none}, lb.L7Policy{}, bad + "redirect_prefix must not be None"},
		{"pool without one", url, lb.L7Target{Action: new(lb.ActionRedirectPool), URL: u}, lb.L7Policy{}, bad + "redirect_pool_id or redirect_pool must not be None"},
		{"URL without one", url, lb.L7Target{Action: new(lb.ActionRedirectURL)}, lb.L7Policy{}, bad + "redirect_url must not be None"},
		{"prefix without one", prefix, lb.L7Target{Action: new(lb.ActionRedirectPrefix), Pool: p}, lb.L7Policy{}, bad + "redirect_prefix must not be None"},
		{"pool and URL", reject, lb.L7Target{Pool: p, URL: u}, lb.L7Policy{}, bad + "Cannot specify redirect_pool_id and redirect_url or redirect_prefix at the same time"},
		{"pool and prefix", reject, lb.L7Target{Action: new(lb.ActionRedirectPool), Pool: p, Prefix: x}, lb.L7Policy{}, bad + "Cannot specify redirect_pool_id and redirect_url or redirect_prefix at the same time"},
		{"action nobody knows", reject, lb.L7Target{Action: new("")}, lb.L7Policy{}, "Invalid L7 Policy action specified: "},
		{"URL that is none, where none is needed", reject, lb.L7Target{Action: new(lb.ActionReject), URL: new("u")}, lb.L7Policy{}, "Invalid input for field/attribute redirect_url. Value: 'u'. Not a valid URL: u"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := c.before
			err := got.Aim(c.target)
			if text := faultText(err); text != c.fault || err != nil && lb.KindOf(err) != lb.KindInvalid {
				t.Fatalf("%q, want %q", text, c.fault)
			}
			if d := cmp.Diff(c.want, got); err == nil && d != "" {
				t.Error(d)
			}
		})
	}
}

func faultText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestURLs(t *testing.T) {
	valid := func(s string) bool {
		return lb.ValidateL7Policy(lb.L7Policy{RedirectURL: s}) == nil && lb.ValidateL7Policy(lb.L7Policy{RedirectPrefix: s}) == nil
	}
	for _, s := range []string{
		"http://a", "HTTPS://a.example:8443/b?c#d", "http://user:pw@a/", "http://[2001:db8::1]:80/", "http://198.18.0.1", "http://a/é{}\"'", "http://a/%20", "http://a?b", "http://a:/",
	} {
		if !valid(s) {
			t.Errorf("%q is refused", s)
		}
	}
	for _, s := range []string{
		"a", "//a", "/a", "ftp://a", "http://", "http:///a", "http:a", "http://a b", "http://a/\nb", "http://a/\x7f", "http://a/\u0085", "http://é/", "http://a:b", "http://[::g]/", "http://a\"/", "javascript:x", " http://a", "http://a/ ",
	} {
		if valid(s) {
			t.Errorf("%q is taken", s)
		}
	}
	if err := lb.ValidateL7Policy(lb.L7Policy{RedirectHTTPCode: 305}); lb.KindOf(err) != lb.KindInvalid {
		t.Error(err)
	}
}

func TestRules(t *testing.T) {
	const bad = "Error parsing L7Rule: "
	const invalid = bad + "Invalid L7 Rule: "
	all := []string{lb.CompareRegex, lb.CompareStartsWith, lb.CompareEndsWith, lb.CompareContains, lb.CompareEqualTo}
	for kind, compares := range map[string][]string{
		lb.RuleHostName: all, lb.RulePath: all, lb.RuleHeader: all, lb.RuleCookie: all, lb.RuleDNField: all,
		lb.RuleFileType: {lb.CompareRegex, lb.CompareEqualTo}, lb.RuleHasCert: {lb.CompareEqualTo}, lb.RuleVerifyResult: {lb.CompareEqualTo},
	} {
		for _, compare := range append(all, "", "X") {
			r := lb.L7Rule{Type: kind, CompareType: compare, Value: "v"}
			switch kind {
			case lb.RuleHeader, lb.RuleCookie, lb.RuleDNField:
				r.Key = "K"
			case lb.RuleHasCert:
				r.Value = "TRUE"
			case lb.RuleVerifyResult:
				r.Value = "0"
			}
			if err := lb.ValidateL7Rule(r); (err == nil) != slices.Contains(compares, compare) {
				t.Errorf("%s %s: %v", kind, compare, err)
			}
		}
	}
	text := func(kind, compare, key, value string) string {
		return faultText(lb.ValidateL7Rule(lb.L7Rule{Type: kind, CompareType: compare, Key: key, Value: value}))
	}
	for _, c := range []struct{ kind, compare, key, value, want string }{
		{lb.RulePath, lb.CompareEqualTo, "", "", invalid + "L7 rule type requires a value"},
		{lb.RulePath, lb.CompareEqualTo, "", `""`, invalid + "L7 rule type requires a value"},
		{lb.RulePath, lb.CompareEqualTo, "", "a b", bad + "Invalid characters in comparison value"},
		{lb.RulePath, lb.CompareEqualTo, "", `"a b"`, ""},
		{lb.RulePath, lb.CompareEqualTo, "", `"a` + "\t" + `b"`, bad + "Invalid characters in comparison value"},
		{lb.RulePath, lb.CompareEqualTo, "", "a\nb", "Invalid input for field/attribute value. Value: 'a\nb'. Value should match the pattern ^[^\\r\\n]*$"},
		{lb.RulePath, lb.CompareRegex, "", "a\x00", bad + "Invalid characters in comparison value"},
		{lb.RulePath, lb.CompareRegex, "", `bad string\`, bad + "Unable to parse regular expression: bad escape (end of pattern) at position 11"},
		{lb.RulePath, lb.CompareEqualTo, "any\x01thing", "/", ""},
		{lb.RulePath, lb.CompareEqualTo, "a\r", "/", "Invalid input for field/attribute key. Value: 'a\r'. Value should match the pattern ^[^\\r\\n]*$"},
		{lb.RuleHeader, lb.CompareEqualTo, "", "v", invalid + "L7 rule type requires a key"},
		{lb.RuleHeader, lb.CompareEqualTo, "a:b", "v", bad + "Invalid characters in key"},
		{lb.RuleHeader, lb.CompareEqualTo, "a,b", "v", bad + "Invalid characters in key"},
		{lb.RuleHeader, lb.CompareEqualTo, "a", "é", bad + "Invalid characters in header value"},
		{lb.RuleCookie, lb.CompareEqualTo, "bad cookie name", "v", bad + "Invalid characters in key"},
		{lb.RuleCookie, lb.CompareEqualTo, "a", `a"b`, bad + "Invalid characters in cookie value"},
		{lb.RuleCookie, lb.CompareEqualTo, "a", `a;b`, bad + "Invalid characters in cookie value"},
		{lb.RuleCookie, lb.CompareEqualTo, "a", "-[]^", ""},
		{lb.RuleHasCert, lb.CompareEqualTo, "k", "true", invalid + `L7rule type SSL_CONN_HAS_CERT does not use the "key" field.`},
		{lb.RuleHasCert, lb.CompareEqualTo, "", "yes", invalid + "L7rule value yes is not a boolean True string."},
		{lb.RuleHasCert, lb.CompareRegex, "", "tRUe", invalid + "L7rule type SSL_CONN_HAS_CERT only supports the EQUAL_TO compare type."},
		{lb.RuleVerifyResult, lb.CompareEqualTo, "", "true", invalid + "L7rule type SSL_VERIFY_RESULT needs a int value, which is >= 0"},
		{lb.RuleVerifyResult, lb.CompareEqualTo, "", "-1", invalid + "L7rule type SSL_VERIFY_RESULT needs a int value, which is >= 0"},
		{lb.RuleVerifyResult, lb.CompareEqualTo, "", "99999999999", invalid + "L7rule type SSL_VERIFY_RESULT needs a int value, which is >= 0"},
		{lb.RuleDNField, lb.CompareRegex, "", "^.test*$", invalid + "L7rule type SSL_DN_FIELD needs to specify a key and a value."},
		{lb.RuleDNField, lb.CompareRegex, "NOT_SUPPORTED", "^.test*$", invalid + "Invalid L7rule distinguished name field."},
		{lb.RuleDNField, lb.CompareEqualTo, "O", "Ä b", ""},
		{"X", lb.CompareEqualTo, "", "v", invalid + "invalid rule type"},
	} {
		if got := text(c.kind, c.compare, c.key, c.value); got != c.want {
			t.Errorf("%s %s %q %q: %q, want %q", c.kind, c.compare, c.key, c.value, got, c.want)
		}
	}
}

// What is taken here HAProxy takes, too: internal/amphora/haproxy holds them against each other.
func TestRegexes(t *testing.T) {
	takes := func(s string) bool {
		return lb.ValidateL7Rule(lb.L7Rule{Type: lb.RulePath, CompareType: lb.CompareRegex, Value: s}) == nil
	}
	for _, s := range []string{
		"jpg|png", "/images*", "^/(api|v[0-9]+)/", `\.(?:jpe?g|png)$`, "(?i)abc", "(?i:a)b", "(?!admin)", "(?<=ab|cd)e", "(?<!a)b", "(a)\\1", "(?P<x>a)(?P=x)", "a{2,3}?", "a++", "{", "a{,3}", "[]a]", "[^]]", "[a-f\\d_-]", "[[:alpha:]]", "\\x41\\0\\.", "ä", "(?#c)a", "(a)(?(1)b|c)", "", // the last is no value at all
	} {
		if !takes(s) && s != "" {
			t.Errorf("%q is refused", s)
		}
	}
	for _, s := range []string{
		"(", ")", "a)", "(a", "[", "[a", "[]", "[z-a]", "[a-\\d]", "*", "a**", "a{3,2}", "a{99999}", "+a", "a|*", "\\", "[\\", "\\q", "\\x4", "\\10", "(?", "(?z)", "(?x)a b", "a(?i)b", "(?P<1>a)", "(?P<a>b)(?P<a>c)", "(?P=no)", "\\2(a)", "(?<=a*)b", "^*", "\\b+", "(*UTF)a", "(?R)", "\\Qa\\E", "[[:no:]]", "[:alpha:]", "(?#c", "(?(1)a|b|c)(d)", "(?(9)a)", "ä+", "[ä]",
		strings.Repeat("(", 101) + strings.Repeat(")", 101),
	} {
		if takes(s) {
			t.Errorf("%q is taken", s)
		}
	}
}
