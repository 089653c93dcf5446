package lb_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"colonnade/internal/lb"
)

func TestKindOfAndIsTerminal(t *testing.T) {
	cause := errors.New("cause")
	fault := lb.Faultf(lb.KindConflict, "no %d", 7)
	for _, c := range []struct {
		name     string
		err      error
		kind     lb.Kind
		terminal bool
		text     string
	}{
		{"plain", cause, lb.KindInternal, false, "cause"},
		{"fault", fault, lb.KindConflict, false, "no 7"},
		{"wrapped fault", fmt.Errorf("a: %w", fault), lb.KindConflict, false, "a: no 7"},
		{"terminal", lb.Terminal(cause), lb.KindInternal, true, "cause"},
		{"wrapped terminal", fmt.Errorf("a: %w", lb.Terminal(cause)), lb.KindInternal, true, "a: cause"},
		{"terminal fault", lb.Terminal(fault), lb.KindConflict, true, "no 7"},
		{"one of several is terminal", errors.Join(cause, lb.Terminal(fault)), lb.KindConflict, true, "cause\nno 7"},
		{"fenced", fmt.Errorf("write: %w", lb.ErrFenced), lb.KindInternal, false, "write: fenced: a newer lease on this load balancer exists"},
		{"unsupported", lb.Unsupported("x %s", "y"), lb.KindUnsupported, false, "Provider 'amphora' does not support a requested option: x y"},
		{"option", lb.InvalidOption("v", "o"), lb.KindInvalid, false, "v is not a valid option for o"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if k := lb.KindOf(c.err); k != c.kind {
				t.Errorf("kind %d, want %d", k, c.kind)
			}
			if is := lb.IsTerminal(c.err); is != c.terminal {
				t.Errorf("terminal %v, want %v", is, c.terminal)
			}
			if c.err.Error() != c.text {
				t.Errorf("text %q, want %q", c.err, c.text)
			}
		})
	}
	if lb.IsTerminal(nil) || lb.KindOf(nil) != lb.KindInternal {
		t.Error("no error is an error")
	}
	if !errors.Is(lb.Terminal(cause), cause) {
		t.Error("Terminal hides its cause")
	}
}

func TestRequestID(t *testing.T) {
	outer := lb.WithRequestID(t.Context(), "req-1")
	inner, cancel := context.WithCancel(outer)
	defer cancel()
	for name, c := range map[string]struct {
		ctx  context.Context
		want string
	}{
		"none":      {t.Context(), ""},
		"given":     {outer, "req-1"},
		"inherited": {inner, "req-1"},
		"replaced":  {lb.WithRequestID(outer, "req-2"), "req-2"},
	} {
		if got := lb.RequestID(c.ctx); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestStampLess(t *testing.T) {
	at := func(epoch, revision, serial int64) lb.Stamp {
		return lb.Stamp{Epoch: epoch, Revision: revision, Serial: serial}
	}
	for _, c := range []struct {
		name string
		a, b lb.Stamp
		want bool
	}{
		{"equal", at(2, 2, 2), at(2, 2, 2), false},
		{"lower serial", at(2, 2, 1), at(2, 2, 2), true},
		{"higher serial", at(2, 2, 3), at(2, 2, 2), false},
		{"revision before serial", at(2, 1, 9), at(2, 2, 0), true},
		{"higher revision", at(2, 3, 0), at(2, 2, 9), false},
		{"epoch before all", at(1, 9, 9), at(2, 0, 0), true},
		{"higher epoch", at(3, 0, 0), at(2, 9, 9), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.a.Less(c.b); got != c.want {
				t.Errorf("%v before %v: %v", c.a, c.b, got)
			}
		})
	}
}
