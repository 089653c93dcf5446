package api

import (
	"context"
	"strconv"

	"github.com/google/uuid"

	"colonnade/internal/api/wire"
	"colonnade/internal/lb"
)

func (s *server) listHealthMonitors(ctx context.Context, c *call) (any, error) {
	return listed(ctx, c, "healthmonitors", s.Store.HealthMonitors, each(monitorView), func(h lb.HealthMonitor) string { return h.ID })
}

func (s *server) showHealthMonitor(ctx context.Context, c *call) (any, error) {
	h, err := byID(ctx, s.Store.HealthMonitors, "Health Monitor", c.id())
	if err == nil {
		err = mayRead(ctx, h.ProjectID)
	}
	if err != nil {
		return nil, err
	}
	return one(c, "healthmonitor", monitorView(h))
}

func (s *server) createHealthMonitor(ctx context.Context, c *call) (any, error) {
	var in wire.HealthMonitorCreate
	if err := decodeBody(c.body, "health_monitor_", "healthmonitor", &in); err != nil {
		return nil, err
	}
	if !in.PoolID.Given() {
		return nil, lb.InvalidField("pool_id", "None", "Mandatory field missing.")
	}
	p, err := s.writablePool(ctx, in.PoolID.V)
	if err != nil {
		return nil, err
	}
	h, err := newMonitor(in, p.Pool, s.Settings.Rules)
	if err != nil {
		return nil, err
	}
	tree, err := s.change(ctx, p.LoadBalancerID, func(t *lb.Tree) error { return t.AddHealthMonitor(h) })
	if err != nil {
		return nil, err
	}
	return monitorFrom(&tree, h.ID)
}

func monitorFrom(t *lb.Tree, id string) (any, error) {
	h, err := t.HealthMonitor(id)
	if err != nil {
		return nil, err
	}
	return map[string]any{"healthmonitor": monitorView(*h)}, nil
}

// newMonitor makes the monitor of a pool from a request, with an id and every default.
func newMonitor(in wire.HealthMonitorCreate, p lb.Pool, rules lb.Rules) (lb.HealthMonitor, error) {
	h := lb.HealthMonitor{
		ID: uuid.NewString(), PoolID: p.ID, ProjectID: p.ProjectID, Enabled: true, Type: in.Type.V,
		Delay: in.Delay.V, Timeout: in.Timeout.V, MaxRetries: in.MaxRetries.V, MaxRetriesDown: lb.DefaultMaxRetriesDown,
	}
	if lb.IsHTTPMonitor(h.Type) {
		h.HTTPMethod, h.URLPath, h.ExpectedCodes = lb.DefaultHTTPMethod, lb.DefaultURLPath, lb.DefaultExpectedCodes
	}
	return h, setMonitor(&h, in.HealthMonitorFields, p.Protocol, rules)
}

// setMonitor puts the fields that are there into the monitor and checks the result.
func setMonitor(h *lb.HealthMonitor, in wire.HealthMonitorFields, poolProtocol string, rules lb.Rules) error {
	in.Name.Into(&h.Name, "")
	in.AdminStateUp.Into(&h.Enabled, false)
	in.MaxRetriesDown.Into(&h.MaxRetriesDown, lb.DefaultMaxRetriesDown)
	in.Tags.Into(&h.Tags, h.Tags) // null leaves them
	if !lb.IsHTTPMonitor(h.Type) {
		// A type that does not go with the pool, before its fields are found fault with.
		if err := rules.CheckMonitor(*h, poolProtocol); err != nil {
			return err
		}
		return refuseHTTPFields(h.Type, in)
	}
	in.HTTPMethod.Into(&h.HTTPMethod, lb.DefaultHTTPMethod)
	in.URLPath.Into(&h.URLPath, lb.DefaultURLPath)
	in.ExpectedCodes.Into(&h.ExpectedCodes, lb.DefaultExpectedCodes)
	in.DomainName.Into(&h.DomainName, "")
	if in.HTTPVersion.Set {
		h.HTTPVersion = ""
		if in.HTTPVersion.Given() {
			h.HTTPVersion = strconv.FormatFloat(in.HTTPVersion.V, 'f', 1, 64)
		}
	}
	return rules.CheckMonitor(*h, poolProtocol)
}

// refuseHTTPFields refuses what only monitors that speak HTTP have, null too.
func refuseHTTPFields(monitorType string, in wire.HealthMonitorFields) error {
	for _, f := range []struct {
		name string
		set  bool
	}{
		{"http_method", in.HTTPMethod.Set},
		{"url_path", in.URLPath.Set},
		{"expected_codes", in.ExpectedCodes.Set},
		{"http_version", in.HTTPVersion.Set},
		{"domain_name", in.DomainName.Set},
	} {
		if f.set {
			return lb.InvalidOption(f.name, "health monitors of type "+monitorType)
		}
	}
	return nil
}

func (s *server) updateHealthMonitor(ctx context.Context, c *call) (any, error) {
	var in wire.HealthMonitorUpdate
	if err := decodeBody(c.body, "health_monitor_", "healthmonitor", &in); err != nil {
		return nil, err
	}
	for _, f := range []struct {
		name string
		null bool
	}{{"delay", in.Delay.Null}, {"timeout", in.Timeout.Null}, {"max_retries", in.MaxRetries.Null}} {
		if f.null {
			return nil, lb.InvalidOption("None", f.name)
		}
	}
	h, lbID, err := s.writableMonitor(ctx, c)
	if err != nil {
		return nil, err
	}
	tree, err := s.change(ctx, lbID, func(t *lb.Tree) error {
		pool, err := t.Pool(h.PoolID)
		if err != nil {
			return err
		}
		return t.UpdateHealthMonitor(h.ID, func(h *lb.HealthMonitor) error {
			in.Delay.Into(&h.Delay, 0)
			in.Timeout.Into(&h.Timeout, 0)
			in.MaxRetries.Into(&h.MaxRetries, 0)
			return setMonitor(h, in.HealthMonitorFields, pool.Protocol, s.Settings.Rules)
		})
	})
	if err != nil {
		return nil, err
	}
	return monitorFrom(&tree, h.ID)
}

// writableMonitor reads the monitor of the path and its load balancer's id, for changing it.
func (s *server) writableMonitor(ctx context.Context, c *call) (lb.HealthMonitor, string, error) {
	h, err := byID(ctx, s.Store.HealthMonitors, "Health Monitor", c.id())
	if err == nil {
		err = mayWrite(ctx, h.ProjectID)
	}
	if err != nil {
		return h, "", err
	}
	lbID, err := s.Store.FindHealthMonitor(ctx, h.ID)
	return h, lbID, err
}

func (s *server) deleteHealthMonitor(ctx context.Context, c *call) (any, error) {
	h, lbID, err := s.writableMonitor(ctx, c)
	if err == nil {
		_, err = s.change(ctx, lbID, func(t *lb.Tree) error { return t.DeleteHealthMonitor(h.ID) })
	}
	return nil, err
}
