package haproxy_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"colonnade/internal/amphora"
	"colonnade/internal/amphora/haproxy"
	"colonnade/internal/lb"
)

func TestDiff(t *testing.T) {
	const be = poolA + ":" + listenerHTTP + "/"
	monitored := edit(func(d *amphora.Desired) { d.Pools[0].Monitor = monitor(lb.MonitorTCP) })
	sticky := edit(func(d *amphora.Desired) {
		d.Pools[0].SessionPersistence = &lb.SessionPersistence{Type: lb.PersistHTTPCookie}
	})
	cases := map[string]struct {
		old    amphora.Desired
		change func(*amphora.Desired)
		class  haproxy.Class
		want   []string
	}{
		"same":                             {document(), func(d *amphora.Desired) { d.Revision++ }, haproxy.Nothing, nil},
		"allowed CIDRs are the firewall's": {document(), func(d *amphora.Desired) { d.Listeners[0].AllowedCIDRs = []string{"198.18.0.0/16"} }, haproxy.Nothing, nil},
		"weight":                           {document(), func(d *amphora.Desired) { d.Pools[0].Members[0].Weight = 7 }, haproxy.Runtime, []string{"set server " + be + memberID(1) + " weight 7"}},
		"disabled":                         {document(), func(d *amphora.Desired) { d.Pools[0].Members[0].Enabled = false }, haproxy.Runtime, []string{"set server " + be + memberID(1) + " state maint"}},
		"moved":                            {document(), func(d *amphora.Desired) { d.Pools[0].Members[0].Port = 81 }, haproxy.Runtime, []string{"set server " + be + memberID(1) + " addr 198.18.2.1 port 81"}},
		"removed":                          {document(), func(d *amphora.Desired) { d.Pools[0].Members = d.Pools[0].Members[:1] }, haproxy.Runtime, []string{"set server " + be + memberID(2) + " state maint", "del server " + be + memberID(2)}},
		"added": {monitored, func(d *amphora.Desired) { d.Pools[0].Members = append(d.Pools[0].Members, member(3)) }, haproxy.Runtime, []string{
			"add server " + be + memberID(3) + " 198.18.2.3:8080 id 3 weight 1 check inter 5s fall 3 rise 2",
			"set server " + be + memberID(3) + " weight 1", "enable health " + be + memberID(3), "set server " + be + memberID(3) + " state ready",
		}},
		"added to a sticky pool": {sticky, func(d *amphora.Desired) { d.Pools[0].Members = append(d.Pools[0].Members, member(3)) }, haproxy.Runtime, []string{
			"add server " + be + memberID(3) + " 198.18.2.3:8080 id 3 weight 1", "set server " + be + memberID(3) + " weight 1",
			"set dynamic-cookie-key backend " + poolA + ":" + listenerHTTP + " 9a87aca5862d060f3f4c0a12dc7d5d1f", "set server " + be + memberID(3) + " state ready",
		}},
		"backup":       {document(), func(d *amphora.Desired) { d.Pools[0].Members[0].Backup = true }, haproxy.Reload, nil},
		"monitor":      {monitored, func(d *amphora.Desired) { d.Pools[0].Monitor.Delay = 9 }, haproxy.Reload, nil},
		"monitor gone": {monitored, func(d *amphora.Desired) { d.Pools[0].Monitor = nil }, haproxy.Reload, nil},
		"algorithm":    {document(), func(d *amphora.Desired) { d.Pools[0].Algorithm = lb.LeastConnections }, haproxy.Reload, nil},
		"listener added": {document(), func(d *amphora.Desired) {
			d.Listeners = append(d.Listeners, amphora.Listener{ID: listenerTCP, Protocol: lb.ProtocolTCP, Port: 81, ConnectionLimit: -1})
		}, haproxy.Reload, nil},
		"limit": {document(), func(d *amphora.Desired) { d.Listeners[0].ConnectionLimit = 5 }, haproxy.Reload, nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			next := c.old
			next.Listeners = append([]amphora.Listener(nil), c.old.Listeners...)
			next.Pools = append([]amphora.Pool(nil), c.old.Pools...)
			next.Pools[0].Members = append([]amphora.Member(nil), c.old.Pools[0].Members...)
			if m := next.Pools[0].Monitor; m != nil {
				own := *m
				next.Pools[0].Monitor = &own
			}
			c.change(&next)
			got, err := haproxy.Diff(c.old, next, settings)
			if err != nil {
				t.Fatal(err)
			}
			var lines []string
			for _, command := range got.Commands {
				lines = append(lines, command.Line)
			}
			if got.Class != c.class {
				t.Errorf("class %v, want %v", got.Class, c.class)
			}
			if d := cmp.Diff(c.want, lines); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestProblemsNameTheObject(t *testing.T) {
	text, err := haproxy.Render(edit(func(d *amphora.Desired) { d.Pools[0].Monitor = monitor(lb.MonitorHTTP) }), settings)
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		from, to string
		kind, id string
	}{
		"listener":                  {"mode http\n    bind", "mode htp\n    bind", "listener", listenerHTTP},
		"pool":                      {"balance roundrobin", "balance fastest", "pool", poolA},
		"monitor":                   {"expect status 200", "expect status abc", "healthmonitor", monitorA},
		"member":                    {"id 2 weight 1", "id 2 weight 1000", "member", memberID(2)},
		"member without a position": {"id 2 weight 1", "id 1 weight 1", "member", memberID(2)},
		"nobody":                    {"nbthread 1", "nbthread x", "", ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			broken := replaceOnce(t, text, c.from, c.to)
			err := checkWithHAProxy(t, broken)
			var refused *amphora.RefusedError
			if !errors.As(err, &refused) {
				t.Fatalf("got %v, want a refusal", err)
			}
			if p := refused.Problems[0]; p.ObjectType != c.kind || p.ObjectID != c.id || p.Reason == "" {
				t.Errorf("got %+v, want %s %s", refused.Problems, c.kind, c.id)
			}
		})
	}
}

func TestServerState(t *testing.T) {
	const be = poolA + ":" + listenerHTTP
	head := "1\n# be_id be_name srv_id srv_name …\n"
	line := func(n int, admin, weight, port string) string {
		return "3 " + be + " 1 " + memberID(n) + " 198.18.2." + string(rune('0'+n)) + " 0 " + admin + " " + weight + " " + weight + " 8 6 3 0 6 0 0 1 - " + port + " - 0 0 - - 0\n"
	}
	next := edit(func(d *amphora.Desired) { d.Pools[0].Members[0].Weight = 5 })
	cases := map[string]struct{ shown, want string }{
		"weight is the document's":  {head + line(1, "0", "1", "8080"), head + line(1, "0", "5", "8080")},
		"another port is dropped":   {head + line(2, "0", "1", "81"), head},
		"maintenance is dropped":    {head + line(2, "1", "1", "8080"), head},
		"a removed member too":      {head + line(9, "0", "1", "8080"), head},
		"nothing was shown":         {"", "1\n"},
		"an answer of another kind": {"Unknown command\n", "1\n"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if d := cmp.Diff(c.want, haproxy.ServerState(c.shown, next)); d != "" {
				t.Error(d)
			}
		})
	}
}
