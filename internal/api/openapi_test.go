package api_test

import (
	"flag"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"colonnade/internal/api"
)

var update = flag.Bool("update", false, "rewrite docs/reference/openapi.json")

const reference = "../../docs/reference/openapi.json"

func TestOpenAPIDocumentIsCommitted(t *testing.T) {
	got, err := api.OpenAPI()
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.MkdirAll("../../docs/reference", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(reference, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(reference)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("docs/reference/openapi.json differs (run go test ./internal/api -update):\n%s", diff)
	}
}
