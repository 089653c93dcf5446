package api

import (
	"context"
	"fmt"
	"log/slog"
	"mime"
	"net/http"
	"strings"
	"sync"
	"time"
)

// healthFor is how long one look at the database answers everybody who asks.
const healthFor = 5 * time.Second

// healthTimeout is how long the database may take to answer.
const healthTimeout = 2 * time.Second

// healthcheck says whether this process can do its work: for load balancers and supervisors, who have no token. Its
// shape is oslo.middleware's.
type healthcheck struct {
	check func(ctx context.Context) error
	log   *slog.Logger

	mu    sync.Mutex
	until time.Time // the answer holds
	err   error
}

// healthchecked answers /healthcheck before anybody is asked who they are.
func healthchecked(next http.Handler, check func(ctx context.Context) error, log *slog.Logger) http.Handler {
	h := &healthcheck{check: check, log: log}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/healthcheck" {
			next.ServeHTTP(w, r)
			return
		}
		if rec, ok := w.(*recorder); ok {
			rec.route = "/healthcheck"
		}
		h.ServeHTTP(w, r)
	})
}

func (h *healthcheck) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		reply(w, http.StatusMethodNotAllowed, answerFor(&routeFault{
			http.StatusMethodNotAllowed, "The method " + r.Method + " is not allowed for this resource.",
		}).body)
		return
	}
	status, reason := http.StatusOK, "OK"
	if h.look(r.Context()) != nil { // why is for the log, not for strangers
		status, reason = http.StatusServiceUnavailable, "The database does not answer"
	}
	kind, body := healthBody(r.Header.Get("Accept"), reason)
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Cache-Control", "no-store")
	if r.Method == http.MethodHead {
		if status == http.StatusOK {
			status = http.StatusNoContent
		}
		w.WriteHeader(status)
		return
	}
	w.WriteHeader(status)
	_, _ = w.Write([]byte(body)) // the client has gone when this fails
}

// look asks the database, unless somebody did just now.
func (h *healthcheck) look(ctx context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now() // how long an answer is kept decides nothing else
	if now.Before(h.until) {
		return h.err
	}
	// The answer is everybody's, so the client that happens to ask must not end it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), healthTimeout)
	defer cancel()
	if h.err = h.check(ctx); h.err != nil {
		h.log.ErrorContext(ctx, "health check failed", "error", h.err)
	}
	h.until = now.Add(healthFor)
	return h.err
}

// healthBody writes the reason as the client likes it; plain text when it does not say.
func healthBody(accept, reason string) (kind, body string) {
	for one := range strings.SplitSeq(accept, ",") {
		switch m, _, _ := mime.ParseMediaType(strings.TrimSpace(one)); m {
		case "application/json":
			return m, fmt.Sprintf("{\n    \"detailed\": false,\n    \"reasons\": [\n        %q\n    ]\n}", reason)
		case "text/html":
			return m + "; charset=UTF-8", "<HTML><HEAD><TITLE>Healthcheck Status</TITLE></HEAD><BODY><P>" + reason + "</P></BODY></HTML>\n"
		case "text/plain":
			return m + "; charset=UTF-8", reason
		}
	}
	return "text/plain; charset=UTF-8", reason
}
