package store_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"colonnade/internal/lb"
	"colonnade/internal/store"
)

func TestListsCarryTheIDsAround(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		create(t, s, "lb1")
		create(t, s, "lb2")
		lbs, err := s.LoadBalancers(ctx, store.Query{Filters: map[string][]string{"id": {"lb2"}}})
		ok(t, err)
		if len(lbs) != 1 || !slices.Equal(lbs[0].ListenerIDs, []string{"lb2-li"}) || !slices.Equal(lbs[0].PoolIDs, []string{"lb2-pool"}) {
			t.Fatalf("%+v", lbs)
		}
		pools, err := s.Pools(ctx, store.Query{Filters: map[string][]string{"loadbalancer_id": {"lb1"}}})
		ok(t, err)
		p := pools[0]
		if len(pools) != 1 || !slices.Equal(p.ListenerIDs, []string{"lb1-li"}) || !slices.Equal(p.MemberIDs, []string{"lb1-m1", "lb1-m2"}) ||
			p.HealthMonitorID != "lb1-hm" || p.SessionPersistence == nil {
			t.Fatalf("%+v", pools)
		}
		clusters, err := s.Clusters(ctx, store.Query{})
		ok(t, err)
		if len(clusters) != 2 {
			t.Fatalf("%+v", clusters)
		}
		for _, find := range []func() (string, error){
			func() (string, error) { return s.FindListener(ctx, "lb2-li") },
			func() (string, error) { return s.FindPool(ctx, "lb2-pool") },
			func() (string, error) { return s.FindMember(ctx, "lb2-m1") },
			func() (string, error) { return s.FindHealthMonitor(ctx, "lb2-hm") },
		} {
			if id, err := find(); err != nil || id != "lb2" {
				t.Fatal(id, err)
			}
		}
		_, err = s.FindMember(ctx, "x")
		wantFault(t, err, lb.KindNotFound, "Member x not found.")
	})
}

func TestFilters(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		create(t, s, "lb1")
		f := func(name string, values ...string) store.Query {
			return store.Query{Filters: map[string][]string{name: values}}
		}
		members := func(q store.Query) (ids []string, err error) {
			rows, err := s.Members(ctx, q)
			for _, m := range rows {
				ids = append(ids, m.ID)
			}
			return ids, err
		}
		for _, c := range []struct {
			name string
			q    store.Query
			want []string
		}{
			{"all", store.Query{}, []string{"lb1-m1", "lb1-m2"}},
			{"text", f("address", "198.18.1.2"), []string{"lb1-m2"}},
			{"any of several", f("address", "198.18.1.2", "198.18.1.1"), []string{"lb1-m1", "lb1-m2"}},
			{"number", f("weight", "2"), []string{"lb1-m2"}},
			{"true", f("admin_state_up", "True"), []string{"lb1-m1", "lb1-m2"}},
			{"false", f("backup", "true"), nil},
			{"NULL", f("subnet_id", "s2"), []string{"lb1-m2"}},
			{"project", store.Query{ProjectID: "p2"}, nil},
			{"project as a filter", f("project_id", "p1"), []string{"lb1-m1", "lb1-m2"}},
			{"no value", f("name"), nil},
			{"quotes stay text", f("name", "' OR 1=1 --"), nil},
		} {
			t.Run(c.name, func(t *testing.T) {
				got, err := members(c.q)
				ok(t, err)
				if d := cmp.Diff(c.want, got); d != "" {
					t.Fatal(d)
				}
			})
		}
		for name, values := range map[string][]string{"tenant_id": {"p1"}, "enabled": {"true"}, "1=1 OR id": {"x"}, "weight": {"heavy"}, "tags-all": {"x"}} {
			_, err := members(f(name, values...))
			wantKind(t, err, lb.KindInvalid)
		}
		for _, c := range []struct { // lb1 has the tags blue and a_b
			name  string
			value string
			found bool
		}{
			{"tags", "blue", true},
			{"tags", "blue,a_b", true},
			{"tags", "blue,red", false},
			{"tags", "blu", false},
			{"tags", "Blue", false},
			{"tags", "axb", false},
			{"tags-any", "red,blue", true},
			{"tags-any", "red", false},
			{"not-tags", "blue,red", true},
			{"not-tags", "blue,a_b", false},
			{"not-tags-any", "blue,red", false},
			{"not-tags-any", "red", true},
		} {
			t.Run(c.name+" "+c.value, func(t *testing.T) {
				rows, err := s.LoadBalancers(ctx, f(c.name, c.value))
				ok(t, err)
				if (len(rows) == 1) != c.found {
					t.Fatalf("found %d", len(rows))
				}
			})
		}
	})
}

func TestPagesCoverAListExactly(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		create(t, s, "lb1")
		settle(t, s, "lb1") // all at one time by the clock, and updated
		_, err := s.ChangeTree(ctx, "lb1", "ann", func(tree *lb.Tree) error {
			for i := range 9 {
				tree.AcceptPending = true
				m := lb.Member{ID: fmt.Sprintf("x%d", i), Name: fmt.Sprint(i % 3), Address: fmt.Sprintf("198.18.3.%d", i), ProtocolPort: 1, Weight: i % 2}
				if i%2 == 0 {
					m.SubnetID = "s9"
				}
				if err := tree.AddMember("lb1-pool", m); err != nil {
					return err
				}
			}
			return nil
		})
		ok(t, err)
		for _, sort := range [][]store.SortKey{
			nil,
			{{Name: "name"}},
			{{Name: "weight", Desc: true}, {Name: "name"}},
			{{Name: "subnet_id", Desc: true}},
			{{Name: "updated_at"}, {Name: "id", Desc: true}},
			{{Name: "created_at", Desc: true}},
			{{Name: "admin_state_up"}},
		} {
			t.Run(fmt.Sprint(sort), func(t *testing.T) {
				whole, err := s.Members(ctx, store.Query{Sort: sort})
				ok(t, err)
				if len(whole) != 11 {
					t.Fatalf("%d members", len(whole))
				}
				var paged []lb.Member
				q := store.Query{Sort: sort, Limit: 2}
				for {
					page, err := s.Members(ctx, q)
					ok(t, err)
					paged = append(paged, page...)
					if len(page) < q.Limit {
						break
					}
					q.Marker = page[len(page)-1].ID
				}
				if d := cmp.Diff(whole, paged); d != "" {
					t.Fatal(d)
				}
			})
		}
		_, err = s.Members(ctx, store.Query{Marker: "nobody"})
		wantKind(t, err, lb.KindInvalid)
		_, err = s.Members(ctx, store.Query{Sort: []store.SortKey{{Name: "o.id; DROP TABLE pool"}}})
		wantKind(t, err, lb.KindInvalid)
		_, err = s.Amphorae(ctx, store.Query{Sort: []store.SortKey{{Name: "updated_at"}}, ProjectID: "p1"})
		ok(t, err)
		_, err = s.HealthMonitors(ctx, store.Query{Sort: []store.SortKey{{Name: "url_path"}, {Name: "max_retries"}}, ProjectID: "p1"})
		ok(t, err)
	})
}
