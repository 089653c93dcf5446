package api

import "context"

// allowed is nil, or the 403 that clients know. What is asked about is fetched first: who may not see an object learns
// that it exists (403) or does not (404), as upstream.
func allowed(yes bool) error {
	if yes {
		return nil
	}
	return errForbidden
}

// mayRead and mayWrite say 403 for objects of projects that are not the caller's.
func mayRead(ctx context.Context, projectID string) error {
	return allowed(principal(ctx).Reads(projectID))
}

func mayWrite(ctx context.Context, projectID string) error {
	noteOf(ctx).projectID = projectID
	return allowed(principal(ctx).Writes(projectID))
}

// mayReadShared is for what belongs to no project: flavors, availability zones, providers.
func mayReadShared(ctx context.Context) error { return allowed(principal(ctx).ReadsShared()) }

func mayOperate(ctx context.Context) error { return allowed(principal(ctx).Admin()) }

func mayReadQuota(ctx context.Context, projectID string) error {
	return allowed(principal(ctx).ReadsQuota(projectID))
}

func mayWriteQuota(ctx context.Context) error { return allowed(principal(ctx).WritesQuota()) }
