package api

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"

	"colonnade/internal/api/neutron"
	"colonnade/internal/api/wire"
	"colonnade/internal/lb"
)

// networkPath is where the Network v2.0 subset is served, beside version 2 of the Load Balancer API.
const networkPath = "/network"

// networkCollections are those that are found at /v2.0/… too: no load-balancer resource has their names.
var networkCollections = []string{"networks", "subnets", "ports", "floatingips", "security-groups", "security-group-rules", "routers", "extensions"}

// neutronAPI is the handlers of the Network v2.0 subset.
func (s *server) neutronAPI() *neutron.API {
	return &neutron.API{Deps: neutron.Deps{
		Networks: s.Neutron, Named: s.Networks, Who: principal, Decode: decodeBody, TenantRanges: s.Settings.TenantRanges,
		Project: func(ctx context.Context, given ...string) (string, error) {
			return projectOf(ctx, wire.Some(cmp.Or(given...)), wire.Opt[string]{})
		},
	}}
}

// serveNeutron puts the Network v2.0 subset on the mux.
func (s *server) serveNeutron(mux *http.ServeMux) error {
	mux.HandleFunc("GET "+networkPath, func(w http.ResponseWriter, r *http.Request) {
		reply(w, http.StatusOK, neutron.Versions(base(r.Context())+networkPath))
	})
	document, err := NetworkOpenAPI()
	if err != nil {
		return err
	}
	mux.HandleFunc("GET "+networkPath+"/openapi", func(w http.ResponseWriter, _ *http.Request) { write(w, http.StatusOK, document) })
	for _, route := range s.neutronAPI().Routes() {
		called := operation{id: route.Name, method: route.Method, path: networkPath + route.Path, status: route.Status}
		mux.HandleFunc(route.Method+" "+networkPath+route.Path, func(w http.ResponseWriter, r *http.Request) {
			c, err := readCall(r)
			var body []byte
			ctx, about := r.Context(), (*note)(nil)
			if mutates(called.method) {
				ctx, about = noted(ctx, called)
			}
			if err == nil {
				body, err = answered(ctx, c, func(ctx context.Context, c *call) (any, error) {
					return route.Serve(ctx, neutron.Request{ID: c.id(), Query: c.query, Body: c.body, URL: asked(ctx)})
				})
			}
			if about != nil {
				s.audit(ctx, called, about, c, body, err)
			}
			if err != nil {
				s.failNeutron(w, r, err)
				return
			}
			write(w, route.Status, body)
		})
	}
	return nil
}

// failNeutron answers with an error in Neutron's shape, where it is one of the handlers' own.
func (s *server) failNeutron(w http.ResponseWriter, r *http.Request, err error) {
	a := answerFor(err)
	if fault := (*lb.Fault)(nil); errors.As(err, &fault) || a.hidden {
		a.body = neutron.BodyOf(err)
	}
	a.send(w, r, s.Log, err)
}

// ofNetworks reports whether a path below /v2.0 is the Network API's.
func ofNetworks(collection string) bool { return slices.Contains(networkCollections, collection) }
