package cluster

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"colonnade/internal/distributor"
	"colonnade/internal/lb"
)

// Act names a step. Some change rows, the others reality; each can be repeated, and a crash between any two is healed
// by the next run.
type Act struct {
	Name      ActName
	AmphoraID string // "" when the step is about the cluster
}

// ActName is a kind of step.
type ActName string

// Steps that change rows only. All of one plan are written in one transaction.
const (
	ActCreateAmphora ActName = "create amphora"
	ActMarkReady     ActName = "mark ready"
	ActBootFailed    ActName = "boot timeout"
	ActFill          ActName = "take position"      // a standby takes a vacant position
	ActReplace       ActName = "replace"            // a standby takes the position of one that failed
	ActTakeSwapIn    ActName = "take swap in"       // as the distributor did already
	ActVacate        ActName = "vacate"             // a position is lost and no standby is left
	ActHandOver      ActName = "hand over"          // elective: the former holder drains
	ActGrow          ActName = "grow"               // elective: a standby takes one position more
	ActShrink        ActName = "shrink"             // elective: the highest position is given up, its holder drains
	ActOutOfService  ActName = "out of service"     // owns nothing any more
	ActHoldBack      ActName = "hold back"          // would be deleted if the guard did not forbid it
	ActRemove        ActName = "remove"             // to be deleted once nobody is told to use it
	ActSetTable      ActName = "set table"          // the next version
	ActFailoverDone  ActName = "failover done"      // every older amphora of the load balancer has been handed over
	ActSetStatuses   ActName = "set statuses"       // of the cluster
	ActRetire        ActName = "retire cluster"     // the load balancer is being deleted
	ActRelease       ActName = "release"            // the distributor is not ours any more
	ActWakeWorker    ActName = "wake worker"        // what it waits for has happened
	ActAssign        ActName = "assign distributor" // a transaction of its own
)

// Steps that change reality.
const (
	ActBuild     ActName = "build"      // ports, certificate, instance
	ActPlugVIP   ActName = "plug vip"   // port and VIP into the distributor
	ActPushTable ActName = "push table" // to one amphora
	ActRegister  ActName = "install table"
	ActDelete    ActName = "delete" // instance and ports
	ActUnplugVIP ActName = "unplug vip"
	ActRenew     ActName = "renew certificate" // of one amphora, when nothing else is to be done
)

// Step is one act with what it needs.
type Step struct {
	Act
	Position int
	From     string // former holder of the position
	Reason   string
	Draining bool     // the one that leaves may still hold connections
	Table    *Install // ActSetTable
	Elective bool     // ActSetTable
	Statuses *Statuses
}

// Plan is what to do now. Either Rows is empty or Reality is: rows first, then a look at them afresh.
type Plan struct {
	Rows    []Step
	Reality []Step
	Again   time.Duration // when to look again if nothing happens; 0 never
}

// Change says who has to know a table first, and who is waited for.
type Change string

// Kinds of changes of a table.
const (
	Adding   Change = "adding"   // all amphorae in service acknowledge, then the distributor
	Failing  Change = "failing"  // as Adding, but who does not acknowledge at once is not waited for
	Removing Change = "removing" // the distributor first, then the amphorae, deletion last
)

// Install is the table as it is kept in lb.Cluster.Table: readable as a distributor.Table.
type Install struct {
	distributor.Table
	Change Change `json:"change"`
}

// DecodeInstall reads lb.Cluster.Table; ok is false before the first table.
func DecodeInstall(text string) (in Install, ok bool, err error) {
	if text == "" {
		return Install{}, false, nil
	}
	if err := json.Unmarshal([]byte(text), &in); err != nil {
		return Install{}, false, fmt.Errorf("read table of cluster: %w", err)
	}
	return in, true, nil
}

// Statuses of a cluster that follow from its amphorae.
type Statuses struct {
	Provisioning lb.ProvisioningStatus
	Operating    lb.OperatingStatus
	StandbyReady int
	Tables       map[string]int64 // amphora id -> table version it has
}

// Names makes what is new in rows; fixed in tests.
type Names struct {
	ID  func() string      // of an amphora
	Key func(n int) string // n random bytes in hex
}

// Apply makes one step of a plan in the rows. It is pure but for names.
func Apply(s *lb.ClusterState, step Step, now time.Time, bootTime time.Duration, names Names) (lb.Outcome, error) {
	c := &s.Cluster
	lbID := s.LoadBalancer.ID
	event := func(object, action, reason string) lb.Outcome {
		return lb.Outcome{Events: []lb.Event{{At: now, LoadBalancerID: lbID, ObjectID: object, Actor: "acm", Action: action, Reason: reason}}}
	}
	wake := func(o lb.Outcome, kind, key string) lb.Outcome {
		o.Wakes = append(o.Wakes, lb.Wake{Kind: kind, Key: key})
		return o
	}
	switch step.Name {
	case ActCreateAmphora:
		a := lb.Amphora{
			ID: names.ID(), LoadBalancerID: lbID, ClusterID: c.ID, Role: lb.RoleInClusterStandby, Status: lb.AmphoraPendingCreate,
			Position: lb.NoPosition, HeartbeatKey: names.Key(32), CreatedAt: now,
		}
		s.Amphorae = append(s.Amphorae, a)
		return event(a.ID, "amphora created", step.Reason), nil
	case ActSetTable:
		text, err := json.Marshal(step.Table)
		if err != nil {
			return lb.Outcome{}, fmt.Errorf("write table of cluster: %w", err)
		}
		c.Table = string(text)
		if step.Elective {
			c.LastElectiveAt = now
		}
		return lb.Outcome{}, nil
	case ActFailoverDone:
		c.FailoverRequestedAt = time.Time{}
		return wake(event(c.ID, "failover done", ""), lb.WorkWorker, lbID), nil
	case ActSetStatuses:
		return applyStatuses(s, *step.Statuses, now), nil
	case ActRetire:
		c.ProvisioningStatus = lb.PendingDelete
		for i := range s.Amphorae {
			s.Amphorae[i].Status = lb.AmphoraPendingDelete
		}
		return lb.Outcome{}, nil
	case ActRelease:
		o := wake(event(c.ID, "distributor released", ""), lb.WorkDistributor, c.DistributorID)
		c.DistributorID, c.DistributorPortID = "", ""
		return o, nil
	case ActWakeWorker:
		return wake(lb.Outcome{}, lb.WorkWorker, lbID), nil
	}

	i := slices.IndexFunc(s.Amphorae, func(a lb.Amphora) bool { return a.ID == step.AmphoraID })
	if i < 0 {
		return lb.Outcome{}, fmt.Errorf("%s: no amphora %s in the rows", step.Name, step.AmphoraID)
	}
	a := &s.Amphorae[i]
	switch step.Name {
	case ActMarkReady:
		a.Status, a.StatusReason, a.BootDeadline = lb.AmphoraReady, "", time.Time{}
		return wake(event(a.ID, "amphora ready", ""), lb.WorkWorker, lbID), nil
	case ActBootFailed, ActRemove:
		asked := !a.FailoverRequestedAt.IsZero()
		a.Status, a.StatusReason, a.OutOfService = lb.AmphoraPendingDelete, step.Reason, true
		a.Position = lb.NoPosition
		o := event(a.ID, map[ActName]string{ActBootFailed: "amphora build failed", ActRemove: "amphora to be deleted"}[step.Name], step.Reason)
		if asked { // somebody waits for this
			o = wake(o, lb.WorkWorker, lbID)
		}
		return o, nil
	case ActShrink:
		leave(s, a.ID, now, true, step.Reason)
		return event(a.ID, "position given up", fmt.Sprintf("position %d: %s", step.Position, step.Reason)), nil
	case ActFill, ActReplace, ActTakeSwapIn, ActHandOver, ActGrow:
		a.Position, a.Role = step.Position, lb.RoleInCluster
		if step.Name == ActHandOver {
			leave(s, step.From, now, true, step.Reason)
		}
		return wake(event(a.ID, "position taken", fmt.Sprintf("%s: position %d: %s", step.Name, step.Position, step.Reason)), lb.WorkWorker, lbID), nil
	case ActVacate:
		return event(a.ID, "position vacant", fmt.Sprintf("position %d: %s", step.Position, step.Reason)), nil
	case ActOutOfService:
		leave(s, a.ID, now, step.Draining, step.Reason)
		a.OutOfService = true
		return event(a.ID, "amphora out of service", step.Reason), nil
	case ActHoldBack:
		a.StatusReason = step.Reason
		return event(a.ID, "replacement held back", step.Reason), nil
	}
	return lb.Outcome{}, fmt.Errorf("%s: is no change of rows", step.Name)
}

// leave takes an amphora's position away.
func leave(s *lb.ClusterState, id string, now time.Time, draining bool, reason string) {
	for i := range s.Amphorae {
		if a := &s.Amphorae[i]; a.ID == id {
			a.Position, a.StatusReason = lb.NoPosition, reason
			if draining && a.DrainingSince.IsZero() {
				a.DrainingSince = now
			}
		}
	}
}

func applyStatuses(s *lb.ClusterState, st Statuses, now time.Time) lb.Outcome {
	c := &s.Cluster
	var o lb.Outcome
	if c.OperatingStatus != st.Operating || c.ProvisioningStatus != st.Provisioning || c.StandbyReady != st.StandbyReady {
		o.Events = []lb.Event{{
			At: now, LoadBalancerID: s.LoadBalancer.ID, ObjectID: c.ID, Actor: "acm", Action: "cluster status",
			Reason: fmt.Sprintf("%s, %d of %d standbys ready", st.Operating, st.StandbyReady, c.StandbySize),
		}}
		o.Wakes = []lb.Wake{{Kind: lb.WorkWorker, Key: s.LoadBalancer.ID}}
	}
	c.OperatingStatus, c.ProvisioningStatus, c.StandbyReady = st.Operating, st.Provisioning, st.StandbyReady
	for i := range s.Amphorae {
		if v, ok := st.Tables[s.Amphorae[i].ID]; ok {
			s.Amphorae[i].AppliedTable = max(v, s.Amphorae[i].AppliedTable)
		}
	}
	return o
}
