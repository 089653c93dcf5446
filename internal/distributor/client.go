package distributor

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"colonnade/internal/agentrest"
	"colonnade/internal/cert"
	"colonnade/internal/lb"
)

// callTimeout bounds one call when the caller's context has no earlier deadline.
const callTimeout = 5 * time.Second

// Client calls distributor agents. Answers come back as the errors the agent made: *StaleError, *SwapsError and
// *lb.Fault; anything else is the way there (unreachable, wrong certificate).
type Client struct {
	rest *agentrest.Client
}

// NewClient makes a client over the transport that all agents share.
func NewClient(rest *agentrest.Client) *Client { return &Client{rest: rest} }

// Status asks for everything the distributor has.
func (c *Client) Status(ctx context.Context, d lb.Distributor) (Status, error) {
	var s Status
	err := c.do(ctx, d, http.MethodGet, "/v1/status", nil, &s)
	return s, err
}

// LoadBalancer asks for one load balancer; one that is not plugged is lb.KindNotFound.
func (c *Client) LoadBalancer(ctx context.Context, d lb.Distributor, lbID string) (LBStatus, error) {
	var s LBStatus
	err := c.do(ctx, d, http.MethodGet, lbPath(lbID, ""), nil, &s)
	return s, err
}

// Statistics asks for one load balancer's counters (S60).
func (c *Client) Statistics(ctx context.Context, d lb.Distributor, lbID string) (Statistics, error) {
	var s Statistics
	err := c.do(ctx, d, http.MethodGet, lbPath(lbID, "/statistics"), nil, &s)
	return s, err
}

// PlugVIP makes the distributor own the VIP (S57).
func (c *Client) PlugVIP(ctx context.Context, d lb.Distributor, plug VIPPlug) (LBStatus, error) {
	var s LBStatus
	err := c.do(ctx, d, http.MethodPut, lbPath(plug.LBID, "/vip"), plug, &s)
	return s, err
}

// Register installs the whole table (S58). A *SwapsError carries swaps that the table must take in first; a load
// balancer whose VIP is not plugged is lb.KindNotFound.
func (c *Client) Register(ctx context.Context, d lb.Distributor, r Registrations) (LBStatus, error) {
	var s LBStatus
	err := c.do(ctx, d, http.MethodPut, lbPath(r.LBID, "/amphorae"), r, &s)
	return s, err
}

// UnplugVIP gives the VIP up; one that is not there is no error.
func (c *Client) UnplugVIP(ctx context.Context, d lb.Distributor, lbID string, stamp lb.Stamp) error {
	q := url.Values{
		"epoch":    {strconv.FormatInt(stamp.Epoch, 10)},
		"revision": {strconv.FormatInt(stamp.Revision, 10)},
		"serial":   {strconv.FormatInt(stamp.Serial, 10)},
	}
	return c.do(ctx, d, http.MethodDelete, lbPath(lbID, "/vip")+"?"+q.Encode(), nil, nil)
}

func lbPath(lbID, rest string) string { return "/v1/loadbalancers/" + url.PathEscape(lbID) + rest }

func (c *Client) do(ctx context.Context, d lb.Distributor, method, path string, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	target := agentrest.Target{Holder: cert.Identity{Role: cert.RoleDistributor, ID: d.ID}, IP: d.ManagementIP}
	if err := c.rest.Do(ctx, target, method, path, in, out); err != nil {
		return fmt.Errorf("distributor %s: %s %s: %w", d.ID, method, path, typed(err))
	}
	return nil
}

// typed makes the error again that the agent answered with.
func typed(err error) error {
	if swaps, ok := agentrest.As[SwapsError](err, http.StatusConflict, "swaps"); ok {
		return swaps
	}
	if stale, ok := agentrest.As[StaleError](err, http.StatusConflict, "applied"); ok {
		return stale
	}
	return agentrest.Fault(err)
}
