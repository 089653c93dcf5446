package agent_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"colonnade/internal/agentconf"
	"colonnade/internal/bpf"
	"colonnade/internal/bpf/bpftest"
	"colonnade/internal/distributor"
	"colonnade/internal/distributor/agent"
	"colonnade/internal/distributor/ebpf"
	"colonnade/internal/distributor/probe"
	"colonnade/internal/linuxnet"
	"colonnade/internal/testenv"
)

// The tests run in a lab, so that whatever they leave when they are killed vanishes with it.
func TestMain(m *testing.M) { os.Exit(testenv.RunInLab(m.Run)) }

const (
	vipAddress = "198.18.0.100"
	amphorae   = 4 // three active and a standby
	clients    = 24
)

// site is one front-end network: a bridge, a distributor, amphorae that answer probes and serve, and a client.
type site struct {
	own     string // the distributor's own namespace
	prefix  string
	pins    string
	dir     string
	client  string
	deaf    [amphorae]atomic.Bool
	handles map[string]*linuxnet.Handle
}

func check(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// namespace makes one with a fresh name and returns its path.
func (s *site) namespace(t *testing.T, role string) string {
	t.Helper()
	name := fmt.Sprintf("cnt-%x-%s", time.Now().UnixNano()&0xffffff, role)
	_, err := linuxnet.EnsureNamespace(name)
	check(t, err)
	t.Cleanup(func() { check(t, linuxnet.DeleteNamespace(name)) })
	h, err := linuxnet.Open(linuxnet.Path(name))
	check(t, err)
	t.Cleanup(h.Close)
	if s.handles == nil {
		s.handles = map[string]*linuxnet.Handle{}
	}
	s.handles[linuxnet.Path(name)] = h
	return linuxnet.Path(name)
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{pins: filepath.Join(bpftest.FileSystem(t), "d"), dir: t.TempDir()}
	sw := s.namespace(t, "sw")
	check(t, linuxnet.SetSysctl(sw, "net.ipv6.conf.default.disable_ipv6", "1"), s.handles[sw].EnsureBridge("br0", nil, 1500))
	for _, f := range []string{"iptables", "ip6tables", "arptables"} {
		if err := linuxnet.SetSysctl(sw, "net.bridge.bridge-nf-call-"+f, "0"); !errors.Is(err, linuxnet.ErrNotFound) {
			check(t, err)
		}
	}
	plugInto := func(ns, port, mac string) {
		m := parseMAC(mac)
		check(t, s.handles[sw].AddVeth(linuxnet.VethEnd{Name: port}, linuxnet.VethEnd{Name: "port0", MAC: m[:]}, ns),
			s.handles[sw].AttachToBridge(port, "br0", linuxnet.BridgePort{Learning: true, Flood: true}), s.handles[sw].SetUp(port))
	}
	s.own = s.namespace(t, "d")
	s.prefix = s.own
	plugInto(s.own, "dist", vipMAC)
	s.client = s.namespace(t, "c")
	plugInto(s.client, "client", "02:ee:00:00:00:01")
	for n := range clients {
		check(t, s.handles[s.client].EnsureAddress("port0", netip.PrefixFrom(clientAddr(n), 24)))
	}
	check(t, s.handles[s.client].SetUp("port0"))
	for n := range amphorae {
		s.amphora(t, n, plugInto)
	}
	return s
}

func clientAddr(n int) netip.Addr { return netip.AddrFrom4([4]byte{198, 18, 0, byte(150 + n)}) }

// amphora makes one that has the VIP on lo, says its number to whoever connects and echoes lines, and answers probes
// unless it is deaf.
func (s *site) amphora(t *testing.T, n int, plugInto func(ns, port, mac string)) {
	t.Helper()
	ns := s.namespace(t, fmt.Sprint("a", n))
	h := s.handles[ns]
	check(t, linuxnet.SetSysctl(ns, "net.ipv4.conf.all.arp_ignore", "1"), linuxnet.SetSysctl(ns, "net.ipv4.conf.all.arp_announce", "2"),
		linuxnet.SetSysctl(ns, "net.ipv4.conf.all.rp_filter", "0"), linuxnet.SetSysctl(ns, "net.ipv4.conf.default.rp_filter", "0"))
	plugInto(ns, fmt.Sprint("amp", n), mac(n))
	check(t, h.EnsureAddress("port0", netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 18, 0, byte(10 + n)}), 24)),
		h.EnsureAddress("lo", netip.MustParsePrefix(vipAddress+"/32")), h.SetUp("port0"))
	ln, err := linuxnet.Listen(t.Context(), ns, "tcp", vipAddress+":80")
	check(t, err)
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				fmt.Fprintln(c, n)
				_, _ = io.Copy(c, c)
			}()
		}
	}()
	wire, err := linuxnet.OpenPacket(ns, "port0", probe.EtherType)
	check(t, err)
	t.Cleanup(func() { wire.Close() })
	key, err := probe.ParseKey(probeKey)
	check(t, err)
	go func() {
		buf := make([]byte, 256)
		for {
			size, from, err := wire.ReadFrom(buf)
			if err != nil {
				return
			}
			f, err := probe.Unmarshal(buf[:size], key, key.Tag(lb1))
			if err != nil || f.Type != probe.Ask || s.deaf[n].Load() {
				continue
			}
			f.Source, f.Destination, f.Type = f.Destination, f.Source, probe.Answer
			_, _ = wire.WriteTo(f.Marshal(key), from)
		}
	}()
}

func (s *site) start(t *testing.T, dp distributor.Dataplane) *agent.Agent {
	t.Helper()
	a, err := agent.Open(agentconf.Config{Kind: "distributor", ID: "d1", Place: agentconf.Place{Dir: s.dir}},
		agent.Parts{Ports: agent.NamespacePorts{Own: s.own, Prefix: s.prefix}, Dataplane: dp, OpenWire: agent.OpenWire, Now: time.Now},
		slog.New(slog.DiscardHandler))
	check(t, err)
	return a
}

// dial connects to the VIP from the n-th client address.
func (s *site) dial(n int) (net.Conn, *bufio.Reader, error) {
	var conn net.Conn
	err := linuxnet.In(s.client, func() (err error) {
		d := net.Dialer{Timeout: 5 * time.Second, LocalAddr: &net.TCPAddr{IP: clientAddr(n).AsSlice()}}
		conn, err = d.Dial("tcp", vipAddress+":80")
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	return conn, bufio.NewReader(conn), conn.SetDeadline(time.Now().Add(20 * time.Second))
}

// served asks which amphora each client address is served by.
func (s *site) served(t *testing.T) (out []string) {
	t.Helper()
	for n := range clients {
		c, r, err := s.dial(n)
		check(t, err)
		line, err := r.ReadString('\n')
		check(t, err)
		c.Close()
		out = append(out, strings.TrimSpace(line))
	}
	return out
}

// predicted is what the table says, with the swaps.
func predicted(t *testing.T, tb distributor.Table, swaps []distributor.Swap) (out []string) {
	t.Helper()
	c := compile(t, tb)
	for n := range clients {
		x := c.Explain(clientAddr(n), 0, swaps)
		out = append(out, fmt.Sprint(c.HolderIndex(x.Serving)))
	}
	return out
}

// await polls for a condition.
func await(t *testing.T, what string, met func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !met(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("within 10 s not: %s", what)
		}
	}
}

func TestOneLoadBalancerInNamespaces(t *testing.T) {
	bpftest.EachMechanism(t, testOneLoadBalancerInNamespaces)
}

func testOneLoadBalancerInNamespaces(t *testing.T, use bpf.Option) {
	s := newSite(t)
	dp := ebpf.New(s.pins, use)
	a := s.start(t, dp)
	running := true
	t.Cleanup(func() {
		if running {
			check(t, a.UnplugVIP(lb1, stamp(99, 1, 1)), a.Close())
		}
	})
	tb := table(1, 3, 1)
	tb.Rows = distributor.DefaultRows
	put(t, a, vipPath, plug(stamp(1, 1, 1)))
	put(t, a, tablePath, register(stamp(1, 1, 1), tb))
	ns := agent.NamespacePorts{Prefix: s.prefix}.Path(lb1)

	t.Run("S50 a namespace of its own", func(t *testing.T) {
		h, err := linuxnet.Open(ns)
		check(t, err)
		defer h.Close()
		links, err := h.Links()
		check(t, err)
		if len(links) != 2 || links[1].Name != agent.PortName || links[1].MAC.String() != vipMAC || !links[1].Up {
			t.Errorf("links %v", links)
		}
		addrs, err := h.Addresses(agent.PortName)
		check(t, err)
		if diff := cmp.Diff("["+vipAddress+"/32]", fmt.Sprint(addrs)); diff != "" {
			t.Error(diff)
		}
		for key, want := range map[string]string{
			"net.ipv4.ip_forward": "0", "net.ipv6.conf.all.disable_ipv6": "1",
			"net.ipv4.conf.all.rp_filter": "0", "net.ipv4.conf." + agent.PortName + ".rp_filter": "0",
		} {
			if got, err := linuxnet.Sysctl(ns, key); err != nil || got != want {
				t.Errorf("%s is %s (%v), want %s", key, got, err, want)
			}
		}
	})

	t.Run("S14 every source lands where the table says", func(t *testing.T) {
		if diff := cmp.Diff(predicted(t, tb, nil), s.served(t)); diff != "" {
			t.Error(diff)
		}
	})

	t.Run("S13 the kernel answers ARP for the VIP", func(t *testing.T) {
		known, err := s.handles[s.client].Neighbours("port0")
		check(t, err)
		if got := known[netip.MustParseAddr(vipAddress)].String(); got != vipMAC {
			t.Errorf("the VIP is at %s", got)
		}
	})

	t.Run("a restart disturbs nothing", func(t *testing.T) {
		c, r, err := s.dial(0)
		check(t, err)
		defer c.Close()
		_, err = r.ReadString('\n')
		check(t, err)
		echo := func(line string) {
			t.Helper()
			fmt.Fprintln(c, line)
			if got, err := r.ReadString('\n'); err != nil || got != line+"\n" {
				t.Fatalf("echoed %q, %v", got, err)
			}
		}
		echo("before")
		before := a.Status()
		count := statistics(t, a)
		check(t, a.Close())
		running = false
		echo("without an agent")
		if diff := cmp.Diff(predicted(t, tb, nil), s.served(t)); diff != "" {
			t.Error(diff)
		}
		a = s.start(t, ebpf.New(s.pins, use))
		running = true
		echo("after")
		if diff := cmp.Diff(before, a.Status()); diff != "" {
			t.Error(diff)
		}
		if now := statistics(t, a); now <= count {
			t.Errorf("%d packets forwarded, %d before the restart: the counters are others", now, count)
		}
	})

	t.Run("S54 a silent amphora is replaced by the standby", func(t *testing.T) {
		s.deaf[1].Store(true)
		await(t, "a swap", func() bool { return len(status(t, a).Swaps) == 1 })
		swaps := status(t, a).Swaps
		if swaps[0].Position != 1 || swaps[0].StandbyID != amp(3) {
			t.Fatalf("swaps %v", swaps)
		}
		if diff := cmp.Diff(predicted(t, tb, swaps), s.served(t)); diff != "" {
			t.Error(diff)
		}
		check(t, a.Close())
		a = s.start(t, ebpf.New(s.pins, use))
		if diff := cmp.Diff(swaps, status(t, a).Swaps); diff != "" {
			t.Error("after another restart: ", diff)
		}
		if diff := cmp.Diff(predicted(t, tb, swaps), s.served(t)); diff != "" {
			t.Error(diff)
		}
		s.deaf[1].Store(false)
	})

	t.Run("unplugged without a trace", func(t *testing.T) {
		must(t, a, "DELETE", vipPath+"?epoch=2&revision=1&serial=1", nil)
		if linuxnet.NamespaceExists(ns) {
			t.Error("the namespace is still there")
		}
		_, err := s.handles[s.own].LinkByMAC(net.HardwareAddr{2, 0xdd, 0, 0, 0, 1})
		check(t, err) // the port is back
		if left, err := os.ReadDir(s.pins); err != nil || len(left) > 0 {
			t.Errorf("pins %v, %v", left, err)
		}
		put(t, a, vipPath, plug(stamp(3, 1, 1)))
		put(t, a, tablePath, register(stamp(3, 1, 1), tb))
		if diff := cmp.Diff(predicted(t, tb, nil), s.served(t)); diff != "" {
			t.Error("plugged again: ", diff)
		}
	})
}

func statistics(t *testing.T, a *agent.Agent) uint64 {
	t.Helper()
	st, err := a.Statistics(lb1)
	check(t, err)
	return st.ForwardedPkts
}

// refusing is a dataplane that cannot install.
type refusing struct{ distributor.Dataplane }

func (refusing) Install(string, distributor.PortConfig) error { return errors.New("no such program") }

func TestPlugIsUndoneInNamespaces(t *testing.T) {
	bpftest.EachMechanism(t, testPlugIsUndoneInNamespaces)
}

func testPlugIsUndoneInNamespaces(t *testing.T, use bpf.Option) {
	s := newSite(t)
	a := s.start(t, refusing{ebpf.New(s.pins, use)})
	defer a.Close()
	for range 2 {
		if _, err := a.PlugVIP(plug(stamp(1, 1, 1))); err == nil || !strings.Contains(err.Error(), "no such program") {
			t.Fatalf("plugged with %v", err)
		}
		if linuxnet.NamespaceExists((agent.NamespacePorts{Prefix: s.prefix}).Path(lb1)) {
			t.Error("the namespace is left")
		}
		_, err := s.handles[s.own].LinkByMAC(net.HardwareAddr{2, 0xdd, 0, 0, 0, 1})
		check(t, err)
	}
	missing := plug(stamp(1, 1, 1))
	missing.MACAddress = "02:dd:00:00:00:99"
	if _, err := a.PlugVIP(missing); !errors.Is(err, linuxnet.ErrNotFound) {
		t.Errorf("a port that is not there: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := a.BeatUntil(ctx); err == nil {
		t.Error("heartbeats without a key")
	}
}
