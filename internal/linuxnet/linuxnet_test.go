package linuxnet_test

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sys/unix"

	"colonnade/internal/linuxnet"
	"colonnade/internal/testenv"
)

func TestMain(m *testing.M) { os.Exit(testenv.RunInLab(m.Run)) }

// newNS makes a namespace that goes with the test.
func newNS(t *testing.T) (name, path string) {
	t.Helper()
	b := make([]byte, 4)
	rand.Read(b)
	name = "cnt-" + hex.EncodeToString(b)
	t.Cleanup(func() {
		if err := linuxnet.DeleteNamespace(name); err != nil {
			t.Errorf("delete namespace: %v", err)
		}
	})
	created, err := linuxnet.EnsureNamespace(name)
	if err != nil || !created {
		t.Fatalf("EnsureNamespace: created %v, %v", created, err)
	}
	return name, linuxnet.Path(name)
}

func open(t *testing.T, path string) *linuxnet.Handle {
	t.Helper()
	h, err := linuxnet.Open(path)
	must(t, err)
	t.Cleanup(h.Close)
	return h
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func mac(s string) net.HardwareAddr { m, _ := net.ParseMAC(s); return m }

func TestNamespaces(t *testing.T) {
	name, path := newNS(t)
	t.Run("a second ensure finds it", func(t *testing.T) {
		if created, err := linuxnet.EnsureNamespace(name); created || err != nil {
			t.Fatalf("created %v, %v", created, err)
		}
	})
	t.Run("it is listed and is not ours", func(t *testing.T) {
		names, err := linuxnet.Namespaces(name)
		must(t, err)
		if diff := cmp.Diff([]string{name}, names); diff != "" {
			t.Error(diff)
		}
		if same, err := linuxnet.SameNamespace("", path); same || err != nil {
			t.Errorf("same %v, %v", same, err)
		}
	})
	t.Run("In enters and comes back", func(t *testing.T) {
		sentinel := errors.New("from inside")
		err := linuxnet.In(path, func() error {
			if same, err := linuxnet.SameNamespace("", path); !same || err != nil {
				t.Errorf("inside: same %v, %v", same, err)
			}
			return sentinel
		})
		if !errors.Is(err, sentinel) {
			t.Errorf("got %v", err)
		}
		if same, _ := linuxnet.SameNamespace("", path); same {
			t.Error("still inside")
		}
	})
	t.Run("a file left by a crash is no namespace, is completed and is deleted", func(t *testing.T) {
		half := name + "-half"
		must(t, os.WriteFile(linuxnet.Path(half), nil, 0o444))
		if linuxnet.NamespaceExists(linuxnet.Path(half)) {
			t.Error("a mere file counts as a namespace")
		}
		if created, err := linuxnet.EnsureNamespace(half); !created || err != nil {
			t.Errorf("complete: created %v, %v", created, err)
		}
		must(t, linuxnet.DeleteNamespace(half))
		must(t, os.WriteFile(linuxnet.Path(half), nil, 0o444))
		must(t, linuxnet.DeleteNamespace(half))
		must(t, linuxnet.DeleteNamespace(half))
		if _, err := os.Stat(linuxnet.Path(half)); !os.IsNotExist(err) {
			t.Errorf("file stays: %v", err)
		}
	})
	t.Run("a namespace mounted twice over is deleted whole", func(t *testing.T) {
		twice := name + "-twice"
		_, err := linuxnet.EnsureNamespace(twice)
		must(t, err)
		must(t, unix.Mount(path, linuxnet.Path(twice), "none", unix.MS_BIND, ""))
		must(t, linuxnet.DeleteNamespace(twice))
		if _, err := os.Stat(linuxnet.Path(twice)); !os.IsNotExist(err) {
			t.Errorf("file stays: %v", err)
		}
	})
	t.Run("what is not there is said so", func(t *testing.T) {
		if _, err := linuxnet.Open(path + "-none"); !errors.Is(err, linuxnet.ErrNoNamespace) || !errors.Is(err, linuxnet.ErrNotFound) {
			t.Errorf("got %v", err)
		}
		for _, bad := range []string{"", "..", "a/b"} {
			if _, err := linuxnet.EnsureNamespace(bad); err == nil {
				t.Errorf("name %q accepted", bad)
			}
		}
	})
}

func TestLinksAddressesRoutes(t *testing.T) {
	_, pa := newNS(t)
	_, pb := newNS(t)
	a, b := open(t, pa), open(t, pb)
	macA, macB := mac("02:00:00:00:00:0a"), mac("02:00:00:00:00:0b")
	must(t, a.AddVeth(linuxnet.VethEnd{Name: "left", MAC: macA, MTU: 1400}, linuxnet.VethEnd{Name: "right", MAC: macB, MTU: 1400}, pb))
	if err := a.AddVeth(linuxnet.VethEnd{Name: "left"}, linuxnet.VethEnd{Name: "other"}, pb); !errors.Is(err, linuxnet.ErrExists) {
		t.Errorf("second pair of that name: %v", err)
	}
	for _, x := range []struct {
		h    *linuxnet.Handle
		name string
		addr string
	}{{a, "left", "198.18.7.1/24"}, {b, "right", "198.18.7.2/24"}} {
		for range 2 { // everything can be repeated
			must(t, x.h.EnsureAddress(x.name, netip.MustParsePrefix(x.addr)))
			must(t, x.h.SetUp(x.name))
		}
	}
	t.Run("links are found by name and by MAC", func(t *testing.T) {
		got, err := b.LinkByMAC(macB)
		must(t, err)
		want := linuxnet.Link{Name: "right", Kind: "veth", MAC: macB, MTU: 1400, Up: true}
		if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(linuxnet.Link{}, "Index", "PeerIndex")); diff != "" {
			t.Error(diff)
		}
		left, err := a.Link("left")
		must(t, err)
		if left.PeerIndex != got.Index {
			t.Errorf("peer index %d, want %d", left.PeerIndex, got.Index)
		}
		if _, err := a.Link("none"); !errors.Is(err, linuxnet.ErrNotFound) {
			t.Errorf("missing link: %v", err)
		}
		if _, err := a.LinkByMAC(macB); !errors.Is(err, linuxnet.ErrNotFound) {
			t.Errorf("missing MAC: %v", err)
		}
	})
	t.Run("routes and rules", func(t *testing.T) {
		r := linuxnet.Route{Destination: netip.MustParsePrefix("0.0.0.0/0"), Gateway: netip.MustParseAddr("198.18.7.2"), Device: "left", Table: 77}
		u := linuxnet.Route{Destination: netip.MustParsePrefix("198.18.9.0/24"), Unreachable: true, Table: 77}
		for range 2 {
			must(t, a.SetRoute(r))
			must(t, a.SetRoute(u))
		}
		got, err := a.Routes(77)
		must(t, err)
		r.Protocol, u.Protocol = 4, 4
		if diff := cmp.Diff([]linuxnet.Route{r, u}, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
			cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
			t.Error(diff)
		}
		rule := linuxnet.Rule{Source: netip.MustParsePrefix("198.18.7.1/32"), Table: 77, Priority: 100}
		for range 2 {
			must(t, a.EnsureRule(rule))
		}
		rules, err := a.Rules()
		must(t, err)
		if len(rules) != 1 || rules[0] != rule {
			t.Errorf("rules %+v, want once %+v", rules, rule)
		}
		for range 2 {
			must(t, a.DeleteRule(rule))
			must(t, a.DeleteRoute(r))
			must(t, a.DeleteRoute(u))
		}
		if got, _ := a.Routes(77); len(got) != 0 {
			t.Errorf("left over: %+v", got)
		}
	})
	t.Run("neighbours", func(t *testing.T) {
		n := netip.MustParseAddr("198.18.7.9")
		must(t, a.SetNeighbour("left", n, macB))
		got, err := a.Neighbours("left")
		must(t, err)
		if diff := cmp.Diff(macB, got[n]); diff != "" {
			t.Error(diff)
		}
		must(t, a.DeleteNeighbour("left", n))
		must(t, a.DeleteNeighbour("left", n))
	})
	t.Run("sysctls are the namespace's own", func(t *testing.T) {
		must(t, linuxnet.SetSysctl(pa, "net.ipv4.conf.all.arp_ignore", "1"))
		for path, want := range map[string]string{pa: "1", pb: "0"} {
			if got, err := linuxnet.Sysctl(path, "net.ipv4.conf.all.arp_ignore"); err != nil || got != want {
				t.Errorf("%s: %q, %v; want %q", path, got, err, want)
			}
		}
		if _, err := linuxnet.Sysctl(pa, "net.no.such"); !errors.Is(err, linuxnet.ErrNotFound) {
			t.Errorf("missing sysctl: %v", err)
		}
	})
	t.Run("sockets, and the connections seen by sock_diag", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		ln, err := linuxnet.Listen(ctx, pb, "tcp", "198.18.7.2:80")
		must(t, err)
		defer ln.Close()
		go func() {
			for {
				c, err := ln.Accept()
				if err != nil {
					return
				}
				go func() { io.Copy(c, c); c.Close() }()
			}
		}()
		c, err := linuxnet.DialContext(ctx, pa, "tcp", "198.18.7.2:80")
		must(t, err)
		defer c.Close()
		must(t, c.SetDeadline(time.Now().Add(5*time.Second)))
		_, err = c.Write([]byte("hello"))
		must(t, err)
		buf := make([]byte, 5)
		_, err = io.ReadFull(c, buf)
		must(t, err)
		got, err := linuxnet.TCPSockets(pb, netip.MustParseAddr("198.18.7.2"), linuxnet.TCPEstablished)
		must(t, err)
		want := []linuxnet.TCPSocket{{
			Local:  netip.MustParseAddrPort("198.18.7.2:80"),
			Remote: netip.MustParseAddrPort(c.LocalAddr().String()), State: linuxnet.TCPEstablished,
		}}
		if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" {
			t.Error(diff)
		}
		if got, _ := linuxnet.TCPSockets(pb, netip.Addr{}, linuxnet.TCPListen); len(got) != 1 {
			t.Errorf("listeners: %+v", got)
		}
		if got, _ := linuxnet.TCPSockets(pb, netip.MustParseAddr("198.18.7.3"), linuxnet.TCPEstablished); len(got) != 0 {
			t.Errorf("another local address: %+v", got)
		}
		if _, err := linuxnet.DialContext(ctx, pa, "tcp", "localhost:80"); err == nil || !strings.Contains(err.Error(), "literal") {
			t.Errorf("a name was looked up: %v", err)
		}
	})
	t.Run("a gratuitous ARP arrives", func(t *testing.T) {
		pc, err := linuxnet.OpenPacket(pb, "right", 0x0806)
		must(t, err)
		defer pc.Close()
		must(t, linuxnet.GratuitousARP(pa, "left", netip.MustParseAddr("198.18.7.1"), macA))
		must(t, pc.SetDeadline(time.Now().Add(5*time.Second)))
		buf := make([]byte, 100)
		for {
			n, _, err := pc.ReadFrom(buf)
			must(t, err)
			if n >= 42 && string(buf[28:32]) == string(buf[38:42]) { // sender and target are one
				if diff := cmp.Diff(macA, net.HardwareAddr(buf[22:28])); diff != "" {
					t.Error(diff)
				}
				return
			}
		}
	})
	t.Run("moved and renamed", func(t *testing.T) {
		must(t, b.SetDown("right"))
		must(t, b.Rename("right", "eth9"))
		must(t, b.MoveTo("eth9", pa))
		if _, err := a.Link("eth9"); err != nil {
			t.Error(err)
		}
		must(t, a.DeleteLink("eth9"))
		must(t, a.DeleteLink("eth9"))
	})
}

func TestBridgePorts(t *testing.T) {
	_, ps := newNS(t)
	_, pa := newNS(t)
	s := open(t, ps)
	for range 2 {
		must(t, s.EnsureBridge("br0", mac("02:00:00:00:01:00"), 1450))
	}
	m := mac("02:00:00:00:00:0a")
	must(t, s.AddVeth(linuxnet.VethEnd{Name: "p1"}, linuxnet.VethEnd{Name: "eth0", MAC: m}, pa))
	for range 2 {
		must(t, s.AttachToBridge("p1", "br0", linuxnet.BridgePort{Isolated: true}))
		must(t, s.SetFDB("p1", m))
	}
	l, err := s.Link("p1")
	must(t, err)
	port, err := s.BridgePort("p1")
	must(t, err)
	if want := (linuxnet.BridgePort{Isolated: true}); port != want {
		t.Errorf("port flags %+v, want %+v", port, want)
	}
	got, err := s.FDB()
	must(t, err)
	if diff := cmp.Diff([]linuxnet.FDBEntry{{Port: l.Index, MAC: m, Static: true}}, got); diff != "" {
		t.Error(diff)
	}
	for range 2 {
		must(t, s.DeleteFDB("p1", m))
	}
	if got, _ := s.FDB(); len(got) != 0 {
		t.Errorf("left over: %+v", got)
	}
}

func TestUndo(t *testing.T) {
	var ran []string
	step := func(s string) func() error {
		return func() error { ran = append(ran, s); return errors.New("as it happens") }
	}
	u := linuxnet.NewUndo()
	u.Add("one", step("one"))
	u.Add("two", step("two"))
	u.RunUnlessDone()
	if diff := cmp.Diff([]string{"two", "one"}, ran); diff != "" {
		t.Error(diff)
	}
	ran = nil
	u.Add("three", step("three"))
	u.Done()
	u.RunUnlessDone()
	if len(ran) != 0 {
		t.Errorf("ran after Done: %v", ran)
	}
}
