package agent

import (
	"context"
	"net/http"
	"strconv"

	"colonnade/internal/agentrest"
	"colonnade/internal/distributor"
	"colonnade/internal/distributor/ledger"
	"colonnade/internal/lb"
)

// Routes is the agent's REST API (S57–S60). a may be nil where only the description is wanted.
func Routes(a *Agent) []agentrest.Route {
	var (
		stale   = &distributor.StaleError{}
		swapped = &distributor.SwapsError{}
	)
	return []agentrest.Route{
		{
			Method: http.MethodPut, Path: "/v1/loadbalancers/{lb_id}/vip",
			Summary: "Attach a load balancer's port and own its VIP",
			Request: distributor.VIPPlug{}, Response: distributor.LBStatus{}, Refusals: []agentrest.Refusal{stale},
			Handle: func(_ context.Context, r *http.Request, body any) (any, error) {
				p := *body.(*distributor.VIPPlug)
				if err := ledger.ValidatePlug(r.PathValue("lb_id"), p); err != nil {
					return nil, err
				}
				return answer(a.PlugVIP(p))
			},
		},
		{
			Method: http.MethodDelete, Path: "/v1/loadbalancers/{lb_id}/vip",
			Summary: "Give a VIP up",
			Query:   []string{"epoch", "revision", "serial"}, Refusals: []agentrest.Refusal{stale},
			Handle: func(_ context.Context, r *http.Request, _ any) (any, error) {
				id := r.PathValue("lb_id")
				if err := ledger.CheckLBID(id); err != nil {
					return nil, err
				}
				stamp, err := queryStamp(r)
				if err != nil {
					return nil, err
				}
				return nil, a.UnplugVIP(id, stamp)
			},
		},
		{
			Method: http.MethodPut, Path: "/v1/loadbalancers/{lb_id}/amphorae",
			Summary: "Register a load balancer's amphorae: the whole forwarding table",
			Request: distributor.Registrations{}, Response: distributor.LBStatus{}, Refusals: []agentrest.Refusal{stale, swapped},
			Handle: func(_ context.Context, r *http.Request, body any) (any, error) {
				t := *body.(*distributor.Registrations)
				if err := ledger.ValidateTable(r.PathValue("lb_id"), t); err != nil {
					return nil, err
				}
				return answer(a.Register(t))
			},
		},
		{
			Method: http.MethodGet, Path: "/v1/loadbalancers/{lb_id}",
			Summary: "What is applied for a load balancer, its positions, swaps and silent amphorae", Response: distributor.LBStatus{},
			Handle: func(_ context.Context, r *http.Request, _ any) (any, error) {
				return answer(a.LoadBalancer(r.PathValue("lb_id")))
			},
		},
		{
			Method: http.MethodGet, Path: "/v1/loadbalancers/{lb_id}/statistics",
			Summary: "Packets and bytes forwarded, packets dropped by reason", Response: distributor.Statistics{},
			Handle: func(_ context.Context, r *http.Request, _ any) (any, error) {
				return answer(a.Statistics(r.PathValue("lb_id")))
			},
		},
		{
			Method: http.MethodGet, Path: "/v1/status",
			Summary: "The distributor and all its load balancers", Response: distributor.Status{},
			Handle: func(context.Context, *http.Request, any) (any, error) { return a.Status(), nil },
		},
	}
}

// answer keeps a zero answer from going out beside an error.
func answer[T any](v T, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return v, nil
}

func queryStamp(r *http.Request) (s lb.Stamp, err error) {
	q := r.URL.Query()
	for _, f := range []struct {
		name string
		into *int64
	}{{"epoch", &s.Epoch}, {"revision", &s.Revision}, {"serial", &s.Serial}} {
		if *f.into, err = strconv.ParseInt(q.Get(f.name), 10, 64); err != nil {
			return s, lb.Faultf(lb.KindInvalid, "%s %q: not a number", f.name, q.Get(f.name))
		}
	}
	return s, ledger.CheckStamp(s)
}
