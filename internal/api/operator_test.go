package api_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"colonnade/internal/distributor"
	"colonnade/internal/lb"
)

const (
	ampID    = "33333333-3333-4333-8333-333333333333" // holds a position
	brokenID = "44444444-4444-4444-8444-444444444444" // is in ERROR
)

// cluster gives a load balancer amphorae, a table and a distributor, as the cluster manager would.
func (l *lab) cluster(lbID string) (d lb.Distributor, table []byte, probeKey string) {
	t := l.t
	t.Helper()
	tree, err := l.store.Tree(t.Context(), lbID)
	if err != nil {
		t.Fatal(err)
	}
	lease := lb.Lease{Kind: lb.WorkACM, Key: lbID, Epoch: tree.LoadBalancer.Epoch}
	if d, err = l.store.AssignDistributor(t.Context(), lease); err != nil {
		t.Fatal(err)
	}
	table, err = json.Marshal(distributor.Table{
		Version: 7, Key: strings.Repeat("ab", 16), Rows: distributor.DefaultRows, Affinity: distributor.AffinitySourceIP,
		Holders: []distributor.Holder{{AmphoraID: ampID, MAC: "02:00:00:00:00:01"}}, Current: distributor.Generation{Holders: []int{0}},
	})
	if err != nil {
		t.Fatal(err)
	}
	err = l.store.UpdateCluster(t.Context(), lease, func(s *lb.ClusterState) (lb.Outcome, error) {
		s.Cluster.Table, s.Cluster.StandbyReady, probeKey = string(table), 1, s.Cluster.ProbeKey
		amp := lb.Amphora{
			ID: ampID, LoadBalancerID: lbID, ClusterID: s.Cluster.ID, Role: lb.RoleInCluster, Status: lb.AmphoraAllocated,
			ManagementIP: "198.19.0.9", FrontEndIP: "198.18.10.9", FrontEndMAC: "02:00:00:00:00:01", Position: 2, HeartbeatKey: "heartbeatkey",
		}
		broken := lb.Amphora{ID: brokenID, LoadBalancerID: lbID, ClusterID: s.Cluster.ID, Role: lb.RoleInCluster, Status: lb.AmphoraError, Position: lb.NoPosition, HeartbeatKey: "heartbeatkey"}
		s.Amphorae = append(s.Amphorae, amp, broken)
		return lb.Outcome{}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return d, table, probeKey
}

func TestOperatorSeesAmphoraeClusterAndDistributor(t *testing.T) {
	l := newLab(t, nil)
	lbID, _, _, _, _ := l.balancer()
	d, table, probeKey := l.cluster(lbID)

	vip := l.must(200, "GET", "/v2.0/lbaas/loadbalancers/"+lbID, "")
	address, port := vip.get(t, "loadbalancer.vip_address").(string), vip.get(t, "loadbalancer.vip_port_id").(string)
	cluster := l.must(200, "GET", "/v2.0/octavia/clusters?loadbalancer_id="+lbID, "")
	clusterID := cluster.id(t, "clusters.0")
	var gotTable, wantTable any
	shown, err := json.Marshal(cluster.get(t, "clusters.0.table"))
	if err != nil || json.Unmarshal(shown, &gotTable) != nil || json.Unmarshal(table, &wantTable) != nil {
		t.Fatal("table is no JSON")
	}
	if diff := cmp.Diff(wantTable, gotTable); diff != "" {
		t.Errorf("table:\n%s", diff)
	}
	amphora := l.must(200, "GET", "/v2.0/octavia/amphorae/"+ampID, "")
	same(t, `{"loadbalancer_id":"`+lbID+`","cluster_id":"`+clusterID+`","compute_id":null,"lb_network_ip":"198.19.0.9","vrrp_ip":"198.18.10.9",
		"ha_ip":"`+address+`","vrrp_port_id":null,"ha_port_id":"`+port+`","cert_expiration":null,"cert_busy":false,"role":"IN_CLUSTER","status":"ALLOCATED",
		"vrrp_interface":null,"vrrp_id":null,"vrrp_priority":null,"cached_zone":null,"image_id":null,"compute_flavor":null,"position":2,
		"frontend_mac":"02:00:00:00:00:01","out_of_service":false,"draining_since":null,"applied_revision":0,"applied_table":0}`, object(t, amphora, "amphora"))
	dist := l.must(200, "GET", "/v2.0/octavia/distributors/"+d.ID, "")
	same(t, `{"project_id":"default","tenant_id":"default","status":"PENDING_CREATE","compute_id":null,"lb_network_ip":null,"cert_expiration":null,
		"vips":[{"loadbalancer_id":"`+lbID+`","vip_address":"`+address+`","port_id":"`+port+`"}]}`, object(t, dist, "distributor"))

	// Keys are for agents alone.
	for _, a := range []answer{
		cluster, amphora, dist, l.must(200, "GET", "/v2.0/octavia/clusters/"+clusterID, ""),
		l.must(200, "GET", "/v2.0/octavia/amphorae?loadbalancer_id="+lbID, ""), l.must(200, "GET", "/v2.0/octavia/distributors", ""),
	} {
		if probeKey == "" || strings.Contains(a.body, probeKey) || strings.Contains(a.body, "heartbeatkey") {
			t.Errorf("a key is shown: %s", a.body)
		}
	}
	l.must(202, "PUT", "/v2.0/octavia/amphorae/"+ampID+"/failover", "")
	l.must(404, "GET", "/v2.0/octavia/amphorae/"+ampID+"/stats", "")
}
