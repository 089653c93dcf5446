package agent_test

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"colonnade/internal/agentconf"
	"colonnade/internal/amphora"
	"colonnade/internal/amphora/agent"
	"colonnade/internal/distributor"
	"colonnade/internal/lb"
	"colonnade/internal/linuxnet"
)

const (
	vip        = "198.18.1.100"
	lbID       = "55555555-0000-4000-8000-000000000001"
	amphoraID  = "66666666-0000-4000-8000-000000000001"
	listenerID = "11111111-0000-4000-8000-000000000001"
	poolID     = "22222222-0000-4000-8000-000000000001"
	probeKey   = "00112233445566778899aabbccddeeff"
	frontMAC   = "02:c0:00:00:00:0a"
	backMAC    = "02:c0:00:00:00:0b"
	clientMAC  = "02:c0:00:00:00:50"
)

func memberID(n int) string { return fmt.Sprintf("33333333-0000-4000-8000-%012d", n) }

// world is an amphora's surroundings: a switch with a front-end and a back-end segment, a client on one, two members on
// the other, and ports waiting in the namespace where the compute driver plugs them.
type world struct {
	t                              *testing.T
	sw, client, members, home, ten string // namespace paths
	conf                           agentconf.Config
	a                              *agent.Agent
	stop                           func()
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(15 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
		time.Sleep(10 * time.Millisecond) // states of other processes: no event to wait for
	}
}

func newWorld(t *testing.T) *world {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("network namespaces need root")
	}
	raw := make([]byte, 4)
	_, _ = rand.Read(raw)
	prefix := "cnt-" + hex.EncodeToString(raw)
	w := &world{t: t}
	for suffix, path := range map[string]*string{"s": &w.sw, "c": &w.client, "m": &w.members, "h": &w.home, "t": &w.ten} {
		name := prefix + suffix
		t.Cleanup(func() { _ = linuxnet.DeleteNamespace(name) })
		*path = linuxnet.Path(name)
		if suffix == "t" {
			continue // the agent's to make
		}
		_, err := linuxnet.EnsureNamespace(name)
		must(t, err)
	}
	sw, err := linuxnet.Open(w.sw)
	must(t, err)
	defer sw.Close()
	for i, bridge := range []string{"br-fe", "br-be"} {
		must(t, sw.EnsureBridge(bridge, net.HardwareAddr{2, 0xc0, 0, 0, 1, byte(i)}, 1500))
	}
	for _, key := range []string{"iptables", "ip6tables", "arptables"} {
		_ = linuxnet.SetSysctl(w.sw, "net.bridge.bridge-nf-call-"+key, "0")
	}
	port := func(name, bridge, ns, peer, mac string) {
		hw, err := net.ParseMAC(mac)
		must(t, err)
		must(t, sw.AddVeth(linuxnet.VethEnd{Name: name}, linuxnet.VethEnd{Name: peer, MAC: hw}, ns))
		must(t, sw.AttachToBridge(name, bridge, linuxnet.BridgePort{Learning: true, Flood: true}))
		must(t, sw.SetUp(name))
	}
	port("client", "br-fe", w.client, "c0", clientMAC)
	port("members", "br-be", w.members, "m0", "02:c0:00:00:00:60")
	port("front", "br-fe", w.home, "eth1", frontMAC)
	port("back", "br-be", w.home, "eth2", backMAC)
	address := func(ns, device string, addrs ...string) {
		h, err := linuxnet.Open(ns)
		must(t, err)
		defer h.Close()
		for _, a := range addrs {
			must(t, h.EnsureAddress(device, netip.MustParsePrefix(a)))
		}
		must(t, h.SetUp(device))
	}
	address(w.client, "c0", "198.18.1.50/24")
	address(w.members, "m0", "198.18.2.1/24", "198.18.2.2/24")
	client, err := linuxnet.Open(w.client)
	must(t, err)
	defer client.Close()
	front, err := net.ParseMAC(frontMAC)
	must(t, err)
	must(t, client.SetNeighbour("c0", netip.MustParseAddr(vip), front)) // as the distributor's frames would arrive
	for n := 1; n <= 2; n++ {
		ln, err := linuxnet.Listen(t.Context(), w.members, "tcp", fmt.Sprintf("198.18.2.%d:8080", n))
		must(t, err)
		srv := &http.Server{Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(rw, "%d %s", n, r.Header.Get("X-Forwarded-For"))
		})}
		go func() { _ = srv.Serve(ln) }()
		t.Cleanup(func() { _ = srv.Close() })
	}
	dir := t.TempDir()
	bpf := filepath.Join(dir, "bpf")
	must(t, os.Mkdir(bpf, 0o700))
	must(t, unix.Mount("bpf", bpf, "bpf", 0, ""))
	t.Cleanup(func() { _ = unix.Unmount(bpf, unix.MNT_DETACH) })
	w.conf = agentconf.Config{
		Kind: "amphora", ID: amphoraID, LoadBalancerID: lbID,
		Place: agentconf.Place{Dir: dir, BPFDir: filepath.Join(bpf, "a"), TenantNamespace: w.ten},
	}
	t.Cleanup(func() {
		if p := w.pid(); p > 1 {
			_ = unix.Kill(-p, unix.SIGKILL)
		}
	})
	w.start()
	t.Cleanup(func() { w.stop() })
	return w
}

// start runs an agent; stop ends it as a SIGKILL would be noticed outside: nothing is tidied up.
func (w *world) start() {
	w.t.Helper()
	log := slog.New(slog.NewTextHandler(w.t.Output(), nil))
	a, err := agent.Open(w.t.Context(), w.conf, agent.Parts{Home: w.home, Now: time.Now}, log)
	must(w.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = a.Watch(ctx)
	}()
	w.a = a
	w.stop = func() {
		cancel()
		<-done
		_ = a.Close()
		w.stop = func() {}
	}
}

func (w *world) pid() int {
	raw, _ := os.ReadFile(filepath.Join(w.conf.Place.Dir, "haproxy", "haproxy.pid"))
	var pid int
	_, _ = fmt.Sscanf(string(raw), `{"pid":%d`, &pid)
	return pid
}

// document has one HTTP listener and two members; revision makes it newer than others.
func document(revision int64) amphora.Desired {
	d := amphora.Desired{
		Stamp: lb.Stamp{Epoch: 1, Revision: revision}, LoadBalancerID: lbID, ProbeKey: probeKey, SecondChance: true,
		VIPs:                   []amphora.VIP{{Address: vip}},
		FrontEnd:               amphora.Port{MAC: frontMAC, Address: "198.18.1.10", SubnetCIDR: "198.18.1.0/24", Gateway: "198.18.1.1", MTU: 1500},
		BackEnds:               []amphora.Port{{MAC: backMAC, Address: "198.18.2.10", SubnetCIDR: "198.18.2.0/24"}},
		DefaultConnectionLimit: 1000,
		Listeners: []amphora.Listener{{
			ID: listenerID, Protocol: lb.ProtocolHTTP, Port: 80, ConnectionLimit: -1, DefaultPoolID: poolID,
			InsertHeaders: map[string]string{"X-Forwarded-For": "true"},
		}},
		Pools: []amphora.Pool{{ID: poolID, Protocol: lb.ProtocolHTTP, Algorithm: lb.RoundRobin, Monitor: &amphora.Monitor{
			ID: "44444444-0000-4000-8000-000000000001", Type: lb.MonitorHTTP, Delay: 1, Timeout: 1, MaxRetries: 1, MaxRetriesDown: 1,
		}}},
	}
	for n := 1; n <= 2; n++ {
		d.Pools[0].Members = append(d.Pools[0].Members, amphora.Member{
			ID: memberID(n), ServerID: n, Address: fmt.Sprintf("198.18.2.%d", n), Port: 8080, Weight: 1, Enabled: true,
		})
	}
	return d
}

// table gives every row to the amphora, or to another whom it stands behind.
func table(version int64, draining bool) amphora.TableDocument {
	t := distributor.Table{
		Version: version, Key: probeKey, Rows: distributor.DefaultRows, Affinity: distributor.AffinitySourceIP,
		Holders: []distributor.Holder{{AmphoraID: amphoraID, MAC: frontMAC}, {AmphoraID: "66666666-0000-4000-8000-000000000002", MAC: "02:c0:00:00:00:99"}},
		Current: distributor.Generation{Holders: []int{0}},
	}
	if draining {
		t.Current.Holders = []int{1}
		t.Earlier = []distributor.Generation{{Holders: []int{0}}}
	}
	return amphora.TableDocument{Stamp: lb.Stamp{Epoch: 1, Revision: version}, Table: t}
}

func (w *world) put(d amphora.Desired) {
	w.t.Helper()
	_, err := w.a.PutDocument(w.t.Context(), d)
	must(w.t, err)
}

func (w *world) dial(ctx context.Context, _, addr string) (net.Conn, error) {
	return linuxnet.DialContext(ctx, w.client, "tcp", addr)
}

func (w *world) get() (string, error) {
	client := http.Client{Transport: &http.Transport{DialContext: w.dial, DisableKeepAlives: true}, Timeout: 3 * time.Second}
	res, err := client.Get("http://" + vip + "/")
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if res.StatusCode != 200 {
		return "", fmt.Errorf("status %d", res.StatusCode)
	}
	return string(body), err
}
