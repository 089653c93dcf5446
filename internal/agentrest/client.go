package agentrest

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"colonnade/internal/agentconf"
	"colonnade/internal/cert"
	"colonnade/internal/lb"
)

// Target is one agent: whom we mean, and where it is.
type Target struct {
	Holder cert.Identity
	IP     string // management address
}

// Dial opens a connection on the management network.
type Dial func(ctx context.Context, network, addr string) (net.Conn, error)

// StatusError is an agent's answer other than success, with the fields it sent.
type StatusError struct {
	Status int
	Text   string
	Body   []byte // JSON
}

func (e *StatusError) Error() string { return fmt.Sprintf("agent answered %d: %s", e.Status, e.Text) }

// Client calls agents. Connections are kept and reused per agent. It is safe for concurrent use.
type Client struct {
	dial   Dial
	bundle func() (cert.Bundle, error)
	now    func() time.Time

	observe func(Call)

	mu     sync.Mutex
	agents map[Target]*http.Client
}

// Call is one call as it went.
type Call struct {
	Role      cert.Role // of the agent
	Method    string
	Operation string // the path without ids: "document", "loadbalancers/vip"
	// Status is the answer's; 0 when there was none, for the reason in Err.
	Status int
	Err    error
	Took   time.Duration
}

// Observe has f told of every call. It is to be called before the first one.
func (c *Client) Observe(f func(Call)) { c.observe = f }

// NewClient makes a client that shows the certificate that bundle returns; it is asked anew for each connection, so a
// renewed certificate needs nothing done here.
func NewClient(dial Dial, bundle func() (cert.Bundle, error), now func() time.Time) *Client {
	return &Client{dial: dial, bundle: bundle, now: now, agents: map[Target]*http.Client{}}
}

// maxIdle bounds how long an unused connection to an agent is kept.
const maxIdle = 90 * time.Second

func (c *Client) agent(t Target) *http.Client {
	c.mu.Lock()
	defer c.mu.Unlock()
	if hc, ok := c.agents[t]; ok {
		return hc
	}
	hc := &http.Client{Transport: &http.Transport{
		DialTLSContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			bundle, err := c.bundle()
			if err != nil {
				return nil, err
			}
			conf, err := cert.ClientTLS(bundle, c.now, t.Holder)
			if err != nil {
				return nil, err
			}
			raw, err := c.dial(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			conn := tls.Client(raw, conf)
			if err := conn.HandshakeContext(ctx); err != nil {
				_ = raw.Close()
				return nil, err
			}
			return conn, nil
		},
		MaxIdleConnsPerHost: 2,
		IdleConnTimeout:     maxIdle,
	}}
	c.agents[t] = hc
	return hc
}

// Forget closes idle connections to an agent that is gone.
func (c *Client) Forget(t Target) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if hc, ok := c.agents[t]; ok {
		hc.CloseIdleConnections()
		delete(c.agents, t)
	}
}

// RequestIDHeader tells an agent which API request its call is for.
const RequestIDHeader = "X-OpenStack-Request-ID"

// Do calls the agent; in nil sends no body, out nil ignores the answer's. The caller's ctx carries the deadline and the
// request id. An answer other than 2xx is a *StatusError.
func (c *Client) Do(ctx context.Context, t Target, method, path string, in, out any) error {
	if c.observe == nil {
		return c.do(ctx, t, method, path, in, out)
	}
	began := time.Now() // for metrics only
	call := Call{Role: t.Holder.Role, Method: method, Operation: operation(path), Status: http.StatusOK}
	call.Err = c.do(ctx, t, method, path, in, out)
	call.Took = time.Since(began)
	if call.Err != nil {
		call.Status = 0
		if se := (*StatusError)(nil); errors.As(call.Err, &se) {
			call.Status = se.Status
		}
	}
	c.observe(call)
	return call.Err
}

// operation is a path without version, ids and query: there are few, however many load balancers.
func operation(path string) string {
	path, _, _ = strings.Cut(path, "?")
	path = strings.TrimPrefix(path, "/v1/")
	if rest, ok := strings.CutPrefix(path, "loadbalancers/"); ok {
		if _, what, more := strings.Cut(rest, "/"); more {
			return "loadbalancers/" + what
		}
		return "loadbalancers"
	}
	return path
}

func (c *Client) do(ctx context.Context, t Target, method, path string, in, out any) error {
	hc := c.agent(t)
	var body io.Reader
	if in != nil {
		raw, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("call agent %s: %w", t.Holder, err)
		}
		body = bytes.NewReader(raw)
	}
	url := "https://" + net.JoinHostPort(t.IP, strconv.Itoa(agentconf.Port)) + path
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return fmt.Errorf("call agent %s: %w", t.Holder, err)
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if id := lb.RequestID(ctx); id != "" {
		req.Header.Set(RequestIDHeader, id)
	}
	res, err := hc.Do(req)
	if err != nil {
		return fmt.Errorf("call agent %s: %w", t.Holder, err)
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxBody))
	if err != nil {
		return fmt.Errorf("call agent %s: %w", t.Holder, err)
	}
	if res.StatusCode/100 != 2 {
		var text struct {
			Error string `json:"error"`
		}
		_ = json.Unmarshal(raw, &text) // whoever answered without JSON is shown by status alone
		return &StatusError{Status: res.StatusCode, Text: text.Error, Body: raw}
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(raw, out); err != nil {
		return fmt.Errorf("call agent %s: decode answer: %w", t.Holder, err)
	}
	return nil
}

// As decodes a 409 or 400 answer's own fields into a typed error; ok is false when err is something else or the answer
// does not carry key.
func As[T any](err error, status int, key string) (*T, bool) {
	var se *StatusError
	if !errors.As(err, &se) || se.Status != status {
		return nil, false
	}
	var keys map[string]json.RawMessage
	if json.Unmarshal(se.Body, &keys) != nil || keys[key] == nil {
		return nil, false
	}
	typed := new(T)
	if json.Unmarshal(se.Body, typed) != nil {
		return nil, false
	}
	return typed, true
}
