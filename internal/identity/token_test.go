package identity_test

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"colonnade/internal/identity"
)

func TestEnsureTokenMakesOne(t *testing.T) {
	dir := t.TempDir()
	tokens := make([]string, 8)
	var all sync.WaitGroup
	for i := range tokens {
		all.Go(func() {
			var err error
			if tokens[i], err = identity.EnsureToken(dir); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for _, token := range tokens {
		if token != tokens[0] || len(token) != 64 {
			t.Errorf("token %q, another caller has %q", token, tokens[0])
		}
	}
	info, err := os.Stat(filepath.Join(dir, identity.TokenFile))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("token file: %v, %v", info.Mode(), err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

func TestAuthenticate(t *testing.T) {
	const secret = "s3cret"
	who, err := identity.NewToken(secret)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := identity.NewToken(""); err == nil {
		t.Error("an empty token is a token")
	}
	for _, c := range []struct {
		name, header, value, project string
		want                         string // project, "" for nobody
	}{
		{"token", "X-Auth-Token", secret, "", "default"},
		{"token and project", "X-Auth-Token", secret, "p", "p"},
		{"bearer", "Authorization", "bearer " + secret, "", "default"},
		{"basic", "Authorization", "Basic " + secret, "", ""},
		{"prefix", "X-Auth-Token", secret[:3], "", ""},
		{"longer", "X-Auth-Token", secret + "x", "", ""},
		{"none", "X-Other", "", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := &http.Request{Header: http.Header{}}
			r.Header.Set(c.header, c.value)
			r.Header.Set("X-Project-Id", c.project)
			p, err := who.Authenticate(r)
			if c.want == "" {
				if !errors.Is(err, identity.ErrUnauthorized) {
					t.Errorf("%+v, %v", p, err)
				}
			} else if err != nil || p.ProjectID != c.want || !p.Admin() {
				t.Errorf("%+v, %v", p, err)
			}
		})
	}
}
