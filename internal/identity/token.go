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

// DefaultProject owns what is made when a request names no project.
const DefaultProject = "default"

// EnsureToken returns the token of the state directory, making one at first. Two processes that start at once get the
// same one.
func EnsureToken(stateDir string) (string, error) {
	if token, err := ReadToken(stateDir); !errors.Is(err, fs.ErrNotExist) {
		return token, err
	}
	secret := make([]byte, 32)
	if _, err := rand.Read(secret); err != nil {
		return "", fmt.Errorf("make api token: %w", err)
	}
	f, err := os.CreateTemp(stateDir, TokenFile+"-*") // mode 0600
	if err != nil {
		return "", fmt.Errorf("make api token: %w", err)
	}
	defer func() { _ = os.Remove(f.Name()) }() // the link stays
	_, err = f.WriteString(hex.EncodeToString(secret) + "\n")
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return "", fmt.Errorf("write api token: %w", err)
	}
	// A link, not a rename: whoever comes second finds the first one's token.
	if err := os.Link(f.Name(), filepath.Join(stateDir, TokenFile)); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("write api token: %w", err)
	}
	return ReadToken(stateDir)
}

// ReadToken reads the token of the state directory.
func ReadToken(stateDir string) (string, error) {
	b, err := os.ReadFile(filepath.Join(stateDir, TokenFile))
	if err != nil {
		return "", fmt.Errorf("read api token: %w", err)
	}
	token := strings.TrimSpace(string(b))
	if token == "" {
		return "", fmt.Errorf("read api token: %s is empty", filepath.Join(stateDir, TokenFile))
	}
	return token, nil
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

// Authenticate takes the token from X-Auth-Token or Authorization: Bearer.
func (t *Token) Authenticate(r *http.Request) (Principal, error) {
	given := r.Header.Get("X-Auth-Token")
	if given == "" {
		scheme, rest, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		if strings.EqualFold(scheme, "Bearer") {
			given = strings.TrimSpace(rest)
		}
	}
	sum := sha256.Sum256([]byte(given)) // equal lengths, so the comparison's time says nothing
	if subtle.ConstantTimeCompare(sum[:], t.sum[:]) != 1 {
		return Principal{}, ErrUnauthorized
	}
	project := r.Header.Get("X-Project-Id")
	if project == "" {
		project = DefaultProject
	}
	return Principal{UserID: "admin", ProjectID: project, Roles: []string{"admin"}}, nil
}
