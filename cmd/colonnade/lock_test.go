package main

import (
	"bufio"
	"context"
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// What makes the test binary a holder.
const (
	holdDir  = "COLONNADE_TEST_HOLD"
	holdRole = "COLONNADE_TEST_HOLD_ROLE"
	holdOn   = "COLONNADE_TEST_HOLD_ON" // whatever it is told
)

// hold locks the directory as a role does, says so, and lets go when it is told to stop.
func hold(dir stateDir, role string, on bool) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	unlock, err := dir.lock(role, role != "up")
	if err != nil {
		_, _ = os.Stdout.WriteString(err.Error() + "\n")
		return 1
	}
	_, _ = os.Stdout.WriteString("held\n")
	<-ctx.Done()
	if on {
		select {}
	}
	unlock()
	return 0
}

// holding starts a process that holds the directory as a role, and returns it with what it said.
func holding(t *testing.T, dir stateDir, role string, on bool) (*exec.Cmd, string) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), holdDir+"="+string(dir), holdRole+"="+role)
	if on {
		cmd.Env = append(cmd.Env, holdOn+"=1")
	}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	line, _ := bufio.NewReader(out).ReadString('\n')
	return cmd, strings.TrimSpace(line)
}

func TestLock(t *testing.T) {
	for _, c := range []struct {
		name          string
		first, second string
		refused       bool
	}{
		{"up is alone", "up", "up", true},
		{"no role beside up", "up", "worker", true},
		{"no up beside a role", "worker", "up", true},
		{"roles share", "worker", "acm", false},
		{"copies of a role share", "worker", "worker", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := stateDir(t.TempDir())
			first, said := holding(t, dir, c.first, false)
			if said != "held" {
				t.Fatal(said)
			}
			_, said = holding(t, dir, c.second, false)
			want := "held"
			if c.refused {
				want = (&lockedError{dir, []holder{{first.Process.Pid, c.first}}}).Error()
			}
			if said != want {
				t.Errorf("said %q, want %q", said, want)
			}
		})
	}
	t.Run("a killed process holds nothing", func(t *testing.T) {
		dir := stateDir(t.TempDir())
		first, _ := holding(t, dir, "worker", false)
		_ = first.Process.Kill()
		_ = first.Wait()
		unlock, err := dir.lock("up", false)
		if err != nil {
			t.Fatal(err)
		}
		if got := dir.holders(); len(got) > 0 {
			t.Errorf("still there: %v", got)
		}
		unlock()
		if left, _ := os.ReadDir(dir.path(runningDir)); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	})
}

func TestTakeOver(t *testing.T) {
	t.Run("ends every role", func(t *testing.T) {
		dir := stateDir(t.TempDir())
		worker, _ := holding(t, dir, "worker", false)
		acm, _ := holding(t, dir, "acm", false)
		unlock, err := dir.takeOver(t.Context(), "down")
		if err != nil {
			t.Fatal(err)
		}
		defer unlock()
		for _, cmd := range []*exec.Cmd{worker, acm} {
			if err := cmd.Wait(); err != nil {
				t.Errorf("it did not end by itself: %v", err)
			}
		}
		if _, said := holding(t, dir, "up", false); !strings.HasPrefix(said, "down (process ") {
			t.Errorf("up while down works: %q", said)
		}
	})
	t.Run("says who does not end", func(t *testing.T) {
		dir := stateDir(t.TempDir())
		stubborn, _ := holding(t, dir, "up", true)
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		_, err := dir.takeOver(ctx, "down")
		var locked *lockedError
		if !errors.As(err, &locked) {
			t.Fatalf("got %v", err)
		}
		if diff := cmp.Diff([]holder{{stubborn.Process.Pid, "up"}}, locked.holders, cmp.AllowUnexported(holder{})); diff != "" {
			t.Error(diff)
		}
	})
}

func TestConfigurationOfAProcess(t *testing.T) {
	other := "127.0.0.1:1"
	for _, c := range []struct {
		name, role, listen  string
		metrics             *string
		wantAPI, wantMetric string
	}{
		{"up shows metrics", "up", "", nil, "127.0.0.1:9876", "127.0.0.1:9877"},
		{"a role alone does not by itself", "worker", "", nil, "127.0.0.1:9876", ""},
		{"unless told to", "worker", "", &other, "127.0.0.1:9876", other},
		{"up is told not to", "up", "", new(string), "127.0.0.1:9876", ""},
		{"the API is told where", "api", other, nil, other, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := process{MetricsListen: c.metrics}
			conf, err := p.configuration(c.role, c.listen)
			if err != nil || conf.API.Listen != c.wantAPI || conf.Metrics.Listen != c.wantMetric {
				t.Errorf("%q, %q, %v", conf.API.Listen, conf.Metrics.Listen, err)
			}
		})
	}
	p := process{}
	if _, err := p.configuration("api", "nowhere"); err == nil || !strings.Contains(err.Error(), `api.listen "nowhere"`) {
		t.Errorf("got %v", err)
	}
}
