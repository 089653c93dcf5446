// Package openstack_test runs Debian's openstack command with the load-balancer plugin against a running server: every
// command of the plugin, and the walk-through of Octavia's documentation.
package openstack_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"colonnade/test/conformance/server"
)

func TestMain(m *testing.M) { os.Exit(server.Main(m)) }

// python is Debian's, whose packages the client is of.
const python = "/usr/bin/python3"

// shell runs openstack commands in one process, one after the other.
type shell struct {
	*testing.T
	in      io.Writer
	out     *bufio.Scanner
	plugin  []string // the load-balancer plugin's commands
	uncalls map[string]bool
}

// environment is what a user has set.
func environment(s *server.Server) []string {
	return append(os.Environ(), "OS_AUTH_TYPE=admin_token", "OS_ENDPOINT="+s.URL, "OS_TOKEN="+s.Token)
}

func newShell(t *testing.T, s *server.Server) *shell {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), python, "shell.py")
	cmd.Env, cmd.Stderr = environment(s), os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	sh := &shell{T: t, in: in, out: bufio.NewScanner(out), uncalls: map[string]bool{}}
	sh.out.Buffer(nil, 16<<20)
	names := sh.run()
	if err := json.Unmarshal([]byte(names.Out), &sh.plugin); err != nil || len(sh.plugin) < 70 {
		t.Fatalf("commands of the plugin: %v, %v", sh.plugin, err)
	}
	for _, name := range sh.plugin {
		sh.uncalls[name] = true
	}
	slices.SortFunc(sh.plugin, func(a, b string) int { return len(b) - len(a) }) // the longest first: some begin others
	return sh
}

// in runs part of the suite with its own name.
func (sh *shell) part(name string, part func(*shell)) {
	sh.Helper()
	of := sh.T
	if !of.Run(name, func(t *testing.T) {
		sh.T = t
		part(sh)
	}) {
		of.FailNow() // the next part goes on where this one ended
	}
	sh.T = of
}

// answer is what a command said.
type answer struct {
	Status   int
	Out, Err string
}

// run runs a command and counts it as called when it succeeds.
func (sh *shell) run(argv ...string) answer {
	sh.Helper()
	if argv == nil {
		argv = []string{}
	}
	line, err := json.Marshal(argv)
	if err != nil {
		sh.Fatal(err)
	}
	if _, err := sh.in.Write(append(line, '\n')); err != nil {
		sh.Fatal(err)
	}
	if !sh.out.Scan() {
		sh.Fatalf("openstack %s: no answer: %v", strings.Join(argv, " "), sh.out.Err())
	}
	var a answer
	if err := json.Unmarshal(sh.out.Bytes(), &a); err != nil {
		sh.Fatal(err)
	}
	if a.Status == 0 {
		called := strings.Join(argv, " ") + " "
		for _, name := range sh.plugin {
			if strings.HasPrefix(called, name+" ") {
				delete(sh.uncalls, name)
				break
			}
		}
	}
	return a
}

// do runs a command, which has to succeed. words are separated by spaces, more are taken as they are.
func (sh *shell) do(words string, more ...string) string {
	sh.Helper()
	argv := append(strings.Fields(words), more...)
	a := sh.run(argv...)
	if a.Status != 0 {
		sh.Fatalf("openstack %s: %d %s%s", strings.Join(argv, " "), a.Status, a.Out, a.Err)
	}
	return a.Out
}

// object runs a command and reads the object that it shows.
func (sh *shell) object(words string, more ...string) map[string]any {
	sh.Helper()
	var o map[string]any
	sh.read(&o, words, more...)
	return o
}

// list runs a command and reads the list that it shows.
func (sh *shell) list(words string, more ...string) []map[string]any {
	sh.Helper()
	var l []map[string]any
	sh.read(&l, words, more...)
	return l
}

func (sh *shell) read(into any, words string, more ...string) {
	sh.Helper()
	out := sh.do(words, append(more, "-f", "json")...)
	if err := json.Unmarshal([]byte(out), into); err != nil {
		sh.Fatalf("openstack %s: %v in %s", words, err, out)
	}
}

// fails runs a command that has to fail and to say why.
func (sh *shell) fails(why, words string, more ...string) {
	sh.Helper()
	a := sh.run(append(strings.Fields(words), more...)...)
	if a.Status == 0 || !strings.Contains(a.Out+a.Err, why) {
		sh.Errorf("openstack %s: %d %s%s, not %q", words, a.Status, a.Out, a.Err, why)
	}
}

// shows checks fields of an object.
func (sh *shell) shows(o map[string]any, want map[string]any) {
	sh.Helper()
	for name, value := range want {
		if list, isList := o[name].([]any); isList { // some lists are shown as lines
			lines := make([]string, len(list))
			for i, item := range list {
				lines[i] = fmt.Sprint(item)
			}
			o[name] = strings.Join(lines, "\n")
		}
		got, err := json.Marshal(o[name])
		if err != nil {
			sh.Fatal(err)
		}
		wanted, err := json.Marshal(value)
		if err != nil {
			sh.Fatal(err)
		}
		if string(got) != string(wanted) {
			sh.Errorf("%s is %s, not %s", name, got, wanted)
		}
	}
}

// active waits until a load balancer is ACTIVE.
func (sh *shell) active(name string) {
	sh.Helper()
	for deadline := time.Now().Add(30 * time.Second); sh.object("loadbalancer show " + name)["provisioning_status"] != "ACTIVE"; {
		if time.Now().After(deadline) {
			sh.Fatalf("%s does not become ACTIVE", name)
		}
		time.Sleep(50 * time.Millisecond)
	}
}
