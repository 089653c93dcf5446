package api

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
)

// together lets requests that ask the same at the same time share one answer: one of a kind is worked on, one waits.
// Whoever comes joins the one that waits, never the one that has begun, so an answer always shows what was written
// before its request came. However many clients poll one long list, the database is asked for it once at a time.
type together struct {
	mu    sync.Mutex
	kinds map[string]*shared // the one that waits, or nil, of each kind that is worked on
}

// shared is an answer that any number wait for.
type shared struct {
	ctx  context.Context //nolint:containedctx // of the first who asked, without its cancellation: others need the answer
	work func(context.Context) ([]byte, error)
	done chan struct{}
	body []byte
	err  error
}

// do returns what work answers, begun after this call. ctx ends this caller's waiting alone.
func (t *together) do(ctx context.Context, key string, work func(context.Context) ([]byte, error)) ([]byte, error) {
	t.mu.Lock()
	if t.kinds == nil {
		t.kinds = map[string]*shared{}
	}
	s, busy := t.kinds[key]
	if s == nil {
		s = &shared{ctx: context.WithoutCancel(ctx), work: work, done: make(chan struct{})}
		t.kinds[key] = nil
		if busy {
			t.kinds[key] = s
		} else {
			go t.run(key, s)
		}
	}
	t.mu.Unlock()
	select {
	case <-s.done:
		return s.body, s.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// run works on s and on what waits after it, until nothing does.
func (t *together) run(key string, s *shared) {
	for s != nil {
		s.answer()
		t.mu.Lock()
		if s = t.kinds[key]; s != nil {
			t.kinds[key] = nil
		} else {
			delete(t.kinds, key)
		}
		t.mu.Unlock()
	}
}

func (s *shared) answer() {
	ctx, cancel := context.WithTimeout(s.ctx, requestTimeout)
	defer cancel()
	defer close(s.done)
	defer func() {
		if p := recover(); p != nil {
			s.body, s.err = nil, fmt.Errorf("%w: %v\n%s", errPanic, p, debug.Stack())
		}
	}()
	s.body, s.err = s.work(ctx)
}
