package heartbeat

import "crypto/sha256"

// boots bounds how many boot ids of one instance are remembered, a megabyte's worth: an instance that has fallen into
// strange hands must not fill its hearer's memory.
const boots = 1 << 14

// Guard refuses replayed datagrams of one instance: within a boot id the sequence must rise, and a boot id that was
// followed by another never comes back, however many came since. Whoever uses up the bound is heard no more under a new boot
// id; to forget one instead would let its replay retire the one that lives. The zero Guard accepts whatever comes first.
// Not safe for concurrent use.
type Guard struct {
	bootID  string
	seq     uint64
	started bool
	former  map[[16]byte]struct{} // digests of boot ids: a sender chooses how long its own is
}

// Accept reports whether b is new, and remembers it if so.
func (g *Guard) Accept(b Beat) bool {
	switch {
	case g.started && b.BootID == g.bootID:
		if b.Seq <= g.seq {
			return false
		}
	case g.started:
		if _, replayed := g.former[digest(b.BootID)]; replayed || len(g.former) >= boots {
			return false
		}
		if g.former == nil {
			g.former = map[[16]byte]struct{}{}
		}
		g.former[digest(g.bootID)] = struct{}{}
	}
	g.started, g.bootID, g.seq = true, b.BootID, b.Seq
	return true
}

func digest(bootID string) [16]byte {
	sum := sha256.Sum256([]byte(bootID))
	return [16]byte(sum[:16])
}
