package store

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

const (
	// operationTimeout bounds an operation whose context has no earlier deadline, its retries included.
	operationTimeout = 30 * time.Second
	// busyTimeout is how long SQLite itself waits for another process's transaction. The end of a context does not reach
	// it there, so it is short, and retry waits for the rest.
	busyTimeout = 100 * time.Millisecond
	// longestPause is that between two tries; the first is a hundredth of it.
	longestPause = 100 * time.Millisecond
)

// retry runs f within operationTimeout.
func retry(ctx context.Context, f func(ctx context.Context) error) error {
	return retryFor(ctx, operationTimeout, f)
}

// retryFor runs f, and again while the database asks for that: after a deadlock or serialization failure on PostgreSQL,
// while another process holds the file on SQLite. It ends with the context, or after that time.
func retryFor(ctx context.Context, most time.Duration, f func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	pause := longestPause / 100
	for {
		err := f(ctx)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return fmt.Errorf("%w: %w", ctx.Err(), err) // drivers have words of their own for it
		case !isRetryable(err):
			return err
		}
		select {
		case <-time.After(pause/2 + rand.N(pause/2)): //nolint:gosec // those that met shall not meet again; guards nothing
		case <-ctx.Done():
		}
		pause = min(2*pause, longestPause)
	}
}
