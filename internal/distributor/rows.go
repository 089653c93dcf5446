package distributor

import (
	"cmp"
	"encoding/binary"
	"net/netip"
	"slices"
	"sync"

	"colonnade/internal/siphash"
)

// rowHash is the row function: SipHash-1-3 over the source address (4 or 16 bytes) and the source port (2 bytes), both
// in network order. The port is 0 with AffinitySourceIP and for fragments, whose ports not all of them carry. The
// programs in the kernel compute the same (internal/bpf/siphash.h); the row is the hash's low bits.
func rowHash(key siphash.Key, src netip.Addr, port uint16) uint64 {
	b := make([]byte, 0, 18)
	b = append(b, src.Unmap().AsSlice()...)
	b = binary.BigEndian.AppendUint16(b, port)
	return siphash.Sum13(key, b)
}

// score ranks positions for a row and rows for a position. Its message is eight bytes long, so it never equals one of
// the row function's under the same key.
func score(key siphash.Key, row, position int) uint64 {
	var b [8]byte
	binary.LittleEndian.PutUint32(b[:4], uint32(row))
	binary.LittleEndian.PutUint32(b[4:], uint32(position))
	return siphash.Sum13(key, b[:])
}

// assign returns for each row its position among n. assign(n+1) is assign(n) with rows/(n+1) rows given to position n,
// each old position giving its surplus, the rows with the highest score for n first. Position p ends with rows/n rows,
// and one more if p < rows%n: exact to one row, and from n to n+1 no old position's share ever rises.
func assign(key siphash.Key, rows, n int) []uint8 {
	of := make([]uint8, rows)
	ranked := make([]uint64, 0, rows)
	rowMask := uint64(rows - 1)
	for next := 1; next < n; next++ {
		ranked = ranked[:0]
		count := make([]int, next)
		for row, p := range of {
			count[p]++
			// The low bits name the row and break ties; what they displace of the score is not missed.
			ranked = append(ranked, score(key, row, next)&^rowMask|uint64(row))
		}
		surplus := count
		for p := range surplus {
			surplus[p] -= share(rows, next+1, p)
		}
		slices.SortFunc(ranked, func(a, b uint64) int { return cmp.Compare(b, a) })
		for _, r := range ranked {
			row := int(r & rowMask)
			if p := of[row]; surplus[p] > 0 {
				surplus[p]--
				of[row] = uint8(next)
			}
		}
	}
	return of
}

func share(rows, n, p int) int {
	if p < rows%n {
		return rows/n + 1
	}
	return rows / n
}

// choices holds for one (key, rows, n) every row's order of choice: its position, then the others by descending score.
type choices struct {
	n     int
	order []uint8 // n entries a row
}

// of returns the positions of a row in the order they are asked.
func (c *choices) of(row int) []uint8 { return c.order[row*c.n : (row+1)*c.n] }

type choicesKey struct {
	key     siphash.Key
	rows, n int
}

// choicesCache keeps what was computed last: it takes milliseconds, and every table of a load balancer asks for the
// same one to three entries again. At its largest an entry is half a megabyte.
var choicesCache = struct {
	sync.Mutex
	entries map[choicesKey]*choices
	oldest  []choicesKey
}{entries: map[choicesKey]*choices{}}

const choicesKept = 64

func choicesFor(key siphash.Key, rows, n int) *choices {
	k := choicesKey{key, rows, n}
	cache := &choicesCache
	cache.Lock()
	c := cache.entries[k]
	cache.Unlock()
	if c != nil {
		return c
	}
	c = makeChoices(key, rows, n)
	cache.Lock()
	defer cache.Unlock()
	if _, there := cache.entries[k]; !there {
		if len(cache.oldest) == choicesKept {
			delete(cache.entries, cache.oldest[0])
			cache.oldest = slices.Delete(cache.oldest, 0, 1)
		}
		cache.entries[k] = c
		cache.oldest = append(cache.oldest, k)
	}
	return c
}

func makeChoices(key siphash.Key, rows, n int) *choices {
	c := &choices{n: n, order: make([]uint8, rows*n)}
	ranked := make([]uint64, 0, n)
	for row, owner := range assign(key, rows, n) {
		ranked = ranked[:0]
		for p := range n {
			if p != int(owner) {
				ranked = append(ranked, score(key, row, p)&^0xff|uint64(p))
			}
		}
		slices.SortFunc(ranked, func(a, b uint64) int { return cmp.Compare(b, a) })
		order := c.of(row)
		order[0] = owner
		for i, r := range ranked {
			order[i+1] = uint8(r)
		}
	}
	return c
}
