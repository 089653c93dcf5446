package cluster

import (
	"slices"
	"time"

	"colonnade/internal/distributor"
	"colonnade/internal/lb"
)

// resync is when a settled cluster is looked at again though nothing happened: the net under lost wakes.
const resync = 5 * time.Minute

// drainLook is how often a draining amphora is asked when no heartbeat says that it is done.
const drainLook = 5 * time.Second

// tidyLook is the same for a holder that stands on owner lists beside its position.
const tidyLook = 30 * time.Second

// countFor is how long the guard against mass failure waits for what is said of other amphorae before it lets one that
// seems dead be deleted: distributors say at once what they see, and what they say has to be written. Nobody waits for a
// deletion.
const countFor = 2 * time.Second

// MakePlan decides what to do next for the cluster of type "fixed": N positions and standby_size standbys. It is pure.
// A plan changes either rows or reality; the actor runs it and asks again, until nothing is left to do.
func MakePlan(spec Spec, ob Observed, now time.Time) (Plan, error) {
	p := &planner{spec: spec, ob: ob, now: now, again: resync}
	// A deletion that took too long shows ERROR and goes on: nothing is built up again.
	if ob.LoadBalancer.ProvisioningStatus == lb.PendingDelete || ob.Cluster.ProvisioningStatus == lb.PendingDelete {
		p.dismantle()
	} else if err := p.keep(); err != nil {
		return Plan{}, err
	}
	if len(p.rows) > 0 {
		return Plan{Rows: p.rows}, nil
	}
	return Plan{Reality: p.reality, Again: p.again}, nil
}

type planner struct {
	spec    Spec
	ob      Observed
	now     time.Time
	rows    []Step
	reality []Step
	again   time.Duration

	in       Install // the table in force or being installed
	hasTable bool
	verdicts map[string]verdict
}

// keep brings the cluster to its size and keeps it there.
func (p *planner) keep() error {
	c := p.ob.Cluster
	if c.DistributorID == "" {
		p.row(Step{Act: Act{Name: ActAssign}})
	}
	var err error
	if p.in, p.hasTable, err = DecodeInstall(c.Table); err != nil {
		return err
	}
	p.life()
	p.weigh()
	if err := p.decideTable(); err != nil {
		return err
	}
	p.create()
	if len(p.rows) > 0 {
		return nil
	}
	p.act()
	if len(p.reality) == 0 {
		p.settle()
	}
	if len(p.reality) == 0 && len(p.rows) == 0 {
		p.renew()
	}
	return nil
}

// life moves amphorae that are being built along.
func (p *planner) life() {
	for _, a := range p.ob.ClusterState.Amphorae {
		if a.Status != lb.AmphoraBooting {
			continue
		}
		f := p.ob.Amphorae[a.ID]
		switch {
		case f.Alive:
			p.row(Step{Act: Act{ActMarkReady, a.ID}})
		case !a.BootDeadline.After(p.now):
			p.row(Step{Act: Act{ActBootFailed, a.ID}, Reason: "not heard before its boot deadline"})
		default:
			p.lookAt(a.BootDeadline)
		}
	}
}

// weigh judges every amphora that has been heard once.
func (p *planner) weigh() {
	p.verdicts = map[string]verdict{}
	for _, a := range p.ob.ClusterState.Amphorae {
		if a.Status != lb.AmphoraReady && a.Status != lb.AmphoraAllocated {
			continue
		}
		f := p.ob.Amphorae[a.ID]
		p.verdicts[a.ID] = judge(a, f, p.probed(a, f))
		if p.verdicts[a.ID] == suspect && !f.SuspectSince.IsZero() {
			p.lookAt(f.SuspectSince.Add(p.spec.SuspectAfter))
		}
	}
}

// probed reports whether the distributor would say so if the amphora were silent. One whose table is older may not know
// the amphora yet; if it did, it would have spoken before a suspect's time is over.
func (p *planner) probed(a lb.Amphora, f Facts) bool {
	v := p.ob.Distributor
	if !p.hasTable || v.Table == 0 || !p.named(a.ID) {
		return false
	}
	return v.Table == p.in.Version || f.SuspectSince.IsZero() || f.SuspectSince.Add(p.spec.SuspectAfter).After(p.now)
}

// create adds rows for amphorae that are missing. Who is to be replaced counts while it holds a position, not as a
// standby: its successor has to come from elsewhere. Under the guard nothing is built beyond the cluster's size.
func (p *planner) create() {
	want, good := p.positions()+p.standbys(), 0
	for _, a := range p.ob.ClusterState.Amphorae {
		if !going(a) && !a.OutOfService && a.DrainingSince.IsZero() && (a.Position >= 0 || !p.replacing(a)) {
			good++
		}
	}
	// Rows that other steps of this plan take out of service are counted in the next one.
	if len(p.rows) > 0 && p.hasTable {
		return
	}
	if p.ob.Fleet.suspicious() && len(p.ob.ClusterState.Amphorae) >= want {
		return
	}
	for range want - good {
		p.row(Step{Act: Act{Name: ActCreateAmphora}, Reason: "the cluster is short of amphorae"})
	}
}

// positions is how many positions have to be held: those of the size there is to be, and before the cluster may shrink,
// those that it has.
func (p *planner) positions() int {
	have := p.in.Current.Holders
	if n := p.size(); !p.hasTable || len(have) <= n || !slices.Contains(have[:n], distributor.Vacant) {
		return n
	}
	return len(have)
}

// standbys is how many standbys there have to be: a planned replacement needs one also in a cluster that keeps none.
func (p *planner) standbys() int {
	n := p.ob.Cluster.StandbySize
	if n == 0 && slices.ContainsFunc(p.ob.ClusterState.Amphorae, func(a lb.Amphora) bool { return a.Position >= 0 && p.replacing(a) }) {
		return 1
	}
	return n
}

// act plans what changes reality. What moves traffic comes first and alone: a failure waits for no build.
func (p *planner) act() {
	if p.installing() {
		return
	}
	v := p.ob.Distributor
	if v.Ready && !v.Plugged {
		p.do(Step{Act: Act{Name: ActPlugVIP}})
	}
	for _, a := range p.ob.ClusterState.Amphorae {
		switch {
		case a.Status == lb.AmphoraPendingCreate:
			p.do(Step{Act: Act{ActBuild, a.ID}})
		case a.Status == lb.AmphoraPendingDelete && p.mayDelete(a):
			p.do(Step{Act: Act{ActDelete, a.ID}})
		}
	}
}

// mayDelete holds back the deletion of an amphora that somebody may still send frames to: the table does not name it,
// the distributor has that table, and so have the amphorae in service unless the one to go is dead. A distributor that
// is away itself sends nothing to anybody.
func (p *planner) mayDelete(a lb.Amphora) bool {
	if !p.hasTable || a.FrontEndMAC == "" {
		return true
	}
	if p.named(a.ID) {
		return false
	}
	if p.ob.Distributor.Ready && p.ob.Distributor.Table != p.in.Version {
		return p.ob.Distributor.Table == 0 && !p.ob.Distributor.Plugged
	}
	return a.DrainingSince.IsZero() || len(p.behind()) == 0
}

// installing plans the next step of bringing the table to everybody, if there is one that can be done.
func (p *planner) installing() bool {
	if !p.hasTable {
		return false
	}
	v := p.ob.Distributor
	behind := p.behind()
	pushed := false
	push := func() {
		for _, id := range append(behind, p.leaving()...) {
			pushed = p.do(Step{Act: Act{ActPushTable, id}}) || pushed
		}
	}
	register := func() bool {
		return v.Ready && v.Plugged && v.Table != p.in.Version && p.do(Step{Act: Act{Name: ActRegister}})
	}
	if p.in.Change == Removing {
		if register() {
			return true
		}
		if v.Table == p.in.Version || !v.Ready {
			push()
		}
		return pushed
	}
	if push(); pushed {
		return true
	}
	if p.in.Change == Adding && len(behind) > 0 {
		p.lookAt(p.now.Add(time.Second))
		return false
	}
	// A failing change waits for nobody: who was asked and did not answer is the next to be judged.
	return register()
}

// behind lists the amphorae in service that the table names and that are not known to have it.
func (p *planner) behind() []string {
	var ids []string
	for _, a := range p.ob.ClusterState.Amphorae {
		if p.named(a.ID) && !going(a) && !a.OutOfService && p.ob.Amphorae[a.ID].Table < p.in.Version && p.verdicts[a.ID] != dead {
			ids = append(ids, a.ID)
		}
	}
	return ids
}

// leaving lists the amphorae out of service that the table still names and that answer: they count what they hold by
// its rows. Nobody waits for them.
func (p *planner) leaving() []string {
	var ids []string
	for _, a := range p.ob.ClusterState.Amphorae {
		if f := p.ob.Amphorae[a.ID]; a.OutOfService && !going(a) && p.named(a.ID) && f.Asked && f.Reachable && f.Table < p.in.Version {
			ids = append(ids, a.ID)
		}
	}
	return ids
}

// installed reports whether the table in the row is where it belongs: only then is it changed without need.
func (p *planner) installed() bool {
	return p.hasTable && p.ob.Distributor.Ready && p.ob.Distributor.Table == p.in.Version && len(p.behind()) == 0
}

// dismantle takes the cluster down: distributor first, then the amphorae, rows last.
func (p *planner) dismantle() {
	c := p.ob.Cluster
	for _, a := range p.ob.ClusterState.Amphorae {
		if a.Status != lb.AmphoraPendingDelete || c.ProvisioningStatus != lb.PendingDelete {
			p.row(Step{Act: Act{Name: ActRetire}})
			return
		}
	}
	if c.DistributorID != "" {
		d := p.ob.ClusterState.Distributor
		if d != nil && d.ComputeID != "" && c.DistributorPortID != "" && !p.ob.Failed[Act{Name: actUnplugged}] {
			p.do(Step{Act: Act{Name: ActUnplugVIP}})
			return
		}
		p.row(Step{Act: Act{Name: ActRelease}})
		return
	}
	for _, a := range p.ob.ClusterState.Amphorae {
		p.do(Step{Act: Act{ActDelete, a.ID}})
	}
	if len(p.ob.ClusterState.Amphorae) == 0 && !p.ob.Failed[Act{Name: ActWakeWorker}] {
		p.row(Step{Act: Act{Name: ActWakeWorker}})
	}
	p.again = resync
}

// actUnplugged stands in Observed.Failed for an unplugging that was done: nothing else remembers it before the release.
const actUnplugged ActName = "unplugged"

// settle plans the statuses when they differ from the rows', and the end of a planned failover.
func (p *planner) settle() {
	c := p.ob.Cluster
	if !c.FailoverRequestedAt.IsZero() && !slices.ContainsFunc(p.ob.ClusterState.Amphorae, func(a lb.Amphora) bool {
		return p.replacing(a) && !going(a) && !a.OutOfService && a.DrainingSince.IsZero()
	}) {
		p.row(Step{Act: Act{Name: ActFailoverDone}})
	}
	st := p.statuses()
	differs := st.Operating != c.OperatingStatus || st.Provisioning != c.ProvisioningStatus || st.StandbyReady != c.StandbyReady
	for _, a := range p.ob.ClusterState.Amphorae {
		differs = differs || st.Tables[a.ID] > a.AppliedTable
	}
	if differs {
		p.row(Step{Act: Act{Name: ActSetStatuses}, Statuses: &st})
	}
}

func (p *planner) row(s Step) { p.rows = append(p.rows, s) }

// do plans an act unless this run has tried it in vain.
func (p *planner) do(s Step) bool {
	if p.ob.Failed[s.Act] {
		return false
	}
	p.reality = append(p.reality, s)
	return true
}

func (p *planner) lookAt(t time.Time) {
	p.again = min(p.again, max(t.Sub(p.now), time.Millisecond))
}

func (p *planner) amphora(id string) *lb.Amphora {
	for i := range p.ob.ClusterState.Amphorae {
		if p.ob.ClusterState.Amphorae[i].ID == id {
			return &p.ob.ClusterState.Amphorae[i]
		}
	}
	return nil
}

func (p *planner) named(id string) bool { return names(p.in.Table, id) }

func names(t distributor.Table, id string) bool {
	return slices.ContainsFunc(t.Holders, func(h distributor.Holder) bool { return h.AmphoraID == id })
}

// going reports whether an amphora is on its way out for good.
func going(a lb.Amphora) bool {
	return a.Status == lb.AmphoraPendingDelete || a.Status == lb.AmphoraDeleted || a.Status == lb.AmphoraError
}

// replacing reports whether somebody asked for this amphora to be replaced, by itself or with its load balancer.
func (p *planner) replacing(a lb.Amphora) bool {
	return !a.FailoverRequestedAt.IsZero() || !p.ob.Cluster.FailoverRequestedAt.IsZero() && a.CreatedAt.Before(p.ob.Cluster.FailoverRequestedAt)
}
