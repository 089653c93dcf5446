package api

import (
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"colonnade/internal/api/neutron"
	"colonnade/internal/api/wire"
)

// networkOptTypes are the three-valued types that the Network API has beside those of load balancers.
var networkOptTypes = map[reflect.Type]reflect.Type{
	reflect.TypeFor[wire.Opt[[]neutron.PoolRequest]]():    reflect.TypeFor[[]neutron.PoolRequest](),
	reflect.TypeFor[wire.Opt[[]neutron.FixedIPRequest]](): reflect.TypeFor[[]neutron.FixedIPRequest](),
	reflect.TypeFor[wire.Opt[[]map[string]string]]():      reflect.TypeFor[[]map[string]string](),
}

// NetworkOpenAPI writes the document of the Network v2.0 subset, as it is served at /network/openapi.json and kept in
// docs/reference. It is a document of its own: networks and ports of the operator's calls have the same names there.
func NetworkOpenAPI() ([]byte, error) {
	cfg := huma.DefaultConfig("Colonnade networks", "2.0")
	cfg.OpenAPIPath, cfg.DocsPath, cfg.SchemasPath, cfg.CreateHooks = "", "", "", nil
	cfg.Info.Description = "The part of OpenStack's Network v2.0 API that clients of load balancers call. Collections filter by " +
		"each field of their objects. What is not available is answered with 501."
	cfg.Components.SecuritySchemes = map[string]*huma.SecurityScheme{"token": {Type: "apiKey", In: "header", Name: "X-Auth-Token"}}
	cfg.Security = []map[string][]string{{"token": {}}}
	registry := cfg.Components.Schemas
	for _, types := range []map[reflect.Type]reflect.Type{optTypes, networkOptTypes} {
		for t, as := range types {
			registry.RegisterTypeAlias(t, as)
		}
	}
	document := humago.New(http.NewServeMux(), cfg).OpenAPI()
	fault := registry.Schema(reflect.TypeFor[neutron.Body](), true, "Fault")
	for _, r := range (&server{}).neutronAPI().Routes() {
		if r.Name == "list-resources" { // what the document says better
			continue
		}
		op := route{
			method: r.Method, path: networkPath + r.Path, id: r.Name, status: r.Status, inRoot: r.InRoot, in: r.In, outRoot: r.OutRoot, out: r.Out, list: r.List,
		}.operation(registry, fault)
		if r.List {
			op.Parameters = nil
			for _, name := range slices.Sorted(maps.Keys(filtersOf(r.Out))) {
				op.Parameters = append(op.Parameters, &huma.Param{Name: name, In: "query", Schema: &huma.Schema{Type: huma.TypeString}})
			}
		}
		document.AddOperation(&op)
	}
	return written(document)
}

// filtersOf are the query parameters of a list of such objects.
func filtersOf(view any) map[string]bool {
	out := map[string]bool{"fields": true, "limit": true, "marker": true, "page_reverse": true, "sort_key": true, "sort_dir": true}
	for _, f := range fieldsOf(reflect.TypeOf(view)) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		out[name] = true
	}
	return out
}
