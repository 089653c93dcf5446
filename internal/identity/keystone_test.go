package identity_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"colonnade/internal/identity"
)

// keystone answers as a Keystone does, and counts. The real one is asked by test/conformance/keystone; what is here is
// what cannot be seen from outside: how often it is asked, and what its failures do.
type keystone struct {
	*httptest.Server
	now time.Time

	mu      sync.Mutex
	own     string // token that it knows its validator by
	logins  int
	asked   int
	status  int // of validations, when not 0
	tokens  map[string]time.Time
	release chan struct{} // validations wait for it; nil: they do not
}

func newKeystone(t testing.TB) *keystone {
	k := &keystone{now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), tokens: map[string]time.Time{}}
	k.Server = httptest.NewServer(k)
	t.Cleanup(k.Close)
	return k
}

func (k *keystone) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	k.mu.Lock()
	defer k.mu.Unlock()
	answer := func(status int, user string, until time.Time) {
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, `{"token":{"expires_at":%q,"user":{"id":%q},"project":{"id":"p"},"roles":[{"name":"member"},{"name":"reader"}]}}`, until.Format("2006-01-02T15:04:05.000000Z"), user)
	}
	if r.URL.Path != "/identity/v3/auth/tokens" {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	if r.Method == http.MethodPost {
		var in map[string]any
		b, _ := io.ReadAll(r.Body)
		if json.Unmarshal(b, &in) != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		k.logins++
		k.own = fmt.Sprint("own-", k.logins)
		w.Header().Set("X-Subject-Token", k.own)
		answer(http.StatusCreated, "service", k.now.Add(time.Hour))
		return
	}
	k.asked++
	if release := k.release; release != nil {
		k.mu.Unlock()
		<-release
		k.mu.Lock()
	}
	until, known := k.tokens[r.Header.Get("X-Subject-Token")]
	switch {
	case r.Header.Get("X-Auth-Token") != k.own:
		w.WriteHeader(http.StatusUnauthorized)
	case k.status != 0:
		w.WriteHeader(k.status)
	case !known:
		w.WriteHeader(http.StatusNotFound)
	default:
		answer(http.StatusOK, "u", until)
	}
}

func (k *keystone) authenticator(t testing.TB, change ...func(*identity.KeystoneOptions)) *identity.Keystone {
	t.Helper()
	o := identity.KeystoneOptions{
		URL: k.URL + "/identity", Username: "octavia", Password: "p", UserDomain: "Default", Project: "service", ProjectDomain: "Default",
		HTTP: k.Client(), Timeout: 5 * time.Second, CacheTime: time.Minute,
		Now: func() time.Time { k.mu.Lock(); defer k.mu.Unlock(); return k.now },
	}
	for _, c := range change {
		c(&o)
	}
	who, err := identity.NewKeystone(o)
	if err != nil {
		t.Fatal(err)
	}
	return who
}

func (k *keystone) pass(d time.Duration) { k.mu.Lock(); defer k.mu.Unlock(); k.now = k.now.Add(d) }

// set changes what it answers.
func (k *keystone) set(f func()) { k.mu.Lock(); defer k.mu.Unlock(); f() }

func with(ctx context.Context, token string) *http.Request {
	r := httptest.NewRequest("GET", "/", nil).WithContext(ctx)
	r.Header.Set("X-Auth-Token", token)
	return r
}

func TestKeystoneIsAskedSeldom(t *testing.T) {
	k := newKeystone(t)
	k.tokens["long"], k.tokens["short"] = k.now.Add(time.Hour), k.now.Add(10*time.Second)
	who := k.authenticator(t)
	for _, c := range []struct {
		name  string
		after time.Duration
		token string
		want  error
		asked int // since the beginning
	}{
		{"first", 0, "long", nil, 1},
		{"again", 59 * time.Second, "long", nil, 1},
		{"after the time an answer is believed", time.Second, "long", nil, 2},
		{"unknown", 0, "none", identity.ErrUnauthorized, 3},
		{"unknown again", 4 * time.Second, "none", identity.ErrUnauthorized, 3},
		{"a refusal is believed less long", time.Second, "none", identity.ErrUnauthorized, 4},
		{"one that is no token is not asked about", 0, "a b", identity.ErrUnauthorized, 4},
		{"nor is none", 0, "", identity.ErrUnauthorized, 4},
		{"expired when asked about", 0, "short", identity.ErrUnauthorized, 5},
	} {
		k.pass(c.after)
		p, err := who.Authenticate(with(t.Context(), c.token))
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %+v, %v", c.name, p, err)
		}
		if c.want == nil {
			if diff := cmp.Diff(identity.Principal{UserID: "u", ProjectID: "p", Roles: []string{"member", "reader"}}, p); diff != "" {
				t.Errorf("%s: %s", c.name, diff)
			}
		}
		if k.asked != c.asked {
			t.Errorf("%s: asked %d times, want %d", c.name, k.asked, c.asked)
		}
	}
	if k.logins != 1 {
		t.Errorf("%d logins", k.logins)
	}
}

func TestKeystoneTokensEndInTheCache(t *testing.T) {
	k := newKeystone(t)
	k.tokens["t"] = k.now.Add(10 * time.Second)
	who := k.authenticator(t)
	if _, err := who.Authenticate(with(t.Context(), "t")); err != nil {
		t.Fatal(err)
	}
	k.pass(10 * time.Second)
	if _, err := who.Authenticate(with(t.Context(), "t")); !errors.Is(err, identity.ErrUnauthorized) {
		t.Error(err)
	}
}

// Many requests with one token ask once, and one that gives up takes nobody with it.
func TestKeystoneIsAskedOnceAtATime(t *testing.T) {
	k := newKeystone(t)
	k.tokens["t"], k.release = k.now.Add(time.Hour), make(chan struct{})
	who := k.authenticator(t)
	impatient, give := context.WithCancel(t.Context())
	first := make(chan error, 1)
	go func() { _, err := who.Authenticate(with(impatient, "t")); first <- err }()
	for asked := 0; asked == 0; { // until it is on its way
		k.set(func() { asked = k.asked })
	}
	give()
	if err := <-first; !errors.Is(err, identity.ErrUnavailable) {
		t.Errorf("given up: %v", err)
	}
	var all sync.WaitGroup
	var failed atomic.Int32
	for range 20 {
		all.Go(func() {
			if _, err := who.Authenticate(with(t.Context(), "t")); err != nil {
				failed.Add(1)
			}
		})
	}
	close(k.release)
	all.Wait()
	if failed.Load() != 0 || k.asked != 1 {
		t.Errorf("%d failed, asked %d times", failed.Load(), k.asked)
	}
}

// Whoever cannot be asked is no reason to call somebody a stranger.
func TestKeystoneIsAway(t *testing.T) {
	k := newKeystone(t)
	k.tokens["t"], k.tokens["u"] = k.now.Add(time.Hour), k.now.Add(time.Hour)
	token, err := identity.NewToken("local")
	if err != nil {
		t.Fatal(err)
	}
	who := k.authenticator(t, func(o *identity.KeystoneOptions) { o.APIToken = token })
	if _, err := who.Authenticate(with(t.Context(), "t")); err != nil {
		t.Fatal(err)
	}
	want := func(token string, wanted error) {
		t.Helper()
		if _, err := who.Authenticate(with(t.Context(), token)); !errors.Is(err, wanted) {
			t.Errorf("%s: %v, want %v", token, err, wanted)
		}
	}
	k.set(func() { k.own = "forgotten" }) // it lost its tokens: we log in again
	want("u", nil)
	if k.logins != 2 {
		t.Errorf("%d logins", k.logins)
	}
	for _, status := range []int{500, 503, 403, 302} {
		k.pass(2 * time.Minute)
		k.set(func() { k.status = status })
		want("u", identity.ErrUnavailable)
	}
	k.set(func() { k.status = 0 })
	want("u", nil)
	k.Close()
	want("u", nil) // it is known
	want("t", identity.ErrUnavailable)
	want("local", nil)
	k.pass(2 * time.Minute)
	want("u", identity.ErrUnavailable)
}

func TestKeystoneIsGivenTime(t *testing.T) {
	k := newKeystone(t)
	k.tokens["t"], k.release = k.now.Add(time.Hour), make(chan struct{})
	who := k.authenticator(t, func(o *identity.KeystoneOptions) { o.Timeout = 50 * time.Millisecond })
	if _, err := who.Authenticate(with(t.Context(), "t")); !errors.Is(err, identity.ErrUnavailable) {
		t.Error(err)
	}
	close(k.release)
}

func TestCacheIsBounded(t *testing.T) {
	k := newKeystone(t)
	who := k.authenticator(t)
	for i := range 10500 { // more than it keeps
		if _, err := who.Authenticate(with(t.Context(), fmt.Sprint(i))); !errors.Is(err, identity.ErrUnauthorized) {
			t.Fatal(err)
		}
	}
	if k.asked != 10500 {
		t.Errorf("asked %d times", k.asked)
	}
	if n := identity.Cached(who); n > 10000 {
		t.Errorf("%d answers kept", n)
	}
}

// An answer that is none is no verdict.
func FuzzKeystoneAnswer(f *testing.F) {
	var body []byte
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			w.Header().Set("X-Subject-Token", "own")
			w.WriteHeader(http.StatusCreated)
			_, _ = io.WriteString(w, `{"token":{"expires_at":"2126-01-01T00:00:00Z"}}`)
			return
		}
		_, _ = w.Write(body)
	}))
	f.Cleanup(s.Close)
	who, err := identity.NewKeystone(identity.KeystoneOptions{URL: s.URL, Username: "u", Password: "p", HTTP: s.Client(), Timeout: 5 * time.Second, Now: time.Now})
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(`{"token":{"expires_at":"2126-01-01T00:00:00.000000Z","user":{"id":"u"},"roles":[{"name":"admin"}]}}`))
	f.Add([]byte(`{"token":null}`))
	f.Add([]byte(``))
	f.Fuzz(func(t *testing.T, answer []byte) {
		body = answer
		p, err := who.Authenticate(with(t.Context(), "t"))
		var said struct {
			Token struct {
				ExpiresAt time.Time `json:"expires_at"`
			} `json:"token"`
		}
		if wellFormed := json.Unmarshal(answer, &said) == nil; err == nil && (!wellFormed || !said.Token.ExpiresAt.After(time.Now())) {
			t.Errorf("%s makes %+v", answer, p)
		}
	})
}
