package e2e_test

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"colonnade/internal/identity"
	"colonnade/internal/stage"
)

func fetch(t *testing.T, s *stage.Stage, method, url, body string) (status int, header http.Header, text string) {
	t.Helper()
	req, err := http.NewRequestWithContext(within(t, 10*time.Second), method, url, strings.NewReader(body))
	must(t, err)
	token, err := identity.ReadToken(s.StateDir())
	must(t, err)
	req.Header.Set("X-Auth-Token", token)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := http.DefaultClient.Do(req)
	must(t, err)
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	must(t, err)
	return res.StatusCode, res.Header, string(raw)
}

// TestWhatOperatorsSee follows a request's id into the logs of roles and agents, and reads the metrics.
func TestWhatOperatorsSee(t *testing.T) {
	s := set(t, "[api]\nhealthcheck = true\n")
	sv, _ := serving(t, s, 0, 0)

	listeners, err := s.Client().Listeners().List(within(t, 10*time.Second), map[string][]string{"loadbalancer_id": {sv.ID}})
	must(t, err)
	status, header, text := fetch(t, s, "PUT", s.URL()+"/v2.0/lbaas/listeners/"+listeners[0].ID, `{"listener": {"connection_limit": 777}}`)
	id := header.Get("X-Openstack-Request-Id")
	if status/100 != 2 || !strings.HasPrefix(id, "req-") {
		t.Fatalf("%d %s, request %q", status, text, id)
	}
	_, err = s.Client().WaitSettled(within(t, time.Minute), sv.ID, nil)
	must(t, err)
	has := func(path, message string) bool {
		log, err := os.ReadFile(path)
		must(t, err)
		return slices.ContainsFunc(strings.Split(string(log), "\n"), func(line string) bool {
			return strings.Contains(line, message) && strings.Contains(line, id)
		})
	}
	for _, message := range []string{"request served", "load balancer settled"} {
		if !has(s.LogFile(), message) {
			t.Errorf("no line %q of the control plane has request %s", message, id)
		}
	}
	v, err := sv.View(within(t, 10*time.Second))
	must(t, err)
	for _, a := range v.Amphorae {
		path := filepath.Join(s.StateDir(), "instances", a.ID, "agent.log")
		if !has(path, "document applied") || !has(path, "agent call served") {
			t.Errorf("%s does not know request %s", path, id)
		}
	}

	if status, _, text := fetch(t, s, "GET", s.URL()+"/healthcheck", ""); status != http.StatusOK || text != "OK" {
		t.Errorf("healthcheck: %d %q", status, text)
	}

	_, _, text = fetch(t, s, "GET", s.MetricsURL("up"), "")
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	must(t, err)
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	families := map[string]bool{}
	for line := range strings.Lines(text) {
		if name, ok := strings.CutPrefix(line, "# TYPE colonnade_"); ok {
			families[strings.Fields(name)[0]] = true
		}
		if strings.HasPrefix(line, "colonnade_") && (strings.Contains(line, sv.ID) || strings.Contains(line, listeners[0].ID)) {
			t.Errorf("an id is a label: %s", line)
		}
	}
	want := map[string]bool{
		"agent_call_duration_seconds": true, "amphorae": true, "api_request_duration_seconds": true, "cluster_steps_total": true,
		"cluster_swaps_total": true, "clusters": true, "database_up": true, "distributors": true, "health_heartbeats_total": true,
		"load_balancers": true, "role_info": true, "work_held": true, "work_oldest_due_seconds": true,
		"work_reconcile_duration_seconds": true, "work_waiting": true,
	}
	if diff := cmp.Diff(want, families); diff != "" {
		t.Error(diff)
	}
	for _, line := range []string{
		`colonnade_amphorae{status="ALLOCATED"} 4`, `colonnade_clusters{operating_status="ONLINE"} 1`,
		`colonnade_load_balancers{provisioning_status="ACTIVE"} 1`, `colonnade_database_up 1`,
		`colonnade_api_request_duration_seconds_count{method="PUT",route="/v2.0/lbaas/listeners/{id}",status="200"} 1`,
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("metrics lack %s", line)
		}
	}
}
