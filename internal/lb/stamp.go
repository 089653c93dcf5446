package lb

// Stamp orders what is sent to an agent. An agent keeps the highest it has applied, on disk, and refuses anything
// lower; the same stamp again is a retry and harmless.
type Stamp struct {
	Epoch    int64 `json:"epoch"`    // of the lease under which it was sent
	Revision int64 `json:"revision"` // of the desired configuration, or of the forwarding table
	Serial   int64 `json:"serial"`   // counts what one lease holder sent
}

// Less reports whether s comes before t.
func (s Stamp) Less(t Stamp) bool {
	if s.Epoch != t.Epoch {
		return s.Epoch < t.Epoch
	}
	if s.Revision != t.Revision {
		return s.Revision < t.Revision
	}
	return s.Serial < t.Serial
}
