package heartbeat

import "slices"

// retired bounds how many former boot ids of one instance are remembered.
const retired = 16

// Guard refuses replayed datagrams of one instance: within a boot id the sequence must rise, and a boot id that was
// followed by another never comes back. The zero Guard accepts whatever comes first. Not safe for concurrent use.
type Guard struct {
	bootID  string
	seq     uint64
	started bool
	former  []string
}

// Accept reports whether b is new, and remembers it if so.
func (g *Guard) Accept(b Beat) bool {
	switch {
	case g.started && b.BootID == g.bootID:
		if b.Seq <= g.seq {
			return false
		}
	case g.started:
		if slices.Contains(g.former, b.BootID) {
			return false
		}
		g.former = append(g.former, g.bootID)
		if len(g.former) > retired {
			g.former = g.former[1:]
		}
	}
	g.started, g.bootID, g.seq = true, b.BootID, b.Seq
	return true
}
