package haproxy

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"

	"colonnade/internal/amphora"
)

const totalsFile = "totals"

// sample is what one worker counts.
type sample struct {
	Listeners map[string]amphora.ListenerStats
	Members   map[string]string
}

// parseStat reads "show stat". Members that several listeners use show their worst state.
func parseStat(shown string) (sample, error) {
	s := sample{Listeners: map[string]amphora.ListenerStats{}, Members: map[string]string{}}
	r := csv.NewReader(strings.NewReader(strings.TrimPrefix(strings.TrimSpace(shown), "# ")))
	r.FieldsPerRecord = -1
	rows, err := r.ReadAll()
	if err != nil || len(rows) == 0 {
		return s, fmt.Errorf("read haproxy statistics: %d rows, %w", len(rows), err)
	}
	column := map[string]int{}
	for i, name := range rows[0] {
		column[name] = i
	}
	for _, row := range rows[1:] {
		text := func(name string) string {
			if i, ok := column[name]; ok && i < len(row) {
				return row[i]
			}
			return ""
		}
		number := func(name string) uint64 {
			n, _ := strconv.ParseUint(text(name), 10, 64) // empty where it does not apply
			return n
		}
		switch name := text("svname"); {
		case name == "FRONTEND" && uuidGrammar.MatchString(text("pxname")):
			s.Listeners[text("pxname")] = amphora.ListenerStats{
				ListenerID: text("pxname"), BytesIn: number("bin"), BytesOut: number("bout"),
				ActiveConnections: number("scur"), TotalConnections: number("stot"), RequestErrors: number("ereq"),
				Full: number("slim") > 0 && number("scur") >= number("slim"),
			}
		case uuidGrammar.MatchString(name):
			s.Members[name] = worse(s.Members[name], memberState(text("status")))
		}
	}
	return s, nil
}

// memberState drops what a state has beside its name ("UP 1/3", "MAINT (via …)"), and HAProxy's word for a member that
// waits for its first connections to end.
func memberState(status string) string {
	if status == "no check" {
		return status
	}
	word, _, _ := strings.Cut(status, " ")
	if word == "NOLB" {
		return "DRAIN"
	}
	return word
}

func worse(a, b string) string {
	order := []string{"", "no check", "UP", "DRAIN", "MAINT", "DOWN"}
	if slices.Index(order, a) > slices.Index(order, b) {
		return a
	}
	return b
}

// totals add up the counters of workers past and present, so that what is told never goes back, whatever ends.
type totals struct {
	mu sync.Mutex
	// Past holds the last counters of workers that ended.
	Past map[string]amphora.ListenerStats `json:"past"`
	// Present holds those of living ones, by process.
	Present map[string]map[string]amphora.ListenerStats `json:"present"`
}

func (t *totals) load(path string) {
	if raw, err := os.ReadFile(path); err == nil {
		_ = json.Unmarshal(raw, t) // counting starts anew then
	}
	if t.Past == nil {
		t.Past = map[string]amphora.ListenerStats{}
	}
	if t.Present == nil {
		t.Present = map[string]map[string]amphora.ListenerStats{}
	}
}

// take notes what the living workers count and adds those to the past that live no more; changed says that the set of
// workers has changed, which is when it has to be written down.
func (t *totals) take(living map[string]map[string]amphora.ListenerStats) (changed bool) {
	for worker, last := range t.Present {
		if _, lives := living[worker]; lives {
			continue
		}
		changed = true
		for id, s := range last {
			t.Past[id] = add(t.Past[id], s)
		}
	}
	for worker := range living {
		if _, known := t.Present[worker]; !known {
			changed = true
		}
	}
	t.Present = living
	return changed
}

// sum is what is told: everything ever counted, connections of the living.
func (t *totals) sum(listeners []amphora.Listener) []amphora.ListenerStats {
	var out []amphora.ListenerStats
	for _, l := range listeners {
		s := t.Past[l.ID]
		s.ActiveConnections, s.Full = 0, false
		for _, worker := range slices.Sorted(maps.Keys(t.Present)) {
			s = add(s, t.Present[worker][l.ID])
		}
		s.ListenerID = l.ID
		out = append(out, s)
	}
	return out
}

func add(a, b amphora.ListenerStats) amphora.ListenerStats {
	return amphora.ListenerStats{
		ListenerID: b.ListenerID, Full: a.Full || b.Full,
		BytesIn: a.BytesIn + b.BytesIn, BytesOut: a.BytesOut + b.BytesOut,
		ActiveConnections: a.ActiveConnections + b.ActiveConnections,
		TotalConnections:  a.TotalConnections + b.TotalConnections,
		RequestErrors:     a.RequestErrors + b.RequestErrors,
	}
}

// Observation is what HAProxy counts and sees.
type Observation struct {
	Listeners []amphora.ListenerStats
	Members   map[string]string
	// Newest is how many connections the worker that listens has, the former ones' left out.
	Newest uint64
}

// Observe asks every worker, those that only finish their connections included.
func (b *Balancer) Observe(ctx context.Context) (Observation, error) {
	b.totals.mu.Lock()
	defer b.totals.mu.Unlock()
	b.trimLog()
	b.mu.Lock()
	running, listeners := b.running, b.document.Listeners
	b.mu.Unlock()
	o := Observation{Members: map[string]string{}}
	living := map[string]map[string]amphora.ListenerStats{}
	if running != nil {
		ps, err := b.ctl.processes(ctx)
		if err != nil {
			return Observation{}, err
		}
		for _, pid := range append([]int{ps.current}, ps.former...) {
			start, err := startOf(pid)
			if err != nil {
				continue // ended meanwhile
			}
			worker := fmt.Sprintf("%d-%d", pid, start)
			shown, err := b.ctl.ask(ctx, masterSocket, fmt.Sprintf("@!%d show stat", pid))
			var s sample
			if err == nil {
				s, err = parseStat(shown)
			}
			if err != nil {
				if last, known := b.totals.Present[worker]; known {
					living[worker] = last
				}
				continue
			}
			living[worker] = s.Listeners
			if pid == ps.current {
				o.Members = s.Members
				for _, l := range s.Listeners {
					o.Newest += l.ActiveConnections
				}
			}
		}
	}
	changed := b.totals.take(living)
	o.Listeners = b.totals.sum(listeners)
	if changed {
		if err := b.keep(totalsFile, &b.totals); err != nil {
			return o, fmt.Errorf("keep haproxy statistics: %w", err)
		}
	}
	return o, nil
}
