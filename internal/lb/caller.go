package lb

import (
	"context"
	"sync/atomic"
)

// Caller is who makes a change by the API: it is the author of the events that the change leaves.
type Caller struct {
	UserID    string
	ProjectID string   // the one they act for
	Roles     []string // sorted
	Address   string   // where the request came from, without port
	// NoQuota says that no quota holds for them.
	NoQuota bool
	// Operation is the call they make, by its id in the OpenAPI document, and Outcome the status it has when it succeeds.
	Operation string
	Outcome   int
	// Recorded counts the events that were committed in their name; nil when nobody wants to know.
	Recorded *atomic.Int64
}

type callerKey struct{}

// WithCaller says that what is done under the context is done for c.
func WithCaller(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// CallerOf is who the work of ctx is done for; the zero Caller when that is the system itself.
func CallerOf(ctx context.Context) Caller {
	c, _ := ctx.Value(callerKey{}).(Caller)
	return c
}
