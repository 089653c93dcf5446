// Package metrics names everything that a process counts, and shows it to Prometheus. The other packages know nothing of
// it: they tell what happens through hooks that take plain values, and the commands join the two. Label values come
// from small fixed sets (roles, routes, statuses, steps), never from tenants and never ids.
package metrics

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"colonnade/internal/agentrest"
	"colonnade/internal/cluster"
	"colonnade/internal/health"
	"colonnade/internal/lb"
	"colonnade/internal/queue"
)

// Metrics of one process.
type Metrics struct {
	registry *prometheus.Registry
	work     sync.Once

	requests   *prometheus.HistogramVec
	reconciles *prometheus.HistogramVec
	calls      *prometheus.HistogramVec
	steps      *prometheus.CounterVec
	failovers  *prometheus.CounterVec
	swaps      prometheus.Counter
}

// Buckets in seconds: of requests and calls, and of reconciles, which wait for instances.
var (
	callBuckets = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5}
	workBuckets = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}
)

// New makes the metrics of a process that plays a role, with those of the Go runtime and the process.
func New(role string) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "colonnade_api_request_duration_seconds", Help: "Requests to the API by route, method and status of the answer.", Buckets: callBuckets,
		}, []string{"route", "method", "status"}),
		reconciles: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "colonnade_work_reconcile_duration_seconds",
			Help: "Claims of work by kind and how they ended: done, failed, lost (the lease), released (the process stops).", Buckets: workBuckets,
		}, []string{"kind", "result"}),
		calls: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "colonnade_agent_call_duration_seconds",
			Help: "Calls to agents by role of the agent, operation and result: ok, refused (4xx), failed (5xx), timeout, unreachable.", Buckets: callBuckets,
		}, []string{"agent", "operation", "method", "result"}),
		steps: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "colonnade_cluster_steps_total", Help: "Steps of the cluster manager by act and result: done, failed.",
		}, []string{"act", "result"}),
		failovers: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "colonnade_cluster_failovers_total", Help: "Positions that were given to another amphora, by cause.",
		}, []string{"cause"}),
		swaps: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "colonnade_cluster_swaps_total", Help: "Positions that a distributor swapped by itself, as the cluster manager took them in.",
		}),
	}
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "colonnade_role_info", Help: "The role that this process plays.", ConstLabels: prometheus.Labels{"role": role},
	})
	info.Set(1)
	m.registry.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), info,
	)
	return m
}

// Handler serves the metrics at every path.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// API shows requests to the API and returns the hook that counts them (api.Deps.Observe).
func (m *Metrics) API() func(method, route string, status int, took time.Duration) {
	m.registry.MustRegister(m.requests)
	return func(method, route string, status int, took time.Duration) {
		if route == "" {
			route = "unknown"
		}
		m.requests.WithLabelValues(route, knownMethod(method), strconv.Itoa(status)).Observe(took.Seconds())
	}
}

// knownMethod bounds what clients may write into a label.
func knownMethod(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return method
	}
	return "other"
}

// AgentCalls shows calls to agents and returns the hook that counts them (agentrest.Client.Observe).
func (m *Metrics) AgentCalls() func(agentrest.Call) {
	m.registry.MustRegister(m.calls)
	return func(c agentrest.Call) {
		m.calls.WithLabelValues(string(c.Role), c.Operation, c.Method, resultOf(c)).Observe(c.Took.Seconds())
	}
}

func resultOf(c agentrest.Call) string {
	switch {
	case c.Err == nil:
		return "ok"
	case c.Status >= 500:
		return "failed"
	case c.Status > 0:
		return "refused"
	case errors.Is(c.Err, context.DeadlineExceeded):
		return "timeout"
	}
	return "unreachable"
}

// Work shows reconciling; roles that share a process may both ask for it.
func (m *Metrics) Work() {
	m.work.Do(func() { m.registry.MustRegister(m.reconciles) })
}

// Reconciler counts what r does with each claim of a kind of work.
func (m *Metrics) Reconciler(r queue.Reconciler) queue.Reconciler { return reconciler{m, r} }

type reconciler struct {
	*Metrics
	next queue.Reconciler
}

func (r reconciler) Reconcile(ctx context.Context, lease lb.Lease) (again time.Duration, err error) {
	began := time.Now() // for metrics only
	result := "failed"  // a panic too
	defer func() {
		r.reconciles.WithLabelValues(lease.Kind, result).Observe(time.Since(began).Seconds())
	}()
	again, err = r.next.Reconcile(ctx, lease)
	switch {
	case errors.Is(err, lb.ErrFenced) || errors.Is(context.Cause(ctx), lb.ErrFenced):
		result = "lost"
	case err == nil:
		result = "done"
	case ctx.Err() != nil:
		result = "released"
	}
	return again, err
}

// Cluster shows the cluster manager's steps and returns the hook that counts them (cluster.Deps.Observe).
func (m *Metrics) Cluster() func(s cluster.Step, err error) {
	m.registry.MustRegister(m.steps, m.failovers, m.swaps)
	return func(s cluster.Step, err error) {
		result := "done"
		if err != nil {
			result = "failed"
		}
		m.steps.WithLabelValues(strings.ReplaceAll(string(s.Name), " ", "_"), result).Inc()
		if err != nil {
			return
		}
		if cause, ok := s.Failover(); ok {
			m.failovers.WithLabelValues(cause).Inc()
		}
		if s.Name == cluster.ActTakeSwapIn {
			m.swaps.Inc()
		}
	}
}

// Heartbeats shows what became of the datagrams that a health role received.
func (m *Metrics) Heartbeats(c *health.Counters) {
	for result, counter := range map[string]interface{ Load() uint64 }{
		"accepted": &c.Accepted, "malformed": &c.Malformed, "unknown": &c.Unknown, "bad_signature": &c.BadSignature, "replayed": &c.Replayed,
	} {
		m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "colonnade_health_heartbeats_total", Help: "Heartbeats received, by what became of them.",
			ConstLabels: prometheus.Labels{"result": result},
		}, func() float64 { return float64(counter.Load()) }))
	}
}
