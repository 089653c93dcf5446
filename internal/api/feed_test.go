package api

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"colonnade/internal/lb"
)

// Events come out by id; one that is late is waited for a second, and given when it comes all the same.
func TestSequence(t *testing.T) {
	at := func(s float64) time.Time { return time.Unix(1000, 0).Add(time.Duration(s * float64(time.Second))) }
	var q sequence
	q.start([]int64{5, 7}, at(0))
	for _, step := range []struct {
		at     float64
		read   []int64
		ready  string
		missed string
	}{
		{0, nil, "[]", "[6]"},
		{0.1, []int64{8, 9}, "[]", "[6]"},                       // 6 may still come
		{0.2, []int64{6}, "[6 8 9]", "[]"},                      // it came
		{0.3, []int64{10, 12}, "[10]", "[11]"},                  // up to the free id
		{0.4, []int64{12, 13}, "[]", "[11]"},                    // what was read twice counts once
		{1.3, nil, "[12 13]", "[11]"},                           // nobody waits longer
		{1.4, []int64{15}, "[]", "[11 14]"},                     //
		{1.5, []int64{11, 14}, "[11 14 15]", "[]"},              // late, and given
		{2, []int64{17}, "[]", "[16]"},                          //
		{70, nil, "[17]", "[]"},                                 // it was rolled back
		{71, []int64{16}, "[]", "[]"},                           // it is not asked for any more
		{72, []int64{5000}, "[]", fmt.Sprint(ints(4000, 5000))}, // a long gap is watched at its end alone
	} {
		var read []lb.Event
		for _, id := range step.read {
			read = append(read, lb.Event{ID: id})
		}
		ready := []int64{}
		for _, e := range q.take(read, at(step.at)) {
			ready = append(ready, e.ID)
		}
		missed := q.ids()
		if missed == nil {
			missed = []int64{}
		}
		if fmt.Sprint(ready) != step.ready || fmt.Sprint(missed) != step.missed {
			t.Errorf("at %v: %v are ready, %v missed; want %s, %s", step.at, ready, missed, step.ready, step.missed)
		}
	}
	q = sequence{}
	q.start(nil, at(0))
	if got := q.take([]lb.Event{{ID: 3}}, at(0)); len(got) != 1 || len(q.missed) != 0 {
		t.Errorf("the first event ever: %v, %v", got, q.missed)
	}
}

func ints(from, to int64) (out []int64) {
	for i := from; i < to; i++ {
		out = append(out, i)
	}
	return out
}

// Whatever the order in which transactions of less than a second commit, every event is given once and in order.
func TestSequenceMissesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var q sequence
		now := time.Unix(1000, 0)
		q.start([]int64{1}, now)
		next, inFlight, stored := int64(2), map[int64]time.Time{}, map[int64]bool{1: true}
		var given []int64
		look := func() {
			var read []lb.Event
			for id := range stored {
				if id > q.last || slices.Contains(q.ids(), id) {
					read = append(read, lb.Event{ID: id})
				}
			}
			slices.SortFunc(read, func(a, b lb.Event) int { return int(a.ID - b.ID) })
			for _, e := range q.take(read, now) {
				given = append(given, e.ID)
			}
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch rapid.IntRange(0, 3).Draw(t, "step") {
			case 0:
				inFlight[next] = now
				next++
			case 1, 2:
				for id := range inFlight {
					if rapid.Bool().Draw(t, "commits") {
						stored[id] = true
					}
					delete(inFlight, id)
					break
				}
			case 3:
				now = now.Add(time.Duration(rapid.IntRange(0, 300).Draw(t, "ms")) * time.Millisecond)
			}
			for id, since := range inFlight {
				if now.Sub(since) >= 900*time.Millisecond {
					delete(inFlight, id)
					stored[id] = true
				}
			}
			look()
		}
		for id := range inFlight {
			stored[id] = true
		}
		look()
		now = now.Add(2 * time.Second)
		look()
		var want []int64
		for id := range stored {
			if id > 1 {
				want = append(want, id)
			}
		}
		slices.Sort(want)
		if !slices.Equal(given, want) {
			t.Fatalf("given %v, stored %v", given, want)
		}
	})
}

func TestLimiter(t *testing.T) {
	var l limiter
	now := time.Unix(1000, 0)
	times := func(n int, who string) (allowed int) {
		for range n {
			if ok, _ := l.allow(who, now); ok {
				allowed++
			}
		}
		return allowed
	}
	if n := times(100, "a"); n != callerBurst {
		t.Errorf("%d of one at once", n)
	}
	if n := times(5, "b"); n != 5 {
		t.Errorf("%d of another", n)
	}
	now = now.Add(callerEvery)
	if ok, dropped := l.allow("a", now); !ok || dropped != 80 {
		t.Errorf("after a while: %v, %d were dropped", ok, dropped)
	}
	if n := times(10, "a"); n != 0 {
		t.Errorf("%d more", n)
	}
	all := 0
	for i := range 10 * maxCallers {
		all += times(1, fmt.Sprint("c", i))
	}
	if all > allBurst || len(l.callers) > maxCallers {
		t.Errorf("%d of all, %d callers are known", all, len(l.callers))
	}
	now = now.Add(24 * time.Hour)
	if n := times(100, "a"); n != callerBurst {
		t.Errorf("%d after a day", n)
	}
}
