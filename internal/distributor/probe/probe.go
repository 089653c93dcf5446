// Package probe is the codec of the frames by which a distributor asks amphorae whether they live (S31, S54), and by
// which an amphora says that its HAProxy is down. The amphora's front-end program answers in the kernel from the same
// layout (internal/bpf/probe.h). It may be imported by both agents.
package probe

import (
	"crypto/subtle"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"

	"colonnade/internal/siphash"
)

// EtherType is IEEE 802's local experimental one.
const EtherType = 0x88B5

// Type says what a frame is for.
type Type uint8

// Types of frames.
const (
	Ask    Type = 1 // distributor to amphora
	Answer Type = 2 // amphora to distributor, sequence and time repeated
	Down   Type = 3 // amphora to distributor: HAProxy does not answer
)

// Lengths in bytes.
const (
	HeaderSize = 14
	BodySize   = 40
	FrameSize  = 60 // padded to what Ethernet carries at least
	signedSize = BodySize - 8
)

const (
	magic   = "CNPB"
	version = 1
)

// Errors of Unmarshal.
var (
	ErrNotProbe  = errors.New("probe: not a probe frame")
	ErrSignature = errors.New("probe: wrong signature or another load balancer's")
)

// Key is a load balancer's probe key.
type Key siphash.Key

// ParseKey reads a key from 32 hexadecimal digits.
func ParseKey(s string) (Key, error) {
	var k Key
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(k) {
		return k, fmt.Errorf("probe key: want %d bytes in hexadecimal", len(k))
	}
	return Key(b), nil
}

// Tag stands for a load balancer in its frames.
func (k Key) Tag(lbID string) uint64 { return siphash.Sum24(siphash.Key(k), []byte(lbID)) }

// Frame is one probe, answer or word. Source and Destination are Ethernet addresses.
type Frame struct {
	Source, Destination [6]byte
	Type                Type
	Tag                 uint64
	Sequence            uint64
	SentNS              uint64 // the asker's clock, ns; an answer repeats it
}

// Marshal returns the whole Ethernet frame, signed and padded.
func (f Frame) Marshal(k Key) []byte {
	b := make([]byte, FrameSize)
	copy(b[0:], f.Destination[:])
	copy(b[6:], f.Source[:])
	binary.BigEndian.PutUint16(b[12:], EtherType)
	body := b[HeaderSize:]
	copy(body, magic)
	body[4], body[5] = version, byte(f.Type)
	binary.BigEndian.PutUint64(body[8:], f.Tag)
	binary.BigEndian.PutUint64(body[16:], f.Sequence)
	binary.BigEndian.PutUint64(body[24:], f.SentNS)
	binary.BigEndian.PutUint64(body[signedSize:], sign(k, body))
	return b
}

func sign(k Key, body []byte) uint64 { return siphash.Sum24(siphash.Key(k), body[:signedSize]) }

// Unmarshal reads an Ethernet frame that came from the wire. ErrNotProbe and ErrSignature say what is wrong with it;
// tag is that of the load balancer it must belong to.
func Unmarshal(b []byte, k Key, tag uint64) (Frame, error) {
	var f Frame
	if len(b) < HeaderSize+BodySize || binary.BigEndian.Uint16(b[12:]) != EtherType {
		return f, ErrNotProbe
	}
	body := b[HeaderSize : HeaderSize+BodySize]
	if string(body[:4]) != magic || body[4] != version || body[5] < byte(Ask) || body[5] > byte(Down) || body[6]|body[7] != 0 {
		return f, ErrNotProbe
	}
	f = Frame{
		Destination: [6]byte(b[0:6]), Source: [6]byte(b[6:12]), Type: Type(body[5]),
		Tag:      binary.BigEndian.Uint64(body[8:]),
		Sequence: binary.BigEndian.Uint64(body[16:]), SentNS: binary.BigEndian.Uint64(body[24:]),
	}
	var want [8]byte
	binary.BigEndian.PutUint64(want[:], sign(k, body))
	if subtle.ConstantTimeCompare(want[:], body[signedSize:]) != 1 || f.Tag != tag {
		return Frame{}, ErrSignature
	}
	return f, nil
}
