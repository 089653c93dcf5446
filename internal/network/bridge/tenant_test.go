package bridge_test

import (
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"golang.org/x/sys/unix"

	"colonnade/internal/lb"
	"colonnade/internal/linuxnet"
	"colonnade/internal/network"
	"colonnade/internal/network/bridge"
	"colonnade/internal/store/storetest"
	"colonnade/internal/testenv/snapshot"
)

// namespace makes what an operator makes: `ip netns add`.
func namespace(t *testing.T) string {
	t.Helper()
	name := "cnt-" + uuid.NewString()[:8]
	_, err := linuxnet.EnsureNamespace(name)
	must(t, err)
	t.Cleanup(func() { must(t, linuxnet.DeleteNamespace(name)) })
	must(t, linuxnet.SetSysctl(linuxnet.Path(name), "net.ipv6.conf.all.disable_ipv6", "1"))
	return name
}

func wantKind(t *testing.T, err error, kind lb.Kind) {
	t.Helper()
	if err == nil || lb.KindOf(err) != kind {
		t.Errorf("got %v, want kind %v", err, kind)
	}
}

func TestTenantPort(t *testing.T) {
	l := newLab(t)
	n := l.network(t, "198.18.1.0/24")
	machine, other := namespace(t), namespace(t)
	spec := network.PortSpec{NetworkID: n.ID, Address: "198.18.1.77", Name: "web1", Namespace: machine, ProjectID: "p"}
	p, err := l.CreateTenantPort(ctxFor(t), spec)
	must(t, err)
	want := network.Port{
		ID: p.ID, NetworkID: n.ID, SubnetID: n.Subnets[0].ID, MAC: p.MAC, Address: "198.18.1.77", CIDR: "198.18.1.0/24", Gateway: "198.18.1.1",
		MTU: 1500, Purpose: network.PurposeTenant, OwnerID: "machine web1", ProjectID: "p", Name: "web1", Namespace: machine, Interface: "eth0", Plugged: true,
	}
	if diff := cmp.Diff(want, p); diff != "" {
		t.Error(diff)
	}
	client, err := l.CreateTenantPort(ctxFor(t), network.PortSpec{NetworkID: n.ID, Namespace: other, Interface: "up0"})
	must(t, err)
	serve(t, linuxnet.Path(machine), "198.18.1.77:7000")
	must(t, ask(t, linuxnet.Path(other), "198.18.1.77:7000", 2*time.Second))

	t.Run("a second port of a machine leaves its way out alone", func(t *testing.T) {
		more, err := l.CreateTenantPort(ctxFor(t), network.PortSpec{NetworkID: l.network(t, "198.18.2.0/24").ID, Namespace: other, Interface: "eth1"})
		must(t, err)
		h, err := linuxnet.Open(linuxnet.Path(other))
		must(t, err)
		defer h.Close()
		routes, err := h.Routes(0)
		must(t, err)
		for _, r := range routes {
			if r.Destination.Bits() == 0 && r.Device != "up0" {
				t.Errorf("default route %+v", r)
			}
		}
		must(t, l.DeleteTenantPort(ctxFor(t), more.ID))
	})
	t.Run("an interface that is there already is a conflict, and takes no address", func(t *testing.T) {
		_, err := l.CreateTenantPort(ctxFor(t), network.PortSpec{NetworkID: n.ID, Namespace: machine, Address: "198.18.1.78"})
		wantKind(t, err, lb.KindConflict)
		again, err := l.CreateTenantPort(ctxFor(t), network.PortSpec{NetworkID: n.ID, Address: "198.18.1.78"})
		must(t, err)
		if again.Plugged {
			t.Error("a port without a namespace is plugged in")
		}
		must(t, l.DeleteTenantPort(ctxFor(t), again.ID))
	})
	t.Run("it is shown and listed; ports of the service are not", func(t *testing.T) {
		vip := l.port(t, n, network.PurposeVIP)
		got, err := l.TenantPort(ctxFor(t), p.ID)
		must(t, err)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		all, err := l.TenantPorts(ctxFor(t))
		must(t, err)
		if len(all) != 2 {
			t.Errorf("%d ports, want 2", len(all))
		}
		_, err = l.TenantPort(ctxFor(t), vip.ID)
		wantKind(t, err, lb.KindNotFound)
		wantKind(t, l.DeleteTenantPort(ctxFor(t), vip.ID), lb.KindNotFound)
		must(t, l.DeletePort(ctxFor(t), vip.ID))
	})
	t.Run("a start keeps it, and one made by hand for a row; what has no row goes", func(t *testing.T) {
		byHand, err := l.CreateTenantPort(ctxFor(t), network.PortSpec{NetworkID: n.ID, Name: "by-hand"})
		must(t, err)
		sw := l.handle(t, "switch")
		// The device's name is known from a plug that is undone by hand.
		must(t, l.PlugNamespace(ctxFor(t), byHand.ID, linuxnet.Path(machine), "eth9"))
		side := sideOf(t, sw, byHand)
		must(t, sw.DeleteLink(side))
		must(t, sw.AddVeth(linuxnet.VethEnd{Name: side}, linuxnet.VethEnd{Name: "hand"}, linuxnet.Path(machine)))
		must(t, sw.AddVeth(linuxnet.VethEnd{Name: "m-stray"}, linuxnet.VethEnd{Name: "stray"}, ""))
		before, err := sw.Link(sideOf(t, sw, p))
		must(t, err)
		d, err := bridge.New(l.cfg)
		must(t, err)
		must(t, d.Ensure(ctxFor(t)))
		after, err := sw.Link(before.Name)
		must(t, err)
		if after.Index != before.Index {
			t.Error("the device was made anew")
		}
		if h, err := sw.Link(side); err != nil || h.Master == 0 {
			t.Errorf("made by hand: %+v, %v", h, err)
		}
		if _, err := sw.Link("m-stray"); err == nil {
			t.Error("the device without a row stays")
		}
		must(t, ask(t, linuxnet.Path(other), "198.18.1.77:7000", 2*time.Second))
		must(t, l.DeleteTenantPort(ctxFor(t), byHand.ID))
	})
	t.Run("after everything was taken away a start plugs it in again, with the same MAC", func(t *testing.T) {
		standing, err := l.Standing()
		must(t, err)
		if diff := cmp.Diff(bridge.Standing{Networks: 2, Ports: 2, HostDevice: l.cfg.Prefix}, standing); diff != "" {
			t.Error(diff)
		}
		must(t, l.Remove(ctxFor(t)))
		standing, err = l.Standing()
		must(t, err)
		if diff := cmp.Diff(bridge.Standing{}, standing); diff != "" {
			t.Error(diff)
		}
		awaitGone(t, open(t, linuxnet.Path(machine)), "eth0")
		d, err := bridge.New(l.cfg)
		must(t, err)
		must(t, d.Ensure(ctxFor(t)))
		must(t, ask(t, linuxnet.Path(other), "198.18.1.77:7000", 2*time.Second))
		got, err := d.TenantPort(ctxFor(t), p.ID)
		must(t, err)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("a machine that is gone keeps no start from working", func(t *testing.T) {
		must(t, linuxnet.DeleteNamespace(other))
		awaitUnplugged(t, l, client)
		must(t, l.Ensure(ctxFor(t)))
		got, err := l.TenantPort(ctxFor(t), client.ID)
		must(t, err)
		if got.Plugged {
			t.Error("plugged into nothing")
		}
		must(t, l.DeleteTenantPort(ctxFor(t), client.ID))
	})
	t.Run("deleted it is unplugged and its address free", func(t *testing.T) {
		must(t, l.DeleteTenantPort(ctxFor(t), p.ID))
		wantKind(t, l.DeleteTenantPort(ctxFor(t), p.ID), lb.KindNotFound)
		if _, err := open(t, linuxnet.Path(machine)).Link("eth0"); err == nil {
			t.Error("the machine keeps its device")
		}
		again, err := l.CreateTenantPort(ctxFor(t), spec)
		must(t, err)
		if again.Address != p.Address || again.MAC == p.MAC {
			t.Errorf("got %s %s, had %s %s", again.Address, again.MAC, p.Address, p.MAC)
		}
		must(t, l.DeleteTenantPort(ctxFor(t), again.ID))
	})
}

func open(t *testing.T, path string) *linuxnet.Handle {
	t.Helper()
	h, err := linuxnet.Open(path)
	must(t, err)
	t.Cleanup(h.Close)
	return h
}

func awaitUnplugged(t *testing.T, l lab, p network.Port) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if plugged, err := l.Plugged(p.ID); err == nil && !plugged {
			return
		}
		if time.Now().After(end) {
			t.Fatal("the device stays")
		}
	}
}

func TestTenantPortRefuses(t *testing.T) {
	l := newLab(t)
	n := l.network(t, "198.18.1.0/24")
	machine := namespace(t)
	for _, c := range []struct {
		name string
		kind lb.Kind
		spec network.PortSpec
	}{
		{"a name that is a path", lb.KindInvalid, network.PortSpec{Name: "a/b"}},
		{"a name of two lines", lb.KindInvalid, network.PortSpec{Name: "a\nb"}},
		{"a long name", lb.KindInvalid, network.PortSpec{Name: strings.Repeat("a", 65)}},
		{"a namespace outside", lb.KindInvalid, network.PortSpec{Namespace: "../../proc/1/ns/net"}},
		{"a namespace that is the directory", lb.KindInvalid, network.PortSpec{Namespace: "."}},
		{"a namespace above", lb.KindInvalid, network.PortSpec{Namespace: ".."}},
		{"a namespace like an option", lb.KindInvalid, network.PortSpec{Namespace: "-n"}},
		{"a namespace that is not there", lb.KindInvalid, network.PortSpec{Namespace: "cnt-nobody"}},
		{"our switch", lb.KindInvalid, network.PortSpec{Namespace: l.cfg.Prefix + "-switch"}},
		{"our gateway", lb.KindInvalid, network.PortSpec{Namespace: l.cfg.Prefix + "-gateway"}},
		{"an amphora", lb.KindInvalid, network.PortSpec{Namespace: l.cfg.Prefix + "-a-0123abcd-t"}},
		{"another control plane's distributor", lb.KindInvalid, network.PortSpec{Namespace: "cn000000-d-0123abcd"}},
		{"the loopback", lb.KindInvalid, network.PortSpec{Namespace: machine, Interface: "lo"}},
		{"an interface with a slash", lb.KindInvalid, network.PortSpec{Namespace: machine, Interface: "a/b"}},
		{"an interface with a blank", lb.KindInvalid, network.PortSpec{Namespace: machine, Interface: "a b"}},
		{"a long interface", lb.KindInvalid, network.PortSpec{Namespace: machine, Interface: "sixteencharacter"}},
		{"an interface of nothing", lb.KindInvalid, network.PortSpec{Interface: "eth0"}},
		{"an address outside", lb.KindInvalid, network.PortSpec{Address: "203.0.113.1", Namespace: machine}},
		{"the gateway's address", lb.KindConflict, network.PortSpec{Address: "198.18.1.1", Namespace: machine}},
		{"the management network", lb.KindInvalid, network.PortSpec{NetworkID: bridge.ManagementNetworkID, Namespace: machine}},
		{"no such network", lb.KindNotFound, network.PortSpec{NetworkID: uuid.NewString(), Namespace: machine}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.spec.NetworkID == "" {
				c.spec.NetworkID = n.ID
			}
			_, err := l.CreateTenantPort(ctxFor(t), c.spec)
			wantKind(t, err, c.kind)
		})
	}
	all, err := l.TenantPorts(ctxFor(t))
	must(t, err)
	if len(all) != 0 {
		t.Errorf("ports are left: %+v", all)
	}
}

// TestMachineReplaced has another machine take over an address, with another MAC, while a third talks to it: who knew the
// old MAC must not go on sending to it, which would be its neighbour table's 30 s or more.
func TestMachineReplaced(t *testing.T) {
	l := newLab(t)
	n := l.network(t, "198.18.1.0/24")
	asking := l.machine(t, l.port(t, n, network.PurposeTenant))
	gateway := linuxnet.Path(l.cfg.Prefix + "-gateway")
	spec := network.PortSpec{NetworkID: n.ID, Address: "198.18.1.77"}
	for range 3 {
		spec.Namespace = namespace(t)
		p, err := l.CreateTenantPort(ctxFor(t), spec)
		must(t, err)
		serve(t, linuxnet.Path(spec.Namespace), "198.18.1.77:7000")
		for _, from := range []string{asking, gateway} {
			// Less than a second: the first packet goes to the right MAC, no resolution is tried again.
			must(t, ask(t, from, "198.18.1.77:7000", 500*time.Millisecond))
			h := open(t, from)
			for _, device := range []string{"eth0", gatewayDevice(t, h)} {
				if device == "" {
					continue
				}
				known, err := h.Neighbours(device)
				if err == nil && len(known[netip.MustParseAddr("198.18.1.77")]) > 0 && known[netip.MustParseAddr("198.18.1.77")].String() != p.MAC {
					t.Errorf("%s knows %s, want %s", device, known[netip.MustParseAddr("198.18.1.77")], p.MAC)
				}
			}
		}
		must(t, l.DeleteTenantPort(ctxFor(t), p.ID))
		if known, err := open(t, gateway).Neighbours(gatewayDevice(t, open(t, gateway))); err != nil || len(known[netip.MustParseAddr("198.18.1.77")]) > 0 {
			t.Errorf("the gateway still knows the deleted port: %v, %v", known, err)
		}
	}
}

// gatewayDevice is the gateway's port of the one network; "" elsewhere.
func gatewayDevice(t *testing.T, h *linuxnet.Handle) string {
	t.Helper()
	links, err := h.Links()
	must(t, err)
	for _, l := range links {
		if strings.HasPrefix(l.Name, "n-") {
			return l.Name
		}
	}
	return ""
}

// TestNamespacesBesideIproute2 is a machine where somebody uses `ip netns` for the first time while we run: the lab's /run
// is empty.
func TestNamespacesBesideIproute2(t *testing.T) {
	picture := func() snapshot.World {
		w, err := snapshot.Take(ctxFor(t), snapshot.Options{Files: []string{"/run"}})
		must(t, err)
		return w
	}
	netns := func(args ...string) {
		t.Helper()
		if out, err := exec.CommandContext(ctxFor(t), "ip", append([]string{"netns"}, args...)...).CombinedOutput(); err != nil {
			t.Fatalf("ip netns %v: %v: %s", args, err, out)
		}
	}
	run := func(t *testing.T, meanwhile func(l lab)) {
		t.Helper()
		dir := t.TempDir()
		cfg := bridge.Config{Prefix: bridge.PrefixFor(dir), StateDir: dir, Store: storetest.Open(t, storetest.File(t)), RunDir: dir + "/run"}
		d, err := bridge.New(cfg)
		must(t, err)
		must(t, d.Probe(ctxFor(t)))
		must(t, d.Ensure(ctxFor(t)))
		meanwhile(lab{d, cfg})
		must(t, d.Remove(ctxFor(t)))
		must(t, d.Remove(ctxFor(t)))
	}
	empty := picture()
	t.Run("nobody: nothing is left", func(t *testing.T) {
		run(t, func(lab) {})
		if diff := snapshot.Diff(empty, picture()); diff != nil {
			t.Error(strings.Join(diff, "\n"))
		}
	})
	t.Run("one was made and is gone: nothing is left", func(t *testing.T) {
		run(t, func(l lab) {
			netns("add", "cnt-other")
			netns("exec", l.cfg.Prefix+"-switch", "true")
			netns("del", "cnt-other")
		})
		if diff := snapshot.Diff(empty, picture()); diff != nil {
			t.Error(strings.Join(diff, "\n"))
		}
	})
	t.Run("one was made and stays: it goes on working", func(t *testing.T) {
		run(t, func(lab) { netns("add", "cnt-other") })
		netns("exec", "cnt-other", "true")
		names, err := linuxnet.Namespaces("")
		must(t, err)
		if diff := cmp.Diff([]string{"cnt-other"}, names); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("another's namespace outlives a first removal: a second one after it leaves nothing", func(t *testing.T) {
		netns("del", "cnt-other")
		must(t, unix.Unmount(linuxnet.RunDir, 0))
		must(t, os.Remove(linuxnet.RunDir))
		dir := t.TempDir()
		d, err := bridge.New(bridge.Config{Prefix: bridge.PrefixFor(dir), StateDir: dir, Store: storetest.Open(t, storetest.File(t)), RunDir: dir + "/run"})
		must(t, err)
		must(t, d.Ensure(ctxFor(t)))
		netns("add", "cnt-other")
		must(t, d.Remove(ctxFor(t)))
		netns("exec", "cnt-other", "true")
		must(t, d.Ensure(ctxFor(t)))
		netns("del", "cnt-other")
		must(t, d.Remove(ctxFor(t)))
		if diff := snapshot.Diff(empty, picture()); diff != nil {
			t.Error(strings.Join(diff, "\n"))
		}
		netns("add", "cnt-other")
	})
	t.Run("the mount is another's: it stays", func(t *testing.T) {
		before := picture()
		run(t, func(l lab) { netns("del", l.cfg.Prefix+"-mgmt") })
		if diff := snapshot.Diff(before, picture()); diff != nil {
			t.Error(strings.Join(diff, "\n"))
		}
		netns("exec", "cnt-other", "true")
		netns("del", "cnt-other")
	})
}
