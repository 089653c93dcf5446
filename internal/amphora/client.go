package amphora

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"colonnade/internal/agentrest"
	"colonnade/internal/cert"
	"colonnade/internal/distributor"
	"colonnade/internal/lb"
)

// Deadlines of one call when the caller's context has no earlier one. A document may take a start of HAProxy and its
// check; an amphora that needs longer counts as hung.
const (
	documentTimeout = 5 * time.Second
	callTimeout     = 3 * time.Second
)

// Statistics is the body of GET /v1/statistics.
type Statistics struct {
	AmphoraID    string            `json:"amphora_id"`
	Connections  int               `json:"connections"` // established to the VIP
	Listeners    []ListenerStats   `json:"listeners"`
	SecondChance map[string]uint64 `json:"second_chance"` // by what became of a frame
}

// Client calls amphora agents. Answers come back as the errors the agent made: *RefusedError, *distributor.StaleError
// and *lb.Fault; anything else is the way there (unreachable, wrong certificate).
type Client struct {
	rest *agentrest.Client
}

// NewClient makes a client over the transport that all agents share.
func NewClient(rest *agentrest.Client) *Client { return &Client{rest: rest} }

// Status asks what runs.
func (c *Client) Status(ctx context.Context, amp lb.Amphora) (Status, error) {
	var s Status
	err := c.do(ctx, callTimeout, amp, http.MethodGet, "/v1/status", nil, &s)
	return s, err
}

// Statistics asks what was counted.
func (c *Client) Statistics(ctx context.Context, amp lb.Amphora) (Statistics, error) {
	var s Statistics
	err := c.do(ctx, callTimeout, amp, http.MethodGet, "/v1/statistics", nil, &s)
	return s, err
}

// PutDocument sends the whole document and returns when it runs.
func (c *Client) PutDocument(ctx context.Context, amp lb.Amphora, doc Desired) (Status, error) {
	var s Status
	err := c.do(ctx, documentTimeout, amp, http.MethodPut, "/v1/document", doc, &s)
	return s, err
}

// PutTable sends the owner lists and returns when packets are judged by them.
func (c *Client) PutTable(ctx context.Context, amp lb.Amphora, doc TableDocument) (Status, error) {
	var s Status
	err := c.do(ctx, callTimeout, amp, http.MethodPut, "/v1/table", doc, &s)
	return s, err
}

func (c *Client) do(ctx context.Context, limit time.Duration, amp lb.Amphora, method, path string, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	target := agentrest.Target{Holder: cert.Identity{Role: cert.RoleAmphora, ID: amp.ID}, IP: amp.ManagementIP}
	if err := c.rest.Do(ctx, target, method, path, in, out); err != nil {
		return fmt.Errorf("amphora %s: %s %s: %w", amp.ID, method, path, typed(err))
	}
	return nil
}

// typed makes the error again that the agent answered with.
func typed(err error) error {
	if refused, ok := agentrest.As[RefusedError](err, http.StatusBadRequest, "problems"); ok {
		return refused
	}
	if stale, ok := agentrest.As[distributor.StaleError](err, http.StatusConflict, "applied"); ok {
		return stale
	}
	return agentrest.Fault(err)
}
