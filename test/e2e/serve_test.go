package e2e_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"colonnade/internal/distributor"
	"colonnade/internal/linuxnet"
	"colonnade/internal/stage"
	"colonnade/internal/traffic"
)

// via sends one request from each source and returns the address the member saw it come from: an amphora's.
func via(t *testing.T, from *stage.Machine, sv *stage.Service, sources []netip.Addr) map[netip.Addr]netip.Addr {
	t.Helper()
	out := map[netip.Addr]netip.Addr{}
	for _, source := range sources {
		r := traffic.Get(within(t, 20*time.Second), from.Dial, source, sv.Web())
		if r.Failure != "" {
			t.Fatalf("request from %s: %s", source, r.Failure)
		}
		peer, err := netip.ParseAddrPort(r.Answer.Peer)
		if err != nil {
			t.Fatal(err)
		}
		if r.Answer.Client != source.String() {
			t.Errorf("S17 member was told client %q, want %s", r.Answer.Client, source)
		}
		out[source] = peer.Addr()
	}
	return out
}

// TestEverySourceLandsWhereTheTableSays rebuilds the table from the API's answer alone and watches the wire.
func TestEverySourceLandsWhereTheTableSays(t *testing.T) {
	s := set(t, quick)
	sv, internet := serving(t, s, 0, 300)
	view, err := sv.View(within(t, 10*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	compiled, err := distributor.Compile(view.Table)
	if err != nil {
		t.Fatal(err)
	}
	capture, err := traffic.StartCapture(linuxnet.Path(s.Prefix() + "-switch"))
	if err != nil {
		t.Fatal(err)
	}
	got := via(t, internet, sv, internet.Sources)
	counts, err := capture.Stop()
	if err != nil {
		t.Fatal(err)
	}

	amphoraOf := map[string]string{} // front-end MAC -> amphora
	for _, a := range view.Amphorae {
		amphoraOf[*a.FrontEndMAC] = a.ID
	}
	t.Run("D1 S11 frames of a source go to the amphora of its row", func(t *testing.T) {
		links := frontLinks(t, s, view)
		wire := map[netip.Addr]map[string]bool{} // source -> amphorae whose port a frame of it left the switch by
		for k := range counts {
			if id, ok := links[k.Device]; ok && k.Out && k.TargetIP == sv.VIP {
				if wire[k.SourceIP] == nil {
					wire[k.SourceIP] = map[string]bool{}
				}
				wire[k.SourceIP][id] = true
			}
		}
		perAmphora := map[string]int{}
		for _, source := range internet.Sources {
			want := view.Table.Holders[compiled.Owner(compiled.RowOf(source, 0))].AmphoraID
			if diff := cmp.Diff(map[string]bool{want: true}, wire[source]); diff != "" {
				t.Errorf("source %s: %s", source, diff)
			}
			perAmphora[want]++
		}
		if len(perAmphora) != 3 {
			t.Errorf("300 sources landed on %d amphorae: %v", len(perAmphora), perAmphora)
		}
		byPeer := map[netip.Addr]string{}
		for source, peer := range got {
			want := view.Table.Holders[compiled.Owner(compiled.RowOf(source, 0))].AmphoraID
			if known, ok := byPeer[peer]; ok && known != want {
				t.Errorf("member saw %s for amphorae %s and %s", peer, known, want)
			}
			byPeer[peer] = want
		}
		if len(byPeer) != 3 {
			t.Errorf("members saw %d amphorae, want 3", len(byPeer))
		}
	})
	t.Run("S13 S18 replies never pass the distributor", func(t *testing.T) {
		distributorLink := distributorLink(t, s, sv)
		replies, towards := 0, 0
		for k, n := range counts {
			if k.EtherType != 0x0800 {
				continue
			}
			if k.Device == distributorLink && k.SourceIP == sv.VIP {
				t.Errorf("%d frames with the VIP as source on the distributor's port: %+v", n, k)
			}
			if k.Device == distributorLink && k.Out && k.TargetIP == sv.VIP {
				towards += n
			}
			if amphoraOf[k.Source] != "" && !k.Out && k.SourceIP == sv.VIP {
				replies += n
			}
		}
		if replies == 0 || towards == 0 {
			t.Errorf("%d replies from amphorae, %d frames to the distributor: the capture saw nothing", replies, towards)
		}
	})
	t.Run("S16 no amphora speaks ARP for the VIP", func(t *testing.T) {
		answered := false
		for k, n := range counts {
			if k.EtherType == 0x0806 && k.SourceIP == sv.VIP {
				if amphoraOf[k.Source] != "" {
					t.Errorf("%d ARP frames with the VIP as sender from amphora %s", n, amphoraOf[k.Source])
				}
				answered = true
			}
		}
		if !answered {
			t.Log("the gateway knew the VIP's address before the capture began")
		}
	})
	t.Run("amphorae and distributor send IPv4, ARP and probes, nothing else", func(t *testing.T) {
		links := frontLinks(t, s, view)
		links[distributorLink(t, s, sv)] = "distributor"
		for k, n := range counts {
			if links[k.Device] == "" || k.Out {
				continue
			}
			switch k.EtherType {
			case 0x0800, 0x0806, 0x88b5:
			default:
				t.Errorf("%d frames of ethertype %#04x from %s", n, k.EtherType, links[k.Device])
			}
		}
	})
}

// frontLinks maps the switch's side of each amphora's front-end port to the amphora.
func frontLinks(t *testing.T, s *stage.Stage, view stage.View) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, a := range view.Amphorae {
		link, err := s.PortLink(*a.VRRPPortID)
		if err != nil {
			t.Fatal(err)
		}
		out[link] = a.ID
	}
	return out
}

func distributorLink(t *testing.T, s *stage.Stage, sv *stage.Service) string {
	t.Helper()
	l, err := s.Client().LoadBalancers().Get(within(t, 10*time.Second), sv.ID)
	if err != nil {
		t.Fatal(err)
	}
	link, err := s.PortLink(l.VIPPortID)
	if err != nil {
		t.Fatal(err)
	}
	return link
}
