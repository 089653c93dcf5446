package identity

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/bcrypt"
)

// bcryptCost makes one comparison take about 60 ms of one core.
const bcryptCost = 10

// MaxPassword is the longest password, in bytes: bcrypt looks at no more.
const MaxPassword = 72

// HashPassword makes what the configuration holds in place of a password.
func HashPassword(password string) (string, error) {
	if password == "" || len(password) > MaxPassword {
		return "", fmt.Errorf("a password has 1 to %d bytes", MaxPassword)
	}
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcryptCost)
	if err != nil {
		return "", fmt.Errorf("hash password: %w", err)
	}
	return string(hash), nil
}

// decoy is compared with when there is no hash, so that the time does not say so. Nobody knows its password.
const decoy = "$2a$10$7EqJtq98hPqEX7fNZaFWoOhi5J1cA9n9YkN2b0j8m4fZ7s5y3k3mG"

// randomPrefix begins the hash of a secret that was drawn by lot and is too long to be guessed: it needs no costly hash.
const randomPrefix = "{SHA256}"

func hashRandom(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return randomPrefix + hex.EncodeToString(sum[:])
}

// samePassword takes the same time whatever is wrong.
func samePassword(hash, password string) (bool, error) {
	if strings.HasPrefix(hash, randomPrefix) {
		return subtle.ConstantTimeCompare([]byte(hash), []byte(hashRandom(password))) == 1, nil
	}
	there := hash != "" && hash != Locked && len(password) <= MaxPassword
	if !there {
		hash = decoy
	}
	if len(password) > MaxPassword {
		password = ""
	}
	err := bcrypt.CompareHashAndPassword([]byte(hash), []byte(password))
	if err != nil && !errors.Is(err, bcrypt.ErrMismatchedHashAndPassword) {
		return false, fmt.Errorf("compare password: %w", err)
	}
	return there && err == nil, nil
}
