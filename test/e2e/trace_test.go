package e2e_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"colonnade/internal/demo"
	"colonnade/internal/testenv/snapshot"
)

// picture takes the whole machine, but for temporary files: other programs' come and go, ours are looked for by name.
func picture(t *testing.T) snapshot.World {
	t.Helper()
	w, err := snapshot.Take(context.Background(), snapshot.Options{
		Files:   []string{"/etc", "/run", "/var/lib", "/usr/local"},
		Exclude: []string{"/usr/local/go", "/var/lib/apt", "/var/lib/dpkg"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// TestDemoLeavesNothingBehind runs what `make demo` runs and compares the machine before and after.
func TestDemoLeavesNothingBehind(t *testing.T) {
	must(t, snapshot.Alone())
	before := picture(t)
	t.Setenv("TMPDIR", t.TempDir())
	var out bytes.Buffer
	ctx := within(t, 4*time.Minute)
	if err := demo.Run(ctx, demo.Options{Binary: binary, Out: &out}); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	t.Log(out.String())
	if diff := snapshot.Diff(before, picture(t)); len(diff) > 0 {
		t.Errorf("the machine is not as before:\n%s", strings.Join(diff, "\n"))
	}
	if left, err := os.ReadDir(os.TempDir()); err != nil || len(left) > 0 {
		t.Errorf("temporary files left: %v, %v", left, err)
	}
	for _, want := range []string{"cluster whole again", "everything removed", "load balancer deleted"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the demo does not say %q", want)
		}
	}
}

// TestDownAfterKill: down removes every trace also of a control plane that was killed under load balancers.
func TestDownAfterKill(t *testing.T) {
	must(t, snapshot.Alone())
	before := picture(t)
	s := set(t, quick)
	serving(t, s, 0, 0)
	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(binary, "down", "--state-dir", s.StateDir(), "--purge").CombinedOutput(); err != nil {
		t.Fatalf("down again: %v: %s", err, out)
	}
	if diff := snapshot.Diff(before, picture(t)); len(diff) > 0 {
		t.Errorf("the machine is not as before:\n%s", strings.Join(diff, "\n"))
	}
	// What is left for the cleanup of set to take away is nothing.
	if err := os.MkdirAll(s.StateDir(), 0o700); err != nil {
		t.Fatal(err)
	}
}
