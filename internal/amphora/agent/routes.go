package agent

import (
	"context"
	"net/http"

	"colonnade/internal/agentrest"
	"colonnade/internal/amphora"
	"colonnade/internal/distributor"
)

// Routes is the agent's REST API. a may be nil where only the description is wanted.
func Routes(a *Agent) []agentrest.Route {
	stale := &distributor.StaleError{}
	return []agentrest.Route{
		{
			Method: http.MethodPut, Path: "/v1/document", Summary: "Run this whole document",
			Request: amphora.Desired{}, Response: amphora.Status{}, Refusals: []agentrest.Refusal{stale, &amphora.RefusedError{}},
			Handle: func(ctx context.Context, _ *http.Request, body any) (any, error) {
				return answer(a.PutDocument(ctx, *body.(*amphora.Desired)))
			},
		},
		{
			Method: http.MethodPut, Path: "/v1/table", Summary: "Know these owner lists",
			Request: amphora.TableDocument{}, Response: amphora.Status{}, Refusals: []agentrest.Refusal{stale},
			Handle: func(ctx context.Context, _ *http.Request, body any) (any, error) {
				return answer(a.PutTable(ctx, *body.(*amphora.TableDocument)))
			},
		},
		{
			Method: http.MethodGet, Path: "/v1/status", Summary: "Say what runs and how",
			Response: amphora.Status{},
			Handle: func(context.Context, *http.Request, any) (any, error) {
				return a.Status(), nil
			},
		},
		{
			Method: http.MethodGet, Path: "/v1/statistics", Summary: "Say what was counted",
			Response: amphora.Statistics{},
			Handle: func(ctx context.Context, _ *http.Request, _ any) (any, error) {
				a.observe(ctx)
				s := a.Status()
				return amphora.Statistics{AmphoraID: s.AmphoraID, Connections: s.Connections, Listeners: s.Listeners, SecondChance: s.SecondChance}, nil
			},
		},
	}
}

// answer keeps the zero value of a failed call out of the answer.
func answer[T any](v T, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return v, nil
}
