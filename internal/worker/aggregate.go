package worker

import (
	"slices"
	"strings"

	"colonnade/internal/health"
	"colonnade/internal/lb"
)

// View is what operating statuses are computed from: the reports of all amphorae that serve, and the cluster's own
// status. Nothing depends on which amphora spoke last.
type View struct {
	Reports []health.AmphoraReport // of amphorae that hold a position and live
	Cluster lb.OperatingStatus
	// Revision is the configuration that the tree shows. A report of an older one knows nothing of new listeners.
	Revision int64
	// Created is false until the load balancer has served for the first time: until then everything is OFFLINE.
	Created bool
}

// Operate sets every operating status of the tree (Octavia's rules for one amphora, made for many):
//
//   - A member is what most of the amphorae that check it say; as many DOWN as UP is ERROR. A disabled one is OFFLINE, one
//     that no amphora reports is OFFLINE unless nothing checks it. With weight 0 it is DRAINING.
//   - A pool that no listener uses, or a disabled one, is OFFLINE. It is ERROR when all its enabled members are, DEGRADED
//     when one is or when one amphora does not reach one, else ONLINE.
//   - A listener is DEGRADED when one amphora runs it at its limit or does not run it, ERROR when none runs it. Amphorae
//     that have not said that they run the present configuration do not count; if all are so, it stays as it was.
//   - The load balancer is ERROR when its cluster is DOWN, a pool in use is ERROR or a listener is; DEGRADED when any of
//     these is DEGRADED or one has a member in ERROR; else ONLINE.
//   - What is switched off is OFFLINE, and so is all below a load balancer that is.
func Operate(t *lb.Tree, v View) {
	l := &t.LoadBalancer
	if !v.Created || !l.Enabled {
		offline(t)
		return
	}
	worst := lb.Online
	worse := func(s lb.OperatingStatus) {
		if s == lb.OperatingErr || s == lb.Degraded && worst == lb.Online {
			worst = s
		}
	}
	used := map[string]bool{}
	for i := range t.Listeners {
		li := &t.Listeners[i]
		li.OperatingStatus = listenerStatus(*li, v)
		worse(li.OperatingStatus)
		if li.Enabled {
			for _, id := range li.PoolIDs() {
				used[id] = true
			}
		}
	}
	for i := range t.Pools {
		p := &t.Pools[i]
		inUse := used[p.ID] && p.Enabled && p.ProvisioningStatus != lb.Error
		p.OperatingStatus = poolStatus(p, v, inUse)
		worse(p.OperatingStatus)
	}
	switch v.Cluster {
	case lb.OperatingDown, lb.Offline:
		worst = lb.OperatingErr
	case lb.Degraded:
		worse(lb.Degraded)
	}
	l.OperatingStatus = worst
}

func offline(t *lb.Tree) {
	t.LoadBalancer.OperatingStatus = lb.Offline
	for i := range t.Listeners {
		t.Listeners[i].OperatingStatus = lb.Offline
	}
	for i := range t.Pools {
		t.Pools[i].OperatingStatus = lb.Offline
		for j := range t.Pools[i].Members {
			if m := &t.Pools[i].Members[j]; m.OperatingStatus != lb.NoMonitor {
				m.OperatingStatus = lb.Offline
			}
		}
	}
}

func listenerStatus(l lb.Listener, v View) lb.OperatingStatus {
	if !l.Enabled || l.ProvisioningStatus == lb.PendingCreate {
		return lb.Offline
	}
	running, missing, full := 0, 0, false
	for _, r := range v.Reports {
		if at, ok := r.Listeners[l.ID]; ok {
			running++
			full = full || at
		} else if r.DocumentApplied.Revision >= v.Revision {
			missing++
		}
	}
	switch {
	case running == 0 && missing == 0 && len(v.Reports) > 0:
		return l.OperatingStatus // nobody has had time to say
	case running == 0:
		return lb.OperatingErr
	case full || missing > 0:
		return lb.Degraded
	}
	return lb.Online
}

// poolStatus sets the members' statuses and returns the pool's.
func poolStatus(p *lb.Pool, v View, inUse bool) lb.OperatingStatus {
	enabled, failed, unreached := 0, 0, false
	for i := range p.Members {
		m := &p.Members[i]
		status, mixed := memberStatus(*m, p.HealthMonitor, v, inUse)
		m.OperatingStatus = status
		if !m.Enabled || m.ProvisioningStatus == lb.Error {
			continue
		}
		enabled++
		unreached = unreached || mixed
		if status == lb.OperatingErr {
			failed++
		}
	}
	switch {
	case !inUse:
		return lb.Offline
	case enabled > 0 && failed == enabled:
		return lb.OperatingErr
	case failed > 0 || unreached:
		return lb.Degraded
	}
	return lb.Online
}

// memberStatus is a member's status, and whether amphorae disagree about it.
func memberStatus(m lb.Member, monitor *lb.HealthMonitor, v View, inUse bool) (status lb.OperatingStatus, mixed bool) {
	checked := monitor != nil && monitor.Enabled && monitor.ProvisioningStatus != lb.PendingDelete
	switch {
	case !m.Enabled:
		return lb.Offline, false
	case !inUse && !checked:
		return lb.NoMonitor, false
	case !inUse:
		return lb.Offline, false
	}
	counts := map[lb.OperatingStatus]int{}
	truncated := false
	for _, r := range v.Reports {
		state, ok := r.Members[m.ID]
		truncated = truncated || !ok && r.Truncated
		if ok {
			counts[memberState(state)]++
		}
	}
	up, down := counts[lb.Online], counts[lb.OperatingErr]
	switch {
	case up+down > 0 && down >= up:
		return lb.OperatingErr, up > 0
	case up > 0 && m.Weight == 0:
		return lb.Draining, down > 0
	case up > 0:
		return lb.Online, down > 0
	case counts[lb.Draining] > 0:
		return lb.Draining, false
	case counts[lb.NoMonitor] > 0:
		return lb.NoMonitor, false
	case truncated:
		return m.OperatingStatus, false // not known, so not changed
	case !checked && m.OperatingStatus == lb.NoMonitor:
		return lb.NoMonitor, false
	}
	return lb.Offline, false
}

// memberState translates HAProxy's word, which may be followed by a count ("UP 1/3").
func memberState(s string) lb.OperatingStatus {
	word, _, _ := strings.Cut(s, " ")
	switch {
	case s == "no check":
		return lb.NoMonitor
	case word == "UP":
		return lb.Online
	case word == "DOWN":
		return lb.OperatingErr
	case word == "DRAIN":
		return lb.Draining
	}
	return lb.Offline // MAINT and what HAProxy says while it does not know yet
}

// viewOf reads the reports of the amphorae that serve.
func viewOf(s lb.ClusterState) View {
	v := View{Cluster: s.Cluster.OperatingStatus, Revision: s.LoadBalancer.Revision, Created: s.Cluster.ProvisioningStatus == lb.Active}
	for _, a := range s.Amphorae {
		h := s.Health[a.ID]
		if !serves(a) || h.State != lb.HealthAlive {
			continue
		}
		if r, err := health.DecodeAmphoraReport(h.Report); err == nil {
			v.Reports = append(v.Reports, r)
		}
	}
	return v
}

// serves reports whether an amphora holds a position and may be sent traffic.
func serves(a lb.Amphora) bool {
	return a.Position >= 0 && a.Status == lb.AmphoraAllocated && !a.OutOfService
}

// takesDocument reports whether an amphora is to run the load balancer's document.
func takesDocument(a lb.Amphora) bool {
	return slices.Contains([]lb.AmphoraStatus{lb.AmphoraReady, lb.AmphoraAllocated}, a.Status) && !a.OutOfService
}
