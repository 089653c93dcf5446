package client

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"colonnade/internal/api/wire"
)

// pollInterval is how often a waiting client asks; a change is live in a fraction of a second.
const pollInterval = 100 * time.Millisecond

// FailedError says that a load balancer ended in ERROR.
type FailedError struct {
	ID     string
	Reason string
}

func (e *FailedError) Error() string {
	if e.Reason == "" {
		return fmt.Sprintf("load balancer %s is in ERROR", e.ID)
	}
	return fmt.Sprintf("load balancer %s is in ERROR: %s", e.ID, e.Reason)
}

// WaitSettled polls a load balancer until it is not PENDING_* any more and returns it; *FailedError when it ended in
// ERROR. seen is called with every answer, or is nil. The wait ends with ctx.
func (c *Client) WaitSettled(ctx context.Context, id string, seen func(wire.LoadBalancer)) (wire.LoadBalancer, error) {
	for {
		l, err := c.LoadBalancers().Get(ctx, id)
		if err != nil {
			return l, fmt.Errorf("wait for load balancer %s: %w", id, err)
		}
		if seen != nil {
			seen(l)
		}
		switch {
		case l.ProvisioningStatus == "ERROR":
			return l, &FailedError{ID: id, Reason: l.StatusReason}
		case !strings.HasPrefix(l.ProvisioningStatus, "PENDING_"):
			return l, nil
		}
		if err := pause(ctx); err != nil {
			return l, fmt.Errorf("wait for load balancer %s, %s so far: %w", id, l.ProvisioningStatus, err)
		}
	}
}

// WaitGone polls a load balancer until it is not found.
func (c *Client) WaitGone(ctx context.Context, id string, seen func(wire.LoadBalancer)) error {
	for {
		l, err := c.LoadBalancers().Get(ctx, id)
		switch {
		case StatusOf(err) == http.StatusNotFound:
			return nil
		case err != nil:
			return fmt.Errorf("wait for the end of load balancer %s: %w", id, err)
		case l.ProvisioningStatus == "ERROR":
			return &FailedError{ID: id, Reason: l.StatusReason}
		}
		if seen != nil {
			seen(l)
		}
		if err := pause(ctx); err != nil {
			return fmt.Errorf("wait for the end of load balancer %s, %s so far: %w", id, l.ProvisioningStatus, err)
		}
	}
}

func pause(ctx context.Context) error {
	t := time.NewTimer(pollInterval)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
