package api

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// Many askers of the same thing cost two answers, and none gets one that began before it asked.
func TestTogether(t *testing.T) {
	var shared together
	var written, worked atomic.Int64
	var all sync.WaitGroup
	for range 64 {
		all.Go(func() {
			for range 200 {
				mine := written.Add(1)
				body, err := shared.do(t.Context(), "list", func(context.Context) ([]byte, error) {
					worked.Add(1)
					return fmt.Append(nil, written.Load()), nil
				})
				var seen int64
				if _, scanErr := fmt.Sscan(string(body), &seen); err != nil || scanErr != nil || seen < mine {
					t.Errorf("saw %s, wrote %d before: %v", body, mine, err)
				}
			}
		})
	}
	all.Wait()
	for left := 1; left > 0; runtime.Gosched() { // the last answer is there a moment before its kind is gone
		shared.mu.Lock()
		left = len(shared.kinds)
		shared.mu.Unlock()
	}
	t.Logf("%d answers for %d questions", worked.Load(), written.Load())

	begun, hold := make(chan struct{}), make(chan struct{})
	first := make(chan string, 1)
	go func() {
		b, _ := shared.do(t.Context(), "k", func(context.Context) ([]byte, error) { close(begun); <-hold; return []byte("first"), nil })
		first <- string(b)
	}()
	<-begun
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	// One who leaves while it waits gets nothing; those who joined get the answer all the same.
	if _, err := shared.do(gone, "k", func(context.Context) ([]byte, error) { return []byte("second"), nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	second := make(chan string, 1)
	go func() {
		b, _ := shared.do(t.Context(), "k", func(context.Context) ([]byte, error) { return []byte("third"), nil })
		second <- string(b)
	}()
	close(hold)
	if a, b := <-first, <-second; a != "first" || b != "second" && b != "third" {
		t.Errorf("%q, %q", a, b)
	}
	if _, err := shared.do(t.Context(), "p", func(context.Context) ([]byte, error) { panic("oh") }); !errors.Is(err, errPanic) || !strings.Contains(err.Error(), "oh") {
		t.Errorf("%v", err)
	}
}
