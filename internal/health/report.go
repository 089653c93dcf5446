package health

import (
	"encoding/json"
	"fmt"

	"colonnade/internal/distributor"
	"colonnade/internal/lb"
)

// AmphoraReport is the part of an amphora's heartbeats that decisions need, as kept in lb.InstanceHealth.Report. It
// holds nothing that changes with every connection, because every change is written.
type AmphoraReport struct {
	HAProxy         string            `json:"haproxy"`
	DocumentApplied lb.Stamp          `json:"document_applied"`
	TableApplied    lb.Stamp          `json:"table_applied"`
	Holding         bool              `json:"holding"` // connections of rows that are another's: Status.HeldElsewhere > 0
	Members         map[string]string `json:"members,omitempty"`
	// Listeners tells of each listener that HAProxy runs whether it is at its connection limit.
	Listeners map[string]bool `json:"listeners,omitempty"`
	// Truncated says that Members is not complete.
	Truncated bool `json:"truncated,omitempty"`
}

// DistributorReport is the same of a distributor.
type DistributorReport struct {
	Dataplane     string              `json:"dataplane"`
	LoadBalancers map[string]LBReport `json:"load_balancers,omitempty"`
	Truncated     bool                `json:"truncated,omitempty"`
}

// LBReport is what a distributor says about one load balancer.
type LBReport struct {
	VIPApplied   lb.Stamp           `json:"vip_applied"`
	TableApplied lb.Stamp           `json:"table_applied"`
	TableVersion int64              `json:"table_version"`
	Swaps        []distributor.Swap `json:"swaps,omitempty"`
	Silent       []string           `json:"silent,omitempty"`
}

// DecodeAmphoraReport reads lb.InstanceHealth.Report of an amphora; "" is the zero report.
func DecodeAmphoraReport(text string) (AmphoraReport, error) {
	var r AmphoraReport
	err := decodeReport(text, &r)
	return r, err
}

// DecodeDistributorReport reads lb.InstanceHealth.Report of a distributor; "" is the zero report.
func DecodeDistributorReport(text string) (DistributorReport, error) {
	var r DistributorReport
	err := decodeReport(text, &r)
	return r, err
}

func decodeReport(text string, into any) error {
	if text == "" {
		return nil
	}
	if err := json.Unmarshal([]byte(text), into); err != nil {
		return fmt.Errorf("read health report: %w", err)
	}
	return nil
}
