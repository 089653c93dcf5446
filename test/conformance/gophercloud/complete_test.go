package gophercloud_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// packages is where the library keeps the load-balancer calls.
const packages = "openstack/loadbalancer/v2"

// Every exported function of the load-balancer packages is called by this suite. What the library has is read from its
// source, so that a newer release with more of them fails here.
func TestEveryFunctionIsCalled(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/gophercloud/gophercloud/v2").Output()
	if err != nil {
		t.Fatal(err)
	}
	has := functions(t, filepath.Join(strings.TrimSpace(string(out)), packages))
	if len(has) < 50 {
		t.Fatalf("the library's source was not found: %v", has)
	}
	called := calls(t)
	for _, name := range has {
		if !called[name] {
			t.Errorf("%s is not called", name)
		}
	}
	t.Logf("%d functions", len(has))
}

// functions are the exported functions of all packages below a directory, as "pools.Create".
func functions(t *testing.T, dir string) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testhelper" || d.Name() == "testing"): // of the library's own tests
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.IsExported() {
				names = append(names, file.Name.Name+"."+f.Name.Name)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	return names
}

// calls are the functions that this directory's tests call.
func calls(t *testing.T) map[string]bool {
	t.Helper()
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	called := map[string]bool{}
	for _, path := range files {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			for _, e := range append(call.Args, call.Fun) { // "all" calls the function that it is given
				if f, ok := e.(*ast.SelectorExpr); ok {
					if p, ok := f.X.(*ast.Ident); ok {
						called[p.Name+"."+f.Sel.Name] = true
					}
				}
			}
			return true
		})
	}
	return called
}
