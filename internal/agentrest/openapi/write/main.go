// Command write writes the agents' OpenAPI documents into the directory it is given; go generate calls it.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"colonnade/internal/agentrest/openapi"
)

func main() {
	if err := write(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "write OpenAPI documents:", err)
		os.Exit(1)
	}
}

func write(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("%d arguments, one directory wanted", len(args))
	}
	files, err := openapi.Files()
	if err != nil {
		return err
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(args[0], name), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}
