// Package openapi writes the OpenAPI documents of the agents' REST APIs from their tables of routes. It is a generator
// only: no program of ours imports it.
package openapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"colonnade/internal/agentrest"
	amphora "colonnade/internal/amphora/agent"
	distributor "colonnade/internal/distributor/agent"
)

//go:generate go run ./write ../../../docs/reference

// Files are the documents by file name.
func Files() (map[string][]byte, error) {
	files := map[string][]byte{}
	for _, d := range []struct {
		file, title string
		routes      []agentrest.Route
	}{
		{"amphora-agent.openapi.json", "Colonnade amphora agent", amphora.Routes(nil)},
		{"distributor-agent.openapi.json", "Colonnade distributor agent", distributor.Routes(nil)},
	} {
		b, err := Document(d.title, append(d.routes, agentrest.CertificateRoute(nil)))
		if err != nil {
			return nil, fmt.Errorf("document of %s: %w", d.title, err)
		}
		files[d.file] = b
	}
	return files, nil
}

// fault is what every refusal carries.
type fault struct {
	Error string `json:"error" doc:"what is wrong, for people"`
}

var pathParameter = regexp.MustCompile(`\{([a-z_]+)\}`)

// Document is the OpenAPI document of some routes, indented.
func Document(title string, routes []agentrest.Route) ([]byte, error) {
	schemas := huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer)
	api := &huma.OpenAPI{
		OpenAPI: "3.1.0",
		Info: &huma.Info{Title: title, Version: "1", Description: "Every call is mutual TLS 1.3; only certificates of controllers are accepted. " +
			"Bodies are strict: an unknown field is an error. A stamp (epoch, revision, serial) below the applied one is refused with 409."},
		Components: &huma.Components{Schemas: schemas},
	}
	for _, r := range routes {
		op := &huma.Operation{Method: r.Method, Path: r.Path, Summary: r.Summary, Responses: map[string]*huma.Response{}}
		for _, m := range pathParameter.FindAllStringSubmatch(r.Path, -1) {
			op.Parameters = append(op.Parameters, &huma.Param{
				Name: m[1], In: "path", Required: true,
				Schema: &huma.Schema{Type: huma.TypeString, Format: "uuid"},
			})
		}
		for _, name := range r.Query {
			op.Parameters = append(op.Parameters, &huma.Param{
				Name: name, In: "query", Required: true,
				Schema: &huma.Schema{Type: huma.TypeInteger, Format: "int64"},
			})
		}
		if r.Request != nil {
			op.RequestBody = &huma.RequestBody{Required: true, Content: content(reference(schemas, r.Request, "Request"))}
		}
		if r.Response != nil {
			op.Responses["200"] = &huma.Response{Description: "done", Content: content(reference(schemas, r.Response, "Response"))}
		} else {
			op.Responses["204"] = &huma.Response{Description: "done"}
		}
		for status, kinds := range refusals(schemas, r.Refusals) {
			op.Responses[status] = &huma.Response{Description: "refused", Content: content(kinds)}
		}
		op.Responses["default"] = &huma.Response{Description: "refused or failed", Content: content(reference(schemas, fault{}, "Fault"))}
		api.AddOperation(op)
	}
	raw, err := api.MarshalJSON()
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := json.Indent(&out, raw, "", "  "); err != nil {
		return nil, err
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

// refusals are the schemas of typed errors by status.
func refusals(schemas huma.Registry, errs []agentrest.Refusal) map[string]*huma.Schema {
	byStatus := map[string][]*huma.Schema{}
	for _, e := range errs {
		status := strconv.Itoa(e.HTTPStatus())
		own := reference(schemas, e, "Refusal")
		byStatus[status] = append(byStatus[status], own)
	}
	out := map[string]*huma.Schema{}
	for status, kinds := range byStatus {
		if kinds = slices.Clip(kinds); len(kinds) == 1 {
			out[status] = kinds[0]
			continue
		}
		out[status] = &huma.Schema{AnyOf: kinds}
	}
	return out
}

func reference(schemas huma.Registry, zero any, hint string) *huma.Schema {
	return schemas.Schema(reflect.TypeOf(zero), true, hint)
}

func content(s *huma.Schema) map[string]*huma.MediaType {
	return map[string]*huma.MediaType{"application/json": {Schema: s}}
}
