package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"colonnade/internal/api/wire"
	"colonnade/internal/lb"
)

// note is what is learned about a call that changes something, while it is served: what an event says of it when the
// transactions that it made left none.
type note struct {
	lbID, projectID string
	recorded        atomic.Int64 // events that were committed
}

// noteOf is the note of the call that ctx is for; one that nobody reads when there is none.
func noteOf(ctx context.Context) *note {
	if n, ok := ctx.Value(keyNote).(*note); ok {
		return n
	}
	return new(note)
}

// operation is a call as events name it.
type operation struct {
	id, method, path string
	status           int // when it succeeds
}

func mutates(method string) bool {
	return method != http.MethodGet && method != http.MethodHead
}

// noted gives a call that changes something its note, and its events the call's name.
func noted(ctx context.Context, op operation) (context.Context, *note) {
	n := new(note)
	caller := lb.CallerOf(ctx)
	caller.Operation, caller.Outcome, caller.Recorded = op.id, op.status, &n.recorded
	return context.WithValue(lb.WithCaller(ctx, caller), keyNote, n), n
}

// auditTimeout bounds writing an event; a client that has gone does not end it.
const auditTimeout = 5 * time.Second

// audit records a call that changes something, unless its own transactions did. What was refused, and what changed
// nothing, is recorded at a bounded rate: a tenant can ask for it as often as they like.
func (s *server) audit(ctx context.Context, op operation, n *note, c *call, body []byte, err error) {
	if err == nil && n.recorded.Load() > 0 {
		return
	}
	caller := lb.CallerOf(ctx)
	e := eventOf(op, c, body, err)
	e.LoadBalancerID, e.ProjectID = n.lbID, n.projectID
	if op.path == lbaas+"/loadbalancers/{id}" {
		e.LoadBalancerID = e.ObjectID
	}
	if e.ProjectID == "" || e.Outcome == http.StatusForbidden {
		e.ProjectID = caller.ProjectID // an attempt on another's object is not part of that one's history
	}
	if err != nil || n.lbID != "" { // a load balancer's change that left no event changed nothing
		recorded, unrecorded := s.refusals.allow(caller.ProjectID+" "+caller.UserID, time.Now())
		if !recorded {
			return
		}
		if unrecorded > 0 {
			e.Reason = strings.TrimSpace(fmt.Sprintf("%s (before it %d more of this user that are not recorded)", e.Reason, unrecorded))
		}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), auditTimeout)
	defer cancel()
	if err := s.Store.RecordEvent(ctx, e); err != nil {
		s.Log.ErrorContext(ctx, "event not recorded", "action", e.Action, "object_id", e.ObjectID, "error", err)
	}
}

// past is how an event says what an operation did.
var past = map[string]string{
	"create": "created", "update": "updated", "replace": "replaced", "delete": "deleted", "reset": "reset", "failover": "failover requested",
}

// eventOf is a call as an event.
func eventOf(op operation, c *call, body []byte, err error) lb.Event {
	verb, kind, _ := strings.Cut(op.id, "-")
	kind = strings.ReplaceAll(kind, "-", " ")
	e := lb.Event{ObjectKind: kind, Action: strings.TrimSpace(kind + " " + past[verb]), Outcome: op.status}
	if past[verb] == "" {
		e.Action = verb + " " + kind
	}
	if c != nil {
		for _, name := range []string{"id", "pool_id", "l7policy_id", "project_id", "name"} {
			if e.ObjectID == "" {
				e.ObjectID = clipped(c.r.PathValue(name), maxObjectID)
			}
		}
	}
	if err != nil {
		a := answerFor(err)
		e.Action, e.Outcome, e.Reason = strings.ReplaceAll(op.id, "-", " ")+" refused", a.status, textOf(a)
		return e
	}
	if op.method == http.MethodPost {
		e.ObjectID = madeID(body)
	}
	return e
}

// madeID is the id of what a creation answers: {"pool": {"id": …}}, or {"secret_ref": "…/<id>"}.
func madeID(body []byte) string {
	var objects map[string]json.RawMessage
	if json.Unmarshal(body, &objects) != nil {
		return ""
	}
	for _, o := range objects {
		var made struct{ ID string }
		var ref string
		if json.Unmarshal(o, &made) == nil {
			return made.ID
		}
		if json.Unmarshal(o, &ref) == nil {
			return ref[strings.LastIndex(ref, "/")+1:]
		}
	}
	return ""
}

// Bounds of what an event takes over from a request.
const (
	maxObjectID = 64
	maxReason   = 500
)

func clipped(s string, most int) string {
	r := []rune(s)
	return string(r[:min(len(r), most)])
}

// quotedValue is where a fault quotes what the client sent, which may be a key or a password in the wrong field.
var quotedValue = regexp.MustCompile(`(?s) Value: '.*'\.`)

// textOf is what an answer that is an error says.
func textOf(a answer) string {
	text := ""
	switch body := a.body.(type) {
	case wire.Fault:
		text = body.FaultString
	case map[string]any:
		text, _ = body["description"].(string)
	}
	return clipped(quotedValue.ReplaceAllString(text, ""), maxReason)
}

// Rates of events about what was refused: a caller's, and all callers' of this process.
const (
	callerBurst, callerEvery = 20, 10 * time.Second
	allBurst, allEvery       = 200, 2 * time.Second
	maxCallers               = 4096
)

// limiter bounds how often something is done for each caller and for all together.
type limiter struct {
	mu      sync.Mutex
	all     bucket
	callers map[string]*bucket
}

// bucket holds tokens; one comes back each time that every has passed, up to burst.
type bucket struct {
	used    int
	since   time.Time // used counts from here
	dropped int       // since the last that was allowed
}

func (b *bucket) take(now time.Time, burst int, every time.Duration) bool {
	if back := int(now.Sub(b.since) / every); back > 0 {
		b.used, b.since = max(0, b.used-back), b.since.Add(time.Duration(back)*every)
	}
	if b.used >= burst {
		return false
	}
	b.used++
	return true
}

// allow says whether this one may be done, and how many of this caller's were not since the last.
func (l *limiter) allow(caller string, now time.Time) (ok bool, dropped int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.callers[caller]
	if b == nil {
		if l.callers == nil || len(l.callers) >= maxCallers { // all forget; the bound of all together stays
			l.callers = map[string]*bucket{}
		}
		b = &bucket{since: now}
		l.callers[caller] = b
	}
	if !b.take(now, callerBurst, callerEvery) || !l.all.take(now, allBurst, allEvery) {
		b.dropped++
		return false, 0
	}
	dropped, b.dropped = b.dropped, 0
	return true, dropped
}
