package client_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"colonnade/internal/client"
)

// Whatever a server answers, the client returns.
func FuzzAnswers(f *testing.F) {
	for _, s := range []string{
		`{"loadbalancers":[{"id":"1"}],"loadbalancers_links":[]}`, `{"loadbalancers":null}`, `{"loadbalancers":[null],"loadbalancers_links":[{"rel":"next","href":"%zz"}]}`,
		`{"faultstring":"x"}`, `{"error":{"message":"x"}}`, `{"description":1}`, `[]`, ``, "\xff", `{"loadbalancer":{"tags":{}}}`,
	} {
		f.Add(200, []byte(s))
		f.Add(409, []byte(s))
	}
	var status int
	var body []byte
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if asked++; asked > 2 {
			w.WriteHeader(http.StatusTeapot) // an answer that leads on for ever
			return
		}
		w.WriteHeader(status)
		_, _ = w.Write(body)
	}))
	f.Cleanup(server.Close)
	c, err := client.New(server.URL, "tok", "")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, s int, b []byte) {
		if s < 200 || s > 599 {
			return
		}
		status, body, asked = s, b, 0
		_, err := c.LoadBalancers().List(t.Context(), url.Values{})
		if s >= 300 && err == nil {
			t.Errorf("%d %q is no error", s, b)
		}
		if err != nil && err.Error() == "" {
			t.Errorf("%d %q: an error without words", s, b)
		}
		asked = 0
		_, _ = c.LoadBalancers().Get(t.Context(), "x/../y")
	})
}
