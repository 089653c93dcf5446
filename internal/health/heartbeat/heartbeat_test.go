package heartbeat_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"colonnade/internal/amphora"
	"colonnade/internal/distributor"
	"colonnade/internal/health/heartbeat"
	"colonnade/internal/lb"
)

var key = bytes.Repeat([]byte{7}, 32)

func keyOf(k []byte) func(string, string) []byte {
	return func(kind, id string) []byte {
		if id == "amp-1" || id == "dist-1" {
			return k
		}
		return nil
	}
}

func amphoraBeat(members int) heartbeat.Beat {
	st := &amphora.Status{AmphoraID: "amp-1", BootID: "b1", HAProxy: "up", DocumentApplied: lb.Stamp{Epoch: 3, Revision: 2, Serial: 1}}
	if members > 0 {
		st.Members = map[string]string{}
	}
	for i := range members {
		// Ids that do not compress, as those of members do not.
		st.Members[fmt.Sprintf("%08x-%08x", uint32(i)*2654435761, uint32(i)*40503*97)] = "UP"
	}
	return heartbeat.Beat{Kind: heartbeat.KindAmphora, ID: "amp-1", BootID: "b1", Seq: 9, SentUnixMS: 5, Amphora: st}
}

func TestRoundTrip(t *testing.T) {
	beats := map[string]heartbeat.Beat{
		"amphora": amphoraBeat(3),
		"distributor": {
			Kind: heartbeat.KindDistributor, ID: "dist-1", BootID: "b", Seq: 1,
			Distributor: &distributor.Status{DistributorID: "dist-1", LoadBalancers: []distributor.LBStatus{{LBID: "lb", Silent: []string{"amp-1"}}}},
		},
	}
	for name, want := range beats {
		t.Run(name, func(t *testing.T) {
			datagram, err := heartbeat.Encode(want, key)
			if err != nil {
				t.Fatal(err)
			}
			got, err := heartbeat.Decode(datagram, keyOf(key))
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestTrimming(t *testing.T) {
	t.Run("members that are not UP are kept longest", func(t *testing.T) {
		b := amphoraBeat(20000)
		b.Amphora.Members["zzzz"] = "DOWN"
		datagram, err := heartbeat.Encode(b, key)
		if err != nil {
			t.Fatal(err)
		}
		got, err := heartbeat.Decode(datagram, keyOf(key))
		if err != nil {
			t.Fatal(err)
		}
		if len(datagram) > heartbeat.MaxDatagram || !got.Truncated || got.Amphora.Members["zzzz"] != "DOWN" {
			t.Errorf("%d bytes, truncated %v, DOWN member %q", len(datagram), got.Truncated, got.Amphora.Members["zzzz"])
		}
		if n := len(got.Amphora.Members); n < 1000 || n >= 20001 {
			t.Errorf("%d members kept", n)
		}
		if len(b.Amphora.Members) != 20001 {
			t.Error("the caller's status was changed")
		}
	})
	t.Run("a distributor's quiet load balancers go first", func(t *testing.T) {
		st := &distributor.Status{DistributorID: "dist-1"}
		for i := range 20000 {
			st.LoadBalancers = append(st.LoadBalancers, distributor.LBStatus{LBID: fmt.Sprintf("%08x", uint32(i)*2654435761)})
		}
		st.LoadBalancers = append(st.LoadBalancers, distributor.LBStatus{LBID: "loud", Swaps: []distributor.Swap{{Seq: 1}}})
		datagram, err := heartbeat.Encode(heartbeat.Beat{Kind: heartbeat.KindDistributor, ID: "dist-1", Distributor: st}, key)
		if err != nil {
			t.Fatal(err)
		}
		got, err := heartbeat.Decode(datagram, keyOf(key))
		if err != nil {
			t.Fatal(err)
		}
		if !got.Truncated || got.Distributor.LoadBalancers[0].LBID != "loud" {
			t.Errorf("truncated %v, first %q", got.Truncated, got.Distributor.LoadBalancers[0].LBID)
		}
	})
}

func TestRefused(t *testing.T) {
	good, err := heartbeat.Encode(amphoraBeat(1), key)
	if err != nil {
		t.Fatal(err)
	}
	changed := bytes.Clone(good)
	changed[len(changed)-40] ^= 1
	stranger := amphoraBeat(0)
	stranger.ID = "amp-2"
	unknown, err := heartbeat.Encode(stranger, key)
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		datagram []byte
		key      []byte
		want     error
	}{
		"empty":                 {nil, key, heartbeat.ErrMalformed},
		"cut":                   {good[:20], key, heartbeat.ErrMalformed},
		"changed":               {changed, key, heartbeat.ErrSignature},
		"cut at the end":        {good[:len(good)-1], key, heartbeat.ErrSignature},
		"key of another":        {good, bytes.Repeat([]byte{8}, 32), heartbeat.ErrSignature},
		"instance not known":    {unknown, key, heartbeat.ErrUnknown},
		"version of the future": {append([]byte("CNHB\x02"), good[5:]...), key, heartbeat.ErrMalformed},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if _, err := heartbeat.Decode(c.datagram, keyOf(c.key)); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

func TestGuard(t *testing.T) {
	steps := []struct {
		boot string
		seq  uint64
		want bool
	}{{"a", 5, true}, {"a", 5, false}, {"a", 4, false}, {"a", 6, true}, {"b", 1, true}, {"a", 7, false}, {"b", 2, true}, {"c", 1, true}, {"b", 9, false}}
	var g heartbeat.Guard
	for i, s := range steps {
		if got := g.Accept(heartbeat.Beat{BootID: s.boot, Seq: s.seq}); got != s.want {
			t.Errorf("step %d: boot %s seq %d: accepted %v, want %v", i, s.boot, s.seq, got, s.want)
		}
	}
}

func TestGuardForgetsNoBoot(t *testing.T) {
	var g heartbeat.Guard
	accepts := func(boot int, seq uint64) bool {
		return g.Accept(heartbeat.Beat{BootID: fmt.Sprint("boot ", boot), Seq: seq})
	}
	last := 0
	for accepts(last, 1) {
		if last++; last > 1<<20 {
			t.Fatal("there is no end of boot ids that are remembered")
		}
	}
	last--
	if last < 1000 {
		t.Errorf("only %d boots are taken from one instance", last)
	}
	for _, boot := range []int{0, last / 2, last - 1, last + 1} {
		if accepts(boot, 100) {
			t.Errorf("boot %d accepted after %d", boot, last)
		}
	}
	if !accepts(last, 2) {
		t.Error("a replay retired the boot that lives")
	}
}

func TestSender(t *testing.T) {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithCancel(t.Context())
	kick := make(chan struct{}, 1)
	done := make(chan error, 1)
	s := heartbeat.Sender{Targets: []string{conn.LocalAddr().String()}, Key: key, Interval: time.Hour}
	go func() { done <- s.Run(ctx, func() heartbeat.Beat { return amphoraBeat(1) }, kick) }()

	var g heartbeat.Guard
	buf := make([]byte, heartbeat.MaxDatagram)
	for range 3 { // the first comes at once, the others by kicks alone
		if err := conn.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
			t.Fatal(err)
		}
		n, _, err := conn.ReadFrom(buf)
		if err != nil {
			t.Fatal(err)
		}
		b, err := heartbeat.Decode(buf[:n], keyOf(key))
		if err != nil {
			t.Fatal(err)
		}
		if !g.Accept(b) {
			t.Errorf("sequence %d does not rise", b.Seq)
		}
		kick <- struct{}{}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func FuzzDecode(f *testing.F) {
	good, err := heartbeat.Encode(amphoraBeat(2), key)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte("CNHB\x01\x01\x05amp-1"))
	f.Fuzz(func(t *testing.T, datagram []byte) {
		b, err := heartbeat.Decode(datagram, func(string, string) []byte { return key })
		if err == nil && b.Amphora == nil && b.Distributor == nil {
			t.Error("a beat without content was accepted")
		}
	})
}
