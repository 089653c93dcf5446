// Package conformance runs the suites that every driver of a kind passes. Only the suites import it.
package conformance

import (
	"context"
	"testing"
	"time"
)

// Case is one test of a suite whose drivers come in an E.
type Case[E any] = struct {
	Name string
	Run  func(*testing.T, context.Context, E)
}

// limit is far beyond what a test needs on a busy machine.
const limit = 2 * time.Minute

// Run runs the cases; open is called once a case and cleans up by t.Cleanup.
func Run[E any](t *testing.T, open func(*testing.T) E, cases []Case[E]) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			c.Run(t, ctx, open(t))
		})
	}
}
