package agent_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"colonnade/internal/distributor/agent"
	"colonnade/internal/distributor/ledger"
)

// rounds runs n rounds of probing on time, answered by those named, and returns the clock after them.
func rounds(l *agent.Liveness, now time.Time, n int, answer ...string) time.Time {
	for range n {
		seq := l.Tick(now)
		for _, id := range answer {
			l.Answer(id, seq)
		}
		now = now.Add(agent.ProbeInterval)
	}
	return now
}

func TestLiveness(t *testing.T) {
	start := time.Unix(1000, 0)
	const a, b = "a", "b"
	for _, c := range []struct {
		name string
		run  func(l *agent.Liveness, now time.Time)
		want ledger.Silence
	}{
		{"all answer", func(l *agent.Liveness, now time.Time) { rounds(l, now, 20, a, b) }, ledger.Silence{}},
		{"two unanswered", func(l *agent.Liveness, now time.Time) {
			now = rounds(l, now, 3, a, b)
			now = rounds(l, now, 2, a)
			l.Tick(now)
		}, ledger.Silence{}},
		{"three unanswered", func(l *agent.Liveness, now time.Time) {
			now = rounds(l, now, 3, a, b)
			now = rounds(l, now, 3, a)
			l.Tick(now)
		}, ledger.Silence{b: ledger.ReasonProbe}},
		{"one who never answered", func(l *agent.Liveness, now time.Time) { rounds(l, now, 4, a) }, ledger.Silence{b: ledger.ReasonProbe}},
		{"alive again", func(l *agent.Liveness, now time.Time) {
			now = rounds(l, now, 10, a)
			rounds(l, now, 1, a, b)
		}, ledger.Silence{}},
		{"a late answer to a probe from before does not revive", func(l *agent.Liveness, now time.Time) {
			var first uint64
			for i := range 6 {
				seq := l.Tick(now)
				l.Answer(a, seq)
				if i == 1 {
					first = seq
				}
				now = now.Add(agent.ProbeInterval)
			}
			l.Answer(b, first)
		}, ledger.Silence{b: ledger.ReasonProbe}},
		{"an answer to a probe that was never sent", func(l *agent.Liveness, now time.Time) {
			now = rounds(l, now, 5, a)
			l.Answer(b, 1<<40)
			rounds(l, now, 1, a)
		}, ledger.Silence{b: ledger.ReasonProbe}},
		{"its own word is taken at once", func(l *agent.Liveness, now time.Time) {
			rounds(l, now, 3, a, b)
			l.Down(b, 7)
		}, ledger.Silence{b: ledger.ReasonDown}},
		{"an answer from before its word does not revive", func(l *agent.Liveness, now time.Time) {
			rounds(l, now, 3, a)
			seq := l.Tick(now.Add(3 * agent.ProbeInterval))
			l.Down(b, 7)
			l.Answer(b, seq)
		}, ledger.Silence{b: ledger.ReasonDown}},
		{"up again after its word", func(l *agent.Liveness, now time.Time) {
			now = rounds(l, now, 3, a, b)
			l.Down(b, 7)
			rounds(l, now, 1, a, b)
		}, ledger.Silence{}},
		{"its word repeated by somebody else", func(l *agent.Liveness, now time.Time) {
			now = rounds(l, now, 3, a, b)
			l.Down(b, 7)
			rounds(l, now, 1, a, b)
			l.Down(b, 7)
		}, ledger.Silence{}},
		{"a stalled prober gives everybody a fresh deadline", func(l *agent.Liveness, now time.Time) {
			now = rounds(l, now, 3, a, b)
			now = rounds(l, now, 2) // both answers are still in the socket
			now = rounds(l, now.Add(time.Minute), 3)
			_ = now
		}, ledger.Silence{}},
		{"and then it counts", func(l *agent.Liveness, now time.Time) {
			now = rounds(l, now, 3, a, b)
			now = rounds(l, now.Add(time.Minute), 3, a)
			l.Tick(now)
		}, ledger.Silence{b: ledger.ReasonProbe}},
		{"a new table keeps what is known", func(l *agent.Liveness, now time.Time) {
			now = rounds(l, now, 5, a)
			l.Watch([]string{a, b, "c"})
			l.Tick(now)
		}, ledger.Silence{b: ledger.ReasonProbe}},
		{"who leaves the table is forgotten", func(l *agent.Liveness, now time.Time) {
			rounds(l, now, 5, a)
			l.Watch([]string{a})
			l.Watch([]string{a, b})
		}, ledger.Silence{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := agent.NewLiveness(100)
			l.Watch([]string{a, b})
			c.run(l, start)
			if diff := cmp.Diff(c.want, l.Silent()); diff != "" {
				t.Error(diff)
			}
		})
	}
}
