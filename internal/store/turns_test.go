package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
)

// TestTurns lets ten in front and four behind the scenes wait for one turn, in that order.
func TestTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turn := &turns{all: 1, work: 1}
		ok := func(err error) {
			if err != nil {
				t.Error(err)
			}
		}
		ok(turn.take(t.Context(), inFront, nil))
		var mu sync.Mutex
		var got []string
		wait := func(class int, name string) {
			go func() {
				ok(turn.take(t.Context(), class, nil))
				mu.Lock()
				got = append(got, name)
				mu.Unlock()
				turn.give(class)
			}()
			synctest.Wait()
		}
		for i := range 4 {
			wait(behind, fmt.Sprint("w", i))
		}
		for i := range 10 {
			wait(inFront, fmt.Sprint("f", i))
		}
		turn.give(inFront)
		synctest.Wait()
		want := []string{"f0", "f1", "f2", "f3", "w0", "f4", "f5", "f6", "f7", "w1", "f8", "f9", "w2", "w3"}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
		if turn.busy != 0 || turn.atWork != 0 {
			t.Errorf("%d write, %d at work", turn.busy, turn.atWork)
		}
	})
}

// TestTurnsOfThoseWhoLeave ends waits at every moment and finds all turns given back.
func TestTurnsOfThoseWhoLeave(t *testing.T) {
	turn := &turns{all: 3, work: 2}
	var all sync.WaitGroup
	var mu sync.Mutex
	var now [2]int
	for i := range 2000 {
		all.Go(func() {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if i%3 == 0 {
				go cancel()
			}
			class := i % 2
			if err := turn.take(ctx, class, nil); err != nil {
				if !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
				return
			}
			mu.Lock()
			now[class]++
			if now[behind] > 2 || now[behind]+now[inFront] > 3 {
				t.Errorf("%v write", now)
			}
			mu.Unlock()
			mu.Lock()
			now[class]--
			mu.Unlock()
			turn.give(class)
		})
	}
	all.Wait()
	if turn.busy != 0 || turn.atWork != 0 || slices.ContainsFunc(turn.waiting[:], func(w []chan struct{}) bool { return len(w) > 0 }) {
		t.Errorf("left: %+v", turn)
	}
}
