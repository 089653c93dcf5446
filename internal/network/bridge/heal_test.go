package bridge_test

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"colonnade/internal/linuxnet"
	"colonnade/internal/network"
	"colonnade/internal/network/bridge"
	"colonnade/internal/testenv/snapshot"
)

func (l lab) picture(t *testing.T) snapshot.World {
	t.Helper()
	w, err := snapshot.Take(ctxFor(t), snapshot.Options{Inside: []string{"cn"}, Files: []string{"/run"}})
	must(t, err)
	return w
}

// wantPicture waits for what the kernel does some time later: devices go with their namespaces, carriers come.
func (l lab) wantPicture(t *testing.T, want snapshot.World) {
	t.Helper()
	var diff []string
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if diff = snapshot.Diff(want, l.picture(t)); diff == nil {
			return
		}
	}
	t.Errorf("the world differs from the one before:\n%s", strings.Join(diff, "\n"))
}

func (l lab) handle(t *testing.T, ns string) *linuxnet.Handle {
	t.Helper()
	path := ""
	if ns != "" {
		path = linuxnet.Path(l.cfg.Prefix + "-" + ns)
	}
	h, err := linuxnet.Open(path)
	must(t, err)
	t.Cleanup(h.Close)
	return h
}

// deleteKind deletes the devices with a prefix of the name.
func deleteKind(t *testing.T, h *linuxnet.Handle, prefix string) {
	t.Helper()
	links, err := h.Links()
	must(t, err)
	n := 0
	for _, x := range links {
		if strings.HasPrefix(x.Name, prefix) {
			must(t, h.DeleteLink(x.Name))
			n++
		}
	}
	if n == 0 {
		t.Fatalf("no device %s…", prefix)
	}
}

// TestHeal breaks the realization in every place, as a crash of ours between any two steps or an accident would, and
// wants Ensure to bring back the same world.
func TestHeal(t *testing.T) {
	l := newLab(t)
	n := l.network(t, "198.18.1.0/24")
	tenant, own := l.port(t, n, network.PurposeTenant), l.port(t, n, network.PurposeFrontEnd)
	l.machine(t, tenant)
	l.machine(t, own)
	want := l.picture(t)
	foreign, _ := net.ParseMAC("02:00:00:00:00:99")
	for _, c := range []struct {
		name   string
		hurt   func(t *testing.T)
		replug bool // ports went with what was hurt
	}{
		{"nothing", func(*testing.T) {}, false},
		{"the host's link", func(t *testing.T) { must(t, l.handle(t, "").DeleteLink(l.cfg.Prefix)) }, false},
		{"the host's route", func(t *testing.T) {
			must(t, l.handle(t, "").DeleteRoute(linuxnet.Route{Destination: netip.MustParsePrefix("198.18.1.0/24"), Device: l.cfg.Prefix}))
		}, false},
		{"the gateway", func(t *testing.T) {
			must(t, linuxnet.DeleteNamespace(l.cfg.Prefix+"-gateway"))
			awaitGone(t, l.handle(t, ""), l.cfg.Prefix)
		}, false},
		{"the gateway's port", func(t *testing.T) { deleteKind(t, l.handle(t, "switch"), "g-") }, false},
		{"the gateway's rules", func(t *testing.T) {
			must(t, linuxnet.Nft(ctxFor(t), linuxnet.Path(l.cfg.Prefix+"-gateway"), "flush ruleset"))
		}, false},
		{"the management namespace", func(t *testing.T) {
			must(t, linuxnet.DeleteNamespace(l.cfg.Prefix+"-mgmt"))
			awaitGone(t, l.handle(t, "switch"), "mgmt")
		}, false},
		{"the bridges", func(t *testing.T) { deleteKind(t, l.handle(t, "switch"), "br-") }, false},
		{"the switch's rules", func(t *testing.T) {
			must(t, linuxnet.Nft(ctxFor(t), linuxnet.Path(l.cfg.Prefix+"-switch"), "flush ruleset"))
		}, false},
		{"the switch", func(t *testing.T) {
			must(t, linuxnet.DeleteNamespace(l.cfg.Prefix+"-switch"))
			awaitGone(t, l.handle(t, "mgmt"), "eth0")
		}, true},
		{"devices and a route that no row knows", func(t *testing.T) {
			sw, host := l.handle(t, "switch"), l.handle(t, "")
			must(t, sw.AddVeth(linuxnet.VethEnd{Name: "p-00000000000"}, linuxnet.VethEnd{Name: "stray"}, ""))
			must(t, sw.EnsureBridge("br-stray", nil, 0))
			must(t, host.SetRoute(linuxnet.Route{Destination: netip.MustParsePrefix("198.18.66.0/24"), Device: l.cfg.Prefix}))
		}, false},
	} {
		t.Run("of "+c.name, func(t *testing.T) {
			c.hurt(t)
			if hurt := snapshot.Diff(want, l.picture(t)) != nil; hurt != (c.name != "nothing") {
				t.Fatalf("the picture sees the harm: %v", hurt)
			}
			d, err := bridge.New(l.cfg)
			must(t, err)
			must(t, d.Ensure(ctxFor(t)))
			if c.replug {
				for _, p := range []network.Port{tenant, own} {
					must(t, d.PlugNamespace(ctxFor(t), p.ID, linuxnet.Path("cnt-"+p.ID[:8]), "eth0"))
				}
			}
			l.wantPicture(t, want)
		})
	}
	t.Run("a plug that stopped half-way is completed where it stands", func(t *testing.T) {
		sw := l.handle(t, "switch")
		side := sideOf(t, sw, own)
		must(t, sw.SetAlias(side, ""))
		must(t, l.PlugNamespace(ctxFor(t), own.ID, linuxnet.Path("cnt-"+own.ID[:8]), "eth0"))
		l.wantPicture(t, want)
	})
	t.Run("half a plug into another place is replaced", func(t *testing.T) {
		sw := l.handle(t, "switch")
		side := sideOf(t, sw, own)
		must(t, sw.DeleteLink(side))
		mac, _ := net.ParseMAC(own.MAC)
		must(t, sw.AddVeth(linuxnet.VethEnd{Name: side}, linuxnet.VethEnd{Name: "eth0", MAC: mac}, ""))
		must(t, l.PlugNamespace(ctxFor(t), own.ID, linuxnet.Path("cnt-"+own.ID[:8]), "eth0"))
		l.wantPicture(t, want)
	})
	t.Run("another's device of our name is not taken", func(t *testing.T) {
		host := l.handle(t, "")
		must(t, host.DeleteLink(l.cfg.Prefix))
		must(t, host.EnsureBridge(l.cfg.Prefix, foreign, 0))
		if err := l.Ensure(ctxFor(t)); err == nil || !strings.Contains(err.Error(), "not ours") {
			t.Errorf("got %v", err)
		}
		must(t, host.DeleteLink(l.cfg.Prefix))
	})
}

// sideOf finds the bridge side of a plugged port by its description.
func sideOf(t *testing.T, sw *linuxnet.Handle, p network.Port) string {
	t.Helper()
	links, err := sw.Links()
	must(t, err)
	for _, l := range links {
		if strings.HasPrefix(l.Alias, p.ID+" ") {
			return l.Name
		}
	}
	t.Fatalf("port %s has no device", p.ID)
	return ""
}

// awaitGone waits until a device went with its namespace, which the kernel does in its own time.
func awaitGone(t *testing.T, h *linuxnet.Handle, device string) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if _, err := h.Link(device); err != nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("device %s stays", device)
		}
	}
}
