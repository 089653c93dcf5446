package cli

import (
	"context"
	"fmt"
	"time"

	"colonnade/internal/api/wire"
	"colonnade/internal/client"
)

// Wait is the flag of commands that change something.
type Wait struct {
	Wait bool `help:"Wait until the load balancer has settled, showing progress."`
}

// settle waits for the load balancer if asked to; what it saw goes to standard error, a line a change of status.
func (w Wait) settle(ctx context.Context, c *Connection, api *client.Client, lbID string) error {
	if !w.Wait || lbID == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	_, err := api.WaitSettled(ctx, lbID, c.progress())
	return err
}

// gone waits for the load balancer's end if asked to.
func (w Wait) gone(ctx context.Context, c *Connection, api *client.Client, lbID string) error {
	if !w.Wait {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	return api.WaitGone(ctx, lbID, c.progress())
}

func (c *Connection) progress() func(wire.LoadBalancer) {
	began, last := time.Now(), ""
	return func(l wire.LoadBalancer) {
		now := l.ProvisioningStatus + " " + l.OperatingStatus
		if l.StatusReason != "" {
			now += ": " + printable(l.StatusReason)
		}
		if now != last {
			// Progress is a courtesy: a closed standard error stops nothing.
			_, _ = fmt.Fprintf(c.stderr, "%6.1fs  %s\n", time.Since(began).Seconds(), now)
			last = now
		}
	}
}

func opt[T any](v *T) wire.Opt[T] {
	if v == nil {
		return wire.Opt[T]{}
	}
	return wire.Some(*v)
}

// words is for flags that may be repeated: absent when not given.
func words(v []string) wire.Opt[[]string] {
	if v == nil {
		return wire.Opt[[]string]{}
	}
	return wire.Some(v)
}

func first(refs []wire.Ref) string {
	if len(refs) == 0 {
		return ""
	}
	return refs[0].ID
}
