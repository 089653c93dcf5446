// Package heartbeat is the signed UDP datagram by which agents say that they live and what they see: codec, sender
// (both agents) and the receiver's guard against replays. It may be imported by the agents and the health role.
package heartbeat

import (
	"bytes"
	"compress/flate"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sort"
	"sync"

	"colonnade/internal/amphora"
	"colonnade/internal/distributor"
)

// Kinds of senders; the same words as agentconf.Config.Kind and lb.Subject.Kind.
const (
	KindAmphora     = "amphora"
	KindDistributor = "distributor"
)

// MaxDatagram bounds an encoded beat. It is below UDP's own limit; what goes beyond Ethernet's is left to fragments,
// which needs some sixty members and more.
const MaxDatagram = 60000

// maxPlain bounds what a beat may unpack to, so that no sender can exhaust the receiver.
const maxPlain = 4 << 20

// maxID bounds the length of an instance's id on the wire.
const maxID = 64

// Beat is one sign of life. Exactly one of Amphora and Distributor is set, as Kind says.
type Beat struct {
	Kind   string `json:"kind"`
	ID     string `json:"id"`
	BootID string `json:"boot_id"` // changes when the instance starts anew
	// Seq rises strictly within one BootID, over restarts of the agent too; Sender sets it.
	Seq uint64 `json:"seq"`
	// SentUnixMS is the sender's clock, for people; nothing is decided by it.
	SentUnixMS int64 `json:"sent_unix_ms"`
	// Truncated says that members (of an amphora) or quiet load balancers (of a distributor) were left out because the
	// datagram is bounded; what is missing is then unknown, not absent.
	Truncated   bool                `json:"truncated,omitempty"`
	Amphora     *amphora.Status     `json:"amphora,omitempty"`
	Distributor *distributor.Status `json:"distributor,omitempty"`
}

// Errors of Decode, to be told apart by errors.Is.
var (
	ErrMalformed = errors.New("malformed heartbeat")
	ErrUnknown   = errors.New("heartbeat of an unknown instance")
	ErrSignature = errors.New("heartbeat with a wrong signature")
)

// The datagram: magic (4) | version (1) | kind (1) | length of id (1) | id | deflated JSON | HMAC-SHA256 (32) over all
// before it. The id stands outside the packed part because the key is that of the instance.
const (
	magic   = "CNHB"
	version = 1
	fixed   = len(magic) + 3
)

var kindCodes = map[string]byte{KindAmphora: 1, KindDistributor: 2}

// Encode packs and signs b. What makes the datagram longer than MaxDatagram is left out, the least telling first:
// members that are UP, load balancers without swap or silent amphora; Truncated is set then.
func Encode(b Beat, key []byte) ([]byte, error) {
	code, known := kindCodes[b.Kind]
	if !known || !validID(b.ID) || len(key) == 0 {
		return nil, fmt.Errorf("encode heartbeat: kind %q, id %q or key is not usable", b.Kind, b.ID)
	}
	head := append([]byte(magic), version, code, byte(len(b.ID)))
	head = append(head, b.ID...)
	pack := func(b Beat) ([]byte, error) { return seal(head, b, key) }

	out, err := pack(b)
	if err != nil || len(out) <= MaxDatagram {
		return out, err
	}
	size, trimmed := trimmer(b)
	// The greatest number of entries that fits; zero entries always do, because all else is small.
	fits := sort.Search(size, func(n int) bool {
		out, err := pack(trimmed(n + 1))
		return err != nil || len(out) > MaxDatagram
	})
	if out, err = pack(trimmed(fits)); err != nil {
		return nil, err
	}
	if len(out) > MaxDatagram {
		return nil, fmt.Errorf("encode heartbeat of %s: %d bytes without any entry", b.ID, len(out))
	}
	return out, nil
}

// trimmer returns how many entries may be left out of b, and a function that keeps the n most telling ones.
func trimmer(b Beat) (size int, keep func(n int) Beat) {
	b.Truncated = true
	if b.Kind == KindAmphora && b.Amphora != nil {
		full := b.Amphora.Members
		ids := slices.Sorted(maps.Keys(full))
		sort.SliceStable(ids, func(i, j int) bool { return full[ids[i]] != "UP" && full[ids[j]] == "UP" })
		return len(ids), func(n int) Beat {
			st := *b.Amphora
			st.Members = make(map[string]string, n)
			for _, id := range ids[:n] {
				st.Members[id] = full[id]
			}
			t := b
			t.Amphora = &st
			return t
		}
	}
	if b.Kind == KindDistributor && b.Distributor != nil {
		lbs := slices.Clone(b.Distributor.LoadBalancers)
		telling := func(s distributor.LBStatus) bool { return len(s.Swaps) > 0 || len(s.Silent) > 0 }
		sort.SliceStable(lbs, func(i, j int) bool { return telling(lbs[i]) && !telling(lbs[j]) })
		for i := range lbs {
			lbs[i].Positions = nil // asked for directly by whoever wants them
		}
		return len(lbs), func(n int) Beat {
			st := *b.Distributor
			st.LoadBalancers = lbs[:n]
			t := b
			t.Distributor = &st
			return t
		}
	}
	return 0, func(int) Beat { return b }
}

var packers = sync.Pool{New: func() any {
	w, _ := flate.NewWriter(io.Discard, flate.BestSpeed) // the level is a valid constant
	return w
}}

func seal(head []byte, b Beat, key []byte) ([]byte, error) {
	plain, err := json.Marshal(b)
	if err != nil {
		return nil, fmt.Errorf("encode heartbeat of %s: %w", b.ID, err)
	}
	var buf bytes.Buffer
	buf.Write(head)
	w := packers.Get().(*flate.Writer)
	defer packers.Put(w)
	w.Reset(&buf)
	if _, err := w.Write(plain); err != nil {
		return nil, fmt.Errorf("encode heartbeat of %s: %w", b.ID, err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("encode heartbeat of %s: %w", b.ID, err)
	}
	return sign(key, buf.Bytes()), nil
}

func sign(key, body []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write(body)
	return mac.Sum(body)
}

// Decode checks the signature with the key of the instance that the datagram names, then unpacks. keyOf returns nil for
// an instance that is not known. Errors wrap ErrMalformed, ErrUnknown or ErrSignature.
func Decode(datagram []byte, keyOf func(kind, id string) []byte) (Beat, error) {
	if len(datagram) < fixed+1+sha256.Size || string(datagram[:len(magic)]) != magic || datagram[len(magic)] != version {
		return Beat{}, fmt.Errorf("%w: no header of version %d", ErrMalformed, version)
	}
	kind := ""
	for k, code := range kindCodes {
		if code == datagram[len(magic)+1] {
			kind = k
		}
	}
	idEnd := fixed + int(datagram[fixed-1])
	if kind == "" || idEnd > len(datagram)-sha256.Size || !validID(string(datagram[fixed:idEnd])) {
		return Beat{}, fmt.Errorf("%w: kind or id", ErrMalformed)
	}
	id := string(datagram[fixed:idEnd])
	key := keyOf(kind, id)
	if len(key) == 0 {
		return Beat{}, fmt.Errorf("%w: %s %s", ErrUnknown, kind, id)
	}
	body, signature := datagram[:len(datagram)-sha256.Size], datagram[len(datagram)-sha256.Size:]
	mac := hmac.New(sha256.New, key)
	mac.Write(body)
	if !hmac.Equal(mac.Sum(nil), signature) {
		return Beat{}, fmt.Errorf("%w: %s %s", ErrSignature, kind, id)
	}
	plain, err := unpack(body[idEnd:])
	if err != nil {
		return Beat{}, fmt.Errorf("%w: %s %s: %w", ErrMalformed, kind, id, err)
	}
	var b Beat
	if err := json.Unmarshal(plain, &b); err != nil {
		return Beat{}, fmt.Errorf("%w: %s %s: %w", ErrMalformed, kind, id, err)
	}
	if b.Kind != kind || b.ID != id || (b.Amphora != nil) != (kind == KindAmphora) || (b.Distributor != nil) != (kind == KindDistributor) {
		return Beat{}, fmt.Errorf("%w: %s %s: content of another kind or id", ErrMalformed, kind, id)
	}
	return b, nil
}

func unpack(packed []byte) ([]byte, error) {
	r := flate.NewReader(bytes.NewReader(packed))
	plain, err := io.ReadAll(io.LimitReader(r, maxPlain+1))
	if err != nil {
		return nil, err
	}
	if len(plain) > maxPlain {
		return nil, fmt.Errorf("more than %d bytes", maxPlain)
	}
	return plain, nil
}

func validID(id string) bool {
	if id == "" || len(id) > maxID {
		return false
	}
	for _, c := range []byte(id) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '-' {
			return false
		}
	}
	return true
}
