package identity

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

// TokenFile stands in the state directory and holds the API token; mode 0600.
const TokenFile = "api-token"

// EnsureToken returns the token of the state directory, making one at first. Two processes that start at once get the
// same one.
func EnsureToken(stateDir string) (string, error) {
	return ensureSecret(stateDir, TokenFile, "api token")
}

// ReadToken reads the token of the state directory.
func ReadToken(stateDir string) (string, error) { return readSecret(stateDir, TokenFile, "api token") }

// ensureSecret returns what a file of the state directory holds, 64 random hex digits if it has to be made.
func ensureSecret(stateDir, file, what string) (string, error) {
	if secret, err := readSecret(stateDir, file, what); !errors.Is(err, fs.ErrNotExist) {
		return secret, err
	}
	random := make([]byte, 32)
	if _, err := rand.Read(random); err != nil {
		return "", fmt.Errorf("make %s: %w", what, err)
	}
	f, err := os.CreateTemp(stateDir, file+"-*") // mode 0600
	if err != nil {
		return "", fmt.Errorf("make %s: %w", what, err)
	}
	defer func() { _ = os.Remove(f.Name()) }() // the link stays
	_, err = f.WriteString(hex.EncodeToString(random) + "\n")
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return "", fmt.Errorf("write %s: %w", what, err)
	}
	// A link, not a rename: whoever comes second finds the first one's.
	if err := os.Link(f.Name(), filepath.Join(stateDir, file)); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("write %s: %w", what, err)
	}
	return readSecret(stateDir, file, what)
}

func readSecret(stateDir, file, what string) (string, error) {
	b, err := os.ReadFile(filepath.Join(stateDir, file))
	if err != nil {
		return "", fmt.Errorf("read %s: %w", what, err)
	}
	secret := strings.TrimSpace(string(b))
	if secret == "" {
		return "", fmt.Errorf("read %s: %s is empty", what, filepath.Join(stateDir, file))
	}
	return secret, nil
}

// Token is an Authenticator that knows one token; whoever has it is an administrator of the project they name in
// X-Project-Id.
type Token struct{ sum [sha256.Size]byte }

// NewToken makes an authenticator of the token.
func NewToken(token string) (*Token, error) {
	if token == "" {
		return nil, errors.New("make token authenticator: empty token")
	}
	return &Token{sum: sha256.Sum256([]byte(token))}, nil
}

// is compares in a time that says nothing: the sums are of equal length.
func (t *Token) is(given string) bool {
	sum := sha256.Sum256([]byte(given))
	return subtle.ConstantTimeCompare(sum[:], t.sum[:]) == 1
}

// bearer is the token of an Authorization header; "" when it has another scheme.
func bearer(authorization string) string {
	scheme, rest, _ := strings.Cut(authorization, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(rest)
}

// Authenticate takes the token from X-Auth-Token or Authorization: Bearer.
func (t *Token) Authenticate(r *http.Request) (Principal, error) {
	if !t.is(given(r)) {
		return Principal{}, ErrUnauthorized
	}
	project := r.Header.Get("X-Project-Id")
	if project == "" {
		project = DefaultProject
	}
	return Principal{UserID: ID("user", AdminName), ProjectID: project, Roles: []string{"admin"}}, nil
}
