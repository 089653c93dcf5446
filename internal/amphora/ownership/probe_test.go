package ownership_test

import (
	"encoding/hex"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"colonnade/internal/amphora/ownership"
	"colonnade/internal/bpf"
	"colonnade/internal/bpf/bpftest"
	"colonnade/internal/distributor/probe"
	"colonnade/internal/linuxnet"
)

func TestProbes(t *testing.T) { bpftest.EachMechanism(t, testProbes) }

func testProbes(t *testing.T, use bpf.Option) {
	l := newLab(t, use)
	asked := probe.Frame{
		Source: distMAC, Destination: own, Type: probe.Ask, Tag: probeKey.Tag(lbID), Sequence: 41, SentNS: 12345,
	}
	foreign := asked
	foreign.Destination = [6]byte{2, 0, 0, 0, 0xaa, 9}
	other := asked
	other.Tag = probeKey.Tag("another load balancer")
	answer := asked
	answer.Type = probe.Answer
	changed := asked.Marshal(probeKey)
	changed[53] ^= 1
	tests := []struct {
		name    string
		stamps  []bool // up or not, the last one counts; none: never stamped
		frame   []byte
		verdict uint32
		count   string
	}{
		{"before the first stamp", nil, asked.Marshal(probeKey), bpftest.Drop, "probe_stale"},
		{"up", []bool{true}, asked.Marshal(probeKey), bpftest.Redirect, "probe_answered"},
		{"up, without padding", []bool{true}, asked.Marshal(probeKey)[:54], bpftest.Redirect, "probe_answered"},
		{"HAProxy is down", []bool{true, false}, asked.Marshal(probeKey), bpftest.Drop, "probe_stale"},
		{"up again", []bool{true}, asked.Marshal(probeKey), bpftest.Redirect, "probe_answered"},
		{"another key", []bool{true}, asked.Marshal(probe.Key{9}), bpftest.Drop, "probe_bad"},
		{"another load balancer", []bool{true}, other.Marshal(probeKey), bpftest.Drop, "probe_bad"},
		{"an answer instead", []bool{true}, answer.Marshal(probeKey), bpftest.Drop, "probe_bad"},
		{"signature changed", []bool{true}, changed, bpftest.Drop, "probe_bad"},
		{"cut", []bool{true}, asked.Marshal(probeKey)[:53], bpftest.Drop, "probe_bad"},
		{"to a foreign MAC", []bool{true}, foreign.Marshal(probeKey), bpftest.Pass, ""},
	}
	for _, tt := range tests {
		t.Run("S31 "+tt.name, func(t *testing.T) {
			var verdict uint32
			var out []byte
			up := l.counted(t, func() {
				for _, s := range tt.stamps {
					if err := l.prog.Stamp(s); err != nil {
						t.Fatal(err)
					}
				}
				verdict, out = l.run(t, tt.frame)
			})
			want := map[string]uint64{}
			if tt.count != "" {
				want[tt.count] = 1
			}
			if diff := cmp.Diff(want, up); diff != "" || verdict != tt.verdict {
				t.Errorf("verdict %d, counters (-want +got)\n%s", verdict, diff)
			}
			if tt.verdict != bpftest.Redirect {
				return
			}
			answered := answer
			answered.Source, answered.Destination = own, distMAC
			if diff := cmp.Diff(hex.EncodeToString(answered.Marshal(probeKey)[:54]), hex.EncodeToString(out[:54])); diff != "" {
				t.Errorf("answer (-want +got)\n%s", diff)
			}
			if got, err := probe.Unmarshal(out, probeKey, probeKey.Tag(lbID)); err != nil || got != answered {
				t.Errorf("answer %+v, %v", got, err)
			}
		})
	}
	t.Run("S31 answered on the wire, silent a second after the last stamp", func(t *testing.T) {
		s := l.socket(t)
		if err := l.prog.Stamp(true); err != nil {
			t.Fatal(err)
		}
		// Asking goes on until one question stays without an answer; more than a second of asking is a failure.
		deadline := time.Now().Add(5 * time.Second)
		for n := 0; ; n++ {
			var verdict uint32
			up := l.counted(t, func() { verdict, _ = l.run(t, asked.Marshal(probeKey)) })
			if up["probe_stale"] == 1 && verdict == bpftest.Drop {
				if n == 0 {
					t.Error("stale at once")
				}
				break
			}
			if time.Now().After(deadline) {
				t.Fatal("still answers")
			}
		}
		if err := l.prog.Stamp(true); err != nil {
			t.Fatal(err)
		}
		if err := s.send(asked.Marshal(probeKey)); err != nil {
			t.Fatal(err)
		}
		for {
			f, err := s.receive()
			if err != nil {
				t.Fatalf("wait for the answer: %v", err)
			}
			if got, err := probe.Unmarshal(f, probeKey, probeKey.Tag(lbID)); err == nil && got.Type == probe.Answer {
				return
			}
		}
	})
}

func TestRestartOfTheAgent(t *testing.T) { bpftest.EachMechanism(t, testRestartOfTheAgent) }

func testRestartOfTheAgent(t *testing.T, use bpf.Option) {
	l := newLab(t, use)
	if err := l.prog.SetTable(withOwners(t, 0, 1)); err != nil {
		t.Fatal(err)
	}
	if err := l.prog.Stamp(true); err != nil {
		t.Fatal(err)
	}
	asked := probe.Frame{Source: distMAC, Destination: own, Type: probe.Ask, Tag: probeKey.Tag(lbID)}.Marshal(probeKey)
	unknown := segment(distMAC, 4000, listened, bpftest.ACK)
	works := func(t *testing.T) {
		t.Helper()
		if verdict, _ := l.run(t, asked); verdict != bpftest.Redirect {
			t.Errorf("probe: verdict %d", verdict)
		}
		if verdict, out := l.run(t, unknown); verdict != bpftest.Redirect || [6]byte(out) != [6]byte(macOf(1)) {
			t.Errorf("unknown ACK: verdict %d, to %x", verdict, out[:6])
		}
	}
	_, was := bpftest.Attached(t, l.dir)
	if err := l.prog.Close(); err != nil {
		t.Fatal(err)
	}
	works(t)
	l.open(t)
	works(t)
	l.attach(t, true)
	works(t)
	if c, err := l.prog.Counters(); err != nil || c["passed"] != 3 || c["probe_answered"] != 3 {
		t.Errorf("counters %v, %v", c, err)
	}
	if _, is := bpftest.Attached(t, l.dir); is != was {
		t.Errorf("link %d became %d: it was detached", was, is)
	}
	if err := l.prog.Remove(); err != nil {
		t.Fatal(err)
	}
	l.open(t) // for the cleanup, and it begins with nothing
	if c, err := l.prog.Counters(); err != nil || c["passed"] != 0 {
		t.Errorf("counters after removing %v, %v", c, err)
	}
}

func TestRefuses(t *testing.T) {
	bpftest.Require(t)
	p, err := ownership.Open(bpftest.FileSystem(t)+"/a0", linuxnet.In)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Remove() })
	tests := []struct {
		name string
		err  error
		want string
	}{
		{"table before attaching", p.SetTable(withOwners(t, 0, 1)), "set owner lists: the program is not attached yet"},
		{"port 0", p.SetListeners([]ownership.ListenerPort{{Proto: "tcp"}}), "set listeners: port 0"},
		{"unknown protocol", p.SetListeners([]ownership.ListenerPort{{Proto: "HTTP", Port: 80}}), `set listeners: protocol "HTTP" is neither tcp nor udp`},
		{"no VIP", p.Attach("", "lo", ownership.Config{OwnMAC: own[:]}), "attach front-end program: 0 VIPs, must be 1 to 8"},
		{"no MAC", p.Attach("", "lo", ownership.Config{VIPs: []string{vip}}), `attach front-end program: own MAC "" is no Ethernet address`},
		{"IPv6", p.Attach("", "lo", ownership.Config{OwnMAC: own[:], VIPs: []string{"2001:db8::1"}}), "attach front-end program: unsupported: needs an IPv4 VIP, got 2001:db8::1"},
	}
	for _, tt := range tests {
		if tt.err == nil || tt.err.Error() != tt.want {
			t.Errorf("%s: %v, want %s", tt.name, tt.err, tt.want)
		}
	}
}
