package logging_test

import (
	"bytes"
	"context"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"log/slog"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"colonnade/internal/lb"
	"colonnade/internal/logging"
)

func TestLinesCarryTheRequest(t *testing.T) {
	ctx := lb.WithRequestID(context.Background(), "req-1")
	for _, c := range []struct {
		name, format, want string
		log                func(*slog.Logger)
	}{
		{"text", "text", `level=INFO msg=done lb_id=x request_id=req-1`, func(l *slog.Logger) { l.InfoContext(ctx, "done", "lb_id", "x") }},
		{"json with attributes", "json", `"level":"INFO","msg":"done","lb_id":"x","request_id":"req-1"}`, func(l *slog.Logger) { l.With("lb_id", "x").InfoContext(ctx, "done") }},
		{"no request", "text", `level=INFO msg=done`, func(l *slog.Logger) { l.InfoContext(context.Background(), "done") }},
		{"below the level", "text", ``, func(l *slog.Logger) { l.DebugContext(ctx, "done") }},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out bytes.Buffer
			c.log(logging.New(&out, slog.LevelInfo, c.format))
			if got := strings.TrimSpace(out.String()); !strings.HasSuffix(got, c.want) || (got == "") != (c.want == "") {
				t.Errorf("got %q, want %q at its end", got, c.want)
			}
		})
	}
}

// levels are the methods of *slog.Logger that write a line, and where their message is.
var levels = map[string]int{
	"DebugContext": 1, "InfoContext": 1, "WarnContext": 1, "ErrorContext": 1,
	"Log": 2, "Debug": 0, "Info": 0, "Warn": 0, "Error": 0,
}

// isLog tells a logger by the name of what the method is called on: log, Log, cfg.Log, s.log, newLogger(…).
var isLog = regexp.MustCompile(`(?i)^log(ger)?$`)

func calledOn(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return e.Sel.Name
	}
	return ""
}

// TestEveryKeyIsListed reads the source of the whole module: each line has a constant message and keys of the list, and
// each key of the list is used.
func TestEveryKeyIsListed(t *testing.T) {
	root := filepath.Join("..", "..")
	used := map[string]bool{"request_id": true}
	lines := 0
	for _, top := range []string{"cmd", "internal"} {
		err := filepath.WalkDir(filepath.Join(root, top), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			files := token.NewFileSet()
			file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			complain := func(n ast.Node, format string, args ...any) {
				t.Helper()
				t.Errorf("%s: "+format, append([]any{files.Position(n.Pos())}, args...)...)
			}
			key := func(n ast.Expr) {
				lit, ok := n.(*ast.BasicLit)
				if !ok {
					return // attributes passed on as they are, or a name put together from a listed one
				}
				name, err := strconv.Unquote(lit.Value)
				if err != nil {
					complain(n, "key %s is no string", lit.Value)
					return
				}
				if _, listed := logging.Keys[name]; !listed {
					complain(n, "log key %q is not in logging.Keys: is there another word for it?", name)
				}
				used[name] = true
			}
			ast.Inspect(file, func(n ast.Node) bool {
				if composite, ok := n.(*ast.CompositeLit); ok && isAnySlice(composite) {
					for i := 0; i < len(composite.Elts); i += 2 { // attrs := []any{…} that goes to a logger
						if lit, ok := composite.Elts[i].(*ast.BasicLit); ok && lit.Kind == token.STRING && isAttrs(file, composite) {
							key(composite.Elts[i])
						}
					}
				}
				call, ok := n.(*ast.CallExpr)
				if !ok {
					return true
				}
				if calledOn(call.Fun) == "append" && len(call.Args) > 1 && calledOn(call.Args[0]) == "attrs" {
					for i := 1; i < len(call.Args); i += 2 {
						key(call.Args[i])
					}
				}
				sel, ok := call.Fun.(*ast.SelectorExpr)
				if !ok || !isLog.MatchString(calledOn(sel.X)) {
					return true
				}
				first := 0
				if message, ok := levels[sel.Sel.Name]; ok {
					lines++
					if len(call.Args) <= message {
						return true
					}
					if lit, ok := call.Args[message].(*ast.BasicLit); !ok || lit.Kind != token.STRING {
						complain(call, "the message of a log line is a constant")
					}
					first = message + 1
				} else if sel.Sel.Name != "With" {
					return true
				}
				for i := first; i < len(call.Args); i += 2 {
					key(call.Args[i])
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if lines < 40 {
		t.Errorf("only %d log lines found: the test looks for the wrong thing", lines)
	}
	var idle []string
	for name := range logging.Keys {
		if !used[name] {
			idle = append(idle, name)
		}
		if !regexp.MustCompile(`^[a-z][a-z0-9_]*$`).MatchString(name) {
			t.Errorf("log key %q is not in snake case", name)
		}
	}
	if slices.Sort(idle); len(idle) > 0 {
		t.Errorf("keys nobody logs: %q", idle)
	}
}

func isAnySlice(c *ast.CompositeLit) bool {
	a, ok := c.Type.(*ast.ArrayType)
	return ok && calledOn(a.Elt) == "any"
}

// isAttrs reports whether the literal is what a variable called attrs begins with.
func isAttrs(file *ast.File, c *ast.CompositeLit) (is bool) {
	ast.Inspect(file, func(n ast.Node) bool {
		if a, ok := n.(*ast.AssignStmt); ok && len(a.Lhs) == 1 && len(a.Rhs) == 1 && a.Rhs[0] == ast.Expr(c) {
			is = calledOn(a.Lhs[0]) == "attrs"
		}
		return !is
	})
	return is
}
