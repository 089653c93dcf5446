package haproxy_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"colonnade/internal/amphora"
	"colonnade/internal/amphora/haproxy"
	"colonnade/internal/lb"
)

func policyID(n int) string { return fmt.Sprintf("77777777-0000-4000-8000-%012d", n) }

func ruleID(n int) string { return fmt.Sprintf("88888888-0000-4000-8000-%012d", n) }

// reject is a policy with one rule, both numbered.
func reject(n int, kind, compare, key, value string) amphora.L7Policy {
	return amphora.L7Policy{ID: policyID(n), Action: lb.ActionReject, Rules: []amphora.L7Rule{
		{ID: ruleID(n), Type: kind, CompareType: compare, Key: key, Value: value},
	}}
}

func withPolicies(policies ...amphora.L7Policy) amphora.Desired {
	return edit(func(d *amphora.Desired) { d.Listeners[0].L7Policies = policies })
}

// asked is one answer of the load balancer.
type asked struct {
	status   int
	location string
	by       string // the member
}

// ask makes one request; headers come in pairs, "Host" among them.
func (w *world) ask(target string, headers ...string) asked {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, "http://198.18.1.100"+target, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			r.Host = headers[i+1]
			continue
		}
		r.Header.Add(headers[i], headers[i+1])
	}
	client := http.Client{
		Transport:     &http.Transport{DialContext: w.dial, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	res, err := client.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	a := asked{status: res.StatusCode, location: res.Header.Get("Location")}
	if a.status == http.StatusOK {
		a.by = string(body)
	}
	return a
}

// Each type with each comparison it has, by requests that match and requests that do not.
func TestRulesMatch(t *testing.T) {
	const host, header, cookie, none = "Host", "X-Key", "Cookie", ""
	type request struct{ header, value string } // header "" is the path
	cases := []struct {
		kind, compare, key, value string
		yes, no                   []request
	}{
		{lb.RuleHostName, lb.CompareEqualTo, "", "Shop.example", []request{{host, "shop.example"}, {host, "SHOP.EXAMPLE"}}, []request{{host, "a.shop.example"}, {host, "shop.example.org"}}},
		{lb.RuleHostName, lb.CompareStartsWith, "", "www.", []request{{host, "WWW.shop"}}, []request{{host, "a.www."}}},
		{lb.RuleHostName, lb.CompareEndsWith, "", ".example", []request{{host, "a.example"}}, []request{{host, "a.example.org"}}},
		{lb.RuleHostName, lb.CompareContains, "", "shop", []request{{host, "www.SHOP.x"}}, []request{{host, "sho.p"}}},
		{lb.RuleHostName, lb.CompareRegex, "", `^(www|api)\d+\.example$`, []request{{host, "www1.example"}, {host, "API22.example"}}, []request{{host, "www.example"}, {host, "xwww1.example"}}},
		{lb.RulePath, lb.CompareEqualTo, "", "/a", []request{{none, "/a"}, {none, "/a?b"}}, []request{{none, "/A"}, {none, "/a/"}}},
		{lb.RulePath, lb.CompareStartsWith, "", "/api", []request{{none, "/api/v1"}}, []request{{none, "/v1/api"}}},
		{lb.RulePath, lb.CompareEndsWith, "", "/end", []request{{none, "/an/end?x=1"}}, []request{{none, "/end/"}}},
		{lb.RulePath, lb.CompareContains, "", "'q'", []request{{none, "/x'q'y"}}, []request{{none, "/xqy"}}},
		{lb.RulePath, lb.CompareContains, "", "-f", []request{{none, "/-f"}}, []request{{none, "/f"}}},
		{lb.RulePath, lb.CompareRegex, "", `^/(?!admin)[a-z]{3,}/(?<=x/)\d`, []request{{none, "/fox/1"}}, []request{{none, "/admin/1"}, {none, "/foo/1"}}},
		{lb.RulePath, lb.CompareRegex, "", `^/(.)x\1$`, []request{{none, "/axa"}}, []request{{none, "/axb"}}},
		{lb.RulePath, lb.CompareRegex, "", `^/(?P<q>.)x(?P=q)(?:(z)|y)(?(2)1|2)$`, []request{{none, "/axaz1"}, {none, "/axay2"}}, []request{{none, "/axaz2"}, {none, "/axby2"}}},
		{lb.RuleFileType, lb.CompareEqualTo, "", "jpg", []request{{none, "/a/b.jpg?c=.png"}}, []request{{none, "/jpg/a"}, {none, "/a.JPG"}}},
		{lb.RuleFileType, lb.CompareRegex, "", `\.(jpe?g|png)$`, []request{{none, "/a.jpeg"}, {none, "/a.png?x"}}, []request{{none, "/a.png.txt"}}},
		{lb.RuleHeader, lb.CompareEqualTo, header, "v1", []request{{header, "v1"}}, []request{{header, "V1"}, {none, "/"}}},
		{lb.RuleHeader, lb.CompareEqualTo, header, `"two words \ %"`, []request{{header, `two words \ %`}}, []request{{header, "two"}}},
		{lb.RuleHeader, lb.CompareStartsWith, header, "v", []request{{header, "vx"}}, []request{{header, "xv"}}},
		{lb.RuleHeader, lb.CompareEndsWith, header, "x", []request{{header, "vx"}}, []request{{header, "xv"}}},
		{lb.RuleHeader, lb.CompareContains, header, `a"b`, []request{{header, `xa"by`}}, []request{{header, "ab"}}},
		{lb.RuleHeader, lb.CompareRegex, header, `^a b\tc$|^[^[:alpha:]]+#$`, []request{{header, "a b\tc"}, {header, "12#"}}, []request{{header, "a b c"}, {header, "1a#"}}},
		{lb.RuleHeader, lb.CompareRegex, header, "^ä.b'$", []request{{header, "äxb'"}}, []request{{header, "axb'"}}},
		{lb.RuleHeader, lb.CompareEqualTo, "X-It's!#$%&*+.^_`|~", "v", []request{{"X-It's!#$%&*+.^_`|~", "v"}}, []request{{header, "v"}}},
		{lb.RuleCookie, lb.CompareEqualTo, "id", "$HOME", []request{{cookie, "a=b; id=$HOME"}}, []request{{cookie, "id=$HOMER"}, {cookie, "jd=$HOME"}}},
		{lb.RuleCookie, lb.CompareStartsWith, "id", "a", []request{{cookie, "id=ab"}}, []request{{cookie, "id=ba"}}},
		{lb.RuleCookie, lb.CompareEndsWith, "id", "a", []request{{cookie, "id=ba"}}, []request{{cookie, "id=ab"}}},
		{lb.RuleCookie, lb.CompareContains, "id", "=", []request{{cookie, "id=a=b"}}, []request{{cookie, "id=ab"}}},
		{lb.RuleCookie, lb.CompareRegex, "id", `^\d+$`, []request{{cookie, "id=12"}}, []request{{cookie, "id=1a"}}},
		{lb.RuleHasCert, lb.CompareEqualTo, "", "tRuE", nil, []request{{none, "/"}}},
		{lb.RuleVerifyResult, lb.CompareEqualTo, "", "0", nil, []request{{none, "/"}}},
		{lb.RuleDNField, lb.CompareStartsWith, "st-1", "a", nil, []request{{none, "/"}}},
		{lb.RuleDNField, lb.CompareRegex, "O", "^Ä b$", nil, []request{{none, "/"}}},
	}
	w := newWorld(t, 1)
	var policies []amphora.L7Policy
	for i, c := range cases {
		for _, invert := range []int{0, 1} { // the first rule lets one case through, whole and inverted
			n := 2*i + invert + 1
			p := reject(n, c.kind, c.compare, c.key, c.value)
			p.Rules[0].Invert = invert == 1
			p.Action, p.RedirectURL = lb.ActionRedirectURL, fmt.Sprintf("http://case/%d", n)
			p.Rules = append(p.Rules, amphora.L7Rule{ID: ruleID(1000 + n), Type: lb.RuleHeader, CompareType: lb.CompareEqualTo, Key: "X-Case", Value: fmt.Sprint(n)})
			policies = append(policies, p)
		}
	}
	d := withPolicies(policies...)
	d.Pools[0].Members = d.Pools[0].Members[:1]
	w.apply(d)
	for i, c := range cases {
		for _, matches := range []bool{true, false} {
			requests := c.yes
			if !matches {
				requests = c.no
			}
			for _, r := range requests {
				for _, invert := range []int{0, 1} {
					n := 2*i + invert + 1
					target, headers := "/", []string{"X-Case", fmt.Sprint(n)}
					if r.header == none {
						target = r.value
					} else {
						headers = append(headers, r.header, r.value)
					}
					want := asked{status: 200, by: "1"}
					if matches != (invert == 1) {
						want = asked{status: 302, location: fmt.Sprintf("http://case/%d", n)}
					}
					if got := w.ask(target, headers...); got != want {
						t.Errorf("%s %s %q %q, inverted %d: %s %q: %+v, want %+v", c.kind, c.compare, c.key, c.value, invert, r.header, r.value, got, want)
					}
				}
			}
		}
	}
}

func TestActions(t *testing.T) {
	onPath := func(n int, path string) amphora.L7Policy {
		return reject(n, lb.RulePath, lb.CompareStartsWith, "", path)
	}
	with := func(p amphora.L7Policy, change func(*amphora.L7Policy)) amphora.L7Policy { change(&p); return p }
	url := func(to string, code int) func(*amphora.L7Policy) {
		return func(p *amphora.L7Policy) {
			p.Action, p.RedirectURL, p.RedirectHTTPCode = lb.ActionRedirectURL, to, code
		}
	}
	prefix := func(to string, code int) func(*amphora.L7Policy) {
		return func(p *amphora.L7Policy) {
			p.Action, p.RedirectPrefix, p.RedirectHTTPCode = lb.ActionRedirectPrefix, to, code
		}
	}
	pool := func(id string) func(*amphora.L7Policy) {
		return func(p *amphora.L7Policy) { p.Action, p.RedirectPoolID = lb.ActionRedirectPool, id }
	}
	two := func(d *amphora.Desired) {
		d.Pools[0].Members = []amphora.Member{member(1)}
		d.Pools = append(d.Pools, amphora.Pool{ID: poolB, Protocol: lb.ProtocolHTTP, Algorithm: lb.RoundRobin, Members: []amphora.Member{member(2)}})
		d.Listeners[0].L7Policies = []amphora.L7Policy{
			with(onPath(1, "/b"), pool(poolB)),
			with(onPath(2, "/b/no/pool"), func(p *amphora.L7Policy) {}),
			with(onPath(3, "/b/url"), url("https://[2001:db8::1]:8443/it's?a=%20b%zz&c=100%#$HOME", 0)),
			with(onPath(4, "/u"), url("http://u.example/é{x}\"\\", 308)),
			with(onPath(5, "/p"), prefix("https://p.example/%5Bnew", 301)),
			with(onPath(6, "/b/url"), prefix("http://never", 301)),
			with(onPath(7, "/a"), pool(poolA)),
		}
	}
	w := newWorld(t, 2)
	d := edit(two)
	w.apply(d)
	for _, c := range []struct {
		target string
		want   asked
	}{
		{"/", asked{status: 200, by: "1"}},
		{"/a", asked{status: 200, by: "1"}},
		{"/b", asked{status: 200, by: "2"}},
		{"/b/no/pool", asked{status: 403}}, // a REJECT holds, whatever stands before it
		{"/b/url", asked{status: 302, location: "https://[2001:db8::1]:8443/it's?a=%20b%25zz&c=100%25#$HOME"}},
		{"/u", asked{status: 308, location: "http://u.example/%C3%A9%7Bx%7D%22%5C"}},
		{"/p/q?r=%20", asked{status: 301, location: "https://p.example/%5Bnew/p/q?r=%20"}},
	} {
		if got := w.ask(c.target); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.target, got, c.want)
		}
	}

	t.Run("members of a redirect pool change without a reload", func(t *testing.T) {
		next := edit(two)
		moved := member(3)
		moved.Address = "198.18.2.1"
		next.Pools[1].Members = []amphora.Member{moved}
		_, before := w.b.Counts()
		w.apply(next)
		if got := w.ask("/b"); got != (asked{status: 200, by: "1"}) {
			t.Errorf("%+v", got)
		}
		if _, after := w.b.Counts(); after != before {
			t.Errorf("%d reloads, %d before", after, before)
		}
	})
	t.Run("policies go, move and come by reloads that lose nothing", func(t *testing.T) {
		stop := w.load()
		for i := range 6 {
			next := edit(two)
			ps := next.Listeners[0].L7Policies
			ps[0], ps[6] = ps[6], ps[0]
			next.Listeners[0].L7Policies = ps[i:]
			w.apply(next)
		}
		good, bad := stop()
		if len(bad) > 0 {
			t.Errorf("%d of %d failed: %v", len(bad), good, bad[0])
		}
		if got := w.ask("/b/url"); got != (asked{status: 301, location: "http://never/b/url"}) {
			t.Errorf("%+v", got)
		}
	})
	t.Run("a pool by policies alone", func(t *testing.T) {
		next := edit(two)
		next.Listeners[0].DefaultPoolID = ""
		next.Listeners[0].L7Policies = next.Listeners[0].L7Policies[:1]
		next.Pools = next.Pools[1:]
		w.apply(next)
		if got := w.ask("/"); got != (asked{status: 503}) {
			t.Errorf("%+v", got)
		}
		if got := w.ask("/b"); got != (asked{status: 200, by: "2"}) {
			t.Errorf("%+v", got)
		}
	})
}

// What HAProxy refuses is its rule's or policy's fault, and what ran goes on running.
func TestRefusedRuleIsNamed(t *testing.T) {
	w := newWorld(t, 1)
	good := withPolicies(reject(1, lb.RulePath, lb.CompareEqualTo, "", "/no"))
	good.Pools[0].Members = good.Pools[0].Members[:1]
	w.apply(good)
	bad := withPolicies(
		reject(1, lb.RulePath, lb.CompareEqualTo, "", "/no"),
		// Within the grammar, and more than PCRE2 compiles.
		reject(2, lb.RulePath, lb.CompareRegex, "", "((((((a{1000}){1000}){1000}))))"),
		reject(3, lb.RulePath, lb.CompareEqualTo, "", "/yes"),
	)
	err := w.b.Apply(t.Context(), bad, ready)
	var refused *amphora.RefusedError
	if !errors.As(err, &refused) {
		t.Fatal(err)
	}
	if p := refused.Problems[0]; p.ObjectType != "l7rule" || p.ObjectID != ruleID(2) || !strings.Contains(p.Reason, "regular expression") {
		t.Errorf("%+v", refused.Problems)
	}
	if got := w.ask("/no"); got != (asked{status: 403}) {
		t.Errorf("%+v", got)
	}
}

func TestLinesOfPoliciesNameThem(t *testing.T) {
	text, err := haproxy.Render(withPolicies(reject(1, lb.RulePath, lb.CompareEqualTo, "", "/a"), reject(2, lb.RulePath, lb.CompareEqualTo, "", "/b")), settings)
	if err != nil {
		t.Fatal(err)
	}
	var got []haproxy.Object
	for i, line := range strings.Split(text, "\n") {
		if strings.Contains(line, "acl ") || strings.Contains(line, "http-request") || strings.Contains(line, "# pool") {
			got = append(got, haproxy.ObjectAt(text, i+1))
		}
	}
	want := []haproxy.Object{
		{Type: "l7rule", ID: ruleID(1)},
		{Type: "l7policy", ID: policyID(1)},
		{Type: "l7rule", ID: ruleID(2)},
		{Type: "l7policy", ID: policyID(2)},
		{Type: "pool", ID: poolA},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}
