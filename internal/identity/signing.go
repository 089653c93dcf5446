package identity

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

// claims is what a token says. Roles are not in it: they are looked up at each use, so that a change of the
// configuration counts at once.
type claims struct {
	UserID       string   `json:"u"`
	ProjectID    string   `json:"p,omitempty"`
	Domain       bool     `json:"d,omitempty"` // scoped to the domain
	Methods      []string `json:"m"`
	AuditIDs     []string `json:"a"`           // its own, and of the first of a chain of tokens
	CredentialID string   `json:"c,omitempty"` // the application credential that it was got by
	Stamp        string   `json:"s"`           // of the user's password, see Embedded.stamp
	IssuedAt     int64    `json:"i"`           // Unix seconds
	ExpiresAt    int64    `json:"e"`           // Unix seconds
}

// A token is "cnt.", the key's id, ".", the claims, ".", the signature over all before it.
const (
	tokenPrefix = "cnt."
	maxToken    = 4096 // bytes
)

var encoding = base64.RawURLEncoding.Strict()

func sign(key SigningKey, c claims) (string, error) {
	payload, err := json.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	said := tokenPrefix + key.ID + "." + encoding.EncodeToString(payload)
	return said + "." + encoding.EncodeToString(mac(key, said)), nil
}

func mac(key SigningKey, said string) []byte {
	m := hmac.New(sha256.New, key.Secret)
	m.Write([]byte(said))
	return m.Sum(nil)
}

// keyOf is the id of the key that a token says it is signed by.
func keyOf(token string) (string, bool) {
	rest, ok := strings.CutPrefix(token, tokenPrefix)
	if !ok || len(token) > maxToken {
		return "", false
	}
	id, _, ok := strings.Cut(rest, ".")
	return id, ok && id != ""
}

// verify reads the claims of a token that the key has signed. Nothing of it is decoded before the signature was found
// right.
func verify(key SigningKey, token string) (claims, error) {
	var c claims
	at := strings.LastIndexByte(token, '.')
	if at < 0 {
		return c, ErrUnauthorized
	}
	said := token[:at]
	signature, err := encoding.DecodeString(token[at+1:])
	if err != nil || !hmac.Equal(signature, mac(key, said)) {
		return c, ErrUnauthorized
	}
	payload, err := encoding.DecodeString(said[strings.LastIndexByte(said, '.')+1:])
	if err == nil {
		err = json.Unmarshal(payload, &c)
	}
	if err != nil {
		return c, fmt.Errorf("%w: signed, and no token: %w", ErrUnauthorized, err)
	}
	return c, nil
}

// How long a key signs, and how often the database is asked for keys of other processes at most.
const (
	keyLife    = 30 * 24 * time.Hour
	askAtMost  = time.Second
	askTimeout = 5 * time.Second
)

// keyring has the keys of tokens: the newest signs, all verify. They are in the database.
type keyring struct {
	storage  Storage
	now      func() time.Time
	validity time.Duration // of tokens: how long a key is kept after its life

	mu    sync.Mutex
	keys  []SigningKey
	asked time.Time
}

// signing is the key to sign with now; it makes one when the newest has had its time.
func (k *keyring) signing(ctx context.Context) (SigningKey, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	fresh := k.now().Add(-keyLife)
	if key := k.newest(); key != nil && key.CreatedAt.After(fresh) {
		return *key, nil
	}
	key := SigningKey{Secret: make([]byte, 32), CreatedAt: k.now().UTC().Truncate(time.Second)}
	id := make([]byte, 8)
	for _, b := range [][]byte{key.Secret, id} {
		if _, err := rand.Read(b); err != nil {
			return key, fmt.Errorf("make signing key: %w", err)
		}
	}
	key.ID = hex.EncodeToString(id)
	// Another process may have made one, which is as good.
	if err := k.storage.AddSigningKey(ctx, key, fresh, fresh.Add(-k.validity)); err != nil {
		return key, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	if err := k.ask(ctx); err != nil {
		return key, err
	}
	if newest := k.newest(); newest != nil {
		return *newest, nil
	}
	return key, errors.New("the database keeps no signing keys")
}

func (k *keyring) newest() *SigningKey {
	var newest *SigningKey
	for i := range k.keys {
		if newest == nil || k.keys[i].CreatedAt.After(newest.CreatedAt) {
			newest = &k.keys[i]
		}
	}
	return newest
}

// named finds a key, which another process may have made a moment ago.
func (k *keyring) named(ctx context.Context, id string) (SigningKey, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	key := find(k.keys, func(key SigningKey) bool { return key.ID == id })
	if key == nil && k.now().Sub(k.asked) >= askAtMost {
		if err := k.ask(ctx); err != nil {
			return SigningKey{}, err
		}
		key = find(k.keys, func(key SigningKey) bool { return key.ID == id })
	}
	if key == nil {
		return SigningKey{}, ErrUnauthorized
	}
	return *key, nil
}

// ask reads all keys.
func (k *keyring) ask(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askTimeout)
	defer cancel()
	keys, err := k.storage.SigningKeys(ctx)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	k.keys, k.asked = keys, k.now()
	return nil
}

// revocations is what is valid no more. Other processes' become known within askAtMost.
type revocations struct {
	storage Storage
	now     func() time.Time

	mu    sync.Mutex
	known map[string]bool
	asked time.Time
	err   error // of the last time
}

// has reports whether any of these was revoked.
func (r *revocations) has(ctx context.Context, what ...string) (bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	// Who comes within askAtMost of a failure fails with it: a database that hangs is waited for once, not by all in turn.
	if r.asked.IsZero() || r.now().Sub(r.asked) >= askAtMost {
		r.err = r.ask(ctx)
		r.asked = r.now()
	}
	if r.err != nil {
		return false, r.err
	}
	for _, one := range what {
		if r.known[one] {
			return true, nil
		}
	}
	return false, nil
}

func (r *revocations) ask(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askTimeout)
	defer cancel()
	all, err := r.storage.Revocations(ctx, r.now())
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	r.known = make(map[string]bool, len(all))
	for _, one := range all {
		r.known[one] = true
	}
	return nil
}

func (r *revocations) add(ctx context.Context, what string, until time.Time) error {
	if err := r.storage.Revoke(ctx, what, until, r.now()); err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known != nil {
		r.known[what] = true
	}
	return nil
}
