package identity_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"colonnade/internal/identity"
)

// Only the token is the token.
func FuzzAuthenticate(f *testing.F) {
	const secret = "0123456789abcdef"
	who, err := identity.NewToken(secret)
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range [][3]string{{secret, "", ""}, {"", "Bearer " + secret, "p"}, {"", "bearer  " + secret + " ", ""}, {secret + "\x00", "", ""}, {"", "Basic " + secret, ""}, {" ", "Bearer " + secret, ""}, {"", "Bearer", "\xff"}} {
		f.Add(s[0], s[1], s[2])
	}
	f.Fuzz(func(t *testing.T, token, authorization, project string) {
		r := &http.Request{Header: http.Header{"X-Auth-Token": {token}, "Authorization": {authorization}, "X-Project-Id": {project}}}
		p, err := who.Authenticate(r)
		scheme, rest, _ := strings.Cut(authorization, " ")
		may := token == secret || token == "" && strings.EqualFold(scheme, "bearer") && strings.TrimSpace(rest) == secret
		switch {
		case may && (err != nil || !p.Admin() || p.ProjectID == ""):
			t.Errorf("%+v, %v", p, err)
		case !may && !errors.Is(err, identity.ErrUnauthorized):
			t.Errorf("let in: %+v, %v", p, err)
		}
	})
}
