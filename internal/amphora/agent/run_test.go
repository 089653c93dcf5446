package agent_test

import (
	"context"
	"encoding/hex"
	"errors"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"colonnade/internal/agentconf"
	"colonnade/internal/agentrest"
	"colonnade/internal/amphora"
	"colonnade/internal/amphora/agent"
	"colonnade/internal/cert"
	"colonnade/internal/distributor"
	"colonnade/internal/health/heartbeat"
	"colonnade/internal/lb"
	"colonnade/internal/linuxnet"
)

const configVariable = "COLONNADE_TEST_AGENT_CONFIG"

// TestMain lets this program be the agent's process too, so that it can be killed.
func TestMain(m *testing.M) {
	path := os.Getenv(configVariable)
	if path == "" {
		os.Exit(m.Run())
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	conf, err := agentconf.Load(path)
	if err == nil {
		err = agent.Run(ctx, conf, log)
	}
	if err != nil {
		log.Error("agent failed", "error", err)
		os.Exit(1)
	}
}

// run starts the agent as a process in the management namespace.
func (w *world) run() *exec.Cmd {
	w.t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), configVariable+"="+filepath.Join(w.conf.Place.Dir, agentconf.FileName))
	cmd.Stderr = w.t.Output()
	must(w.t, linuxnet.In(w.home, cmd.Start))
	w.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd
}

func TestRun(t *testing.T) {
	w := newWorld(t)
	w.stop() // the process is the agent here
	authority, err := cert.OpenAuthority(t.TempDir(), time.Now)
	must(t, err)
	issue := func(role cert.Role, id string) cert.Bundle {
		b, err := authority.Issue(cert.Identity{Role: role, ID: id}, nil, time.Hour)
		must(t, err)
		return b
	}
	own := issue(cert.RoleAmphora, amphoraID)
	beats, err := linuxnet.ListenPacket(t.Context(), w.home, "udp", "127.0.0.1:0")
	must(t, err)
	defer beats.Close()
	key := []byte(strings.Repeat("k", 32))
	conf := `{"kind":"amphora","id":"` + amphoraID + `","load_balancer_id":"` + lbID + `","management_ip":"127.0.0.1",` +
		`"heartbeat":{"targets":["` + beats.LocalAddr().String() + `"],"key":"` + hex.EncodeToString(key) + `","interval_ms":1000},` +
		`"place":{"dir":"` + w.conf.Place.Dir + `","bpf_dir":"` + w.conf.Place.BPFDir + `","tenant_namespace":"` + w.ten + `"}}`
	for name, content := range map[string][]byte{
		agentconf.FileName: []byte(conf), agentconf.CAFile: own.CAPEM, agentconf.CertFile: own.CertPEM, agentconf.KeyFile: own.KeyPEM,
	} {
		must(t, os.WriteFile(filepath.Join(w.conf.Place.Dir, name), content, 0o600))
	}
	dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
		return linuxnet.DialContext(ctx, w.home, network, addr)
	}
	client := func(b cert.Bundle) *amphora.Client {
		return amphora.NewClient(agentrest.NewClient(dial, func() (cert.Bundle, error) { return b, nil }, time.Now))
	}
	c := client(issue(cert.RoleController, "c1"))
	amp := lb.Amphora{ID: amphoraID, ManagementIP: "127.0.0.1"}
	// hear returns the first heartbeat that is as wanted.
	hear := func(what string, ok func(amphora.Status) bool) amphora.Status {
		t.Helper()
		must(t, beats.SetReadDeadline(time.Now().Add(15*time.Second)))
		buf := make([]byte, heartbeat.MaxDatagram)
		for {
			n, _, err := beats.ReadFrom(buf)
			if err != nil {
				t.Fatalf("never heard: %s", what)
			}
			b, err := heartbeat.Decode(buf[:n], func(string, string) []byte { return key })
			must(t, err)
			if ok(*b.Amphora) {
				return *b.Amphora
			}
		}
	}

	cmd := w.run()
	first := hear("idle", func(s amphora.Status) bool { return s.HAProxy == "idle" })
	eventually(t, "an answer", func() bool { _, err := c.Status(t.Context(), amp); return err == nil })

	t.Run("document and table", func(t *testing.T) {
		s, err := c.PutDocument(t.Context(), amp, document(1))
		must(t, err)
		if s.DocumentApplied.Revision != 1 || s.HAProxy != "up" {
			t.Errorf("%+v", s)
		}
		s, err = c.PutTable(t.Context(), amp, table(1, false))
		must(t, err)
		if s.TableApplied.Revision != 1 {
			t.Errorf("%+v", s)
		}
		_, err = w.get()
		must(t, err)
		hear("S39 both applied", func(s amphora.Status) bool {
			return s.DocumentApplied.Revision == 1 && s.TableApplied.Revision == 1 && s.HAProxy == "up"
		})
	})
	t.Run("typed refusals", func(t *testing.T) {
		var stale *distributor.StaleError
		if _, err := c.PutDocument(t.Context(), amp, document(0)); !errors.As(err, &stale) || stale.Applied.Revision != 1 {
			t.Errorf("lower stamp: %v", err)
		}
		bad := document(2)
		bad.Pools[0].Algorithm = "FASTEST"
		var refused *amphora.RefusedError
		if _, err := c.PutDocument(t.Context(), amp, bad); !errors.As(err, &refused) || refused.Problems[0].ObjectID != poolID {
			t.Errorf("bad pool: %v", err)
		}
		missing := document(2)
		missing.BackEnds[0].MAC = "02:c0:00:00:00:77"
		if _, err := c.PutDocument(t.Context(), amp, missing); lb.KindOf(err) != lb.KindUnavailable {
			t.Errorf("missing port: %v", err)
		}
		s, err := c.Statistics(t.Context(), amp)
		if err != nil || s.AmphoraID != amphoraID || len(s.Listeners) != 1 {
			t.Errorf("statistics %+v, %v", s, err)
		}
	})
	t.Run("S47 only controllers are let in, and only to whom they mean", func(t *testing.T) {
		if _, err := client(issue(cert.RoleAmphora, "a2")).Status(t.Context(), amp); err == nil {
			t.Error("an amphora was let in")
		}
		var wrong *cert.WrongHolderError
		if _, err := c.Status(t.Context(), lb.Amphora{ID: "another", ManagementIP: "127.0.0.1"}); !errors.As(err, &wrong) {
			t.Errorf("another amphora's agent: %v", err)
		}
	})
	t.Run("S53 killed HAProxy is told at once and restarted", func(t *testing.T) {
		pid := w.pid()
		must(t, syscall.Kill(pid, syscall.SIGKILL))
		hear("down", func(s amphora.Status) bool { return s.HAProxy == "down" })
		hear("up", func(s amphora.Status) bool { return s.HAProxy == "up" && s.HAProxyStarts == 2 })
		_, err := w.get()
		must(t, err)
	})
	t.Run("a killed agent's successor adopts", func(t *testing.T) {
		pid := w.pid()
		must(t, cmd.Process.Kill())
		_ = cmd.Wait()
		_, err := w.get()
		must(t, err)
		begin := time.Now()
		cmd = w.run()
		s := hear("up again", func(s amphora.Status) bool { return s.HAProxyStarts == 0 && s.HAProxy == "up" })
		t.Logf("agent back after %v", time.Since(begin))
		if s.BootID != first.BootID || s.DocumentApplied.Revision != 1 || w.pid() != pid {
			t.Errorf("%+v, pid %d was %d", s, w.pid(), pid)
		}
	})
	t.Run("asked to end, it leaves HAProxy running", func(t *testing.T) {
		must(t, cmd.Process.Signal(syscall.SIGTERM))
		must(t, cmd.Wait())
		_, err := w.get()
		must(t, err)
	})
}
