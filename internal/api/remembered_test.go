package api

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
)

func TestRemembered(t *testing.T) {
	var m remembered
	worked := 0
	ask := func(kind, state string, size int) string {
		t.Helper()
		body, err := m.or(kind, state, func() ([]byte, error) {
			worked++
			return append(bytes.Repeat([]byte(" "), size-2), kind+state...), nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return string(body)
	}
	for i, q := range []struct {
		kind, state string
		worked      int
	}{{"a", "1", 1}, {"a", "1", 1}, {"b", "1", 2}, {"a", "2", 3}, {"a", "1", 4}, {"a", "1", 4}, {"b", "1", 4}} {
		if got := ask(q.kind, q.state, 2); got != q.kind+q.state || worked != q.worked {
			t.Fatalf("question %d: %q after %d answers", i, got, worked)
		}
	}
	if _, err := m.or("c", "1", func() ([]byte, error) { return nil, errors.New("failed") }); err == nil {
		t.Fatal("a failure is no answer")
	}
	ask("c", "1", 2)
	if worked != 5 {
		t.Fatal("a failure was remembered")
	}
	for i := range 40 { // more than is remembered in all, but for those that are asked again and again
		ask(fmt.Sprint("long", i), "1", 1<<20)
		ask("a", "1", 2)
	}
	if worked != 45 || m.bytes > rememberedBytes || m.used.Len() != len(m.byKind) {
		t.Fatalf("%d answers, %d bytes in %d and %d", worked, m.bytes, m.used.Len(), len(m.byKind))
	}
	ask("huge", "1", mostRemembered+1)
	ask("huge", "1", mostRemembered+1)
	if worked != 47 {
		t.Fatal("too much was remembered")
	}
}
