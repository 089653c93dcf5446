package distributor_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"colonnade/internal/agentrest"
	"colonnade/internal/agentrest/agentresttest"
	"colonnade/internal/cert"
	"colonnade/internal/distributor"
	"colonnade/internal/lb"
)

const clientLB = "11111111-1111-4111-8111-111111111111"

func TestClient(t *testing.T) {
	want := distributor.LBStatus{LBID: clientLB, TableVersion: 4, VIPApplied: lb.Stamp{Epoch: 7, Revision: 2, Serial: 1}}
	swaps := []distributor.Swap{{Seq: 3, Position: 1, AmphoraID: "a", StandbyID: "b", Reason: "probe", AtUnixMS: 5}}
	handle := func(do func(r *http.Request, body any) (any, error)) func(context.Context, *http.Request, any) (any, error) {
		return func(_ context.Context, r *http.Request, body any) (any, error) {
			if wild := r.PathValue("lb_id"); wild != "" && wild != clientLB {
				return nil, lb.Faultf(lb.KindNotFound, "load balancer %s is not plugged here", wild)
			}
			return do(r, body)
		}
	}
	var deleted string
	rest, ip := agentresttest.Serve(t, cert.Identity{Role: cert.RoleDistributor, ID: "d1"}, []agentrest.Route{
		{
			Method: http.MethodPut, Path: "/v1/loadbalancers/{lb_id}/vip", Request: distributor.VIPPlug{},
			Handle: handle(func(_ *http.Request, body any) (any, error) {
				if body.(*distributor.VIPPlug).Epoch < 7 {
					return nil, &distributor.StaleError{Applied: want.VIPApplied}
				}
				return want, nil
			}),
		},
		{
			Method: http.MethodPut, Path: "/v1/loadbalancers/{lb_id}/amphorae", Request: distributor.Registrations{},
			Handle: handle(func(_ *http.Request, body any) (any, error) {
				if body.(*distributor.Registrations).Table.TakenSwap < 3 {
					return nil, &distributor.SwapsError{Swaps: swaps}
				}
				return want, nil
			}),
		},
		{
			Method: http.MethodDelete, Path: "/v1/loadbalancers/{lb_id}/vip",
			Handle: handle(func(r *http.Request, _ any) (any, error) {
				q := r.URL.Query()
				deleted = fmt.Sprint(q.Get("epoch"), "/", q.Get("revision"), "/", q.Get("serial"))
				return nil, nil
			}),
		},
		{Method: http.MethodGet, Path: "/v1/loadbalancers/{lb_id}", Handle: handle(func(*http.Request, any) (any, error) { return want, nil })},
		{
			Method: http.MethodGet, Path: "/v1/loadbalancers/{lb_id}/statistics",
			Handle: handle(func(*http.Request, any) (any, error) {
				return distributor.Statistics{LBID: clientLB, ForwardedPkts: 9}, nil
			}),
		},
		{
			Method: http.MethodGet, Path: "/v1/status",
			Handle: handle(func(*http.Request, any) (any, error) { return distributor.Status{DistributorID: "d1"}, nil }),
		},
	})
	client, d := distributor.NewClient(rest), lb.Distributor{ID: "d1", ManagementIP: ip}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()

	t.Run("S57 plug", func(t *testing.T) {
		got, err := client.PlugVIP(ctx, d, distributor.VIPPlug{LBID: clientLB, Stamp: lb.Stamp{Epoch: 7}})
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Error(err, diff)
		}
	})
	t.Run("stale", func(t *testing.T) {
		_, err := client.PlugVIP(ctx, d, distributor.VIPPlug{LBID: clientLB, Stamp: lb.Stamp{Epoch: 6}})
		var stale *distributor.StaleError
		if !errors.As(err, &stale) || stale.Applied != want.VIPApplied {
			t.Errorf("got %v", err)
		}
	})
	t.Run("S58 swaps come back", func(t *testing.T) {
		_, err := client.Register(ctx, d, distributor.Registrations{LBID: clientLB})
		var missing *distributor.SwapsError
		if !errors.As(err, &missing) {
			t.Fatalf("got %v", err)
		}
		if diff := cmp.Diff(swaps, missing.Swaps); diff != "" {
			t.Error(diff)
		}
		r := distributor.Registrations{LBID: clientLB, Table: distributor.Table{TakenSwap: 3}}
		if got, err := client.Register(ctx, d, r); err != nil || got.TableVersion != 4 {
			t.Errorf("got %v, %v", got, err)
		}
	})
	t.Run("not plugged", func(t *testing.T) {
		_, err := client.Register(ctx, d, distributor.Registrations{LBID: "22222222-2222-4222-8222-222222222222"})
		if lb.KindOf(err) != lb.KindNotFound {
			t.Errorf("got %v", err)
		}
	})
	t.Run("unplug carries its stamp", func(t *testing.T) {
		err := client.UnplugVIP(ctx, d, clientLB, lb.Stamp{Epoch: 8, Revision: 3, Serial: 2})
		if err != nil || deleted != "8/3/2" {
			t.Errorf("got %q, %v", deleted, err)
		}
	})
	t.Run("S59 S60 reading", func(t *testing.T) {
		one, err := client.LoadBalancer(ctx, d, clientLB)
		if diff := cmp.Diff(want, one); diff != "" || err != nil {
			t.Error(err, diff)
		}
		if s, err := client.Statistics(ctx, d, clientLB); err != nil || s.ForwardedPkts != 9 {
			t.Errorf("statistics %v, %v", s, err)
		}
		if s, err := client.Status(ctx, d); err != nil || s.DistributorID != "d1" {
			t.Errorf("status %v, %v", s, err)
		}
	})
	t.Run("S47 another distributor at that address is refused", func(t *testing.T) {
		_, err := client.Status(ctx, lb.Distributor{ID: "d2", ManagementIP: d.ManagementIP})
		var wrong *cert.WrongHolderError
		if !errors.As(err, &wrong) {
			t.Errorf("got %v", err)
		}
	})
}
