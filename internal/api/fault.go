package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"

	"colonnade/internal/api/wire"
	"colonnade/internal/httpstatus"
	"colonnade/internal/identity"
	"colonnade/internal/lb"
)

// routeFault is an error about the way to an object rather than the object: unknown path, method, unparsable paging,
// unknown parent. Clients know it by another shape.
type routeFault struct {
	code int
	text string
}

func (f *routeFault) Error() string { return f.text }

var (
	errForbidden = lb.Faultf(lb.KindForbidden, "Policy does not allow this request to be performed.")
	errTooLarge  = errors.New("request is too large")
	errMediaType = errors.New("unknown mimetype: use application/json")
	errPanic     = errors.New("panic while serving")
	textInternal = "An internal error occurred; the operator's log has the details under this request's id."
	textLater    = "The service could not answer in time; please try again."
)

// answer is an error turned into HTTP.
type answer struct {
	status int
	body   any
	hidden bool // the cause is not in the body, so the log must have it
}

// answerFor is the one place where errors become HTTP.
func answerFor(err error) answer {
	var route *routeFault
	var fault *lb.Fault
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &route):
		return answer{status: route.code, body: map[string]any{
			"code": route.code, "title": http.StatusText(route.code), "description": route.text,
		}}
	case errors.Is(err, identity.ErrUnauthorized):
		text := "The request you have made requires authentication."
		return answer{
			status: http.StatusUnauthorized,
			body:   map[string]any{"error": map[string]any{"code": 401, "title": "Unauthorized", "message": text}},
		}
	case errors.As(err, &fault) && fault.Kind != lb.KindInternal:
		status := httpstatus.Of(fault.Kind)
		return answer{status: status, body: shapeA(status, fault.Text)}
	case errors.As(err, &tooLarge), errors.Is(err, errTooLarge):
		return answer{status: http.StatusRequestEntityTooLarge, body: shapeA(413, errTooLarge.Error())}
	case errors.Is(err, errMediaType):
		return answer{status: http.StatusUnsupportedMediaType, body: shapeA(415, errMediaType.Error())}
	case errors.Is(err, identity.ErrUnavailable), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return answer{status: http.StatusServiceUnavailable, body: shapeA(503, textLater), hidden: true}
	default:
		return answer{status: http.StatusInternalServerError, body: shapeA(500, textInternal), hidden: true}
	}
}

func shapeA(status int, text string) wire.Fault {
	code := "Client"
	if status >= 500 {
		code = "Server"
	}
	return wire.Fault{FaultCode: code, FaultString: text}
}

// fail answers a request with err and logs what the answer does not say.
func fail(w http.ResponseWriter, r *http.Request, log *slog.Logger, err error) {
	answerFor(err).send(w, r, log, err)
}

// send answers a request, and logs err where the answer does not say it.
func (a answer) send(w http.ResponseWriter, r *http.Request, log *slog.Logger, err error) {
	if a.hidden {
		log.ErrorContext(r.Context(), "request failed",
			"method", r.Method, "path", r.URL.Path, "error", err)
	}
	reply(w, a.status, a.body)
}

// reply writes one JSON body; nil is none.
func reply(w http.ResponseWriter, status int, body any) {
	if body == nil {
		write(w, status, nil)
		return
	}
	b, err := json.Marshal(body)
	if err != nil {
		status, b = http.StatusInternalServerError, fmt.Appendf(nil, `{"faultcode":"Server","faultstring":%q,"debuginfo":null}`, textInternal)
	}
	write(w, status, b)
}

// write writes an answer whose body is JSON; nil is none.
func write(w http.ResponseWriter, status int, body []byte) {
	if body != nil {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	}
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client has gone when this fails
}
