package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/uptrace/bun"

	"colonnade/internal/store"
)

// TestWritersInOneTransaction lets many writers wait for one, so that they share transactions: each that fails, panics or
// breaks a rule of the schema leaves nothing, and each that succeeds all of it.
func TestWritersInOneTransaction(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *store.Store) {
		insert := func(ctx context.Context, tx bun.Tx, id string) error {
			_, err := tx.NewRaw("INSERT INTO quota (id, created_at) VALUES (?, ?)", id, time.Now()).Exec(ctx)
			return err
		}
		begun, goOn := make(chan struct{}), make(chan struct{})
		var all sync.WaitGroup
		all.Go(func() {
			if err := s.Write(t.Context(), func(context.Context, bun.Tx) error { close(begun); <-goOn; return nil }); err != nil {
				t.Error(err)
			}
		})
		<-begun
		failed := errors.New("failed")
		var mu sync.Mutex
		var want []string
		for i := range 100 {
			all.Go(func() {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				id := fmt.Sprintf("q%03d", i)
				var panicked any
				err := func() error {
					defer func() { panicked = recover() }()
					return s.Write(ctx, func(ctx context.Context, tx bun.Tx) error {
						if err := insert(ctx, tx, id); err != nil {
							return err
						}
						switch i % 5 {
						case 1:
							return failed
						case 2:
							panic("broken")
						case 3:
							return insert(ctx, tx, id) // twice
						case 4:
							cancel() // too late: it is being done
						}
						return nil
					})
				}()
				mu.Lock()
				defer mu.Unlock()
				switch i % 5 {
				case 0:
					want = append(want, id)
					if err != nil {
						t.Errorf("%s: %v", id, err)
					}
				case 1:
					if !errors.Is(err, failed) {
						t.Errorf("%s: %v", id, err)
					}
				case 2:
					if panicked == nil {
						t.Errorf("%s did not panic: %v", id, err)
					}
				case 3:
					if err == nil {
						t.Errorf("%s is there twice", id)
					}
				case 4:
					if err == nil {
						want = append(want, id)
					}
				}
			})
		}
		time.Sleep(50 * time.Millisecond) // most wait by now; how many changes nothing but what is shared
		close(goOn)
		all.Wait()
		var got []string
		ok(t, s.Reader().NewRaw("SELECT id FROM quota ORDER BY id").Scan(t.Context(), &got))
		slices.Sort(want)
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
	})
}
