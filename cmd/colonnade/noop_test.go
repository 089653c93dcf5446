package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"colonnade/internal/api/wire"
	"colonnade/internal/client"
	"colonnade/internal/config"
	"colonnade/internal/identity"
)

const noopConfig = "[network]\ndriver = \"noop\"\n[compute]\ndriver = \"noop\"\n"

// nobody is a user that may do nothing of what the other drivers do.
const nobody = 65534

// userDir is a directory of nobody's, below one that everybody may enter.
func userDir(t *testing.T, config string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "colonnade-noop-")
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	must(t, os.WriteFile(filepath.Join(dir, "colonnade.toml"), []byte(config), 0o644))
	must(t, os.Chown(dir, nobody, nobody))
	return dir
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// program is this program as nobody, over the configuration and state in a directory.
func program(ctx context.Context, dir, command string, flags ...string) *exec.Cmd {
	flags = append([]string{command, "--config", filepath.Join(dir, "colonnade.toml"), "--state-dir", filepath.Join(dir, "state")}, flags...)
	cmd := exec.CommandContext(ctx, "/proc/self/exe", flags...)
	cmd.Args[0] = "colonnade"
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	return cmd
}

// up runs a control plane and returns a client of it. stop ends it; it has to end well.
func up(t *testing.T, dir string) (c *client.Client, stop func()) {
	t.Helper()
	cmd := program(context.Background(), dir, "up", "--listen", "127.0.0.1:0", "--metrics-listen=")
	log, err := cmd.StderrPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	var said strings.Builder
	lines := bufio.NewReader(io.TeeReader(log, &said))
	listens := regexp.MustCompile(`api listens.* listen=(\S+)`)
	for address := ""; c == nil; {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatalf("it did not start: %s", said.String())
		}
		if m := listens.FindStringSubmatch(line); m != nil {
			address = m[1]
		}
		if strings.Contains(line, "health role listens") { // the last to say so
			token, err := identity.ReadToken(filepath.Join(dir, "state"))
			must(t, err)
			c, err = client.New("http://"+address, token, "")
			must(t, err)
		}
	}
	ended := make(chan error, 1)
	go func() {
		_, _ = io.Copy(io.Discard, lines)
		ended <- cmd.Wait()
	}()
	return c, func() {
		t.Helper()
		must(t, cmd.Process.Signal(syscall.SIGTERM))
		select {
		case err := <-ended:
			if err != nil || strings.Contains(said.String(), "level=ERROR") {
				t.Errorf("ended with %v, said:\n%s", err, said.String())
			}
		case <-time.After(stopTimeout):
			t.Error("does not stop")
		}
	}
}

// whole is a load balancer with all kinds of children, on a subnet that nobody has made.
func whole() wire.LoadBalancerCreate {
	return wire.LoadBalancerCreate{
		Name: wire.Some("web"), VIPSubnetID: wire.Some(uuid.NewString()),
		Listeners: wire.Some([]wire.ListenerCreate{{
			Protocol: wire.Some("HTTP"), ProtocolPort: wire.Some(80),
			DefaultPool: wire.Some(wire.PoolCreate{
				Protocol: wire.Some("HTTP"), LBAlgorithm: wire.Some("ROUND_ROBIN"), PoolFields: wire.PoolFields{Name: wire.Some("pool")},
				Members: wire.Some([]wire.MemberCreate{{Address: wire.Some("192.0.2.16"), ProtocolPort: wire.Some(80)}}),
				HealthMonitor: wire.Some(wire.HealthMonitorCreate{
					Type: wire.Some("HTTP"), Delay: wire.Some(5), Timeout: wire.Some(2), MaxRetries: wire.Some(2),
				}),
			}),
		}}),
	}
}

func TestNoopDriversNeedNoRoot(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	dir := userDir(t, noopConfig)
	c, stop := up(t, dir)
	gone, err := c.CreateTree(ctx, whole())
	must(t, err)
	kept, err := c.CreateTree(ctx, whole())
	must(t, err)
	for _, id := range []string{gone.ID, kept.ID} {
		l, err := c.WaitSettled(ctx, id, nil)
		must(t, err)
		if l.ProvisioningStatus != "ACTIVE" {
			t.Errorf("load balancer is %s", l.ProvisioningStatus)
		}
	}
	must(t, c.DeleteLoadBalancer(ctx, gone.ID, true))
	must(t, c.WaitGone(ctx, gone.ID, nil))
	// There are no networks to be made.
	if _, err := c.Networks().List(ctx, nil); client.StatusOf(err) != 501 {
		t.Errorf("networks: %v", err)
	}
	stop()

	for _, r := range []struct{ command, want string }{
		{"up", "the database has amphorae or distributors from before"},
		{"worker", `use "colonnade up"`},
	} {
		out, err := program(ctx, dir, r.command, "--metrics-listen=").CombinedOutput()
		if err == nil || !strings.Contains(string(out), r.want) {
			t.Errorf("%s: %v, %s", r.command, err, out)
		}
	}
	if out, err := program(ctx, dir, "down", "--purge").CombinedOutput(); err != nil {
		t.Errorf("down: %v, %s", err, out)
	}
	if _, err := os.Stat(filepath.Join(dir, "state")); !os.IsNotExist(err) {
		t.Errorf("state directory: %v", err)
	}
	_, stop = up(t, dir)
	stop()
}

func TestStayPending(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	dir := userDir(t, noopConfig+"[noop]\nstay_pending = true\n")
	c, stop := up(t, dir)
	made, err := c.CreateTree(ctx, whole())
	must(t, err)
	pending := func(c *client.Client) {
		t.Helper()
		time.Sleep(500 * time.Millisecond) // that nothing happens has no event; it takes a tenth of that to become ACTIVE
		l, err := c.LoadBalancers().Get(ctx, made.ID)
		must(t, err)
		if l.ProvisioningStatus != "PENDING_CREATE" {
			t.Errorf("load balancer is %s", l.ProvisioningStatus)
		}
	}
	pending(c)
	stop()
	c, stop = up(t, dir) // nothing was built, so nothing was forgotten
	pending(c)
	stop()
}

// TestDeployment refuses what would build a second time, or take away, what another configuration or directory made.
func TestDeployment(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	dir := userDir(t, "")
	shared := filepath.Join(dir, "shared.db")
	must(t, os.WriteFile(filepath.Join(dir, "colonnade.toml"), []byte(noopConfig+fmt.Sprintf("[database]\ndsn = %q\n", shared)), 0o644))
	_, stop := up(t, dir)
	t.Run("another state directory on the same database", func(t *testing.T) {
		other := userDir(t, noopConfig+fmt.Sprintf("[database]\ndsn = %q\n", shared))
		out, err := program(ctx, other, "up", "--listen", "127.0.0.1:0", "--metrics-listen=").CombinedOutput()
		if want := "belongs to the deployment"; err == nil || !strings.Contains(string(out), want) || !strings.Contains(string(out), dir) {
			t.Errorf("%v, %s; want %q, and of %s", err, out, want, dir)
		}
	})
	stop()
	t.Run("drivers that did not make what stands", func(t *testing.T) {
		s := stateDir(filepath.Join(dir, "state"))
		if _, err := s.checkDrivers(config.Default()); err == nil || !strings.Contains(err.Error(), `made with network driver "noop"`) {
			t.Errorf("got %v", err)
		}
		err := takeAway(ctx, io.Discard, s, config.Default(), true)
		if _, gone := os.Stat(string(s)); err == nil || gone != nil {
			t.Errorf("purged with other drivers: %v, %v", err, gone)
		}
	})
	t.Run("a purge lets another have the database", func(t *testing.T) {
		if out, err := program(ctx, dir, "down", "--purge").CombinedOutput(); err != nil || strings.Contains(string(out), "still belongs") {
			t.Fatalf("down: %v, %s", err, out)
		}
		_, stop := up(t, dir)
		stop()
	})
}
