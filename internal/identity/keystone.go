package identity

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

// KeystoneOptions say which identity service to ask, and as whom.
type KeystoneOptions struct {
	URL           string // with /v3 or without
	Username      string // may validate tokens: a service, or an administrator
	Password      string
	UserDomain    string // names
	Project       string
	ProjectDomain string
	HTTP          *http.Client
	Timeout       time.Duration // of one call
	CacheTime     time.Duration // how long an answer is believed; a token that is revoked meanwhile goes on that long
	APIToken      *Token        // of the state directory; nil for none
	Now           func() time.Time
}

// Bounds of the cache of answers.
const (
	cacheSize     = 10000           // tokens
	refusedFor    = 5 * time.Second // how long "no such token" is believed
	maxKeystone   = 1 << 20         // bytes of an answer
	renewalMargin = 30 * time.Second
)

// Keystone is an Authenticator that asks an OpenStack identity service what a token is worth.
type Keystone struct {
	KeystoneOptions
	base    string // with /v3
	flights singleflight.Group

	mu    sync.Mutex
	cache map[[sha256.Size]byte]verdict // tokens themselves are not kept

	own sync.Mutex
	// token is the one to ask with; until when it may be used.
	token string
	until time.Time
}

// verdict is what was answered about a token.
type verdict struct {
	who   Principal
	valid bool
	until time.Time // how long it is believed
}

// NewKeystone makes one. It asks nothing yet: a control plane may start before Keystone does.
func NewKeystone(o KeystoneOptions) (*Keystone, error) {
	if o.URL == "" || o.Username == "" || o.Password == "" || o.HTTP == nil || o.Timeout <= 0 || o.Now == nil {
		return nil, errors.New("make keystone authenticator: URL, user, password, HTTP client, timeout and clock are needed")
	}
	base := strings.TrimRight(o.URL, "/")
	if !strings.HasSuffix(base, "/v3") {
		base += "/v3"
	}
	return &Keystone{KeystoneOptions: o, base: base, cache: map[[sha256.Size]byte]verdict{}}, nil
}

// Authenticate asks Keystone about the request's token, unless it did a moment ago.
func (k *Keystone) Authenticate(r *http.Request) (Principal, error) {
	token := given(r)
	switch {
	case token == "" || len(token) > maxToken || strings.ContainsFunc(token, func(c rune) bool { return c <= ' ' || c > '~' }):
		return Principal{}, ErrUnauthorized
	case k.APIToken != nil && k.APIToken.is(token):
		return k.APIToken.Authenticate(r)
	}
	sum := sha256.Sum256([]byte(token))
	v, ok := k.cached(sum)
	if !ok {
		// The call goes on when this request is given up: others wait for the same answer.
		ctx := context.WithoutCancel(r.Context())
		done := k.flights.DoChan(string(sum[:]), func() (any, error) { return k.ask(ctx, sum, token) })
		select {
		case <-r.Context().Done():
			return Principal{}, fmt.Errorf("%w: %w", ErrUnavailable, r.Context().Err())
		case res := <-done:
			if res.Err != nil {
				return Principal{}, res.Err
			}
			v = res.Val.(verdict)
		}
	}
	if !v.valid {
		return Principal{}, ErrUnauthorized
	}
	return v.who, nil
}

func (k *Keystone) cached(sum [sha256.Size]byte) (verdict, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	v, ok := k.cache[sum]
	return v, ok && k.Now().Before(v.until)
}

// keep remembers an answer; when there is no room, first those that have ended go, then any.
func (k *Keystone) keep(sum [sha256.Size]byte, v verdict) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.Now()
	if len(k.cache) >= cacheSize {
		for other, old := range k.cache {
			if !now.Before(old.until) {
				delete(k.cache, other)
			}
		}
		for other := range k.cache {
			if len(k.cache) < cacheSize*3/4 {
				break
			}
			delete(k.cache, other)
		}
	}
	if now.Before(v.until) {
		k.cache[sum] = v
	}
}

// ask validates a token.
func (k *Keystone) ask(ctx context.Context, sum [sha256.Size]byte, token string) (verdict, error) {
	if v, ok := k.cached(sum); ok { // the answer came between the look at the cache and now
		return v, nil
	}
	ctx, cancel := context.WithTimeout(ctx, k.Timeout)
	defer cancel()
	var answer tokenAnswer
	status, err := k.validate(ctx, token, &answer)
	now := k.Now()
	switch {
	case err != nil:
		return verdict{}, fmt.Errorf("%w: validate token: %w", ErrUnavailable, err)
	case status == http.StatusNotFound:
		v := verdict{until: now.Add(min(refusedFor, k.CacheTime))}
		k.keep(sum, v)
		return v, nil
	case status != http.StatusOK:
		return verdict{}, fmt.Errorf("%w: validate token: Keystone answered %d", ErrUnavailable, status)
	}
	v := verdict{valid: now.Before(answer.Token.ExpiresAt), until: now.Add(k.CacheTime), who: answer.principal()}
	if answer.Token.ExpiresAt.Before(v.until) {
		v.until = answer.Token.ExpiresAt
	}
	k.keep(sum, v)
	return v, nil
}

// tokenAnswer is the part of an answer that matters here.
type tokenAnswer struct {
	Token struct {
		ExpiresAt time.Time `json:"expires_at"`
		User      struct {
			ID string `json:"id"`
		} `json:"user"`
		Project struct {
			ID string `json:"id"`
		} `json:"project"`
		Roles []struct {
			Name string `json:"name"`
		} `json:"roles"`
	} `json:"token"`
}

func (a tokenAnswer) principal() Principal {
	p := Principal{UserID: a.Token.User.ID, ProjectID: a.Token.Project.ID}
	for _, r := range a.Token.Roles {
		p.Roles = append(p.Roles, r.Name)
	}
	return p
}

// validate asks with our own token, and once more with a new one when Keystone does not know it any more.
func (k *Keystone) validate(ctx context.Context, token string, out *tokenAnswer) (status int, err error) {
	for attempt := range 2 {
		own, err := k.ownToken(ctx, attempt > 0)
		if err != nil {
			return 0, err
		}
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, k.base+"/auth/tokens?nocatalog", nil)
		if err != nil {
			return 0, err
		}
		r.Header.Set("X-Auth-Token", own)
		r.Header.Set("X-Subject-Token", token)
		if status, _, err = k.do(r, out); err != nil || status != http.StatusUnauthorized {
			return status, err
		}
	}
	return http.StatusUnauthorized, nil
}

// ownToken is the token that we ask with.
func (k *Keystone) ownToken(ctx context.Context, renew bool) (string, error) {
	k.own.Lock()
	defer k.own.Unlock()
	if k.token != "" && !renew && k.Now().Before(k.until) {
		return k.token, nil
	}
	domain := func(name string) any { return map[string]string{"name": name} }
	body, err := json.Marshal(map[string]any{"auth": map[string]any{
		"identity": map[string]any{"methods": []string{"password"}, "password": map[string]any{
			"user": map[string]any{"name": k.Username, "password": k.Password, "domain": domain(k.UserDomain)},
		}},
		"scope": map[string]any{"project": map[string]any{"name": k.Project, "domain": domain(k.ProjectDomain)}},
	}})
	if err != nil {
		return "", err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, k.base+"/auth/tokens?nocatalog", bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	r.Header.Set("Content-Type", "application/json")
	var answer tokenAnswer
	status, header, err := k.do(r, &answer)
	if err != nil {
		return "", fmt.Errorf("log in as %s: %w", k.Username, err)
	}
	if status != http.StatusCreated {
		return "", fmt.Errorf("log in as %s: Keystone answered %d", k.Username, status)
	}
	k.token, k.until = header.Get("X-Subject-Token"), answer.Token.ExpiresAt.Add(-renewalMargin)
	return k.token, nil
}

// do sends one request and reads the answer if it is one.
func (k *Keystone) do(r *http.Request, out any) (int, http.Header, error) {
	r.Header.Set("Accept", "application/json")
	resp, err := k.HTTP.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = resp.Body.Close() }() // read to the end or given up
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxKeystone))
	if err != nil {
		return 0, nil, err
	}
	if resp.StatusCode == http.StatusOK || resp.StatusCode == http.StatusCreated {
		if err := json.Unmarshal(b, out); err != nil {
			return 0, nil, fmt.Errorf("read answer: %w", err)
		}
	}
	return resp.StatusCode, resp.Header, nil
}
