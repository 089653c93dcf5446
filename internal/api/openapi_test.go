package api_test

import (
	"testing"

	"colonnade/internal/api"
	"colonnade/internal/testenv/golden"
)

func TestOpenAPIDocumentIsCommitted(t *testing.T) {
	got, err := api.OpenAPI()
	if err != nil {
		t.Fatal(err)
	}
	golden.Want(t, "../../docs/reference/openapi.json", string(got))
	networks, err := api.NetworkOpenAPI()
	if err != nil {
		t.Fatal(err)
	}
	golden.Want(t, "../../docs/reference/network.openapi.json", string(networks))
}
