package queue

import "sync"

// Bell wakes the sleepers of one process when work may have become due. Ringing is never needed for correctness: a
// sleeper also polls.
type Bell struct {
	mu       sync.Mutex
	sleepers map[chan struct{}]struct{}
}

// Ring wakes every sleeper, or lets its next sleep end at once.
func (b *Bell) Ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for c := range b.sleepers {
		select {
		case c <- struct{}{}:
		default: // it has been rung and has not looked yet
		}
	}
}

// Listen returns a channel that is rung and the function that stops it.
func (b *Bell) Listen() (<-chan struct{}, func()) {
	c := make(chan struct{}, 1)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.sleepers == nil {
		b.sleepers = map[chan struct{}]struct{}{}
	}
	b.sleepers[c] = struct{}{}
	return c, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.sleepers, c)
	}
}
