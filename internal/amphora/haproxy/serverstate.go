package haproxy

import (
	"slices"
	"strconv"
	"strings"

	"colonnade/internal/amphora"
)

// Fields of "show servers state", version 1 (HAProxy's management guide).
const (
	stateFields     = 19 // those every 2.x has
	fieldBackend    = 1
	fieldServer     = 3
	fieldAddress    = 4
	fieldAdmin      = 6
	fieldUserWeight = 7
	fieldInitWeight = 8
	fieldPort       = 18
)

// emptyState is a state file that says nothing: its version alone.
const emptyState = "1\n"

// serverState keeps of HAProxy's own state file what the next worker may believe: the health of servers that are
// enabled and at the same address before and after. All else is the new configuration's word; HAProxy would let the
// file's port, weight and maintenance win.
func serverState(shown string, next amphora.Desired) string {
	members := map[string]amphora.Member{}
	for _, l := range next.Listeners {
		used := l.PoolIDs()
		for _, p := range next.Pools {
			if !slices.Contains(used, p.ID) {
				continue
			}
			for _, m := range p.Members {
				members[backendName(p.ID, l.ID)+"/"+m.ID] = m
			}
		}
	}
	var out strings.Builder
	for i, line := range strings.Split(shown, "\n") {
		if i == 0 || strings.HasPrefix(line, "#") {
			if line != "" {
				out.WriteString(line + "\n")
			}
			continue
		}
		f := strings.Fields(line)
		if len(f) < stateFields {
			continue
		}
		m, stays := members[f[fieldBackend]+"/"+f[fieldServer]]
		if !stays || !m.Enabled || f[fieldAdmin] != "0" || f[fieldAddress] != canonical(m.Address) || f[fieldPort] != strconv.Itoa(m.Port) {
			continue
		}
		f[fieldUserWeight], f[fieldInitWeight] = strconv.Itoa(m.Weight), strconv.Itoa(m.Weight)
		out.WriteString(strings.Join(f, " ") + "\n")
	}
	if !strings.HasPrefix(out.String(), emptyState) {
		return emptyState
	}
	return out.String()
}
