package cli

import (
	"context"
	"net/url"

	"colonnade/internal/api/wire"
	"colonnade/internal/client"
)

type healthMonitorCommands struct {
	Connection
	List   healthMonitorList   `cmd:"" help:"List health monitors."`
	Show   healthMonitorShow   `cmd:"" help:"Show a health monitor."`
	Create healthMonitorCreate `cmd:"" help:"Give a pool its health monitor."`
	Set    healthMonitorSet    `cmd:"" help:"Change a health monitor."`
	Delete healthMonitorDelete `cmd:"" help:"Delete a health monitor."`
}

type healthMonitorList struct{}

func (*healthMonitorList) Run(ctx context.Context, c *Connection) error {
	return c.run(func(api *client.Client, p *printer) error {
		items, err := api.HealthMonitors().List(ctx, url.Values{})
		if err != nil {
			return err
		}
		return list(p, items, "id", "name", "type", "pools", "delay", "timeout", "provisioning_status", "operating_status")
	})
}

type healthMonitorName struct {
	HealthMonitor string `arg:"" name:"health-monitor" help:"Name or id."`
}

// with finds the monitor and its load balancer, which is what one waits for.
func (n healthMonitorName) with(ctx context.Context, c *Connection, f func(api *client.Client, p *printer, h wire.HealthMonitor, lbID string) error) error {
	return c.run(func(api *client.Client, p *printer) error {
		id, err := resolve(ctx, api.HealthMonitors(), "healthmonitor", n.HealthMonitor)
		if err != nil {
			return err
		}
		h, err := api.HealthMonitors().Get(ctx, id)
		if err != nil {
			return err
		}
		pool, err := api.Pools().Get(ctx, first(h.Pools))
		if err != nil {
			return err
		}
		return f(api, p, h, first(pool.LoadBalancers))
	})
}

type healthMonitorShow struct{ healthMonitorName }

func (n *healthMonitorShow) Run(ctx context.Context, c *Connection) error {
	return n.with(ctx, c, func(_ *client.Client, p *printer, h wire.HealthMonitor, _ string) error { return p.show(h) })
}

// healthMonitorFlags are those of create and set.
type healthMonitorFlags struct {
	Name           *string  `help:"Name."`
	Enable         *bool    `negatable:"" help:"Administrative state."`
	MaxRetriesDown *int     `help:"Failures until a member is down, 1 to 10."`
	HTTPMethod     *string  `name:"http-method" help:"Method of an HTTP check."`
	URLPath        *string  `name:"url-path" help:"Path of an HTTP check."`
	ExpectedCodes  *string  `help:"Codes of a member that is up, as 200 or 200,202 or 200-204."`
	HTTPVersion    *float64 `name:"http-version" help:"1.0 or 1.1."`
	DomainName     *string  `help:"Host header; needs --http-version 1.1."`
	Tag            []string `help:"Tag; may be repeated."`
}

func (f *healthMonitorFlags) fields() wire.HealthMonitorFields {
	return wire.HealthMonitorFields{
		Name: opt(f.Name), AdminStateUp: opt(f.Enable), MaxRetriesDown: opt(f.MaxRetriesDown), HTTPMethod: opt(f.HTTPMethod),
		URLPath: opt(f.URLPath), ExpectedCodes: opt(f.ExpectedCodes), HTTPVersion: opt(f.HTTPVersion),
		DomainName: opt(f.DomainName), Tags: words(f.Tag),
	}
}

type healthMonitorCreate struct {
	poolName
	Wait
	healthMonitorFlags
	Type       string `required:"" help:"HTTP, HTTPS, TCP, TLS-HELLO, PING, UDP-CONNECT or SCTP."`
	Delay      int    `required:"" help:"Seconds between checks."`
	CheckTime  int    `name:"check-timeout" required:"" help:"Seconds a check may take."`
	MaxRetries int    `required:"" help:"Successes until a member is up, 1 to 10."`
}

func (n *healthMonitorCreate) Run(ctx context.Context, c *Connection) error {
	return n.with(ctx, c, func(api *client.Client, p *printer, pool wire.Pool) error {
		h, err := api.HealthMonitors().Create(ctx, wire.HealthMonitorCreate{
			PoolID: wire.Some(pool.ID), Type: wire.Some(n.Type), Delay: wire.Some(n.Delay), Timeout: wire.Some(n.CheckTime),
			MaxRetries: wire.Some(n.MaxRetries), HealthMonitorFields: n.fields(),
		})
		if err == nil {
			err = n.settle(ctx, c, api, first(pool.LoadBalancers))
		}
		if err == nil && n.Wait.Wait {
			h, err = api.HealthMonitors().Get(ctx, h.ID)
		}
		if err != nil {
			return err
		}
		return p.show(h)
	})
}

type healthMonitorSet struct {
	healthMonitorName
	Wait
	healthMonitorFlags
	Delay      *int `help:"Seconds between checks."`
	CheckTime  *int `name:"check-timeout" help:"Seconds a check may take."`
	MaxRetries *int `help:"Successes until a member is up, 1 to 10."`
}

func (n *healthMonitorSet) Run(ctx context.Context, c *Connection) error {
	return n.with(ctx, c, func(api *client.Client, p *printer, h wire.HealthMonitor, lbID string) error {
		_, err := api.HealthMonitors().Update(ctx, h.ID, wire.HealthMonitorUpdate{
			Delay: opt(n.Delay), Timeout: opt(n.CheckTime), MaxRetries: opt(n.MaxRetries), HealthMonitorFields: n.fields(),
		})
		if err == nil {
			err = n.settle(ctx, c, api, lbID)
		}
		if err != nil {
			return err
		}
		return p.line("health monitor %s changed", h.ID)
	})
}

type healthMonitorDelete struct {
	healthMonitorName
	Wait
}

func (n *healthMonitorDelete) Run(ctx context.Context, c *Connection) error {
	return n.with(ctx, c, func(api *client.Client, p *printer, h wire.HealthMonitor, lbID string) error {
		err := api.HealthMonitors().Delete(ctx, h.ID)
		if err == nil {
			err = n.settle(ctx, c, api, lbID)
		}
		if err != nil {
			return err
		}
		return p.line("health monitor %s deleted", h.ID)
	})
}
