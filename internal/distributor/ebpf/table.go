package ebpf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"structs"

	"colonnade/internal/bpf"
	"colonnade/internal/distributor"
)

const (
	maxRows        = distributor.DefaultRows
	maxTargets     = distributor.MaxHolders
	memberSlotBits = 10
)

// table is struct table of distribute.h.
type table struct {
	_          structs.HostLayout
	K0, K1     uint64
	RowMask    uint32
	PortCounts uint32
	MemberSalt uint64
	Targets    [maxTargets]uint64
	Members    [1 << memberSlotBits]uint64
	Rows       [maxRows]uint8
}

// encode lays t out as the program reads it.
func encode(t distributor.EffectiveTable) (*table, error) {
	n := len(t.Rows)
	if n == 0 || n > maxRows || n&(n-1) != 0 || len(t.MACs) > maxTargets || len(t.Members) > maxTargets {
		return nil, fmt.Errorf("table has %d rows, %d targets, %d members", n, len(t.MACs), len(t.Members))
	}
	for row, target := range t.Rows {
		if target != distributor.NoOwner && int(target) >= len(t.MACs) {
			return nil, fmt.Errorf("row %d names target %d of %d", row, target, len(t.MACs))
		}
	}
	v := &table{
		K0: binary.LittleEndian.Uint64(t.Key[:8]), K1: binary.LittleEndian.Uint64(t.Key[8:]),
		RowMask: uint32(n - 1),
	}
	if t.Affinity == distributor.AffinitySourceIPPort {
		v.PortCounts = 1
	}
	for i, mac := range t.MACs {
		v.Targets[i] = bpf.MAC(mac)
	}
	copy(v.Rows[:], t.Rows)
	return v, v.placeMembers(t.Members)
}

// placeMembers finds a salt under which no two members share a slot, so that the program asks one slot only. 64 members
// in 1024 slots take about 8 tries.
func (v *table) placeMembers(members [][6]byte) error {
	for try := range uint64(10_000) {
		v.MemberSalt = (2*try + 1) * 0x9e3779b97f4a7c15
		v.Members = [1 << memberSlotBits]uint64{}
		if v.fit(members) {
			return nil
		}
	}
	return errors.New("members share slots under every salt tried")
}

func (v *table) fit(members [][6]byte) bool {
	for _, m := range members {
		mac := bpf.MAC(m)
		slot := &v.Members[mac*v.MemberSalt>>(64-memberSlotBits)]
		if *slot != 0 && *slot != mac {
			return false
		}
		*slot = mac
	}
	return true
}
