package cli

import (
	"context"
	"net/url"

	"colonnade/internal/api/wire"
	"colonnade/internal/client"
)

type quotaCommands struct {
	Connection
	List     quotaList     `cmd:"" help:"List the projects that have a quota of their own."`
	Show     quotaShow     `cmd:"" help:"Show what holds for a project."`
	Defaults quotaDefaults `cmd:"" help:"Show what holds for projects without a quota of their own."`
	Set      quotaSet      `cmd:"" help:"Change a project's quota (operator)."`
	Reset    quotaReset    `cmd:"" help:"Give a project the defaults again (operator)."`
}

type quotaList struct{}

func (*quotaList) Run(ctx context.Context, c *Connection) error {
	return c.run(func(api *client.Client, p *printer) error {
		items, err := api.Quotas().List(ctx, url.Values{})
		if err != nil {
			return err
		}
		return list(p, items, "project_id", "loadbalancer", "listener", "pool", "member", "healthmonitor", "l7policy", "l7rule")
	})
}

type quotaProject struct {
	Project string `arg:"" name:"project-id" help:"Id of the project."`
}

type quotaShow struct{ quotaProject }

func (n *quotaShow) Run(ctx context.Context, c *Connection) error {
	return c.run(func(api *client.Client, p *printer) error {
		q, err := api.Quotas().Get(ctx, n.Project)
		if err != nil {
			return err
		}
		return p.showQuota(q)
	})
}

// showQuota leaves out the older names for people, and for the defaults the project.
func (p *printer) showQuota(q wire.Quota) error {
	if p.json {
		return p.writeJSON(q)
	}
	return p.show(struct {
		ProjectID     string `json:"project_id,omitempty"`
		LoadBalancer  int    `json:"loadbalancer"`
		Listener      int    `json:"listener"`
		Pool          int    `json:"pool"`
		Member        int    `json:"member"`
		HealthMonitor int    `json:"healthmonitor"`
		L7Policy      int    `json:"l7policy"`
		L7Rule        int    `json:"l7rule"`
	}{q.ProjectID, q.LoadBalancer, q.Listener, q.Pool, q.Member, q.HealthMonitor, q.L7Policy, q.L7Rule})
}

type quotaDefaults struct{}

func (*quotaDefaults) Run(ctx context.Context, c *Connection) error {
	return c.run(func(api *client.Client, p *printer) error {
		q, err := api.DefaultQuota(ctx)
		if err != nil {
			return err
		}
		if !p.json {
			q.ProjectID = ""
		}
		return p.showQuota(q)
	})
}

type quotaSet struct {
	quotaProject
	LoadBalancer  *int     `name:"loadbalancer" help:"Load balancers; -1 is any number."`
	Listener      *int     `help:"Listeners."`
	Pool          *int     `help:"Pools."`
	Member        *int     `help:"Members of all pools together."`
	HealthMonitor *int     `name:"healthmonitor" help:"Health monitors."`
	L7Policy      *int     `name:"l7policy" help:"L7 policies."`
	L7Rule        *int     `name:"l7rule" help:"L7 rules of all policies together."`
	Default       []string `enum:"loadbalancer,listener,pool,member,healthmonitor,l7policy,l7rule" help:"Kinds whose limit is to be the default again."`
}

func (n *quotaSet) Run(ctx context.Context, c *Connection) error {
	in := wire.QuotaUpdate{
		LoadBalancer: opt(n.LoadBalancer), Listener: opt(n.Listener), Pool: opt(n.Pool), Member: opt(n.Member),
		HealthMonitor: opt(n.HealthMonitor), L7Policy: opt(n.L7Policy), L7Rule: opt(n.L7Rule),
	}
	for _, kind := range n.Default {
		*map[string]*wire.Opt[int]{
			"loadbalancer": &in.LoadBalancer, "listener": &in.Listener, "pool": &in.Pool, "member": &in.Member,
			"healthmonitor": &in.HealthMonitor, "l7policy": &in.L7Policy, "l7rule": &in.L7Rule,
		}[kind] = wire.Null[int]()
	}
	return c.run(func(api *client.Client, p *printer) error {
		q, err := api.Quotas().Update(ctx, n.Project, in)
		if err != nil {
			return err
		}
		return p.showQuota(q)
	})
}

type quotaReset struct{ quotaProject }

func (n *quotaReset) Run(ctx context.Context, c *Connection) error {
	return c.run(func(api *client.Client, p *printer) error {
		if err := api.Quotas().Delete(ctx, n.Project); err != nil {
			return err
		}
		return p.line("quota of project %s is the default again", n.Project)
	})
}
