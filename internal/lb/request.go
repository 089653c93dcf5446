package lb

import "context"

type requestKey struct{}

// WithRequestID gives the context the id of the API request that everything done under it is for. The store keeps it
// with the work that is enqueued, the queue gives it back to who does that work, and agents are told it.
func WithRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestKey{}, id)
}

// RequestID is the id of the API request that the work of ctx is for; "" when no request asked for it.
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(requestKey{}).(string)
	return id
}
