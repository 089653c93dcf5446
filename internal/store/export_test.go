package store

import "context"

// TrimEvents is what Purge does to projects that have too many events.
func TrimEvents(ctx context.Context, s *Store, keep int) (int, error) { return s.trimEvents(ctx, keep) }
