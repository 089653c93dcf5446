package probe_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"colonnade/internal/distributor/probe"
)

const lbID = "6fd2a3a0-6c4c-4f9c-8ff9-0dd1a8fbf2de"

var (
	key  = probe.Key{0: 0x01, 15: 0x10}
	tag  = key.Tag(lbID)
	sent = probe.Frame{
		Source: [6]byte{2, 0, 0, 0, 0, 1}, Destination: [6]byte{2, 0, 0, 0, 0, 2},
		Type: probe.Ask, Tag: tag, Sequence: 7, SentNS: 1_000_000_007,
	}
)

func TestMarshalLayout(t *testing.T) {
	got := sent.Marshal(key)
	want := "020000000002" + "020000000001" + "88b5" + // Ethernet
		"434e5042" + "01" + "01" + "0000" + hex.EncodeToString(got[22:30]) + // magic, version, type, reserved, tag
		"0000000000000007" + "000000003b9aca07" + hex.EncodeToString(got[46:54]) + // sequence, time, signature
		"000000000000" // padding
	if diff := cmp.Diff(want, hex.EncodeToString(got)); diff != "" {
		t.Errorf("frame (-want +got)\n%s", diff)
	}
}

func TestUnmarshal(t *testing.T) {
	edit := func(at int, v byte) func([]byte) []byte {
		return func(b []byte) []byte { b[at] = v; return b }
	}
	tests := []struct {
		name string
		edit func([]byte) []byte
		want error
	}{
		{"as sent", func(b []byte) []byte { return b }, nil},
		{"without padding", func(b []byte) []byte { return b[:54] }, nil},
		{"longer", func(b []byte) []byte { return append(b, 1, 2, 3) }, nil},
		{"addresses are not signed", edit(0, 4), nil},
		{"cut", func(b []byte) []byte { return b[:53] }, probe.ErrNotProbe},
		{"empty", func([]byte) []byte { return nil }, probe.ErrNotProbe},
		{"another ethertype", edit(13, 0), probe.ErrNotProbe},
		{"another magic", edit(14, 'X'), probe.ErrNotProbe},
		{"another version", edit(18, 2), probe.ErrNotProbe},
		{"no such type", edit(19, 4), probe.ErrNotProbe},
		{"type 0", edit(19, 0), probe.ErrNotProbe},
		{"reserved is used", edit(21, 1), probe.ErrNotProbe},
		{"type changed", edit(19, byte(probe.Down)), probe.ErrSignature},
		{"tag changed", edit(22, sentByte(22)^1), probe.ErrSignature},
		{"sequence changed", edit(37, 8), probe.ErrSignature},
		{"time changed", edit(45, 8), probe.ErrSignature},
		{"signature changed", edit(53, sentByte(53)^1), probe.ErrSignature},
	}
	for _, tt := range tests {
		t.Run("S31 "+tt.name, func(t *testing.T) {
			if _, err := probe.Unmarshal(tt.edit(sent.Marshal(key)), key, tag); !errors.Is(err, tt.want) {
				t.Errorf("Unmarshal: %v, want %v", err, tt.want)
			}
		})
	}
	t.Run("another key", func(t *testing.T) {
		other := probe.Key{0: 0x02}
		if _, err := probe.Unmarshal(sent.Marshal(other), key, tag); !errors.Is(err, probe.ErrSignature) {
			t.Errorf("Unmarshal: %v", err)
		}
	})
	t.Run("another load balancer under the same key", func(t *testing.T) {
		if _, err := probe.Unmarshal(sent.Marshal(key), key, key.Tag("x")); !errors.Is(err, probe.ErrSignature) {
			t.Errorf("Unmarshal: %v", err)
		}
	})
	t.Run("comes back whole", func(t *testing.T) {
		got, err := probe.Unmarshal(sent.Marshal(key), key, tag)
		if diff := cmp.Diff(sent, got); diff != "" || err != nil {
			t.Errorf("%v, frame (-want +got)\n%s", err, diff)
		}
	})
}

func sentByte(at int) byte { return sent.Marshal(key)[at] }

func TestParseKey(t *testing.T) {
	if k, err := probe.ParseKey("01000000000000000000000000000010"); err != nil || k != key {
		t.Errorf("ParseKey: %v, %v", k, err)
	}
	for _, s := range []string{"", "01", "zz000000000000000000000000000010", "0100000000000000000000000000001000"} {
		if _, err := probe.ParseKey(s); err == nil {
			t.Errorf("ParseKey(%q) took it", s)
		}
	}
}

func FuzzUnmarshal(f *testing.F) {
	f.Add(sent.Marshal(key))
	f.Add(make([]byte, probe.FrameSize))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := probe.Unmarshal(b, key, tag)
		if err != nil {
			return
		}
		if again := got.Marshal(key); !bytes.Equal(again[:54], b[:54]) {
			t.Errorf("accepted %x, which is written %x", b, again)
		}
	})
}
