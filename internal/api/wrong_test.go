package api_test

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// place is where an object stands in a request.
type place struct {
	name     string
	argument string // as faults call it
	field    string // the field the object is the value of
	fields   []field
	creating bool
	alone    bool // not inside another object
	base     map[string]any
	send     func(object string) answer
}

// with writes the base object with one field set to raw JSON, or without it when raw is "".
func (p place) with(name, raw string) string {
	object := map[string]json.RawMessage{}
	for n, v := range p.base {
		b, _ := json.Marshal(v)
		object[n] = b
	}
	delete(object, name)
	var b strings.Builder
	b.WriteByte('{')
	for n, v := range object {
		fmt.Fprintf(&b, "%s:%s,", quoted(n), v)
	}
	if raw != "" {
		fmt.Fprintf(&b, "%s:%s,", quoted(name), raw)
	}
	return strings.TrimSuffix(b.String(), ",") + "}"
}

// bases are objects that are valid by themselves.
var bases = map[string]map[string]any{
	"loadbalancer":              {"vip_subnet_id": subnetID},
	"additional_vip":            {"subnet_id": subnetID},
	"listener":                  {"protocol": "HTTP", "protocol_port": 81},
	"pool":                      {"name": "p", "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN"},
	"member":                    {"address": "198.18.10.77", "protocol_port": 80},
	"healthmonitor":             {"type": "HTTP", "delay": 1, "timeout": 1, "max_retries": 1, "http_version": 1.1},
	"session_persistence":       {"type": "APP_COOKIE", "cookie_name": "c"},
	"flavorprofile":             {"name": "gold", "provider_name": "amphora", "flavor_data": "{}"},
	"availability_zone_profile": {"name": "here", "provider_name": "amphora", "availability_zone_data": "{}"},
	"l7policy":                  {"action": "REJECT"},
	"rule":                      {"type": "HEADER", "compare_type": "EQUAL_TO", "key": "k", "value": "v"},
}

func plus(base map[string]any, name string, v any) map[string]any {
	out := maps.Clone(base)
	out[name] = v
	return out
}

// places are all objects of all requests: the outermost ones and, at every depth, those inside.
func places(t *testing.T, l *lab) []place {
	t.Helper()
	table := parseFields(t)
	lbID, listenerID, poolID, memberID, monitorID := l.balancer()
	// A pool without a monitor.
	freeID := l.must(201, "POST", "/v2.0/lbaas/pools", `{"pool":{"protocol":"HTTP","lb_algorithm":"ROUND_ROBIN","loadbalancer_id":"`+lbID+`"}}`).id(t, "pool")
	l.settle(lbID)
	flavorProfile, flavor := l.flavor("gold", "{}")
	zoneProfile := l.zone("east", "{}")
	policyID := l.must(201, "POST", "/v2.0/lbaas/l7policies", `{"l7policy":{"listener_id":"`+listenerID+`","action":"REJECT","rules":[{"type":"HEADER","compare_type":"EQUAL_TO","key":"k","value":"v"}]}}`).id(t, "l7policy")
	l.settle(lbID)
	ruleID := l.must(200, "GET", "/v2.0/lbaas/l7policies/"+policyID+"/rules", "").id(t, "rules.0")
	send := func(method, path, before, after string) func(string) answer {
		return func(object string) answer { return l.do(method, path, before+object+after) }
	}
	const lbaas = "/v2.0/lbaas/"
	members := lbaas + "pools/" + poolID + "/members"
	roots := []struct {
		resource, argument, method, path string
		base                             map[string]any
		batch                            bool
	}{
		{"loadbalancer", "load_balancer", "POST", lbaas + "loadbalancers", bases["loadbalancer"], false},
		{"loadbalancer", "load_balancer", "PUT", lbaas + "loadbalancers/" + lbID, map[string]any{}, false},
		{"listener", "listener_", "POST", lbaas + "listeners", plus(bases["listener"], "loadbalancer_id", lbID), false},
		{"listener", "listener_", "PUT", lbaas + "listeners/" + listenerID, map[string]any{}, false},
		{"pool", "pool_", "POST", lbaas + "pools", plus(bases["pool"], "loadbalancer_id", lbID), false},
		{"pool", "pool_", "PUT", lbaas + "pools/" + poolID, map[string]any{}, false},
		{"member", "member_", "POST", members, bases["member"], false},
		{"member", "member_", "PUT", members + "/" + memberID, map[string]any{}, false},
		{"member", "members_", "PUT", members, bases["member"], true},
		{"l7policy", "l7policy_", "POST", lbaas + "l7policies", plus(bases["l7policy"], "listener_id", listenerID), false},
		{"l7policy", "l7policy_", "PUT", lbaas + "l7policies/" + policyID, map[string]any{}, false},
		{"rule", "rule_", "POST", lbaas + "l7policies/" + policyID + "/rules", bases["rule"], false},
		{"rule", "l7rule_", "PUT", lbaas + "l7policies/" + policyID + "/rules/" + ruleID, map[string]any{}, false},
		{"healthmonitor", "health_monitor_", "POST", lbaas + "healthmonitors", plus(bases["healthmonitor"], "pool_id", freeID), false},
		{"healthmonitor", "health_monitor_", "PUT", lbaas + "healthmonitors/" + monitorID, map[string]any{"http_version": 1.1}, false},
		{"flavor", "flavor_", "POST", lbaas + "flavors", map[string]any{"name": "other", "flavor_profile_id": flavorProfile}, false},
		{"flavor", "flavor_", "PUT", lbaas + "flavors/" + flavor, map[string]any{}, false},
		{"flavorprofile", "flavor_profile_", "POST", lbaas + "flavorprofiles", bases["flavorprofile"], false},
		{"flavorprofile", "flavor_profile_", "PUT", lbaas + "flavorprofiles/" + flavorProfile, map[string]any{}, false},
		{"availability_zone", "availability_zone_", "POST", lbaas + "availabilityzones", map[string]any{"name": "other", "availability_zone_profile_id": zoneProfile}, false},
		{"availability_zone", "availability_zone_", "PUT", lbaas + "availabilityzones/east", map[string]any{}, false},
		{"availability_zone_profile", "availability_zone_profile_", "POST", lbaas + "availabilityzoneprofiles", bases["availability_zone_profile"], false},
		{"availability_zone_profile", "availability_zone_profile_", "PUT", lbaas + "availabilityzoneprofiles/" + zoneProfile, map[string]any{}, false},
	}
	var out []place
	for _, r := range roots {
		p := place{
			name: r.method + " " + r.resource, argument: r.argument + "." + r.resource, field: r.resource, base: r.base,
			creating: r.method == "POST" || r.batch, alone: true, send: send(r.method, r.path, `{"`+r.resource+`":`, `}`),
		}
		if r.batch {
			p.name, p.argument, p.field = "batch", "members_.members", "members"
			p.send = send("PUT", r.path, `{"members":[{"address":"198.18.10.78","protocol_port":80},`, `]}`)
		}
		for _, f := range table[r.resource] {
			if p.creating && f.create || !p.creating && f.update {
				p.fields = append(p.fields, f)
			}
		}
		out = inside(out, p, table)
	}
	return out
}

// inside adds a place and those inside it.
func inside(out []place, p place, table map[string][]field) []place {
	out = append(out, p)
	for _, f := range p.fields {
		if f.nested == "" {
			continue
		}
		child := place{
			name: p.name + "." + f.name, argument: p.argument + "." + f.name, field: f.name, fields: table[f.nested], creating: true,
			base: bases[f.nested],
		}
		child.fields = slices.DeleteFunc(slices.Clone(child.fields), func(f field) bool { return !f.create })
		child.send = func(object string) answer {
			if f.list {
				object = "[" + object + "]"
			}
			return p.send(p.with(f.name, object))
		}
		out = inside(out, child, table)
	}
	return out
}

// wrong is one thing that no field takes.
type wrong struct {
	what, raw string
	status    int
	text      string // all of the faultstring, or with … at its end the beginning
}

// jsonTypes are a value of each type of JSON.
var jsonTypes = map[string]string{"string": `"x y"`, "integer": `7`, "fraction": `1.5`, "boolean": `true`, "list": `[1]`, "object": `{"a":1}`}

// hostile are strings that try to be more than text.
var hostile = []string{
	"a\nb", "a\rb", "a\tb", `a"b`, "a'b", `a\b`, "a b", "%n%s", "%00", "' OR 1=1 --", "$(id)", "`id`", "{{7*7}}", "../../etc/passwd", "\x1b[31m", "\x7f",
	"a\u202eb", "\ufeffa", "a\u200bb", "\uff21\uff22", "\uff11", "e\u0301", "\U0001f4a9", "\u2028", "",
}

func quoted(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}

func invalid(field, shown, reason string) string {
	return fmt.Sprintf("Invalid input for field/attribute %s. Value: '%s'. %s", field, shown, reason)
}

// wrongs are all wrong values of one field at one place.
func (p place) wrongs(t *testing.T, f field) []wrong {
	const mandatory = "Mandatory field missing."
	var out []wrong
	add := func(what, raw, shown, reason string) {
		out = append(out, wrong{what, raw, 400, invalid(f.name, shown, reason)})
	}
	if p.creating && (f.mandatory || f.alone && (p.alone || f.name == "protocol" || f.name == "lb_algorithm")) {
		text := invalid(f.name, "None", mandatory)
		out = append(out, wrong{"missing", "", 400, text}, wrong{"null", "null", 400, text})
	}
	if !p.creating && f.nulled == "400" {
		out = append(out, wrong{"null", "null", 400, "…"})
	}
	types := func(reason string, fitting ...string) {
		for name, raw := range jsonTypes {
			if !slices.Contains(fitting, name) {
				shown := strings.Trim(raw, `"`)
				add("a "+name, raw, shown, reason)
			}
		}
	}
	semantic := func(what, raw string) {
		out = append(out, wrong{what, raw, 400, "…"})
	}
	oneOf := "Value should be one of: " + strings.Join(f.args, ", ")
	unquoted := func(reason string) {
		types("Value should be string", "string")
		add("other text", `"x y"`, "x y", reason)
		for _, s := range hostile {
			add(fmt.Sprintf("hostile %q", s), quoted(s), s, reason)
		}
	}
	switch f.kind {
	case "text":
		types("Value should be string", "string")
		add("too long", quoted(strings.Repeat("é", number(t, f.most)+1)), strings.Repeat("é", number(t, f.most)+1), "Value should have a maximum character requirement of "+f.most)
		if f.least != "" {
			add("too short", `""`, "", "Value should have a minimum character requirement of "+f.least)
		}
	case "uuid":
		unquoted("Value should be UUID format")
		for _, s := range []string{"{" + netID + "}", "urn:uuid:" + netID, netID + "0", netID[1:]} {
			add("uuid "+s, quoted(s), s, "Value should be UUID format")
		}
	case "address":
		unquoted("Value should be IPv4 or IPv6 format")
		for _, s := range []string{"1.2.3", "1.2.3.256", "01.2.3.4", "1.2.3.4/8", "fe80::1%eth0", "::g", "0x7f.1"} {
			add("address "+s, quoted(s), s, "Value should be IPv4 or IPv6 format")
		}
	case "code":
		types("Value should be an integer", "integer")
		for _, raw := range []string{"0", "300", "1", "-302"} {
			add("code "+raw, raw, raw, oneOf)
		}
	case "word":
		unquoted(oneOf)
		add("unknown word", `"http"`, "http", oneOf)
	case "whole":
		types("Value should be an integer", "integer")
		for _, s := range hostile {
			add(fmt.Sprintf("hostile %q", s), quoted(s), s, "Value should be an integer")
		}
		for _, s := range []string{"1e2", "-0.0", "99999999999999999999"} {
			add("number "+s, s, s, "Value should be an integer")
		}
		if f.least != "" {
			below := fmt.Sprint(number(t, f.least) - 1)
			add("below", below, below, "Value should be greater or equal to "+f.least)
		}
		most := "2147483647"
		if f.most != "" {
			most = f.most
		}
		above := fmt.Sprint(number(t, most) + 1)
		add("above", above, above, "Value should be lower or equal to "+most)
	case "truth":
		types("Value should be a boolean", "boolean")
		for _, s := range hostile {
			add(fmt.Sprintf("hostile %q", s), quoted(s), s, "Value should be a boolean")
		}
	case "number":
		for name, raw := range jsonTypes {
			if reason := "Value should be a number"; name != "fraction" && name != "integer" {
				add("a "+name, raw, strings.Trim(raw, `"`), reason)
			}
		}
		for _, raw := range []string{"2.0", "1", "1.15", "-1.1", "1e3"} {
			if raw != "1" { // 1 is 1.0
				add("number "+raw, raw, raw, oneOf)
			}
		}
		add("too great", "1e999", "1e999", "Value should be a number")
	case "texts", "uuids", "cidrs":
		types("Value should be a list", "list")
		add("list of numbers", `[1]`, "[1]", "Value should be string")
		add("list of null", `[null]`, "[None]", "Value should be string")
		add("list of lists", `[["a"]]`, `[['a']]`, "Value should be string")
		switch f.kind {
		case "texts":
			add("too long", `["a",`+quoted(strings.Repeat("a", number(t, f.most)+1))+`]`, "['a', '"+strings.Repeat("a", number(t, f.most)+1)+"']", "Value should have a maximum character requirement of "+f.most)
			add("NUL", `["a\u0000b"]`, `a\0b`, "Value should not contain NUL")
		case "uuids":
			add("no uuid", `["x"]`, "['x']", "Value should be UUID format")
		case "cidrs":
			for _, s := range append([]string{"10.0.0.0/33", "10.0.0.0/-1", "::/129", "fe80::1%eth0/64", "10.0.0.0/8/8"}, hostile...) {
				add("range "+s, `[`+quoted(s)+`]`, "['"+s+"']", "Value should be IPv4 or IPv6 CIDR format")
			}
		}
	case "map":
		types("Value should be an object", "object")
		add("number inside", `{"X-Forwarded-For":1}`, "1", "Value should be string")
		add("null inside", `{"X-Forwarded-For":null}`, "None", "Value should be string")
		add("too long", `{"X-Forwarded-For":"`+strings.Repeat("a", 256)+`"}`, strings.Repeat("a", 256), "Value should have a maximum character requirement of 255")
		for _, s := range hostile {
			semantic(fmt.Sprintf("hostile name %q", s), `{`+quoted(s)+`:"true"}`)
			semantic(fmt.Sprintf("hostile value %q", s), `{"X-Forwarded-For":`+quoted(s)+`}`)
		}
	case "nested":
		fitting, reason := "object", "Value should be an object"
		if f.list {
			fitting, reason = "list", "Value should be a list"
			add("list of numbers", `[1]`, "1", "Value should be an object")
			add("list of null", `[null]`, "None", "Value should be an object")
		}
		types(reason, fitting)
	}
	switch f.kind {
	case "text", "word", "uuid", "address":
		add("NUL", `"a\u0000b"`, `a\0b`, "Value should not contain NUL")
	}
	if f.grammar {
		for _, s := range hostile {
			if s == "" || f.name == "cookie_name" && strings.HasPrefix(s, "%") || f.name == "cookie_name" && s == "`id`" {
				continue // what may be there or not; tokens
			}
			if f.name == "value" && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) || f.name == "key" && (s == "`id`" || s == "a'b" || strings.HasPrefix(s, "%")) {
				continue // what headers have
			}
			semantic(fmt.Sprintf("hostile %q", s), quoted(s))
			if f.name == "url_path" && !strings.ContainsAny(s, "'./$") && s != "%00" {
				semantic(fmt.Sprintf("hostile %q", "/"+s), quoted("/"+s))
			}
		}
	}
	raw := `"x"`
	if f.kind == "texts" {
		raw = `["x"]`
	}
	if f.nonsense {
		semantic("nonsense", raw)
	}
	if f.absent {
		out = append(out, wrong{"an absent option", raw, 501, "Provider 'amphora' does not support a requested option: …"})
	}
	if f.kind != "nested" {
		out = append(
			out,
			wrong{"half a surrogate pair", `"\ud800"`, 400, "Request body is not valid JSON: …"},
			wrong{"no UTF-8", "\"\xff\"", 400, "Request body is not valid JSON: not UTF-8"},
			wrong{"1 MB", `"` + strings.Repeat("a", 1<<20) + `"`, 413, "request is too large"},
		)
	}
	return out
}

// counter counts the rows of all tables by one query.
func counter(t *testing.T, l *lab) func() string {
	t.Helper()
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(l.counts())) {
		parts = append(parts, fmt.Sprintf(`SELECT '%s' || count(*) AS n FROM "%s"`, name, name))
	}
	db, err := sql.Open("sqlite", "file:"+l.file+"?mode=ro&_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	counts, err := db.PrepareContext(t.Context(), "SELECT group_concat(n, ' ') FROM ("+strings.Join(parts, " UNION ALL ")+")")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = counts.Close() })
	return func() string {
		var s string
		if err := counts.QueryRowContext(t.Context()).Scan(&s); err != nil {
			t.Fatal(err)
		}
		return s
	}
}

// Each field of each object at each depth of each request, with everything that is wrong for it.
func TestEveryWrongInput(t *testing.T) {
	l := newLab(t, nil)
	all := places(t, l)
	counts := counter(t, l)
	before := counts()
	sent := 0
	for _, p := range all {
		t.Run(p.name, func(t *testing.T) {
			refused := func(what, object string, w wrong) {
				t.Helper()
				a := p.send(object)
				sent++
				if len(object) > 400 {
					object = object[:400] + "…"
				}
				if a.status != w.status {
					t.Errorf("%s: %d, want %d: %s: %.300s", what, a.status, w.status, object, a.body)
					return
				}
				got, _ := a.get(t, "faultstring").(string)
				beginning, open := strings.CutSuffix(w.text, "…")
				if got == "" || a.status == w.status && (!open && got != w.text || open && !strings.HasPrefix(got, beginning)) {
					t.Errorf("%s: faultstring %.300q, want %.300q: %s", what, got, w.text, object)
				}
				if now := counts(); now != before {
					t.Errorf("%s: rows differ: %s", what, cmp.Diff(before, now))
					before = now
				}
			}
			for _, f := range p.fields {
				for _, w := range p.wrongs(t, f) {
					refused(f.name+": "+w.what, p.with(f.name, w.raw), w)
				}
			}
			refused("unknown field", p.with("bogus", "1"), wrong{"", "", 400, "Unknown attribute for argument " + p.argument + ": bogus"})
			refused("hostile unknown field", p.with("a\n\x00", "1"), wrong{"", "", 400, "Unknown attribute for argument " + p.argument + ": …"})
			refused("id", p.with("id", `"`+strangerID+`"`), wrong{"", "", 400, "Unknown attribute for argument " + p.argument + ": id"})
			for name, raw := range jsonTypes {
				if name != "object" {
					refused("a "+name+" for the object", raw, wrong{"", "", 400, invalid(p.field, strings.Trim(raw, `"`), "Value should be an object")})
				}
			}
			for _, raw := range []string{"{", `{"name":"a","name":"b"}`, "{} {}", strings.Repeat("[", 20) + strings.Repeat("]", 20), "NaN", "'x'", "{,}"} {
				refused("broken JSON "+raw, raw, wrong{"", "", 400, "…"})
			}
		})
	}
	t.Logf("%d wrong requests at %d places", sent, len(all))
}

// What null does in an update, field by field.
func TestNullInUpdates(t *testing.T) {
	l := newLab(t, nil)
	all := places(t, l)
	lbID := l.must(200, "GET", "/v2.0/lbaas/loadbalancers", "").id(t, "loadbalancers.0")
	for _, p := range all {
		if p.creating || !p.alone {
			continue
		}
		root := p.field
		for _, f := range p.fields {
			// Something other than the default first, where there is such a thing.
			if slices.ContainsFunc(p.fields, func(f field) bool { return f.name == "tags" }) {
				if a := p.send(`{"tags":["t"]}`); a.status != 200 {
					t.Fatalf("%s: %d %s", p.name, a.status, a.body)
				}
			}
			l.settle(lbID)
			a := p.send(p.with(f.name, "null"))
			l.settle(lbID)
			if f.nulled == "400" {
				if a.status != 400 {
					t.Errorf("%s: %s: %d %s", p.name, f.name, a.status, a.body)
				}
				continue
			}
			if a.status != 200 {
				t.Errorf("%s: %s: %d %s", p.name, f.name, a.status, a.body)
				continue
			}
			shown, _ := a.get(t, root).(map[string]any)
			if got, _ := json.Marshal(shown[f.name]); f.name != "tls_enabled" && f.name != "lb_algorithm" && string(got) != f.nulled {
				t.Errorf("%s: %s: %s, want %s", p.name, f.name, got, f.nulled)
			}
		}
	}
}

// Free text comes back as it was sent, whatever it is.
func TestHostileTextComesBackAsSent(t *testing.T) {
	l := newLab(t, nil)
	lbID, listenerID, poolID, memberID, monitorID := l.balancer()
	for _, c := range []struct{ root, path string }{
		{"loadbalancer", "loadbalancers/" + lbID},
		{"listener", "listeners/" + listenerID},
		{"pool", "pools/" + poolID},
		{"member", "pools/" + poolID + "/members/" + memberID},
		{"healthmonitor", "healthmonitors/" + monitorID},
	} {
		for _, s := range append(slices.Clone(hostile), strings.Repeat("\U0001f4a9", 255)) {
			l.must(200, "PUT", "/v2.0/lbaas/"+c.path, fmt.Sprintf(`{%q:{"name":%s,"tags":[%s]}}`, c.root, quoted(s), quoted(s)))
			l.settle(lbID)
			a := l.must(200, "GET", "/v2.0/lbaas/"+c.path, "")
			if got := a.get(t, c.root+".name"); got != s {
				t.Errorf("%s: name %q is %q", c.root, s, got)
			}
			if got := a.get(t, c.root+".tags.0"); got != s {
				t.Errorf("%s: tag %q is %q", c.root, s, got)
			}
			collection := "/v2.0/lbaas/" + c.path[:strings.LastIndex(c.path, "/")]
			if n := len(l.must(200, "GET", collection+"?"+url.Values{"name": {s}}.Encode(), "").get(t, c.root+"s").([]any)); n != 1 {
				t.Errorf("%s: %d have the name %q", c.root, n, s)
			}
		}
	}
}

// Paths and queries are input, too.
func TestHostilePathsAndQueries(t *testing.T) {
	l := newLab(t, nil)
	_, listenerID, poolID, _, _ := l.balancer()
	policyID := l.must(201, "POST", "/v2.0/lbaas/l7policies", `{"l7policy":{"listener_id":"`+listenerID+`","action":"REJECT"}}`).id(t, "l7policy")
	counts := counter(t, l)
	before := counts()
	collections := []string{"lbaas/loadbalancers", "lbaas/listeners", "lbaas/l7policies", "lbaas/l7policies/" + policyID + "/rules", "lbaas/pools", "lbaas/pools/" + poolID + "/members", "lbaas/healthmonitors", "octavia/amphorae", "octavia/clusters", "octavia/distributors", "colonnade/networks"}
	for _, s := range append([]string{"%00", "%ff", "%c0%af", "%ed%a0%80", strings.Repeat("a", 60000), "..%2f..", "."}, func() (escaped []string) {
		for _, s := range hostile {
			if s != "" {
				escaped = append(escaped, url.PathEscape(s))
			}
		}
		return escaped
	}()...) {
		for _, c := range collections {
			for _, r := range [][2]string{
				{"GET", c + "/" + s}, {"DELETE", c + "/" + s}, {"PUT", c + "/" + s}, {"PUT", c + "/" + s + "/failover"}, {"GET", c + "/" + s + "/stats"}, {"GET", c + "/" + s + "/members"},
			} {
				if s == "." && r[0] != "GET" {
					continue // the collection itself
				}
				a := l.do(r[0], "/v2.0/"+r[1], "")
				if (a.status < 400 || a.status >= 500) && s != "." && s != "..%2f.." {
					t.Errorf("%s %.100s: %d %.200s", r[0], r[1], a.status, a.body)
				}
			}
			for _, name := range []string{"name", "id", "marker", "limit", "sort", "sort_key", "sort_dir", "fields", "tags", "not-tags-any", "project_id", "created_at", "admin_state_up", "protocol_port", "page_reverse", s} {
				if a := l.do("GET", "/v2.0/"+c+"?"+name+"="+s, ""); a.status >= 500 {
					t.Errorf("%s?%.40s=%.40s: %d %.200s", c, name, s, a.status, a.body)
				}
			}
		}
	}
	// As many of everything as a request line holds.
	for _, q := range []string{
		"tags=" + strings.Repeat("a,", 30000), "not-tags-any=" + strings.Repeat("a,", 30000), strings.Repeat("tags=a&", 8000),
		"sort=" + strings.Repeat("name:desc,", 6000), "sort_key=" + strings.Repeat("name,", 10000), strings.Repeat("fields=a&", 6000), "limit=" + strings.Repeat("9", 60000),
	} {
		if a := l.do("GET", "/v2.0/lbaas/loadbalancers?"+q, ""); a.status >= 500 {
			t.Errorf("%.40s…: %d %.200s", q, a.status, a.body)
		}
	}
	for _, q := range []string{"name=%zz", "name=a;id=b", "name=%00", "name=%ff", "%00=a"} {
		if a := l.do("GET", "/v2.0/lbaas/loadbalancers?"+q, ""); a.status != 400 {
			t.Errorf("%s: %d %s", q, a.status, a.body)
		}
	}
	if now := counts(); now != before {
		t.Errorf("rows differ: %s", cmp.Diff(before, now))
	}
}
