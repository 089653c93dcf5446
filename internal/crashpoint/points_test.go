package crashpoint_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"colonnade/internal/crashpoint"
	"colonnade/internal/testenv/golden"
)

// list is where the points are written down.
const list = "../../docs/reference/crash-points.txt"

// roles are the packages that change the world, with the types whose constants name steps.
var roles = map[string]map[string]string{
	"../cluster":      {"ActName": "acm", "distributorStep": "distributor"},
	"../worker":       {"step": "worker"},
	"../housekeeping": {},
}

// changes are the calls that change something outside the process.
var changes = []string{
	"Compute.Ensure", "Compute.Delete", "Compute.Plug", "Compute.Unplug", "Network.EnsurePort", "Network.DeletePort", "d.DeletePort",
	"Amphorae.PutDocument", "Amphorae.PutTable", "Distributors.PlugVIP", "Distributors.Register", "Distributors.UnplugVIP",
	"Certificates.PutCertificate",
	"Store.UpdateCluster", "Store.UpdateTree", "Store.UpdateDistributor", "Store.AssignDistributor", "Store.FinishDelete", "p.Purge",
}

// surrounded are functions whose callers pass the points before and after: the acts of the cluster manager, and what
// writes rows for several steps.
var surrounded = []string{
	"build", "discard", "delete", "deletePorts", "pushTable", "plugVIP", "register", "unplugVIP", "update", "writeCluster", "set", "renew",
}

// TestPoints reads all points from the sources: a step that is new is a point that the list does not know.
func TestPoints(t *testing.T) {
	var points []string
	for dir, types := range roles {
		for _, file := range parse(t, dir) {
			points = append(points, steps(file, types)...)
			for _, c := range calls(file) {
				if c.name == "crashpoint.At" {
					points = append(points, c.literal)
				}
			}
		}
	}
	slices.Sort(points)
	if d := slices.Compact(slices.Clone(points)); len(d) != len(points) {
		t.Error("a point is named twice")
	}
	// An operation of test/e2e/crashpoint_test.go has to pass each point.
	golden.Want(t, list, strings.Join(points, "\n")+"\n")
}

// TestEveryChangeHasPoints asks for a point before, between and after the calls that change something.
func TestEveryChangeHasPoints(t *testing.T) {
	for dir := range roles {
		for _, file := range parse(t, dir) {
			for _, decl := range file.Decls {
				f, ok := decl.(*ast.FuncDecl)
				if !ok {
					continue
				}
				around := slices.Contains(surrounded, f.Name.Name)
				point := around // one was passed since the last change
				last := ""
				for _, c := range calls(f) {
					switch {
					case slices.Contains(changes, c.name):
						if !point {
							t.Errorf("%s: %s: no point before %s", dir, f.Name.Name, c.name)
						}
						point, last = false, c.name
					case c.name == "crashpoint.At" || c.name == "crashpoint.Of" || c.name == "crash":
						point, last = true, ""
					}
				}
				if last != "" && !around {
					t.Errorf("%s: %s: no point after %s", dir, f.Name.Name, last)
				}
			}
		}
	}
}

func parse(t *testing.T, dir string) []*ast.File {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("%s: %v, %v", dir, paths, err)
	}
	var files []*ast.File
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	return files
}

// steps are the points of the constants that name steps. An ActName that is not exported is no act.
func steps(file *ast.File, types map[string]string) []string {
	var points []string
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		typ, ok := spec.Type.(*ast.Ident)
		if !ok || types[typ.Name] == "" || typ.Name == "ActName" && !spec.Names[0].IsExported() {
			return true
		}
		for _, v := range spec.Values {
			name, _ := strconv.Unquote(v.(*ast.BasicLit).Value)
			for _, phase := range []crashpoint.Phase{crashpoint.Before, crashpoint.Acted, crashpoint.Recorded} {
				points = append(points, fmt.Sprintf("%s.%s.%s", types[typ.Name], strings.ReplaceAll(name, " ", "-"), phase))
			}
		}
		return true
	})
	return points
}

type call struct{ name, literal string }

// calls lists the calls below a node in their order, named by their last two words.
func calls(n ast.Node) []call {
	var all []call
	ast.Inspect(n, func(n ast.Node) bool {
		c, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		made := call{name: word(c.Fun)}
		if sel, ok := c.Fun.(*ast.SelectorExpr); ok {
			made.name = word(sel.X) + "." + sel.Sel.Name
		}
		if len(c.Args) == 1 {
			if lit, ok := c.Args[0].(*ast.BasicLit); ok {
				made.literal, _ = strconv.Unquote(lit.Value)
			}
		}
		all = append(all, made)
		return true
	})
	return all
}

func word(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return e.Sel.Name
	}
	return ""
}

// TestNothingElsePassesPoints keeps the list whole: points lie in the packages that it is read from.
func TestNothingElsePassesPoints(t *testing.T) {
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || roles[filepath.Dir("../"+strings.TrimPrefix(path, "../../internal/"))] != nil ||
			strings.Contains(path, "internal/crashpoint/") {
			return err
		}
		raw, err := os.ReadFile(path)
		if err == nil && strings.Contains(string(raw), "\"colonnade/internal/crashpoint\"") {
			t.Errorf("%s passes crash points that the list does not know", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
