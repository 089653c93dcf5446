package agent_test

import (
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"colonnade/internal/distributor"
)

func hexMAC(m [6]byte) string { return net.HardwareAddr(m[:]).String() }

func parseMAC(s string) [6]byte {
	m, err := net.ParseMAC(s)
	if err != nil {
		panic(err)
	}
	return [6]byte(m)
}

func TestInvalidPlugs(t *testing.T) {
	a, end := newMachine(t).start()
	defer end()
	for _, c := range []struct {
		name   string
		change func(*distributor.VIPPlug)
		status int
		text   string
	}{
		{
			"another lb_id than the path's", func(p *distributor.VIPPlug) { p.LBID = lb2 }, 400,
			`lb_id "` + lb2 + `": the path names ` + lb1,
		},
		{
			"no epoch", func(p *distributor.VIPPlug) { p.Epoch = 0 }, 400,
			"stamp: epoch 0, revision 1, serial 1: epochs begin at 1, none is negative",
		},
		{"no address", func(p *distributor.VIPPlug) { p.VIPAddress = "vip" }, 400, `vip_address "vip": not an IP address`},
		{"address with a mask", func(p *distributor.VIPPlug) { p.VIPAddress = "198.18.0.100/24" }, 400, `vip_address "198.18.0.100/24": not an IP address`},
		{"multicast address", func(p *distributor.VIPPlug) { p.VIPAddress = "224.0.0.1" }, 400, `vip_address "224.0.0.1": not a unicast address`},
		{
			"D9 IPv6 is said to be unsupported", func(p *distributor.VIPPlug) { p.VIPAddress = "2001:db8::1" }, 501,
			`vip_address "2001:db8::1": this distributor's dataplane forwards IPv4 only`,
		},
		{
			"subnet with host bits", func(p *distributor.VIPPlug) { p.SubnetCIDR = "198.18.0.1/24" }, 400,
			`subnet_cidr "198.18.0.1/24": not a network of the VIP's family`,
		},
		{"gateway elsewhere", func(p *distributor.VIPPlug) { p.Gateway = "198.19.0.1" }, 400, `gateway "198.19.0.1": not an address of 198.18.0.0/24`},
		{
			"MAC in capitals", func(p *distributor.VIPPlug) { p.MACAddress = "02:DD:00:00:00:01" }, 400,
			`mac_address "02:DD:00:00:00:01": not a unicast MAC address, lower-case with colons`,
		},
		{
			"group MAC", func(p *distributor.VIPPlug) { p.MACAddress = "01:00:5e:00:00:01" }, 400,
			`mac_address "01:00:5e:00:00:01": not a unicast MAC address, lower-case with colons`,
		},
		{"MTU", func(p *distributor.VIPPlug) { p.MTU = 100 }, 400, "mtu 100: not 0 or between 576 and 65535"},
		{"D12 host route", func(p *distributor.VIPPlug) {
			p.HostRoutes = []distributor.HostRoute{{Destination: "10.0.0.0/8", NextHop: "198.19.0.9"}}
		}, 400, `host_routes[0].nexthop "198.19.0.9": not an address of 198.18.0.0/24`},
		{"algorithm", func(p *distributor.VIPPlug) { p.AlgExtras.Algorithm = "random" }, 400, `alg_extras.algorithm "random": only "hash" is known`},
		{
			"D1 affinity", func(p *distributor.VIPPlug) { p.AlgExtras.Affinity = "cookie" }, 400,
			`alg_extras.affinity "cookie": not "source_ip" or "source_ip_port"`,
		},
		{"short key, not shown", func(p *distributor.VIPPlug) { p.ProbeKey = "c0ffee" }, 400, "probe_key: not 16 bytes in lower-case hex digits"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := plug(stamp(1, 1, 1))
			c.change(&p)
			wantError(t, c.status, c.text, func(out any) int {
				status, _ := call(t, a, http.MethodPut, vipPath, p, out)
				return status
			})
		})
	}
}

func wantError(t *testing.T, status int, text string, do func(out any) int) {
	t.Helper()
	var answer struct{ Error string }
	if got := do(&answer); got != status || answer.Error != text {
		t.Errorf("got %d %q\nwant %d %q", got, answer.Error, status, text)
	}
}

func TestInvalidTables(t *testing.T) {
	a, end := newMachine(t).start()
	defer end()
	put(t, a, vipPath, plug(stamp(1, 1, 1)))
	for _, c := range []struct {
		name   string
		change func(*distributor.Registrations)
		text   string
	}{
		{"version", func(r *distributor.Registrations) { r.Table.Version = 9 }, "table.version 9: not the stamp's revision 1"},
		{"swap number", func(r *distributor.Registrations) { r.Table.TakenSwap = -1 }, "table.taken_swap -1: negative"},
		{"key", func(r *distributor.Registrations) { r.Table.Key = "00" }, "table.key: not 16 bytes in lower-case hex digits"},
		{"amphora id", func(r *distributor.Registrations) { r.Table.Holders[1].AmphoraID = "../x" }, `table.holders[1].amphora_id "../x": not a UUID`},
		{
			"MAC", func(r *distributor.Registrations) { r.Table.Holders[0].MAC = "" },
			`table.holders[0].mac "": not a unicast MAC address, lower-case with colons`,
		},
		{"rows", func(r *distributor.Registrations) { r.Table.Rows = 1000 }, "table 1: rows: 1000 is not a power of two from 256 to 16384"},
		{"holder of nothing", func(r *distributor.Registrations) { r.Table.Current.Holders[0] = 40 }, "table 1: current: position 0: no holder 40"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := register(stamp(1, 1, 1), table(1, 3, 1))
			c.change(&r)
			wantError(t, 400, c.text, func(out any) int {
				status, _ := call(t, a, http.MethodPut, tablePath, r, out)
				return status
			})
		})
	}
}

// TestCallsInOrder is one life of a load balancer on a distributor, call by call.
func TestCallsInOrder(t *testing.T) {
	m := newMachine(t)
	a, end := m.start()
	defer end()
	otherVIP := plug(stamp(3, 1, 1))
	otherVIP.VIPAddress = "198.18.0.101"
	otherTable := table(1, 2, 1)
	sameName := plug(stamp(9, 1, 1))
	sameName.LBID, sameName.MACAddress = "11111111-2222-4222-8222-222222222222", "02:dd:00:00:00:02"
	samePort := plug(stamp(9, 1, 1))
	samePort.LBID = lb2
	del := func(query string) string { return vipPath + "?" + query }
	applied := func(epoch, revision, serial int) string {
		b, _ := json.Marshal(stamp(int64(epoch), int64(revision), int64(serial)))
		return `{"applied":` + string(b) + `,"error":"a higher stamp is applied already"}`
	}
	notPlugged := `{"error":"load balancer ` + lb1 + ` is not plugged here"}`
	for _, c := range []struct {
		name, method, path string
		body               any
		status             int
		want               string // the whole body; "" for any
	}{
		{"unknown", http.MethodGet, lbPath, nil, 404, notPlugged},
		{"table before the VIP", http.MethodPut, tablePath, register(stamp(3, 1, 1), table(1, 3, 1)), 404, notPlugged},
		{"statistics before the VIP", http.MethodGet, lbPath + "/statistics", nil, 404, notPlugged},
		{"S57 plug", http.MethodPut, vipPath, plug(stamp(3, 1, 1)), 200, ""},
		{"the same again", http.MethodPut, vipPath, plug(stamp(3, 1, 1)), 200, ""},
		{
			"same stamp, other content", http.MethodPut, vipPath, otherVIP, 409,
			`{"error":"another content with the same stamp is applied: epoch 3, revision 1, serial 1"}`,
		},
		{"lower serial", http.MethodPut, vipPath, plug(stamp(3, 1, 0)), 409, applied(3, 1, 1)},
		{"lower epoch", http.MethodPut, vipPath, plug(stamp(2, 9, 9)), 409, applied(3, 1, 1)},
		{
			"another with the same short name", http.MethodPut, "/v1/loadbalancers/" + sameName.LBID + "/vip", sameName, 409,
			`{"error":"load balancer ` + lb1 + ` has the same first 8 digits"}`,
		},
		{
			"another with the same port", http.MethodPut, "/v1/loadbalancers/" + lb2 + "/vip", samePort, 409,
			`{"error":"mac_address \"02:dd:00:00:00:01\": the port of load balancer ` + lb1 + `"}`,
		},
		{"table of an older lease", http.MethodPut, tablePath, register(stamp(2, 5, 1), table(1, 3, 1)), 409, applied(3, 1, 1)},
		{"S58 table", http.MethodPut, tablePath, register(stamp(3, 2, 1), table(1, 3, 1)), 200, ""},
		{"the same table again", http.MethodPut, tablePath, register(stamp(3, 2, 1), table(1, 3, 1)), 200, ""},
		{
			"same stamp, other table", http.MethodPut, tablePath, register(stamp(3, 2, 1), otherTable), 409,
			`{"error":"another content with the same stamp is applied: epoch 3, revision 2, serial 1"}`,
		},
		{"lower table", http.MethodPut, tablePath, register(stamp(3, 1, 9), table(1, 3, 1)), 409, applied(3, 2, 1)},
		{"a new lease sends its table", http.MethodPut, tablePath, register(stamp(5, 3, 1), table(1, 3, 1)), 200, ""},
		{"and fences the VIP with it", http.MethodPut, vipPath, plug(stamp(4, 1, 1)), 409, applied(5, 3, 1)},
		{
			"S60 statistics", http.MethodGet, lbPath + "/statistics", nil, 200,
			`{"lb_id":"` + lb1 + `","forwarded_packets":3,"forwarded_bytes":180,"dropped":{"no_owner":1}}`,
		},
		{"delete without a stamp", http.MethodDelete, vipPath, nil, 400, `{"error":"epoch \"\": not a number"}`},
		{"delete of an older lease", http.MethodDelete, del("epoch=4&revision=1&serial=1"), nil, 409, applied(5, 3, 1)},
		{"delete", http.MethodDelete, del("epoch=6&revision=2&serial=1"), nil, 204, ""},
		{"delete again", http.MethodDelete, del("epoch=6&revision=2&serial=1"), nil, 204, ""},
		{"gone", http.MethodGet, lbPath, nil, 404, notPlugged},
		{"a late plug of the lease before", http.MethodPut, vipPath, plug(stamp(5, 9, 9)), 409, applied(6, 2, 1)},
		{"a late plug with the deletion's stamp", http.MethodPut, vipPath, plug(stamp(6, 2, 1)), 409, applied(6, 2, 1)},
		{"a late table", http.MethodPut, tablePath, register(stamp(5, 9, 9), table(1, 3, 1)), 409, applied(6, 2, 1)},
		{"plugged anew", http.MethodPut, vipPath, plug(stamp(7, 1, 1)), 200, ""},
		{"delete of what was never here", http.MethodDelete, "/v1/loadbalancers/" + lb2 + "/vip?epoch=2&revision=0&serial=0", nil, 204, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, raw := call(t, a, c.method, c.path, c.body, nil)
			if status != c.status || c.want != "" && raw != c.want {
				t.Errorf("got %d %s\nwant %d %s", status, raw, c.status, c.want)
			}
		})
	}
}

func TestPositionalListIsAnswered(t *testing.T) {
	a, end := newMachine(t).start()
	defer end()
	put(t, a, vipPath, plug(stamp(1, 1, 1)))
	tb := table(1, 3, 1)
	tb.Current.Holders[1] = distributor.Vacant
	want := distributor.LBStatus{
		LBID: lb1, VIPApplied: stamp(1, 1, 1), TableApplied: stamp(2, 1, 1), TableVersion: 1,
		Positions: []distributor.Position{
			{Position: 0, AmphoraID: amp(0), MAC: mac(0)}, {Position: 1}, {Position: 2, AmphoraID: amp(2), MAC: mac(2)},
		},
		Swaps: []distributor.Swap{}, Silent: []string{},
	}
	if diff := cmp.Diff(want, put(t, a, tablePath, register(stamp(2, 1, 1), tb))); diff != "" {
		t.Error("D5 ", diff)
	}
	var all distributor.Status
	call(t, a, http.MethodGet, "/v1/status", nil, &all)
	if diff := cmp.Diff([]distributor.LBStatus{want}, all.LoadBalancers); diff != "" {
		t.Error("S59 ", diff)
	}
}

func TestFailedPlugLeavesNothing(t *testing.T) {
	for _, op := range []string{"plug", "install"} {
		m := newMachine(t)
		a, end := m.start()
		defer end()
		m.setRefuse(op, errors.New("no"))
		if status, _ := call(t, a, http.MethodPut, vipPath, plug(stamp(1, 1, 1)), nil); status != 500 {
			t.Errorf("%s fails: answered %d", op, status)
		}
		if len(m.ports)+len(m.installed) > 0 {
			t.Errorf("%s fails: left %v, %v", op, m.ports, m.installed)
		}
		if status, _ := call(t, a, http.MethodGet, lbPath, nil, nil); status != 404 {
			t.Errorf("%s fails: the load balancer is shown all the same", op)
		}
		m.setRefuse(op, nil)
		put(t, a, vipPath, plug(stamp(1, 1, 1)))
	}
}
