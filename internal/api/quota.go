package api

import (
	"context"

	"colonnade/internal/api/wire"
	"colonnade/internal/identity"
	"colonnade/internal/lb"
	"colonnade/internal/store"
)

func quotaView(q store.QuotaItem) wire.Quota {
	return wire.Quota{
		ProjectID: q.ProjectID, TenantID: q.ProjectID, LoadBalancer: *q.LoadBalancer, LoadBalancerOlder: *q.LoadBalancer,
		Listener: *q.Listener, Pool: *q.Pool, Member: *q.Member, HealthMonitor: *q.HealthMonitor, HealthMonitorOlder: *q.HealthMonitor,
		L7Policy: *q.L7Policy, L7Rule: *q.L7Rule,
	}
}

// quotaScope is who may read quotas: other roles than those that read load balancers.
var quotaScope = scope{all: identity.Principal.ReadsAllQuotas, one: identity.Principal.ReadsQuota}

func (s *server) listQuotas(ctx context.Context, c *call) (any, error) {
	c.scope = quotaScope
	return listed(ctx, c, "quotas", s.Store.Quotas, each(quotaView), func(q store.QuotaItem) string { return q.ProjectID })
}

// showQuota never says 404: a project is whatever the identity service says is one.
func (s *server) showQuota(ctx context.Context, c *call) (any, error) {
	if err := mayReadQuota(ctx, c.project()); err != nil {
		return nil, err
	}
	q, err := s.Store.Quota(ctx, c.project())
	if err != nil {
		return nil, err
	}
	return one(c, "quota", quotaView(store.QuotaItem{ProjectID: c.project(), Quota: q}))
}

// defaultQuota shows what holds for a project without limits of its own.
func (s *server) defaultQuota(ctx context.Context, c *call) (any, error) {
	project := c.project()
	if project == "" {
		project = principal(ctx).ProjectID
	}
	if err := mayReadQuota(ctx, project); err != nil {
		return nil, err
	}
	return one(c, "quota", quotaView(store.QuotaItem{ProjectID: project, Quota: s.Store.DefaultQuota()}))
}

func (s *server) updateQuota(ctx context.Context, c *call) (any, error) {
	var in wire.QuotaUpdate
	if err := decodeBody(c.body, "quotas", "quota", &in); err != nil {
		return nil, err
	}
	if err := writableQuota(ctx, c); err != nil {
		return nil, err
	}
	q, err := s.Store.UpdateQuota(ctx, c.project(), func(q *lb.Quota) {
		for _, f := range []struct {
			limit **int
			given wire.Opt[int]
		}{
			{&q.LoadBalancer, in.LoadBalancerOlder},
			{&q.LoadBalancer, in.LoadBalancer},
			{&q.Listener, in.Listener},
			{&q.Pool, in.Pool},
			{&q.Member, in.Member},
			{&q.HealthMonitor, in.HealthMonitorOlder},
			{&q.HealthMonitor, in.HealthMonitor},
			{&q.L7Policy, in.L7Policy},
			{&q.L7Rule, in.L7Rule},
		} {
			if f.given.Given() {
				*f.limit = new(f.given.V)
			} else if f.given.Set {
				*f.limit = nil // the default again
			}
		}
	})
	if err != nil {
		return nil, err
	}
	return map[string]any{"quota": quotaView(store.QuotaItem{ProjectID: c.project(), Quota: q})}, nil
}

func (s *server) resetQuota(ctx context.Context, c *call) (any, error) {
	if err := writableQuota(ctx, c); err != nil {
		return nil, err
	}
	return nil, s.Store.ResetQuota(ctx, c.project())
}

// writableQuota checks the project of the path, for changing its quota.
func writableQuota(ctx context.Context, c *call) error {
	if err := mayWriteQuota(ctx); err != nil {
		return err
	}
	if !projectID.MatchString(c.project()) {
		return lb.InvalidField("project_id", c.project(), "Value should match the pattern "+projectID.String())
	}
	return nil
}
