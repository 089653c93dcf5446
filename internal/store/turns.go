package store

import (
	"context"
	"errors"
	"slices"
	"sync"
)

// turns says who may write next. What somebody waits for goes before what is done behind the scenes: clients get their
// answers while workers are busy. Within each of both whoever came first is first, so nobody waits much longer than others;
// database/sql would hand its connection to a random one of those who wait.
type turns struct {
	all, work int // how many may write at once, and how many of these behind the scenes

	mu           sync.Mutex
	busy, atWork int // how many do
	inRow        int // turns given to those in front since one behind the scenes waits
	waiting      [2][]chan struct{}
}

const (
	inFront = iota
	behind
)

// workEvery is the share of turns that those behind the scenes get in any case: every fifth.
const workEvery = 5

var errNotNeeded = errors.New("no turn is needed any more")

// take waits for a turn, which ends with give. When done is closed before, it is errNotNeeded; done may be nil.
func (t *turns) take(ctx context.Context, class int, done <-chan struct{}) error {
	t.mu.Lock()
	if len(t.waiting[class]) == 0 && t.free(class) {
		t.begin(class)
		t.mu.Unlock()
		return nil
	}
	mine := make(chan struct{})
	t.waiting[class] = append(t.waiting[class], mine)
	t.mu.Unlock()
	var err error
	select {
	case <-mine:
		return nil
	case <-done:
		err = errNotNeeded
	case <-ctx.Done():
		err = ctx.Err()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if i := slices.Index(t.waiting[class], mine); i >= 0 {
		t.waiting[class] = slices.Delete(t.waiting[class], i, i+1)
	} else { // it came at this moment
		t.end(class)
	}
	return err
}

// give ends a turn.
func (t *turns) give(class int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.end(class)
}

func (t *turns) free(class int) bool {
	return t.busy < t.all && (class == inFront || t.atWork < t.work)
}

func (t *turns) begin(class int) {
	t.busy++
	if class == behind {
		t.atWork++
	}
}

func (t *turns) end(class int) {
	t.busy--
	if class == behind {
		t.atWork--
	}
	for t.busy < t.all {
		next := inFront
		switch {
		case len(t.waiting[behind]) == 0 || !t.free(behind):
			t.inRow = 0
		case len(t.waiting[inFront]) == 0 || t.inRow >= workEvery-1:
			next, t.inRow = behind, 0
		default:
			t.inRow++
		}
		if len(t.waiting[next]) == 0 || !t.free(next) {
			return
		}
		close(t.waiting[next][0])
		t.waiting[next] = t.waiting[next][1:]
		t.begin(next)
	}
}
