package api

import (
	lru "container/list"
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

const (
	// rememberedBytes is how much answers that are remembered may have in all, and mostRemembered the largest of them.
	rememberedBytes = 32 << 20
	mostRemembered  = 4 << 20
)

// remembered are the last answers of each kind, with the state of the database that they show. Clients that poll a long
// list mostly ask for what nobody changed.
type remembered struct {
	mu     sync.Mutex
	byKind map[string]*lru.Element
	used   lru.List // of *memory, the last used first
	bytes  int
}

type memory struct {
	kind, state string
	body        []byte // nobody changes it
}

// or returns the answer of this kind that shows this state, or what work answers.
func (m *remembered) or(kind, state string, work func() ([]byte, error)) ([]byte, error) {
	m.mu.Lock()
	if e := m.byKind[kind]; e != nil && e.Value.(*memory).state == state {
		m.used.MoveToFront(e)
		m.mu.Unlock()
		return e.Value.(*memory).body, nil
	}
	m.mu.Unlock()
	body, err := work()
	if err != nil || len(body) > mostRemembered {
		return body, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.byKind == nil {
		m.byKind = map[string]*lru.Element{}
	}
	if e := m.byKind[kind]; e != nil {
		m.forget(e)
	}
	m.byKind[kind] = m.used.PushFront(&memory{kind, state, body})
	for m.bytes += len(body); m.bytes > rememberedBytes; {
		m.forget(m.used.Back())
	}
	return body, nil
}

func (m *remembered) forget(e *lru.Element) {
	old := m.used.Remove(e).(*memory)
	delete(m.byKind, old.kind)
	m.bytes -= len(old.body)
}
