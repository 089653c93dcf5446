package store_test

import (
	"errors"
	"sync"
	"testing"

	"colonnade/internal/store"
)

func TestOneDeploymentHasADatabase(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		errs := map[string]error{}
		var mu sync.Mutex
		var wg sync.WaitGroup
		for _, id := range []string{"d1", "d2"} { // at once
			wg.Go(func() {
				err := s.Claim(ctx, id, "machine:/"+id)
				mu.Lock()
				defer mu.Unlock()
				errs[id] = err
			})
		}
		wg.Wait()
		winner, loser := "d1", "d2"
		if errs[winner] != nil {
			winner, loser = loser, winner
		}
		var claimed *store.ClaimedError
		if errs[winner] != nil || !errors.As(errs[loser], &claimed) || *claimed != (store.ClaimedError{ID: winner, Description: "machine:/" + winner}) {
			t.Fatalf("got %v", errs)
		}
		ok(t, s.Claim(ctx, winner, "moved to elsewhere"))
		ok(t, s.Disclaim(ctx, loser)) // has nothing to give up
		if err := s.Claim(ctx, loser, ""); !errors.As(err, &claimed) {
			t.Errorf("got %v", err)
		}
		ok(t, s.Disclaim(ctx, winner))
		ok(t, s.Claim(ctx, loser, ""))
	})
}
