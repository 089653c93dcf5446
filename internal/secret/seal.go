package secret

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"colonnade/internal/atomicfile"
)

// keySize is that of AES-256, in bytes.
const keySize = 32

// version begins what is sealed.
const version = 1

// idSize is how much of a key's fingerprint stands before what it sealed, so that a wrong key is told from a broken row.
const idSize = 4

// Key seals secrets.
type Key struct {
	id   [idSize]byte
	bare [keySize]byte
}

// NewKey makes a key of its bytes.
func NewKey(bare [keySize]byte) Key {
	sum := sha256.Sum256(append([]byte("colonnade secret key "), bare[:]...))
	return Key{id: [idSize]byte(sum[:idSize]), bare: bare}
}

// OpenKey reads the key from a file, 64 hexadecimal digits; with make, one that is not there is made for its owner alone.
func OpenKey(file string, make bool) (Key, error) {
	raw, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) && make {
		var bare [keySize]byte
		_, _ = rand.Read(bare[:]) // it never fails
		if err := atomicfile.Write(file, []byte(hex.EncodeToString(bare[:])+"\n"), 0o600); err != nil {
			return Key{}, fmt.Errorf("make key of secrets: %w", err)
		}
		return NewKey(bare), nil
	}
	if err != nil {
		return Key{}, fmt.Errorf("read key of secrets: %w", err)
	}
	bare, err := hex.DecodeString(strings.TrimSpace(string(raw)))
	if err != nil || len(bare) != keySize {
		return Key{}, fmt.Errorf("read key of secrets: %s does not hold %d hexadecimal digits", file, 2*keySize)
	}
	return NewKey([keySize]byte(bare)), nil
}

func gcm(key []byte) cipher.AEAD {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // the length is a constant
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err) // blocks of AES have the size it asks for
	}
	return aead
}

// Seal makes of a text what may be stored under a name: version, key's fingerprint, a key of its own sealed by this one,
// the text sealed by that.
func (k Key) Seal(name string, text []byte) []byte {
	var own [keySize]byte
	_, _ = rand.Read(own[:]) // it never fails
	out := append([]byte{version}, k.id[:]...)
	out = gcm(k.bare[:]).Seal(out, nil, own[:], []byte("key of "+name))
	return gcm(own[:]).Seal(out, nil, text, []byte(name))
}

// Open is Seal's way back. What was sealed under another name, or changed, is an error.
func (k Key) Open(name string, sealed []byte) ([]byte, error) {
	outer := gcm(k.bare[:])
	const head = 1 + idSize
	split := head + keySize + outer.Overhead()
	switch {
	case len(sealed) < split || sealed[0] != version:
		return nil, errors.New("open secret: not sealed by this service")
	case [idSize]byte(sealed[1:head]) != k.id:
		return nil, errors.New("open secret: sealed with another key than this process has")
	}
	own, err := outer.Open(nil, nil, sealed[head:split], []byte("key of "+name))
	if err != nil {
		return nil, errors.New("open secret: its key was changed")
	}
	text, err := gcm(own).Open(nil, nil, sealed[split:], []byte(name))
	if err != nil {
		return nil, errors.New("open secret: it was changed")
	}
	return text, nil
}
