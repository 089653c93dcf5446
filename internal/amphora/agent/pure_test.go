package agent

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"colonnade/internal/amphora"
	"colonnade/internal/distributor"
	"colonnade/internal/linuxnet"
	"colonnade/internal/testenv/golden"
)

func guarded() amphora.Desired {
	return amphora.Desired{
		VIPs: []amphora.VIP{{Address: "198.18.1.100"}, {Address: "2001:db8::100"}},
		FrontEnd: amphora.Port{
			MAC: "02:c0:00:00:00:0a", Address: "198.18.1.10", SubnetCIDR: "198.18.1.0/24", Gateway: "198.18.1.1",
			HostRoutes: []distributor.HostRoute{{Destination: "198.18.50.0/24", NextHop: "198.18.1.2"}},
		},
		BackEnds: []amphora.Port{{MAC: "02:c0:00:00:00:0b", Address: "2001:db8:1::10", SubnetCIDR: "2001:db8:1::/64"}},
		Listeners: []amphora.Listener{
			{Port: 80},
			{Port: 443, AllowedCIDRs: []string{"198.18.7.9/24", "198.18.0.0/16", "198.18.7.0/25", "198.19.0.0/16"}},
			{Port: 8080, AllowedCIDRs: []string{"0.0.0.0/0", "2001:db8:5::/48"}},
		},
	}
}

func TestFirewall(t *testing.T) {
	cases := map[string]amphora.Desired{"all": guarded(), "no_listener": {
		VIPs:     []amphora.VIP{{Address: "198.18.1.100"}},
		FrontEnd: guarded().FrontEnd,
	}}
	name := fmt.Sprintf("cnt-fw-%d", os.Getpid())
	if _, err := linuxnet.EnsureNamespace(name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = linuxnet.DeleteNamespace(name) })
	for file, d := range cases {
		t.Run(file, func(t *testing.T) {
			got := renderFirewall(d)
			golden.Want(t, filepath.Join("testdata", file+".nft"), got)
			for range 2 { // also in place of itself
				if err := setFirewall(t.Context(), linuxnet.Path(name), got); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

func TestLayout(t *testing.T) {
	l := layoutOf(guarded())
	got := fmt.Sprint(l.addresses["lo"], l.addresses["fe02c00000000a"], l.addresses["be02c00000000b"])
	want := "[198.18.1.100/32 2001:db8::100/128] [198.18.1.10/24] [2001:db8:1::10/64]"
	if got != want {
		t.Errorf("addresses %s, want %s", got, want)
	}
	var routes []string
	for _, r := range l.routes {
		routes = append(routes, fmt.Sprint(r.Destination, " ", r.Gateway, " ", r.Device, " ", r.Table))
	}
	wantRoutes := []string{
		"198.18.50.0/24 198.18.1.2 fe02c00000000a 0",
		"198.18.1.0/24 invalid IP fe02c00000000a 100", "198.18.50.0/24 198.18.1.2 fe02c00000000a 100",
		"0.0.0.0/0 198.18.1.1 fe02c00000000a 0", "0.0.0.0/0 198.18.1.1 fe02c00000000a 100",
	}
	if d := cmp.Diff(wantRoutes, routes); d != "" {
		t.Errorf("S18 routes: %s", d)
	}
}

func TestDraining(t *testing.T) {
	const me = "a"
	holders := []distributor.Holder{{AmphoraID: me, MAC: "02:00:00:00:00:01"}, {AmphoraID: "b", MAC: "02:00:00:00:00:02"}}
	gen := func(hs ...int) distributor.Generation { return distributor.Generation{Holders: hs} }
	cases := map[string]struct {
		table distributor.Table
		want  bool
	}{
		"holds a position":          {distributor.Table{Current: gen(0), Earlier: []distributor.Generation{gen(1)}}, false},
		"handed over":               {distributor.Table{Current: gen(1), Earlier: []distributor.Generation{gen(0)}}, true},
		"a standby that once held":  {distributor.Table{Current: gen(1), Standbys: []int{0}, Earlier: []distributor.Generation{gen(0)}}, false},
		"a standby that never held": {distributor.Table{Current: gen(1), Standbys: []int{0}}, false},
		"never held":                {distributor.Table{Current: gen(1)}, false},
	}
	for name, c := range cases {
		t.Run("S36 "+name, func(t *testing.T) {
			c.table.Holders, c.table.Rows = holders, distributor.DefaultRows
			c.table.Key, c.table.Affinity = "00112233445566778899aabbccddeeff", distributor.AffinitySourceIP
			compiled, err := distributor.Compile(c.table)
			if err != nil {
				t.Fatal(err)
			}
			if got := draining(compiled, me); got != c.want {
				t.Errorf("draining = %v, want %v", got, c.want)
			}
		})
	}
}
