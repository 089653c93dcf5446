package store_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"colonnade/internal/identity"
	"colonnade/internal/lb"
	"colonnade/internal/store"
	"colonnade/internal/store/storetest"
)

func TestSigningKeysAreMadeOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		day := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		key := func(id string, at time.Time) identity.SigningKey {
			return identity.SigningKey{ID: id, Secret: []byte{0, 1, 0xff}, CreatedAt: at}
		}
		for _, c := range []struct {
			key          identity.SigningKey
			fresh, stale time.Time
		}{
			{key("a", day), day.Add(-time.Hour), day.Add(-2 * time.Hour)},
			{key("b", day.Add(time.Minute)), day.Add(-time.Hour), day.Add(-2 * time.Hour)}, // a is fresh
			{key("c", day.Add(2*time.Hour)), day.Add(time.Hour), day.Add(-time.Hour)},
		} {
			if err := s.AddSigningKey(t.Context(), c.key, c.fresh, c.stale); err != nil {
				t.Fatal(err)
			}
		}
		got, err := s.SigningKeys(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]identity.SigningKey{key("a", day), key("c", day.Add(2*time.Hour))}, got); diff != "" {
			t.Error(diff)
		}
		if err := s.AddSigningKey(t.Context(), key("d", day.Add(4*time.Hour)), day.Add(3*time.Hour), day.Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		got, err = s.SigningKeys(t.Context())
		if err != nil || len(got) != 2 || got[0].ID != "c" || got[1].ID != "d" {
			t.Errorf("%v, %v", got, err)
		}
	})
}

func TestRevocationsEnd(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		for what, until := range map[string]time.Time{"a": now.Add(time.Minute), "b": now.Add(time.Hour)} {
			for range 2 { // twice is as good as once
				if err := s.Revoke(t.Context(), what, until, now); err != nil {
					t.Fatal(err)
				}
			}
		}
		for _, c := range []struct {
			after time.Duration
			want  int
		}{{0, 2}, {30 * time.Minute, 1}, {2 * time.Hour, 0}} {
			got, err := s.Revocations(t.Context(), now.Add(c.after))
			if err != nil || len(got) != c.want {
				t.Errorf("after %s: %v, %v", c.after, got, err)
			}
		}
	})
}

func TestApplicationCredentials(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		a := identity.ApplicationCredential{
			ID: "1", UserID: "u", ProjectID: "p", Name: "a", Description: "d", SecretHash: "h", Roles: []string{"member", "reader"},
			ExpiresAt: now.Add(time.Hour), Unrestricted: true, CreatedAt: now,
		}
		b := identity.ApplicationCredential{ID: "2", UserID: "u", ProjectID: "p", Name: "b", Roles: []string{"reader"}, CreatedAt: now}
		for _, c := range []identity.ApplicationCredential{b, a} {
			if err := s.CreateApplicationCredential(t.Context(), c); err != nil {
				t.Fatal(err)
			}
		}
		got, err := s.ApplicationCredentials(t.Context(), "u")
		if diff := cmp.Diff([]identity.ApplicationCredential{a, b}, got); diff != "" || err != nil {
			t.Error(diff, err)
		}
		again := a
		again.ID = "3"
		if err := s.CreateApplicationCredential(t.Context(), again); lb.KindOf(err) != lb.KindConflict {
			t.Errorf("same name: %v", err)
		}
		if err := s.DeleteApplicationCredential(t.Context(), "1"); err != nil {
			t.Error(err)
		}
		if err := s.DeleteApplicationCredential(t.Context(), "1"); lb.KindOf(err) != lb.KindNotFound {
			t.Errorf("delete twice: %v", err)
		}
		if _, err := s.ApplicationCredential(t.Context(), "1"); lb.KindOf(err) != lb.KindNotFound {
			t.Errorf("deleted: %v", err)
		}
	})
}
