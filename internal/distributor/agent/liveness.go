package agent

import (
	"time"

	"colonnade/internal/distributor/ledger"
)

// The probing rhythm: three unanswered in a row make an amphora silent after about 150 ms.
const (
	ProbeInterval = 50 * time.Millisecond
	MaxUnanswered = 3
)

// Liveness keeps who answers probes. It does no I/O and reads no clock; one goroutine uses it.
type Liveness struct {
	seq      uint64 // number of the last probe
	due      time.Time
	subjects map[string]*subject // by amphora id
}

type subject struct {
	answered uint64 // the last probe that was answered, or the one from which on answers are expected
	alive    uint64 // only an answer to a later probe than this ends its silence
	reason   string // "" while it is not silent
	lastDown uint64 // sequence of its last down frame: an older one is a replay
}

// NewLiveness starts counting probes after seq. It must be higher than any used before with the same key, so that old
// answers are worth nothing.
func NewLiveness(seq uint64) *Liveness {
	return &Liveness{seq: seq, subjects: map[string]*subject{}}
}

// Watch replaces the set of probed amphorae; those already watched keep what is known of them, new ones have a fresh
// deadline.
func (l *Liveness) Watch(ids []string) {
	next := make(map[string]*subject, len(ids))
	for _, id := range ids {
		if s, ok := l.subjects[id]; ok {
			next[id] = s
		} else {
			next[id] = &subject{answered: l.seq}
		}
	}
	l.subjects = next
}

// Tick begins a round: it judges the rounds before and returns the number of the probe to send now. A round that comes
// later than one interval was held up by ourselves, not by the amphorae: everybody then has a fresh deadline.
func (l *Liveness) Tick(now time.Time) (seq uint64) {
	stalled := !l.due.IsZero() && now.Sub(l.due) > ProbeInterval
	l.due = now.Add(ProbeInterval)
	for _, s := range l.subjects {
		if stalled {
			s.answered = l.seq
		}
		if s.reason == "" && l.seq-s.answered >= MaxUnanswered {
			s.reason, s.alive = ledger.ReasonProbe, l.seq
		}
	}
	l.seq++
	return l.seq
}

// Answer takes an answer to probe seq. An amphora that was silent is alive again for reports; no swap is undone.
func (l *Liveness) Answer(id string, seq uint64) (changed bool) {
	s, ok := l.subjects[id]
	if !ok || seq <= s.answered || seq > l.seq {
		return false
	}
	s.answered = seq
	if s.reason == "" || seq <= s.alive {
		return false
	}
	s.reason = ""
	return true
}

// Down takes an amphora's own word that it cannot serve: it is silent at once, and answers to probes sent before do not
// count any more. number is the frame's sequence; one that does not rise is a replay.
func (l *Liveness) Down(id string, number uint64) (changed bool) {
	s, ok := l.subjects[id]
	if !ok || number <= s.lastDown {
		return false
	}
	s.lastDown, s.alive = number, l.seq
	changed = s.reason != ledger.ReasonDown
	s.reason = ledger.ReasonDown
	return changed
}

// Silent returns who is silent, and why.
func (l *Liveness) Silent() ledger.Silence {
	out := ledger.Silence{}
	for id, s := range l.subjects {
		if s.reason != "" {
			out[id] = s.reason
		}
	}
	return out
}
