package client

import (
	"context"
	"net/http"

	"colonnade/internal/api/wire"
)

// Quotas are the projects' quotas, by project id; Delete gives a project the defaults again.
func (c *Client) Quotas() Resource[wire.Quota, None, wire.QuotaUpdate] {
	return Resource[wire.Quota, None, wire.QuotaUpdate]{c, "/lbaas/quotas", "quota", "quotas"}
}

// DefaultQuota reads what holds for projects without a quota of their own.
func (c *Client) DefaultQuota(ctx context.Context) (wire.Quota, error) {
	return c.Quotas().answer(ctx, http.MethodGet, "/lbaas/quotas/defaults", nil)
}
