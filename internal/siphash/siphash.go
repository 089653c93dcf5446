// Package siphash is SipHash (Aumasson and Bernstein, 2012) with its two round counts as parameters: 1-3 where speed
// counts and the key only keeps tenants from choosing rows, 2-4 where the result is a signature. The programs in the
// kernel compute the same from internal/bpf/siphash.h.
package siphash

import (
	"encoding/binary"
	"math/bits"
)

// KeySize is the length of a key in bytes.
const KeySize = 16

// Key is a 128-bit key; both halves are read little-endian, as the paper does.
type Key [KeySize]byte

// Sum13 is SipHash-1-3 of b.
func Sum13(key Key, b []byte) uint64 { return Sum(1, 3, key, b) }

// Sum24 is SipHash-2-4 of b.
func Sum24(key Key, b []byte) uint64 { return Sum(2, 4, key, b) }

// Sum is SipHash-c-d of b: c rounds for each block of eight bytes, d rounds at the end.
func Sum(c, d int, key Key, b []byte) uint64 {
	k0, k1 := binary.LittleEndian.Uint64(key[:8]), binary.LittleEndian.Uint64(key[8:])
	s := state{
		v0: k0 ^ 0x736f6d6570736575, v1: k1 ^ 0x646f72616e646f6d,
		v2: k0 ^ 0x6c7967656e657261, v3: k1 ^ 0x7465646279746573,
	}
	last := uint64(len(b)) << 56 // the length modulo 256 stands in the last block's top byte
	for len(b) >= 8 {
		s.block(c, binary.LittleEndian.Uint64(b))
		b = b[8:]
	}
	for i, x := range b {
		last |= uint64(x) << (8 * i)
	}
	s.block(c, last)
	s.v2 ^= 0xff
	for range d {
		s.round()
	}
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3
}

type state struct{ v0, v1, v2, v3 uint64 }

func (s *state) block(c int, m uint64) {
	s.v3 ^= m
	for range c {
		s.round()
	}
	s.v0 ^= m
}

func (s *state) round() {
	s.v0 += s.v1
	s.v1 = bits.RotateLeft64(s.v1, 13) ^ s.v0
	s.v0 = bits.RotateLeft64(s.v0, 32)
	s.v2 += s.v3
	s.v3 = bits.RotateLeft64(s.v3, 16) ^ s.v2
	s.v0 += s.v3
	s.v3 = bits.RotateLeft64(s.v3, 21) ^ s.v0
	s.v2 += s.v1
	s.v1 = bits.RotateLeft64(s.v1, 17) ^ s.v2
	s.v2 = bits.RotateLeft64(s.v2, 32)
}
