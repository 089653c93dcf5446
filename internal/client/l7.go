package client

import (
	"net/url"

	"colonnade/internal/api/wire"
)

// L7Policies are the L7 policies.
func (c *Client) L7Policies() Resource[wire.L7Policy, wire.L7PolicyCreate, wire.L7PolicyUpdate] {
	return Resource[wire.L7Policy, wire.L7PolicyCreate, wire.L7PolicyUpdate]{c, "/lbaas/l7policies", "l7policy", "l7policies"}
}

// L7Rules are the rules of one policy.
func (c *Client) L7Rules(policyID string) Resource[wire.L7Rule, wire.L7RuleCreate, wire.L7RuleUpdate] {
	return Resource[wire.L7Rule, wire.L7RuleCreate, wire.L7RuleUpdate]{c, "/lbaas/l7policies/" + url.PathEscape(policyID) + "/rules", "rule", "rules"}
}
