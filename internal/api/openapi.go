package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
)

// OpenAPI writes the API's document, as it is served at /openapi.json and kept in docs/reference.
func OpenAPI() ([]byte, error) {
	b, err := (&server{}).routes(http.NewServeMux()).OpenAPI().MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("write openapi document: %w", err)
	}
	var out bytes.Buffer
	if err := json.Indent(&out, b, "", "  "); err != nil {
		return nil, fmt.Errorf("write openapi document: %w", err)
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}
