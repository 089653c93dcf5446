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

// picture takes the whole machine. Files of the Go tool chain and of this test do not count.
func picture(t *testing.T) snapshot.World {
	t.Helper()
	w, err := snapshot.Take(context.Background(), snapshot.Options{
		Files:   []string{"/etc", "/run", "/var/lib", "/usr/local", "/tmp"},
		Exclude: []string{os.TempDir() + "/go-build", "/usr/local/go", "/var/lib/apt", "/var/lib/dpkg", t.TempDir()},
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// TestDemoLeavesNothingBehind runs what `make demo` runs and compares the machine before and after.
func TestDemoLeavesNothingBehind(t *testing.T) {
	before := picture(t)
	var out bytes.Buffer
	ctx := within(t, 4*time.Minute)
	if err := demo.Run(ctx, demo.Options{Binary: binary, Out: &out}); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	t.Log(out.String())
	if diff := snapshot.Diff(before, picture(t)); len(diff) > 0 {
		t.Errorf("the machine is not as before:\n%s", strings.Join(diff, "\n"))
	}
	for _, want := range []string{"cluster whole again", "everything removed", "load balancer deleted"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the demo does not say %q", want)
		}
	}
}

// TestDownAfterKill: down removes every trace also of a control plane that was killed under load balancers.
func TestDownAfterKill(t *testing.T) {
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
