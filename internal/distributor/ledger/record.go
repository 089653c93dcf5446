// Package ledger is what a distributor remembers of its load balancers and what follows from that: which requests are
// valid, which are late, and which swaps are due. It does no I/O, so that every kind of distributor agrees on it.
package ledger

import (
	"bytes"
	"encoding/json"

	"colonnade/internal/distributor"
	"colonnade/internal/lb"
)

// Record is what a distributor keeps of one load balancer, on disk too.
type Record struct {
	LBID string `json:"lb_id"`
	// Plug and Table are the last ones applied, nil before the first and after the deletion.
	Plug  *distributor.VIPPlug       `json:"plug,omitempty"`
	Table *distributor.Registrations `json:"table,omitempty"`
	// Swaps are the distributor's own since the table; what is used is table∘swaps.
	Swaps []distributor.Swap `json:"swaps,omitempty"`
	// Deleted is the tombstone: the highest stamp up to the deletion. Whatever does not come after it is late.
	Deleted *lb.Stamp `json:"deleted,omitempty"`
	// DeletedAtUnixMS is when, so that old tombstones can go.
	DeletedAtUnixMS int64 `json:"deleted_at_unix_ms,omitempty"`
}

// CheckPlug says whether p may be applied: *distributor.StaleError when something higher is, same when p is applied
// already (the sender did not hear the answer).
func (r Record) CheckPlug(p distributor.VIPPlug) (same bool, err error) {
	if r.Deleted != nil && !r.Deleted.Less(p.Stamp) {
		return false, &distributor.StaleError{Applied: *r.Deleted}
	}
	if r.Plug != nil {
		same, err = checkStamp(r.Plug.Stamp, p.Stamp, equal(*r.Plug, p))
		if same || err != nil {
			return same, err
		}
	}
	return false, r.fence(p.Stamp)
}

// CheckTable says whether t may be applied, like CheckPlug. A *distributor.SwapsError carries swaps that t does not know.
func (r Record) CheckTable(t distributor.Registrations) (same bool, err error) {
	if r.Table != nil {
		same, err = checkStamp(r.Table.Stamp, t.Stamp, equal(*r.Table, t))
		if same || err != nil {
			return same, err
		}
	}
	if err := r.fence(t.Stamp); err != nil {
		return false, err
	}
	if r.Plug == nil {
		return false, lb.Faultf(lb.KindNotFound, "load balancer %s is not plugged here", t.LBID)
	}
	if pending := Pending(t.Table, r.Swaps); len(pending) > 0 {
		return false, &distributor.SwapsError{Swaps: pending}
	}
	return false, nil
}

// CheckDelete says whether a deletion with stamp s may be done.
func (r Record) CheckDelete(s lb.Stamp) error {
	if r.Plug != nil && s.Less(r.Plug.Stamp) {
		return &distributor.StaleError{Applied: r.Plug.Stamp}
	}
	if r.Deleted != nil && s.Less(*r.Deleted) {
		return &distributor.StaleError{Applied: *r.Deleted}
	}
	return r.fence(s)
}

// fence refuses what was sent under an older lease than anything applied. Plug and table number their revisions apart,
// so that between them only epochs compare.
func (r Record) fence(s lb.Stamp) error {
	if top := r.top(); s.Epoch < top.Epoch {
		return &distributor.StaleError{Applied: top}
	}
	return nil
}

// top is the applied stamp with the highest epoch.
func (r Record) top() lb.Stamp {
	var top lb.Stamp
	if r.Plug != nil {
		top = r.Plug.Stamp
	}
	if r.Table != nil && r.Table.Epoch > top.Epoch {
		top = r.Table.Stamp
	}
	if r.Deleted != nil && r.Deleted.Epoch > top.Epoch {
		top = *r.Deleted
	}
	return top
}

func checkStamp(applied, sent lb.Stamp, equal bool) (same bool, err error) {
	switch {
	case sent.Less(applied):
		return false, &distributor.StaleError{Applied: applied}
	case sent == applied && !equal:
		return false, lb.Faultf(lb.KindConflict, "another content with the same stamp is applied: epoch %d, revision %d, serial %d",
			sent.Epoch, sent.Revision, sent.Serial)
	}
	return sent == applied, nil
}

// equal compares what was sent, not how it lies in memory: a record read from disk has nil where an empty list came.
func equal[T any](a, b T) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}
