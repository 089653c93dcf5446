package haproxy_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"colonnade/internal/amphora"
	"colonnade/internal/amphora/haproxy"
)

func TestShowProc(t *testing.T) {
	const head = "#<PID>          <type>          <reloads>       <uptime>        <version>      \n"
	cases := map[string]struct{ shown, want string }{
		"first load":        {head + "10 master 0 [failed: 0] 0d00h00m01s 2.6.12\n# workers\n11 worker 0 0d00h00m01s 2.6.12\n# programs\n", "0 11 false []"},
		"reloaded":          {head + "10 master 1 [failed: 0] 0d 2.6.12\n# workers\n12 worker 0 0d 2.6.12\n# old workers\n11 worker 1 0d 2.6.12\n", "1 12 false [11]"},
		"failed reload":     {head + "10 master 2 [failed: 1] 0d 2.6.12\n# workers\n12 worker 1 0d 2.6.12\n", "2 12 true []"},
		"without a worker":  {head + "10 master 2 [failed: 1] 0d 2.6.12\n# workers\n", "2 0 true []"},
		"something else":    {"Permission denied\n", "0 0 false []"},
		"nothing":           {"", "0 0 false []"},
		"later than failed": {head + "10 master 3 [failed: 0] 0d 2.6.12\n# workers\n13 worker 0 0d 2.6.12\n# old workers\n12 worker 2 0d 2.6.12\n11 worker 3 0d 2.6.12\n", "3 13 false [12 11]"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			reloads, current, failed, former := haproxy.Workers(c.shown)
			if got := fmt.Sprint(reloads, current, failed, former); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestShowStat(t *testing.T) {
	shown := "# pxname,svname,scur,slim,stot,bin,bout,ereq,status\n" +
		listenerHTTP + ",FRONTEND,5,5,9,100,200,1,OPEN\n" +
		poolA + ":" + listenerHTTP + "," + memberID(1) + ",0,,3,1,1,,UP 1/3\n" +
		poolA + ":" + listenerHTTP + "," + memberID(2) + ",0,,3,1,1,,no check\n" +
		poolA + ":" + listenerHTTP + ",BACKEND,0,200,3,1,1,,UP\n" +
		poolA + ":" + listenerTCP + "," + memberID(1) + ",0,,3,1,1,,DOWN\n" +
		poolA + ":" + listenerTCP + "," + memberID(2) + ",0,,3,1,1,,MAINT (via x/y)\n\n"
	s, err := haproxy.ParseStat(shown)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(map[string]string{memberID(1): "DOWN", memberID(2): "MAINT"}, s.Members); d != "" {
		t.Error(d)
	}
	want := map[string]amphora.ListenerStats{listenerHTTP: {
		ListenerID: listenerHTTP, Full: true, BytesIn: 100, BytesOut: 200, ActiveConnections: 5, TotalConnections: 9, RequestErrors: 1,
	}}
	if d := cmp.Diff(want, s.Listeners); d != "" {
		t.Error(d)
	}
	if _, err := haproxy.ParseStat(""); err == nil {
		t.Error("an empty answer was believed")
	}
}
