package e2e_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"colonnade/internal/api/wire"
)

// TestGuideOnTLSRunsAsPrinted runs the tenants' guide: its first commands about TLS, requests from outside.
func TestGuideOnTLSRunsAsPrinted(t *testing.T) {
	text, err := os.ReadFile("../../docs/guide/tenant.md")
	must(t, err)
	_, section, _ := strings.Cut(string(text), "\n## TLS\n")
	_, section, _ = strings.Cut(section, "```sh\n")
	script, _, found := strings.Cut(section, "```\n")
	if !found {
		t.Fatal("the guide has no commands about TLS")
	}
	s := set(t, quick)
	ctx := within(t, 2*time.Minute)
	members, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	sv, err := s.Tenancy(members, "t0", 0)
	must(t, err)
	internet, err := s.Internet(ctx, "clients", 1)
	must(t, err)
	must(t, sv.Create(ctx, "shop"))
	_, err = sv.FirstAnswer(ctx, internet)
	must(t, err)
	_, err = s.Client().WaitSettled(ctx, sv.ID, nil)
	must(t, err)
	pool := wire.PoolUpdate{}
	pool.Name = wire.Some("servers")
	_, err = s.Client().Pools().Update(ctx, poolOf(t, s, sv, "web").ID, pool)
	must(t, err)
	_, err = s.Client().WaitSettled(ctx, sv.ID, nil)
	must(t, err)

	dir := t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, "bin"), 0o755))
	must(t, os.Symlink(binary, filepath.Join(dir, "bin", "colonnade")))
	// Requests come from behind the gateway.
	script = "set -e\ncurl() { nsenter --net=" + internet.Path + " curl \"$@\"; }\n" + script
	cmd := exec.CommandContext(ctx, "bash", "-c", script)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "COLONNADE_URL="+s.URL(), "COLONNADE_STATE_DIR="+s.StateDir())
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}
