package heartbeat_test

import (
	"bytes"
	"compress/flate"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"colonnade/internal/amphora"
	"colonnade/internal/distributor"
	"colonnade/internal/health/heartbeat"
)

// noise is text that does not compress to less than half.
func noise(n int) string {
	r := rand.New(rand.NewPCG(1, 2))
	var b strings.Builder
	for b.Len() < n {
		fmt.Fprintf(&b, "%016x", r.Uint64())
	}
	return b.String()[:n]
}

func TestEncodeRefuses(t *testing.T) {
	const unusable = "encode heartbeat: kind %q, id %q or key is not usable"
	for _, c := range []struct {
		name string
		beat heartbeat.Beat
		key  []byte
		want string
	}{
		{"no kind", heartbeat.Beat{ID: "amp-1"}, key, fmt.Sprintf(unusable, "", "amp-1")},
		{"no id", heartbeat.Beat{Kind: "amphora"}, key, fmt.Sprintf(unusable, "amphora", "")},
		{"id with a slash", heartbeat.Beat{Kind: "amphora", ID: "a/b"}, key, fmt.Sprintf(unusable, "amphora", "a/b")},
		{"id too long", heartbeat.Beat{Kind: "amphora", ID: strings.Repeat("a", 65)}, key, fmt.Sprintf(unusable, "amphora", strings.Repeat("a", 65))},
		{"no key", heartbeat.Beat{Kind: "amphora", ID: "amp-1"}, nil, fmt.Sprintf(unusable, "amphora", "amp-1")},
		{
			"too long without any member",
			heartbeat.Beat{Kind: "amphora", ID: "amp-1", Amphora: &amphora.Status{BootID: noise(200000), Members: map[string]string{"m": "UP"}}},
			key, "without any entry",
		},
		{"too long without a status", heartbeat.Beat{Kind: "distributor", ID: "dist-1", BootID: noise(200000)}, key, "without any entry"},
	} {
		t.Run(c.name, func(t *testing.T) {
			datagram, err := heartbeat.Encode(c.beat, c.key)
			if err == nil || !strings.HasSuffix(err.Error(), c.want) || datagram != nil {
				t.Errorf("%d bytes, %v; want %s", len(datagram), err, c.want)
			}
		})
	}
	t.Run("longest id", func(t *testing.T) {
		id := strings.Repeat("Az9-", 16)
		want := heartbeat.Beat{Kind: "distributor", ID: id, Distributor: &distributor.Status{DistributorID: id}}
		datagram, err := heartbeat.Encode(want, key)
		if err != nil {
			t.Fatal(err)
		}
		got, err := heartbeat.Decode(datagram, func(string, string) []byte { return key })
		if d := cmp.Diff(want, got); d != "" || err != nil {
			t.Error(err, d)
		}
	})
}

// datagram is one as a holder of the key may make it, whatever is in it.
func datagram(kind byte, idLength int, id string, packed []byte) []byte {
	b := append([]byte("CNHB\x01"), kind, byte(idLength))
	b = append(append(b, id...), packed...)
	mac := hmac.New(sha256.New, key)
	mac.Write(b)
	return mac.Sum(b)
}

func deflated(t *testing.T, plain []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// A right signature excuses nothing: what an instance sends may be wrong all the same.
func TestSignedNonsense(t *testing.T) {
	const good = `{"kind":"amphora","id":"amp-1","seq":3,"amphora":{}}`
	// The datagram may be of any length here, so that the bound on what it unpacks to is met alone.
	padded := func(n int) []byte { return append([]byte(good), bytes.Repeat([]byte{' '}, n-len(good))...) }
	for _, c := range []struct {
		name     string
		datagram []byte
		want     string // "" when it is taken
	}{
		{"good", datagram(1, 5, "amp-1", deflated(t, []byte(good))), ""},
		{"4 MiB", datagram(1, 5, "amp-1", deflated(t, padded(4<<20))), ""},
		{"4 MiB and 1", datagram(1, 5, "amp-1", deflated(t, padded(4<<20+1))), "amphora amp-1: more than 4194304 bytes"},
		{"no such kind", datagram(3, 5, "amp-1", deflated(t, []byte(good))), "kind or id"},
		{"kind 0", datagram(0, 5, "amp-1", deflated(t, []byte(good))), "kind or id"},
		{"no id", datagram(1, 0, "", deflated(t, []byte(good))), "kind or id"},
		{"id beyond the end", datagram(1, 200, "amp-1", deflated(t, []byte(good))), "kind or id"},
		{"id with a line in it", datagram(1, 5, "amp\n1", deflated(t, []byte(good))), "kind or id"},
		{"id of 65", datagram(1, 65, strings.Repeat("a", 65), deflated(t, []byte(good))), "kind or id"},
		{"nothing packed", datagram(1, 5, "amp-1", nil), "amphora amp-1: unexpected EOF"},
		{"not packed", datagram(1, 5, "amp-1", []byte{0xff, 0xff, 0xff}), "amphora amp-1: flate: corrupt input before offset 1"},
		{"not JSON", datagram(1, 5, "amp-1", deflated(t, []byte("{"))), "amphora amp-1: unexpected end of JSON input"},
		{"negative sequence", datagram(1, 5, "amp-1", deflated(t, []byte(`{"seq":-1}`))), "amphora amp-1: json: cannot unmarshal number -1 into Go struct field Beat.seq of type uint64"},
		{"another id inside", datagram(1, 5, "amp-1", deflated(t, []byte(`{"kind":"amphora","id":"amp-2","amphora":{}}`))), "amphora amp-1: content of another kind or id"},
		{"another kind inside", datagram(1, 5, "amp-1", deflated(t, []byte(`{"kind":"distributor","id":"amp-1","amphora":{}}`))), "amphora amp-1: content of another kind or id"},
		{"no status", datagram(1, 5, "amp-1", deflated(t, []byte(`{"kind":"amphora","id":"amp-1"}`))), "amphora amp-1: content of another kind or id"},
		{"both statuses", datagram(1, 5, "amp-1", deflated(t, []byte(`{"kind":"amphora","id":"amp-1","amphora":{},"distributor":{}}`))), "amphora amp-1: content of another kind or id"},
		{"the other's status", datagram(2, 6, "dist-1", deflated(t, []byte(`{"kind":"distributor","id":"dist-1","amphora":{}}`))), "distributor dist-1: content of another kind or id"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := heartbeat.Decode(c.datagram, keyOf(key))
			if c.want == "" {
				if d := cmp.Diff(heartbeat.Beat{Kind: "amphora", ID: "amp-1", Seq: 3, Amphora: &amphora.Status{}}, got); d != "" || err != nil {
					t.Error(err, d)
				}
				return
			}
			if !errors.Is(err, heartbeat.ErrMalformed) || err.Error() != "malformed heartbeat: "+c.want {
				t.Errorf("got %v, want %s", err, c.want)
			}
			if d := cmp.Diff(heartbeat.Beat{}, got); d != "" {
				t.Error(d)
			}
		})
	}
}

// The sixteen boot ids before the present one stay refused, however many came before them.
func TestGuardRemembersFormerBoots(t *testing.T) {
	var g heartbeat.Guard
	for boot := range 40 {
		if !g.Accept(heartbeat.Beat{BootID: fmt.Sprint(boot), Seq: 1}) {
			t.Errorf("boot %d is new and was refused", boot)
		}
		for former := max(0, boot-16); former < boot; former++ {
			if g.Accept(heartbeat.Beat{BootID: fmt.Sprint(former), Seq: 99}) {
				t.Errorf("boot %d came back after boot %d", former, boot)
			}
		}
	}
}
