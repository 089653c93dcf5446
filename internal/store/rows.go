package store

import (
	"github.com/uptrace/bun"

	"colonnade/internal/lb"
	"colonnade/internal/network"
)

// Rows give the domain's types their tables; "o" names the row in every query.
type (
	loadBalancerRow struct {
		bun.BaseModel `bun:"table:load_balancer,alias:o"`
		lb.LoadBalancer
	}
	listenerRow struct {
		bun.BaseModel `bun:"table:listener,alias:o"`
		lb.Listener
	}
	l7PolicyRow struct {
		bun.BaseModel `bun:"table:l7policy,alias:o"`
		lb.L7Policy
	}
	l7RuleRow struct {
		bun.BaseModel `bun:"table:l7rule,alias:o"`
		lb.L7Rule
	}
	poolRow struct {
		bun.BaseModel `bun:"table:pool,alias:o"`
		lb.Pool
	}
	memberRow struct {
		bun.BaseModel `bun:"table:member,alias:o"`
		lb.Member
	}
	healthMonitorRow struct {
		bun.BaseModel `bun:"table:health_monitor,alias:o"`
		lb.HealthMonitor
	}
	clusterRow struct {
		bun.BaseModel `bun:"table:cluster,alias:o"`
		lb.Cluster
	}
	amphoraRow struct {
		bun.BaseModel `bun:"table:amphora,alias:o"`
		lb.Amphora
	}
	amphoraPortRow struct {
		bun.BaseModel `bun:"table:amphora_port,alias:o"`
		lb.AmphoraPort
	}
	distributorRow struct {
		bun.BaseModel `bun:"table:distributor,alias:o"`
		lb.Distributor
	}
	instanceHealthRow struct {
		bun.BaseModel `bun:"table:instance_health,alias:o"`
		lb.InstanceHealth
	}
	eventRow struct {
		bun.BaseModel `bun:"table:event,alias:o"`
		lb.Event
	}
	offerRow struct {
		bun.BaseModel `bun:"table:offer,alias:o"` // each query names the offer's own table
		lb.Offer
	}
	offerProfileRow struct {
		bun.BaseModel `bun:"table:offer_profile,alias:o"`
		lb.OfferProfile
	}
	networkRow struct {
		bun.BaseModel `bun:"table:network,alias:o"`
		network.Network
	}
	subnetRow struct {
		bun.BaseModel `bun:"table:subnet,alias:o"`
		network.Subnet
	}
	portRow struct {
		bun.BaseModel `bun:"table:port,alias:o"`
		network.Port
	}
	floatingIPRow struct {
		bun.BaseModel `bun:"table:floating_ip,alias:o"`
		network.FloatingIP
	}
	securityGroupRow struct {
		bun.BaseModel `bun:"table:security_group,alias:o"`
		network.SecurityGroup
	}
	listenerStatisticsRow struct {
		bun.BaseModel     `bun:"table:listener_statistics,alias:o"`
		ListenerID        string `bun:"listener_id,pk"`
		AmphoraID         string `bun:"amphora_id,pk"`
		Full              bool   `bun:"is_full"`
		BytesIn           uint64 `bun:"bytes_in"`
		BytesOut          uint64 `bun:"bytes_out"`
		ActiveConnections uint64 `bun:"active_connections"`
		TotalConnections  uint64 `bun:"total_connections"`
		RequestErrors     uint64 `bun:"request_errors"`
	}
)
