// Package octavia_test runs Octavia's own test suites, as Debian packages them, against a running server. What does not
// pass is named with its reason in a file beside it; anything else that fails, and anything named that passes, is an error.
package octavia_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"colonnade/internal/testenv/golden"
	"colonnade/test/conformance/server"
)

func TestMain(m *testing.M) { os.Exit(server.Main(m)) }

// exception is a line of an exceptions file: a pattern of names of tests, and why they do not pass.
type exception struct {
	pattern, reason string
	used            int
}

func exceptions(t *testing.T, file string) []exception {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var all []exception
	reason := ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "# "):
			reason = line[2:]
		case line != "":
			all = append(all, exception{pattern: line, reason: reason})
		}
	}
	return all
}

// TestSuites is both suites; the table of what passed is docs/reference/compatibility.md.
func TestSuites(t *testing.T) {
	binary, err := server.Build()
	if err != nil {
		t.Fatal(err)
	}
	var doc strings.Builder
	doc.WriteString("# What passes of Octavia's own test suites\n\nMade by `make conformance`; run against `colonnade up` with the no-op drivers.\n")
	for _, s := range []struct{ title, script, file string }{
		{"Functional API tests (Debian's python3-octavia)", "functional.py", "functional.txt"},
		{"Tempest plugin, api/v2 (Debian's octavia-tempest-plugin)", "api.py", "api.txt"},
	} {
		t.Run(s.script, func(t *testing.T) { run(t, &doc, binary, s.title, s.script, s.file) })
	}
	if !t.Failed() {
		golden.Want(t, "../../../docs/reference/compatibility.md", doc.String())
	}
}

func run(t *testing.T, doc *strings.Builder, binary, title, script, file string) {
	report := filepath.Join(t.TempDir(), "report.json")
	cmd := exec.CommandContext(t.Context(), "/usr/bin/python3", "-W", "ignore", script, binary, report)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", script, err, out)
	}
	text, err := os.ReadFile(report)
	if err != nil {
		t.Fatal(err)
	}
	var results map[string][2]string // test: result, text
	if err := json.Unmarshal(text, &results); err != nil {
		t.Fatal(err)
	}
	known := exceptions(t, file)
	passed := 0
	for name, result := range results {
		name = strings.TrimPrefix(name, "v2.")
		i := slices.IndexFunc(known, func(e exception) bool {
			ok, _ := path.Match(e.pattern, name)
			return ok
		})
		switch {
		case result[0] == "ok" && i >= 0 && !strings.ContainsAny(known[i].pattern, "*?["):
			t.Errorf("%s passes now; take it out of %s", name, file)
		case result[0] == "ok":
			passed++
		case i >= 0:
			known[i].used++
		case result[0] == "skipped":
			known = append(known, exception{name, "skipped by the suite itself: " + strings.Join(strings.Fields(result[1]), " "), 1})
		default:
			lines := strings.Split(strings.TrimSpace(result[1]), "\n")
			t.Errorf("%s: %s", name, lines[len(lines)-1])
		}
	}
	reasons := map[string]int{}
	var order []string
	for _, e := range known {
		if e.used == 0 && !strings.ContainsAny(e.pattern, "*?[") {
			t.Errorf("%s names %s, of which none failed", file, e.pattern)
		}
		if reasons[e.reason] == 0 {
			order = append(order, e.reason)
		}
		reasons[e.reason] += e.used
	}
	slices.Sort(order)
	fmt.Fprintf(doc, "\n## %s\n\n%d of %d pass.\n\n| not passed | why |\n|---|---|\n", title, passed, len(results))
	for _, reason := range order {
		fmt.Fprintf(doc, "| %d | %s |\n", reasons[reason], reason)
	}
	t.Logf("%s: %d of %d pass", title, passed, len(results))
}
