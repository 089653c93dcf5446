package haproxy_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"colonnade/internal/amphora"
	"colonnade/internal/amphora/haproxy"
	"colonnade/internal/lb"
)

// l7Strings are all strings of tenants in policies and rules.
var l7Strings = []struct {
	name string
	put  func(p *amphora.L7Policy, s string)
}{
	{"policy id", func(p *amphora.L7Policy, s string) { p.ID = s }},
	{"action", func(p *amphora.L7Policy, s string) { p.Action = s }},
	{"url", func(p *amphora.L7Policy, s string) { p.Action, p.RedirectURL = lb.ActionRedirectURL, s }},
	{"url behind a host", func(p *amphora.L7Policy, s string) { p.Action, p.RedirectURL = lb.ActionRedirectURL, "http://h/"+s }},
	{"prefix", func(p *amphora.L7Policy, s string) { p.Action, p.RedirectPrefix = lb.ActionRedirectPrefix, s }},
	{"prefix behind a host", func(p *amphora.L7Policy, s string) {
		p.Action, p.RedirectPrefix = lb.ActionRedirectPrefix, "https://h:1/?"+s
	}},
	{"pool", func(p *amphora.L7Policy, s string) { p.Action, p.RedirectPoolID = lb.ActionRedirectPool, s }},
	{"rule id", func(p *amphora.L7Policy, s string) { p.Rules[0].ID = s }},
	{"type", func(p *amphora.L7Policy, s string) { p.Rules[0].Type = s }},
	{"compare type", func(p *amphora.L7Policy, s string) { p.Rules[0].CompareType = s }},
	{"host", func(p *amphora.L7Policy, s string) { p.Rules[0].Type, p.Rules[0].Value = lb.RuleHostName, s }},
	{"path", func(p *amphora.L7Policy, s string) { p.Rules[0].Value = s }},
	{"path with a key", func(p *amphora.L7Policy, s string) { p.Rules[0].Key = s }},
	{"file type", func(p *amphora.L7Policy, s string) { p.Rules[0].Type, p.Rules[0].Value = lb.RuleFileType, s }},
	{"header", func(p *amphora.L7Policy, s string) {
		p.Rules[0].Type, p.Rules[0].Key, p.Rules[0].Value = lb.RuleHeader, "k", s
	}},
	{"header name", func(p *amphora.L7Policy, s string) { p.Rules[0].Type, p.Rules[0].Key = lb.RuleHeader, s }},
	{"cookie", func(p *amphora.L7Policy, s string) {
		p.Rules[0].Type, p.Rules[0].Key, p.Rules[0].Value = lb.RuleCookie, "k", s
	}},
	{"cookie name", func(p *amphora.L7Policy, s string) { p.Rules[0].Type, p.Rules[0].Key = lb.RuleCookie, s }},
	{"certificate", func(p *amphora.L7Policy, s string) { p.Rules[0].Type, p.Rules[0].Value = lb.RuleHasCert, s }},
	{"verify result", func(p *amphora.L7Policy, s string) { p.Rules[0].Type, p.Rules[0].Value = lb.RuleVerifyResult, s }},
	{"DN", func(p *amphora.L7Policy, s string) {
		p.Rules[0].Type, p.Rules[0].Key, p.Rules[0].Value = lb.RuleDNField, "O", s
	}},
	{"DN field", func(p *amphora.L7Policy, s string) { p.Rules[0].Type, p.Rules[0].Key = lb.RuleDNField, s }},
	{"regex", func(p *amphora.L7Policy, s string) { p.Rules[0].CompareType, p.Rules[0].Value = lb.CompareRegex, s }},
}

func withString(i int, s string) amphora.Desired {
	p := reject(1, lb.RulePath, lb.CompareEqualTo, "", "/")
	l7Strings[i].put(&p, s)
	return withPolicies(p)
}

// lines are the first words of a file's lines.
func lines(text string) (out []string) {
	for _, line := range strings.Split(text, "\n") {
		word, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		out = append(out, word)
	}
	return out
}

// No control character and no line end gets anywhere, whatever the field.
func TestHostileStringsOfPolicies(t *testing.T) {
	for i, f := range l7Strings {
		for _, s := range []string{"a\nglobal", "/a\r", "a\x00b", "\x1b[31m", "a\x7fb", "a\u0085b", "\t", "http://a/\nb", "http://a b/"} {
			if strings.HasPrefix(s, "http") && (strings.Contains(f.name, "behind") || !strings.Contains(s, "\n") && (f.name == "regex" || f.name == "DN")) {
				continue
			}
			if f.name == "path with a key" && !strings.ContainsAny(s, "\r\n") {
				continue // kept as Octavia keeps it, and rendered nowhere
			}
			text, err := haproxy.Render(withString(i, s), settings)
			var refused *amphora.RefusedError
			if err == nil || !errors.As(err, &refused) {
				t.Errorf("%s = %q was rendered: %v\n%s", f.name, s, err, text)
			}
		}
	}
}

// FuzzPolicies: whatever is not refused is one word in one place, so the file has the lines it has with a harmless string,
// and HAProxy takes it, or finds fault with that very rule.
func FuzzPolicies(f *testing.F) {
	for i := range l7Strings {
		for _, s := range append(slices.Clone(hostile), "/a", "a'b\\'c", "-f", "--", `"a b"`, `"`, "(a|b)[c-d]\\d+$", "true", "7", "O", "http://a.example/%20{%[src]}", poolA, ruleID(5), lb.RulePath, lb.CompareRegex, "ä", "é{2}") {
			f.Add(i, s)
		}
	}
	f.Fuzz(func(t *testing.T, i int, s string) {
		if i < 0 || i >= len(l7Strings) {
			t.Skip()
		}
		text, err := haproxy.Render(withString(i, s), settings)
		if err != nil {
			return
		}
		for _, r := range text {
			if r < ' ' && r != '\n' || r > '~' {
				t.Fatalf("%s = %q put %q into the file", l7Strings[i].name, s, r)
			}
		}
		harmless := reject(1, lb.RulePath, lb.CompareEqualTo, "", "/")
		if l7Strings[i].name == "pool" {
			harmless.Action, harmless.RedirectPoolID = lb.ActionRedirectPool, poolA
		}
		want, err := haproxy.Render(withPolicies(harmless), settings)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(lines(text), lines(want)) {
			t.Fatalf("%s = %q changed the file's lines:\n%s", l7Strings[i].name, s, text)
		}
		err = checkWithHAProxy(t, text)
		var refused *amphora.RefusedError
		if l7Strings[i].name == "regex" && errors.As(err, &refused) && refused.Problems[0].ObjectID == ruleID(1) {
			return // more than PCRE2 compiles; the rule ends in ERROR
		}
		if err != nil {
			t.Fatalf("%s = %q: haproxy -c: %v\n%s", l7Strings[i].name, s, err, text)
		}
	})
}

// The regular expressions that the API takes are PCRE2's, too: HAProxy takes all of them.
func TestAcceptedRegexesCompile(t *testing.T) {
	piece := rapid.OneOf(
		rapid.SampledFrom([]string{
			"a", "b", ".", "^", "$", "|", "(", ")", "(?:", "(?=", "(?!", "(?<=", "(?<!", "(?>", "(?P<n>", "(?P<m>", "(?P=n)", "(?i)", "(?i:", "(?-s:", "(?#c)", "(?(1)", "(?(n)",
			"[", "]", "[^", "[a-z]", "[]-]", "[[:alpha:]]", "[[:^digit:]x]", "[\\d-]", "-", "\\d", "\\W", "\\b", "\\B", "\\A", "\\Z", "(a)", "(b|c)", "\\1", "\\1", "\\2", "\\0", "\\x41", "\\x4", "\\.", "\\\\", "\\", "\\-",
			"*", "+", "?", "{2}", "{2,}", "{1,3}", "{3,1}", "{,3}", "{", "}", "*?", "++", "ä", "'", `"`, " ", "#", "%", "-f",
		}),
		rapid.StringMatching(`[ -~]{1,2}`),
	)
	rapid.Check(t, func(rt *rapid.T) {
		var rules []amphora.L7Rule
		for range 150 {
			value := strings.Join(rapid.SliceOfN(piece, 1, 7).Draw(rt, "regex"), "")
			r := amphora.L7Rule{ID: ruleID(len(rules)), Type: lb.RulePath, CompareType: lb.CompareRegex, Value: value}
			if len(value) <= 255 && lb.ValidateL7Rule(lb.L7Rule{Type: r.Type, CompareType: r.CompareType, Value: value}) == nil {
				rules = append(rules, r)
			}
		}
		var policies []amphora.L7Policy
		for chunk := range slices.Chunk(rules, lb.MostL7Rules) {
			policies = append(policies, amphora.L7Policy{ID: policyID(len(policies)), Action: lb.ActionReject, Rules: chunk})
		}
		text, err := haproxy.Render(withPolicies(policies...), settings)
		if err != nil {
			rt.Fatal(err)
		}
		var refused *amphora.RefusedError
		if err := checkWithHAProxy(t, text); errors.As(err, &refused) {
			for _, p := range refused.Problems {
				for _, r := range rules {
					if r.ID == p.ObjectID {
						rt.Errorf("%q: %s", r.Value, p.Reason)
					}
				}
			}
			rt.Fatalf("%d of %d", len(refused.Problems), len(rules))
		} else if err != nil {
			rt.Fatal(err)
		}
	})
}
