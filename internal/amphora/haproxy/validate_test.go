package haproxy_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"colonnade/internal/amphora"
	"colonnade/internal/amphora/haproxy"
	"colonnade/internal/lb"
)

var hostile = []string{"a\nglobal", "a\r", "a b", `a"b`, "a'b", "a\x00b", "%[env(HOME)]", "${HOME}", "#", `\`, "\u2028", "-", "ä"}

func TestRefusals(t *testing.T) {
	cases := map[string]struct {
		d        amphora.Desired
		kind, id string
	}{
		"UDP listener":         {edit(func(d *amphora.Desired) { d.Listeners[0].Protocol = lb.ProtocolUDP }), "listener", listenerHTTP},
		"TLS listener":         {edit(func(d *amphora.Desired) { d.Listeners[0].Protocol = lb.ProtocolTerminatedHTTPS }), "listener", listenerHTTP},
		"port 0":               {edit(func(d *amphora.Desired) { d.Listeners[0].Port = 0 }), "listener", listenerHTTP},
		"foreign pool":         {edit(func(d *amphora.Desired) { d.Listeners[0].DefaultPoolID = poolB }), "listener", listenerHTTP},
		"pool of TCP for HTTP": {edit(func(d *amphora.Desired) { d.Pools[0].Protocol = lb.ProtocolTCP }), "listener", listenerHTTP},
		"header unknown":       {edit(func(d *amphora.Desired) { d.Listeners[0].InsertHeaders = map[string]string{"X-SSL-Issuer": "true"} }), "listener", listenerHTTP},
		"header value":         {edit(func(d *amphora.Desired) { d.Listeners[0].InsertHeaders = map[string]string{"X-Forwarded-For": "yes"} }), "listener", listenerHTTP},
		"CIDR":                 {edit(func(d *amphora.Desired) { d.Listeners[0].AllowedCIDRs = []string{"0.0.0.0/0 accept"} }), "listener", listenerHTTP},
		"SOURCE_IP_PORT":       {edit(func(d *amphora.Desired) { d.Pools[0].Algorithm = lb.SourceIPPort }), "pool", poolA},
		"persistence":          {edit(func(d *amphora.Desired) { d.Pools[0].SessionPersistence = &lb.SessionPersistence{Type: "X"} }), "pool", poolA},
		"weight":               {edit(func(d *amphora.Desired) { d.Pools[0].Members[1].Weight = 257 }), "member", memberID(2)},
		"server id twice":      {edit(func(d *amphora.Desired) { d.Pools[0].Members[1].ServerID = 1 }), "member", memberID(2)},
		"address twice":        {edit(func(d *amphora.Desired) { d.Pools[0].Members[1].Address = "198.18.2.1" }), "member", memberID(2)},
		"member zone":          {edit(func(d *amphora.Desired) { d.Pools[0].Members[1].Address = "fe80::1%eth0" }), "member", memberID(2)},
		"PING":                 {edit(func(d *amphora.Desired) { d.Pools[0].Monitor = monitor(lb.MonitorPing) }), "healthmonitor", monitorA},
		"range upside down": {edit(func(d *amphora.Desired) {
			d.Pools[0].Monitor = monitor(lb.MonitorHTTP)
			d.Pools[0].Monitor.ExpectedCodes = "300-200"
		}), "healthmonitor", monitorA},
		"no VIP":  {edit(func(d *amphora.Desired) { d.VIPs = nil }), "", ""},
		"bad MAC": {edit(func(d *amphora.Desired) { d.FrontEnd.MAC = "02-00-00-00-01-0A" }), "", ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := haproxy.Render(c.d, settings)
			var refused *amphora.RefusedError
			if !errors.As(err, &refused) {
				t.Fatalf("got %v, want a refusal", err)
			}
			if !slices.ContainsFunc(refused.Problems, func(p amphora.Problem) bool { return p.ObjectType == c.kind && p.ObjectID == c.id && p.Reason != "" }) {
				t.Errorf("problems %+v name no %s %s", refused.Problems, c.kind, c.id)
			}
		})
	}
}

// fields are all strings of tenants (and of those who write documents) that could reach the file.
var fields = map[string]func(*amphora.Desired, string){
	"listener id":    func(d *amphora.Desired, s string) { d.Listeners[0].ID = s },
	"listener proto": func(d *amphora.Desired, s string) { d.Listeners[0].Protocol = s },
	"header":         func(d *amphora.Desired, s string) { d.Listeners[0].InsertHeaders = map[string]string{s: "true"} },
	"header value": func(d *amphora.Desired, s string) {
		d.Listeners[0].InsertHeaders = map[string]string{"X-Forwarded-For": s}
	},
	"cidr":      func(d *amphora.Desired, s string) { d.Listeners[0].AllowedCIDRs = []string{s} },
	"vip":       func(d *amphora.Desired, s string) { d.VIPs[0].Address = s },
	"pool id":   func(d *amphora.Desired, s string) { d.Pools[0].ID, d.Listeners[0].DefaultPoolID = s, s },
	"algorithm": func(d *amphora.Desired, s string) { d.Pools[0].Algorithm = s },
	"cookie": func(d *amphora.Desired, s string) {
		d.Pools[0].SessionPersistence = &lb.SessionPersistence{Type: lb.PersistAppCookie, CookieName: s}
	},
	"member id":       func(d *amphora.Desired, s string) { d.Pools[0].Members[0].ID = s },
	"address":         func(d *amphora.Desired, s string) { d.Pools[0].Members[0].Address = s },
	"monitor address": func(d *amphora.Desired, s string) { d.Pools[0].Members[0].MonitorAddress = s },
	"monitor id":      func(d *amphora.Desired, s string) { d.Pools[0].Monitor.ID = s },
	"method":          func(d *amphora.Desired, s string) { d.Pools[0].Monitor.HTTPMethod = s },
	"path":            func(d *amphora.Desired, s string) { d.Pools[0].Monitor.URLPath = s },
	"codes":           func(d *amphora.Desired, s string) { d.Pools[0].Monitor.ExpectedCodes = s },
	"version":         func(d *amphora.Desired, s string) { d.Pools[0].Monitor.HTTPVersion = s },
	"domain":          func(d *amphora.Desired, s string) { d.Pools[0].Monitor.DomainName = s },
	"probe key":       func(d *amphora.Desired, s string) { d.ProbeKey = s },
}

func withField(field, value string) amphora.Desired {
	return edit(func(d *amphora.Desired) {
		d.Pools[0].Monitor = monitor(lb.MonitorHTTP)
		fields[field](d, value)
	})
}

func TestHostileStrings(t *testing.T) {
	for field := range fields {
		for _, s := range hostile {
			if field == "cookie" && s == "#" || field == "cookie" && s == "-" {
				continue // harmless there, and rendered so in a golden file
			}
			text, err := haproxy.Render(withField(field, s), settings)
			var refused *amphora.RefusedError
			if err == nil || !errors.As(err, &refused) {
				t.Errorf("%s = %q was rendered: %v\n%s", field, s, err, text)
			}
		}
	}
}

// FuzzRender: whatever is not refused is one word in one place, so the file has the lines it has with a harmless string,
// and HAProxy takes it.
func FuzzRender(f *testing.F) {
	names := make([]string, 0, len(fields))
	for name := range fields {
		names = append(names, name)
	}
	slices.Sort(names)
	for i := range names {
		for _, s := range append(hostile, "/a", "200", "a.example", "198.18.9.9", "GET") {
			f.Add(i, s)
		}
	}
	f.Fuzz(func(t *testing.T, i int, s string) {
		if i < 0 || i >= len(names) {
			t.Skip()
		}
		text, err := haproxy.Render(withField(names[i], s), settings)
		if err != nil {
			return
		}
		for _, r := range text {
			if r < ' ' && r != '\n' || r > '~' {
				t.Fatalf("%s = %q put %q into the file", names[i], s, r)
			}
		}
		shape := func(text string) (out []string) {
			for _, line := range strings.Split(text, "\n") {
				word, _, _ := strings.Cut(strings.TrimSpace(line), " ")
				out = append(out, word)
			}
			return out
		}
		if names[i] == "header" || names[i] == "header value" || names[i] == "listener proto" || names[i] == "algorithm" {
			return // these choose lines, from a literal list
		}
		harmless := withField("path", "/")
		if names[i] == "cookie" {
			harmless = withField("cookie", "a")
		}
		want, err := haproxy.Render(harmless, settings)
		if err != nil {
			t.Fatal(err)
		}
		got := shape(text)
		wanted := shape(want)
		if !slices.Equal(got, wanted) {
			t.Fatalf("%s = %q changed the file's lines:\n%s", names[i], s, text)
		}
		if err := checkWithHAProxy(t, text); err != nil {
			t.Fatalf("%s = %q: haproxy -c: %v\n%s", names[i], s, err, text)
		}
	})
}

// TestDomainNames: what the API admits as a monitor's domain name, the agent renders.
func TestDomainNames(t *testing.T) {
	for _, name := range []string{"example.test", "_dmarc.example.test", "a-b.example.test.", "x"} {
		doc := withField("domain", name)
		doc.Pools[0].Monitor.HTTPVersion = "1.1"
		if problems := haproxy.Check(doc); len(problems) > 0 {
			t.Errorf("%q: %v", name, problems)
		}
	}
}
