package heartbeat_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"colonnade/internal/agentconf"
	"colonnade/internal/health/heartbeat"
)

func TestSenderFor(t *testing.T) {
	for _, c := range []struct {
		name string
		conf agentconf.Heartbeat
		want heartbeat.Sender
		err  string
	}{
		{
			"whole",
			agentconf.Heartbeat{Targets: []string{"198.18.0.1:5555"}, Key: "00ff", IntervalMS: 1500},
			heartbeat.Sender{Targets: []string{"198.18.0.1:5555"}, Key: []byte{0, 255}, Interval: 1500 * time.Millisecond},
			"",
		},
		{"no key", agentconf.Heartbeat{IntervalMS: 1000}, heartbeat.Sender{}, "heartbeat key: not hex digits, or none"},
		{"half a byte", agentconf.Heartbeat{Key: "00f"}, heartbeat.Sender{}, "heartbeat key: not hex digits, or none"},
		{"not hex", agentconf.Heartbeat{Key: "zz"}, heartbeat.Sender{}, "heartbeat key: not hex digits, or none"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := heartbeat.SenderFor(c.conf, nil)
			text := ""
			if err != nil {
				text = err.Error()
			}
			if d := cmp.Diff(c.want, got); d != "" || text != c.err {
				t.Errorf("error %q, want %q; %s", text, c.err, d)
			}
		})
	}
}

func TestSenderRefusesTargets(t *testing.T) {
	for _, target := range []string{"", ":5555", "198.18.0.1", "198.18.0.1:99999", "[::1:5555"} {
		s := heartbeat.Sender{Targets: []string{"127.0.0.1:5555", target}, Key: key}
		err := s.Run(t.Context(), func() heartbeat.Beat {
			t.Errorf("target %q: began to send", target)
			return heartbeat.Beat{}
		}, nil)
		if err == nil {
			t.Errorf("target %q was taken", target)
		}
	}
}

// When beats are made, in ms after the start, by the interval and by kicks.
func TestSenderTimes(t *testing.T) {
	for _, c := range []struct {
		name     string
		interval time.Duration
		kicks    []int // ms
		until    int   // ms
		want     []int64
	}{
		{"a second unless told", 0, nil, 3500, []int64{0, 1000, 2000, 3000}},
		{"as told", 300 * time.Millisecond, nil, 1000, []int64{0, 300, 600, 900}},
		{"a kick sends at once and the interval begins anew", time.Second, []int{400}, 3000, []int64{0, 400, 1400, 2400}},
		{"kicks that come together wait for the gap", time.Second, []int{400, 401, 402, 403}, 1300, []int64{0, 400, 420}},
		{"a kick right after the start waits for the gap", time.Second, []int{1}, 1010, []int64{0, 20}},
		{"an interval below the gap", time.Millisecond, nil, 70, []int64{0, 20, 40, 60}},
		{"ended within the gap", time.Second, nil, 10, []int64{0}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(c.until)*time.Millisecond)
				defer cancel()
				kick := make(chan struct{}, 1)
				for _, at := range c.kicks {
					time.AfterFunc(time.Duration(at)*time.Millisecond, func() {
						select {
						case kick <- struct{}{}:
						default:
						}
					})
				}
				var got []int64
				s := heartbeat.Sender{Key: key, Interval: c.interval}
				if err := s.Run(ctx, func() heartbeat.Beat {
					got = append(got, time.Since(start).Milliseconds())
					return amphoraBeat(0)
				}, kick); err != nil {
					t.Error(err)
				}
				if d := cmp.Diff(c.want, got); d != "" {
					t.Error(d)
				}
			})
		})
	}
}

// Trouble is logged when it begins, not with every beat, and again when it comes back.
func TestSenderLogsTroubleOnce(t *testing.T) {
	var logged bytes.Buffer
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 6500*time.Millisecond)
		defer cancel()
		ids := []string{"", "", "amp-1", "amp-1", "a b", "a b", "a b"}
		s := heartbeat.Sender{Key: key, Log: slog.New(slog.NewJSONHandler(&logged, nil))}
		if err := s.Run(ctx, func() heartbeat.Beat {
			b := amphoraBeat(0)
			b.ID, ids = ids[0], ids[1:]
			return b
		}, nil); err != nil || len(ids) != 0 {
			t.Errorf("%v, %d beats not asked for", err, len(ids))
		}
	})
	type line struct{ Level, Msg, Error string }
	var got []line
	for d := json.NewDecoder(&logged); d.More(); {
		var l line
		if err := d.Decode(&l); err != nil {
			t.Fatal(err)
		}
		got = append(got, l)
	}
	want := []line{
		{"WARN", "heartbeat not sent", `encode heartbeat: kind "amphora", id "" or key is not usable`},
		{"WARN", "heartbeat not sent", `encode heartbeat: kind "amphora", id "a b" or key is not usable`},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// A health role that cannot be sent to keeps nothing from the others.
func TestSenderReachesTheOthers(t *testing.T) {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	var logged bytes.Buffer
	s := heartbeat.Sender{
		Targets: []string{"127.0.0.1:0", conn.LocalAddr().String()}, // the kernel sends nothing to port 0
		Key:     key, Interval: time.Hour, Log: slog.New(slog.NewTextHandler(&logged, nil)),
	}
	go func() { done <- s.Run(ctx, func() heartbeat.Beat { return amphoraBeat(2) }, nil) }()
	buf := make([]byte, heartbeat.MaxDatagram)
	n, _, err := conn.ReadFrom(buf)
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	got, err := heartbeat.Decode(buf[:n], keyOf(key))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(amphoraBeat(2), got, cmpopts.IgnoreFields(heartbeat.Beat{}, "Seq", "SentUnixMS")); d != "" {
		t.Error(d)
	}
	if !bytes.Contains(logged.Bytes(), []byte("send heartbeat to 127.0.0.1:0: ")) {
		t.Errorf("log: %q", logged.String())
	}
}
