package metrics_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"colonnade/internal/agentrest"
	"colonnade/internal/cert"
	"colonnade/internal/cluster"
	"colonnade/internal/health"
	"colonnade/internal/lb"
	"colonnade/internal/metrics"
	"colonnade/internal/store"
)

// scrape returns what m shows of our own, without histograms' buckets and sums.
func scrape(t *testing.T, m *metrics.Metrics) []string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != 200 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	problems, err := promlint.New(strings.NewReader(w.Body.String())).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	var lines []string
	for line := range strings.Lines(w.Body.String()) {
		if strings.HasPrefix(line, "colonnade_") && !strings.Contains(line, "_bucket{") && !strings.Contains(line, "_seconds_sum{") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

type result struct{ err error }

func (r result) Reconcile(context.Context, lb.Lease) (time.Duration, error) { return 0, r.err }

func TestWhatIsCounted(t *testing.T) {
	m := metrics.New("test")
	request := m.API()
	request("GET", "/v2.0/lbaas/loadbalancers/{id}", 200, 3*time.Millisecond)
	request("BREW", "", 404, time.Millisecond)

	call := m.AgentCalls()
	for _, c := range []agentrest.Call{
		{Status: 200},
		{Status: 409, Err: errors.New("stale")},
		{Status: 500, Err: errors.New("internal")},
		{Err: context.DeadlineExceeded},
		{Err: errors.New("no route")},
	} {
		c.Role, c.Method, c.Operation = cert.RoleAmphora, "PUT", "document"
		call(c)
	}

	m.Work()
	ended, end := context.WithCancel(t.Context())
	end()
	for _, c := range []struct {
		ctx context.Context
		err error
	}{{t.Context(), nil}, {t.Context(), errors.New("boom")}, {t.Context(), lb.ErrFenced}, {ended, context.Canceled}} {
		_, _ = m.Reconciler(result{c.err}).Reconcile(c.ctx, lb.Lease{Kind: lb.WorkACM})
	}

	step := m.Cluster()
	step(cluster.Step{Act: cluster.Act{Name: cluster.ActTakeSwapIn}}, nil)
	step(cluster.Step{Act: cluster.Act{Name: cluster.ActHandOver}, Reason: "planned failover"}, nil)
	step(cluster.Step{Act: cluster.Act{Name: cluster.ActPushTable}}, errors.New("no answer"))

	var heard health.Counters
	m.Heartbeats(&heard)
	heard.Accepted.Add(7)
	heard.Unknown.Add(1)

	var down error
	m.Database(func(context.Context) ([]store.Count, error) {
		return []store.Count{
			{Object: "amphora", State: "ALLOCATED", Number: 4},
			{Object: "work_waiting", State: "acm", Number: 2, LateMS: 1500},
			{Object: "of another version", State: "x", Number: 1},
		}, down
	})

	want := strings.Split(strings.TrimSpace(`
colonnade_agent_call_duration_seconds_count{agent="amphora",method="PUT",operation="document",result="failed"} 1
colonnade_agent_call_duration_seconds_count{agent="amphora",method="PUT",operation="document",result="ok"} 1
colonnade_agent_call_duration_seconds_count{agent="amphora",method="PUT",operation="document",result="refused"} 1
colonnade_agent_call_duration_seconds_count{agent="amphora",method="PUT",operation="document",result="timeout"} 1
colonnade_agent_call_duration_seconds_count{agent="amphora",method="PUT",operation="document",result="unreachable"} 1
colonnade_amphorae{status="ALLOCATED"} 4
colonnade_amphorae{status="BOOTING"} 0
colonnade_amphorae{status="READY"} 0
colonnade_api_request_duration_seconds_count{method="GET",route="/v2.0/lbaas/loadbalancers/{id}",status="200"} 1
colonnade_api_request_duration_seconds_count{method="other",route="unknown",status="404"} 1
colonnade_cluster_failovers_total{cause="planned"} 1
colonnade_cluster_failovers_total{cause="swapped"} 1
colonnade_cluster_steps_total{act="hand_over",result="done"} 1
colonnade_cluster_steps_total{act="push_table",result="failed"} 1
colonnade_cluster_steps_total{act="take_swap_in",result="done"} 1
colonnade_cluster_swaps_total 1
colonnade_clusters{operating_status="DEGRADED"} 0
colonnade_clusters{operating_status="DOWN"} 0
colonnade_clusters{operating_status="ONLINE"} 0
colonnade_database_up 1
colonnade_health_heartbeats_total{result="accepted"} 7
colonnade_health_heartbeats_total{result="bad_signature"} 0
colonnade_health_heartbeats_total{result="malformed"} 0
colonnade_health_heartbeats_total{result="replayed"} 0
colonnade_health_heartbeats_total{result="unknown"} 1
colonnade_role_info{role="test"} 1
colonnade_work_held{kind="acm"} 0
colonnade_work_held{kind="distributor"} 0
colonnade_work_held{kind="worker"} 0
colonnade_work_oldest_due_seconds{kind="acm"} 1.5
colonnade_work_oldest_due_seconds{kind="distributor"} 0
colonnade_work_oldest_due_seconds{kind="worker"} 0
colonnade_work_reconcile_duration_seconds_count{kind="acm",result="done"} 1
colonnade_work_reconcile_duration_seconds_count{kind="acm",result="failed"} 1
colonnade_work_reconcile_duration_seconds_count{kind="acm",result="lost"} 1
colonnade_work_reconcile_duration_seconds_count{kind="acm",result="released"} 1
colonnade_work_waiting{kind="acm"} 2
colonnade_work_waiting{kind="distributor"} 0
colonnade_work_waiting{kind="worker"} 0`), "\n")
	if diff := cmp.Diff(want, scrape(t, m)); diff != "" {
		t.Error(diff)
	}

	down = errors.New("gone")
	shown := strings.Join(scrape(t, m), "\n")
	if !strings.Contains(shown, "colonnade_database_up 0") || strings.Contains(shown, "colonnade_amphorae") || !strings.Contains(shown, "swaps_total 1") {
		t.Errorf("without a database:\n%s", shown)
	}
}
