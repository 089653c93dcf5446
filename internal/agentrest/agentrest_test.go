package agentrest_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"colonnade/internal/agentrest"
	"colonnade/internal/agentrest/agentresttest"
	"colonnade/internal/cert"
	"colonnade/internal/distributor"
	"colonnade/internal/lb"
	"colonnade/internal/logging"
)

type echo struct {
	Text string `json:"text"`
}

func routes() []agentrest.Route {
	return []agentrest.Route{
		{
			Method: http.MethodPut, Path: "/v1/echo", Request: echo{}, Response: echo{},
			Handle: func(_ context.Context, _ *http.Request, body any) (any, error) {
				in := body.(*echo)
				switch in.Text {
				case "stale":
					return nil, &distributor.StaleError{Applied: lb.Stamp{Epoch: 7, Revision: 2, Serial: 1}}
				case "missing":
					return nil, lb.Faultf(lb.KindNotFound, "no such echo")
				case "panic":
					panic("secret")
				}
				return in, nil
			},
		},
		{
			Method: http.MethodDelete, Path: "/v1/echo",
			Handle: func(context.Context, *http.Request, any) (any, error) { return nil, nil },
		},
	}
}

// start runs a server for an amphora a1 on a loopback address of its own and returns a client that reaches it.
func start(t *testing.T) (*agentrest.Client, agentrest.Target) {
	t.Helper()
	return startLogging(t, slog.New(slog.DiscardHandler))
}

func startLogging(t *testing.T, log *slog.Logger) (*agentrest.Client, agentrest.Target) {
	t.Helper()
	client, ip := agentresttest.ServeLogging(t, holder, routes(), log)
	return client, agentrest.Target{Holder: holder, IP: ip}
}

func TestCalls(t *testing.T) {
	client, target := start(t)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	put := func(in any) (echo, error) {
		var out echo
		err := client.Do(ctx, target, http.MethodPut, "/v1/echo", in, &out)
		return out, err
	}

	if out, err := put(echo{Text: "hello"}); err != nil || out.Text != "hello" {
		t.Errorf("echo: %v, %v", out, err)
	}
	if err := client.Do(ctx, target, http.MethodDelete, "/v1/echo", nil, nil); err != nil {
		t.Errorf("empty answer: %v", err)
	}
	for _, c := range []struct {
		name   string
		body   any
		status int
		text   string
	}{
		{"unknown field", map[string]any{"text": "x", "more": 1}, 400, `decode body: json: unknown field "more"`},
		{"wrong type", map[string]any{"text": 1}, 400, "decode body: json: cannot unmarshal number into Go struct field echo.text of type string"},
		{"missing object", echo{Text: "missing"}, 404, "no such echo"},
		{"stale", echo{Text: "stale"}, 409, "a higher stamp is applied already"},
		{"panic keeps its reason to itself", echo{Text: "panic"}, 500, "internal error"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := put(c.body)
			var se *agentrest.StatusError
			if !errors.As(err, &se) {
				t.Fatalf("got %v", err)
			}
			if se.Status != c.status || se.Text != c.text {
				t.Errorf("got %d %q, want %d %q", se.Status, se.Text, c.status, c.text)
			}
		})
	}

	_, err := put(echo{Text: "stale"})
	stale, ok := agentrest.As[distributor.StaleError](err, http.StatusConflict, "applied")
	if !ok {
		t.Fatalf("no StaleError in %v", err)
	}
	if diff := cmp.Diff(lb.Stamp{Epoch: 7, Revision: 2, Serial: 1}, stale.Applied); diff != "" {
		t.Error(diff)
	}
	if _, ok := agentrest.As[distributor.SwapsError](err, http.StatusConflict, "swaps"); ok {
		t.Error("a StaleError was taken for a SwapsError")
	}
}

// written is what a server logged so far.
type written struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (w *written) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.Write(b)
}

func (w *written) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}

func TestCallsAreObservedAndCarryTheRequest(t *testing.T) {
	var log written
	client, target := startLogging(t, logging.New(&log, slog.LevelInfo, "text"))
	var calls []agentrest.Call
	client.Observe(func(c agentrest.Call) {
		if c.Took <= 0 {
			t.Errorf("it took %s", c.Took)
		}
		c.Took = 0
		if c.Err != nil {
			c.Err = errors.New("failed")
		}
		calls = append(calls, c)
	})
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for _, c := range []struct{ request, method, path, text string }{
		{"req-1", http.MethodPut, "/v1/echo", "hello"},
		{"req-2", http.MethodPut, "/v1/echo", "stale"},
		{strings.Repeat("x", 65), http.MethodPut, "/v1/echo", "hello"}, // is no id of ours
		{"", http.MethodGet, "/v1/loadbalancers/6d0c/statistics?epoch=1", ""},
	} {
		_ = client.Do(lb.WithRequestID(ctx, c.request), target, c.method, c.path, echo{Text: c.text}, nil)
	}
	ended, end := context.WithCancel(ctx)
	end()
	_ = client.Do(ended, target, http.MethodPut, "/v1/echo", echo{}, nil)
	failed := errors.New("failed")
	want := []agentrest.Call{
		{Role: "amphora", Method: "PUT", Operation: "echo", Status: 200},
		{Role: "amphora", Method: "PUT", Operation: "echo", Status: 409, Err: failed},
		{Role: "amphora", Method: "PUT", Operation: "echo", Status: 200},
		{Role: "amphora", Method: "GET", Operation: "loadbalancers/statistics", Status: 404, Err: failed},
		{Role: "amphora", Method: "PUT", Operation: "echo", Err: failed},
	}
	if diff := cmp.Diff(want, calls, cmp.Comparer(func(a, b error) bool { return (a == nil) == (b == nil) })); diff != "" {
		t.Error(diff)
	}
	var lines []string
	for line := range strings.Lines(log.String()) {
		_, message, _ := strings.Cut(line, "msg=")
		message = regexp.MustCompile(`duration_ms=\d+`).ReplaceAllString(strings.TrimSpace(message), "duration_ms=N")
		lines = append(lines, message)
	}
	wantLines := []string{
		`"agent call served" route=/v1/echo method=PUT duration_ms=N request_id=req-1`,
		`"agent call refused" route=/v1/echo method=PUT reason="a higher stamp is applied already" request_id=req-2`,
		`"agent call served" route=/v1/echo method=PUT duration_ms=N`,
	}
	if diff := cmp.Diff(wantLines, lines); diff != "" {
		t.Error(diff)
	}
}

func TestAnotherAgentAtThatAddressIsRefused(t *testing.T) {
	client, target := start(t)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	target.Holder.ID = "a2"
	err := client.Do(ctx, target, http.MethodPut, "/v1/echo", echo{}, nil)
	var wrong *cert.WrongHolderError
	if !errors.As(err, &wrong) {
		t.Errorf("got %v, want a WrongHolderError", err)
	}
}
