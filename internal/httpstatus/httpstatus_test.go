package httpstatus_test

import (
	"testing"

	"colonnade/internal/httpstatus"
	"colonnade/internal/lb"
)

func TestOfAndBack(t *testing.T) {
	for kind, want := range map[lb.Kind]int{
		lb.KindInvalid: 400, lb.KindForbidden: 403, lb.KindNotFound: 404, lb.KindConflict: 409, lb.KindUnsupported: 501,
		lb.KindUnavailable: 503,
	} {
		if got := httpstatus.Of(kind); got != want {
			t.Errorf("kind %d: status %d, want %d", kind, got, want)
		}
		if back, ok := httpstatus.KindOf(want); !ok || back != kind {
			t.Errorf("status %d: kind %d %v, want %d", want, back, ok, kind)
		}
	}
	for _, kind := range []lb.Kind{lb.KindInternal, lb.Kind(99)} {
		if got := httpstatus.Of(kind); got != 500 {
			t.Errorf("kind %d: status %d, want 500", kind, got)
		}
	}
	for _, status := range []int{200, 418, 500} {
		if kind, ok := httpstatus.KindOf(status); ok {
			t.Errorf("status %d has kind %d, want none", status, kind)
		}
	}
}
