package cluster

import (
	"time"

	"colonnade/internal/amphora"
	"colonnade/internal/cert"
	"colonnade/internal/distributor"
	"colonnade/internal/lb"
)

// Spec is what the operator decided about every cluster. Sizes and cooldown are the cluster's own.
type Spec struct {
	// DrainDeadline is how long a former holder may keep its connections after a hand-over.
	DrainDeadline time.Duration
	// DrainFloor is how long one stays at least: connections that were under way when the table moved become visible.
	DrainFloor time.Duration
	// SuspectAfter is how long one witness must speak against an amphora before it is handed over.
	SuspectAfter time.Duration
	// BootTime is how long an instance may take from being asked for to its first word, build budget included.
	BootTime time.Duration
	// CertificateValidity is the life of an agent's certificate; 0 is cert.LeafValidity, without renewal.
	CertificateValidity time.Duration
	// Rows of new tables; distributor.DefaultRows outside tests.
	Rows int
}

// DefaultSpec is the reference configuration with a compute driver of this build budget.
func DefaultSpec(buildBudget time.Duration) Spec {
	return Spec{
		DrainDeadline: time.Minute, DrainFloor: time.Second, SuspectAfter: 10 * time.Second,
		BootTime: time.Minute + buildBudget, Rows: distributor.DefaultRows,
		CertificateValidity: cert.LeafValidity,
	}
}

// Observed is all that MakePlan looks at: the rows and what is known of reality.
type Observed struct {
	lb.ClusterState
	Amphorae    map[string]Facts // by amphora id; a missing one is not known to be anything
	Distributor DistributorView
	Fleet       Fleet
	// Failed are acts that this run tried in vain; they are not planned again before the next run.
	Failed map[Act]bool
}

// Facts is what is known of one amphora beside its row.
type Facts struct {
	Alive       bool // heartbeats come and it does not say that it is down
	Silent      bool // heartbeats stopped
	Down        bool // it says itself that it cannot serve
	ProbeSilent bool // the distributor's probes go unanswered, or it swapped it
	Asked       bool // its agent was asked directly in this run
	Reachable   bool // and answered
	Gone        bool // the compute driver says that it does not run any more
	// SuspectSince is when the first witness began to speak against it; zero when none does.
	SuspectSince time.Time
	// Status is the direct answer; nil when it was not asked or did not answer.
	Status *amphora.Status
	// Table is the highest table version it is known to have.
	Table int64
	// Refuses says that it lives and has not taken a table for so long that it cannot be relied on.
	Refuses bool
	// RenewAfter is before when its certificate is not to be renewed, because that failed.
	RenewAfter time.Time
}

// DistributorView is what is known of the distributor, about this load balancer.
type DistributorView struct {
	Ready   bool // it is up and answers
	Plugged bool // the VIP is plugged with the port as it is now
	Table   int64
	Swaps   []distributor.Swap
}

// Fleet counts all amphorae of this control plane, for the guard against mass failure.
type Fleet struct {
	Clusters int
	Amphorae int
	Silent   int // any witness speaks against them
}

// guards reports whether there are enough clusters for the guard: in fewer, half of all may well die at once.
func (f Fleet) guards() bool { return f.Clusters > 2 }

// suspicious reports whether so many amphorae are silent at once that the monitor is more likely to be wrong (E24).
func (f Fleet) suspicious() bool { return f.guards() && f.Silent*2 > f.Amphorae }

// verdict is what the witnesses say of an amphora together.
type verdict int

const (
	sound   verdict = iota
	suspect         // one witness; out of service only if that is the amphora's own word or the distributor's
	dead            // two witnesses, or the compute driver
)

// judge weighs the witnesses. There are three: the management network (a direct question unanswered, or
// heartbeats that stopped as long as nobody asked), the front-end network (probes, or that it was taken out of service by them), and its own word. An
// amphora that no distributor probes is dead when heartbeats and question both go unanswered.
func judge(a lb.Amphora, f Facts, probed bool) verdict {
	if f.Gone {
		return dead
	}
	witnesses := 0
	management := f.Silent
	if f.Asked {
		management = !f.Reachable // its own answer is worth more than lost datagrams
	}
	for _, says := range []bool{management, f.ProbeSilent || a.OutOfService, f.Down} {
		if says {
			witnesses++
		}
	}
	switch {
	case witnesses >= 2 || !probed && f.Silent && f.Asked && !f.Reachable:
		return dead
	case witnesses == 1 && (!a.OutOfService || f.ProbeSilent):
		return suspect
	}
	return sound
}
