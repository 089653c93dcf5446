package health

import (
	"encoding/json"
	"maps"
	"slices"
	"time"

	"colonnade/internal/amphora"
	"colonnade/internal/distributor"
	"colonnade/internal/health/heartbeat"
	"colonnade/internal/lb"
)

// Timing of the failure detector.
const (
	// SilentAfter is how long no heartbeat may come: three of them are missed then. Traffic does not wait for this,
	// the distributor's own probes are faster; it is the witness of the management network (docs/ARCHITECTURE.md, the way of a failure).
	SilentAfter = 3 * time.Second
	// StallAfter is the longest gap between two looks of the detector that is not taken for a stall of its own.
	StallAfter = time.Second
	// lonely is how much longer silence must last when nobody at all is heard: then it may be our own ears. It ends,
	// because after a power failure everybody is gone indeed.
	lonely = 3
	// seenMargin is how much later another health role must have heard an instance for its word to count.
	seenMargin = 1500 * time.Millisecond
)

// View is the health role's picture of all instances, in memory. It is pure: time comes from outside. Not safe for
// concurrent use.
type View struct {
	instances map[string]*instance
	looked    time.Time // when Look was called last
}

// instance is one amphora or distributor.
type instance struct {
	lb.Subject
	guard    heartbeat.Guard
	health   lb.InstanceHealth
	before   lb.InstanceHealth // health before it became silent
	deadline time.Time         // when it becomes silent
	heard    bool              // in this process
	stats    []amphora.ListenerStats
	newStats bool
	newSeen  bool
}

// Change is a health row to be written and who has to be woken for it.
type Change struct {
	Health lb.InstanceHealth
	Wakes  []lb.Wake
	Reason string // constant, for the log
}

// NewView starts from what is stored. Everybody gets a fresh deadline: silence before our time says nothing.
func NewView(stored []lb.InstanceHealth, subjects []lb.Subject, now time.Time) *View {
	v := &View{instances: map[string]*instance{}, looked: now}
	v.SetSubjects(subjects, now)
	for _, h := range stored {
		if i, ok := v.instances[h.InstanceID]; ok {
			i.health = h
		}
	}
	return v
}

// SetSubjects replaces who is expected. Newcomers get a fresh deadline, but are silent only after a first heartbeat:
// until then they boot, and the cluster manager's boot deadline holds.
func (v *View) SetSubjects(subjects []lb.Subject, now time.Time) {
	kept := make(map[string]*instance, len(subjects))
	for _, s := range subjects {
		i, ok := v.instances[s.ID]
		if !ok || i.HeartbeatKey != s.HeartbeatKey {
			i = &instance{deadline: now.Add(SilentAfter)}
		}
		i.Subject = s
		kept[s.ID] = i
	}
	v.instances = kept
}

// Key is the heartbeat key of an instance in hex; "" when it is not known.
func (v *View) Key(kind, id string) string {
	if i, ok := v.instances[id]; ok && i.Kind == kind {
		return i.HeartbeatKey
	}
	return ""
}

// Hear takes one heartbeat, whose signature has been checked. ok is false for a replay; change is nil when it says
// nothing new.
func (v *View) Hear(b heartbeat.Beat, now time.Time) (change *Change, ok bool) {
	i, known := v.instances[b.ID]
	if !known || i.Kind != b.Kind || !i.guard.Accept(b) {
		return nil, false
	}
	before := i.health
	i.heard, i.newSeen, i.deadline = true, true, now.Add(SilentAfter)
	i.health.InstanceID, i.health.Kind, i.health.LastSeen, i.health.BootID = b.ID, b.Kind, now, b.BootID
	state := lb.HealthAlive
	var text string
	var wakes []lb.Wake
	if b.Amphora != nil {
		report := amphoraReport(*b.Amphora, b.Truncated)
		text = encode(report)
		if b.Amphora.HAProxy == "down" {
			state = lb.HealthDown
		}
		i.stats, i.newStats = b.Amphora.Listeners, true
		wakes = amphoraWakes(i, before, report, state, b.BootID)
	} else {
		report := distributorReport(*b.Distributor, b.Truncated)
		text = encode(report)
		wakes = distributorWakes(i, before, report, b.BootID)
	}
	if state != before.State {
		i.health.State, i.health.Since = state, now
	}
	i.health.Report = text
	if state == before.State && text == before.Report && b.BootID == before.BootID {
		return nil, true
	}
	reason := "report changed"
	switch {
	case before.State == "":
		reason = "first heartbeat"
	case before.BootID != b.BootID:
		reason = "booted anew"
	case state != before.State:
		reason = "now " + state
	}
	return &Change{Health: i.health, Wakes: wakes, Reason: reason}, true
}

// Look finds who has become silent. It is to be called several times a second; when it was not, because this process
// was stalled itself, heartbeats may lie unread: everybody gets a fresh deadline instead.
func (v *View) Look(now time.Time) []Change {
	stalled := now.Sub(v.looked) > StallAfter
	v.looked = now
	grace := (lonely - 1) * SilentAfter
	for _, i := range v.instances {
		if i.heard && i.deadline.After(now) || len(v.instances) < 2 {
			grace = 0
		}
	}
	var changes []Change
	for _, id := range slices.Sorted(maps.Keys(v.instances)) {
		i := v.instances[id]
		if stalled {
			i.deadline = now.Add(SilentAfter)
			continue
		}
		if i.health.State == "" || i.health.State == lb.HealthSilent || i.deadline.Add(grace).After(now) {
			continue
		}
		i.before = i.health
		i.health.State, i.health.Since = lb.HealthSilent, now
		changes = append(changes, Change{Health: i.health, Wakes: i.wakeManagers(), Reason: "now " + lb.HealthSilent})
	}
	return changes
}

// HeardElsewhere takes a silence back when another health role has heard the instance after us, and gives it until that
// role's next batch of last-seen times.
func (v *View) HeardElsewhere(id string, seen, now time.Time) bool {
	i, ok := v.instances[id]
	if !ok || i.health.State != lb.HealthSilent || seen.Before(i.health.LastSeen.Add(seenMargin)) || now.Sub(seen) > batchEvery+SilentAfter {
		return false
	}
	i.health = i.before
	i.deadline = seen.Add(batchEvery + SilentAfter)
	return true
}

// Seen returns, for the coarse last-seen times, who has been heard since the last call.
func (v *View) Seen() []lb.InstanceHealth {
	var seen []lb.InstanceHealth
	for _, i := range v.instances {
		if i.newSeen {
			seen = append(seen, i.health)
			i.newSeen = false
		}
	}
	return seen
}

// Statistics returns the listener counters that came since the last call, by amphora id.
func (v *View) Statistics() map[string][]amphora.ListenerStats {
	stats := map[string][]amphora.ListenerStats{}
	for id, i := range v.instances {
		if i.newStats && len(i.stats) > 0 {
			stats[id] = i.stats
		}
		i.newStats = false
	}
	return stats
}

// wakeManagers wakes the cluster managers, and the distributor's reconciler, that a change of liveness concerns.
func (i *instance) wakeManagers() []lb.Wake {
	var wakes []lb.Wake
	if i.Kind == heartbeat.KindDistributor {
		wakes = append(wakes, lb.Wake{Kind: lb.WorkDistributor, Key: i.ID})
	}
	for _, id := range i.LoadBalancers {
		wakes = append(wakes, lb.Wake{Kind: lb.WorkACM, Key: id})
	}
	return wakes
}

func (i *instance) wakeWorkers() []lb.Wake {
	var wakes []lb.Wake
	for _, id := range i.LoadBalancers {
		wakes = append(wakes, lb.Wake{Kind: lb.WorkWorker, Key: id})
	}
	return wakes
}

// amphoraWakes decides who has to look at what changed: the manager at liveness, tables and drained connections, the
// worker at what members and listeners do.
func amphoraWakes(i *instance, before lb.InstanceHealth, report AmphoraReport, state, bootID string) []lb.Wake {
	old, err := DecodeAmphoraReport(before.Report)
	if err != nil {
		old = AmphoraReport{} // written by another version: everything counts as new
	}
	var wakes []lb.Wake
	if before.State != state || before.BootID != bootID || old.TableApplied != report.TableApplied || old.Holding != report.Holding {
		wakes = append(wakes, i.wakeManagers()...)
	}
	if before.State == "" {
		return wakes // its manager makes it ready first, and wakes the worker then
	}
	if before.State != state || before.BootID != bootID || !maps.Equal(old.Members, report.Members) || !maps.Equal(old.Listeners, report.Listeners) || old.HAProxy != report.HAProxy {
		wakes = append(wakes, i.wakeWorkers()...)
	}
	return wakes
}

// distributorWakes wakes the managers of those load balancers that the distributor says something new about.
func distributorWakes(i *instance, before lb.InstanceHealth, report DistributorReport, bootID string) []lb.Wake {
	if before.State != lb.HealthAlive || before.BootID != bootID {
		return i.wakeManagers()
	}
	old, err := DecodeDistributorReport(before.Report)
	if err != nil {
		return i.wakeManagers()
	}
	var wakes []lb.Wake
	for _, id := range i.LoadBalancers {
		was, is := old.LoadBalancers[id], report.LoadBalancers[id]
		missing := false
		if _, ok := report.LoadBalancers[id]; !ok && report.Truncated {
			missing = true // left out, not gone
		}
		if !missing && encode(was) != encode(is) {
			wakes = append(wakes, lb.Wake{Kind: lb.WorkACM, Key: id})
		}
	}
	return wakes
}

func amphoraReport(s amphora.Status, truncated bool) AmphoraReport {
	r := AmphoraReport{
		HAProxy: s.HAProxy, DocumentApplied: s.DocumentApplied, TableApplied: s.TableApplied, Holding: s.HeldElsewhere > 0,
		Members: s.Members, Truncated: truncated,
	}
	for _, l := range s.Listeners {
		if r.Listeners == nil {
			r.Listeners = map[string]bool{}
		}
		r.Listeners[l.ListenerID] = l.Full
	}
	return r
}

func distributorReport(s distributor.Status, truncated bool) DistributorReport {
	r := DistributorReport{Dataplane: s.Dataplane, Truncated: truncated}
	for _, l := range s.LoadBalancers {
		if r.LoadBalancers == nil {
			r.LoadBalancers = map[string]LBReport{}
		}
		r.LoadBalancers[l.LBID] = LBReport{
			VIPApplied: l.VIPApplied, TableApplied: l.TableApplied, TableVersion: l.TableVersion, Swaps: l.Swaps, Silent: slices.Sorted(slices.Values(l.Silent)),
		}
	}
	return r
}

// encode writes a report; equal reports give equal text, because maps are written in the order of their keys.
func encode(report any) string {
	text, _ := json.Marshal(report) // plain structs of ours always can be
	return string(text)
}
