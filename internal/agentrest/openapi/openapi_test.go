package openapi_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"colonnade/internal/agentrest/openapi"
)

func TestCommittedDocumentsAreCurrent(t *testing.T) {
	files, err := openapi.Files()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		t.Run(name, func(t *testing.T) {
			got, err := os.ReadFile(filepath.Join("../../../docs/reference", name))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("run go generate ./internal/agentrest/openapi:\n%s", diff)
			}
		})
	}
}
