package store_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"colonnade/internal/lb"
	"colonnade/internal/store"
	"colonnade/internal/store/storetest"
)

// BenchmarkStore shows where the time of T9 goes that the database takes, over a thousand load balancers:
// go test ./internal/store -run - -bench Store -benchmem.
func BenchmarkStore(b *testing.B) {
	for _, d := range storetest.Databases {
		b.Run(d.Name, func(b *testing.B) {
			s := storetest.Open(b, d.New(b))
			ctx := b.Context()
			n := 0
			create := func() string {
				n++
				id := fmt.Sprintf("lb-%06d", n)
				tree, cluster := newTree(b, id)
				ok(b, s.CreateTree(ctx, tree, cluster))
				return id
			}
			for range 1000 {
				create()
			}
			show := store.Query{Filters: map[string][]string{"id": {"lb-000500"}}, Limit: 1}
			b.Run("show", func(b *testing.B) {
				for countCPU(b); b.Loop(); {
					_, err := s.LoadBalancers(ctx, show)
					ok(b, err)
				}
			})
			b.Run("show pool", func(b *testing.B) {
				for countCPU(b); b.Loop(); {
					_, err := s.Pools(ctx, store.Query{Filters: map[string][]string{"id": {"lb-000500-pool"}}, Limit: 1})
					ok(b, err)
				}
			})
			for _, limit := range []int{10, 1000} {
				b.Run(fmt.Sprint("list ", limit), func(b *testing.B) {
					for countCPU(b); b.Loop(); {
						_, err := s.LoadBalancers(ctx, store.Query{Limit: limit})
						ok(b, err)
					}
				})
			}
			b.Run("tree", func(b *testing.B) {
				for countCPU(b); b.Loop(); {
					_, err := s.Tree(ctx, "lb-000500")
					ok(b, err)
				}
			})
			b.Run("change", func(b *testing.B) {
				for i := countCPU(b); b.Loop(); i++ {
					_, err := s.ChangeTree(ctx, "lb-000500", "ann", func(t *lb.Tree) error {
						t.AcceptPending = true
						return t.UpdateLoadBalancer(func(l *lb.LoadBalancer) error { l.Name = fmt.Sprint(i); return nil })
					})
					ok(b, err)
				}
			})
			b.Run("160 members", func(b *testing.B) {
				id := create()
				for i := countCPU(b); b.Loop(); i++ {
					_, err := s.ChangeTree(ctx, id, "ann", func(t *lb.Tree) error {
						t.AcceptPending = true
						members := make([]lb.Member, 160)
						for j := range members {
							members[j] = lb.Member{
								ID: fmt.Sprintf("%s-m-%d", id, j), Enabled: true, Address: fmt.Sprintf("198.18.1.%d", j), ProtocolPort: 80, Weight: i%2 + 1,
							}
						}
						return t.ReplaceMembers(id+"-pool", members, false)
					})
					ok(b, err)
				}
			})
			b.Run("create", func(b *testing.B) {
				for countCPU(b); b.Loop(); {
					create()
				}
			})
		})
	}
}

// countCPU makes a benchmark also tell the CPU time of this process, which depends less on what else the machine does.
func countCPU(b *testing.B) int {
	b.Helper()
	used := func() time.Duration {
		var u unix.Rusage
		ok(b, unix.Getrusage(unix.RUSAGE_SELF, &u))
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	began := used()
	b.Cleanup(func() { b.ReportMetric(float64((used()-began).Microseconds())/float64(b.N), "cpu-µs/op") })
	return 0
}

// TestChangeReturnsWhatIsStored compares each change's answer, which is not read again, with what is read.
func TestChangeReturnsWhatIsStored(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *store.Store) {
		create(t, s, "lb1")
		member := func(i, weight int) lb.Member {
			return lb.Member{ID: fmt.Sprint("m", i), Enabled: true, Address: fmt.Sprintf("198.18.2.%d", i), ProtocolPort: 80, Weight: weight, Tags: []string{}}
		}
		policy := func(id string, position int) lb.L7Policy {
			return lb.L7Policy{ID: id, ListenerID: "lb1-li", Enabled: true, Action: lb.ActionReject, Position: position}
		}
		for name, f := range map[string]func(*lb.Tree) error{
			"nothing": func(*lb.Tree) error { return nil },
			"name": func(t *lb.Tree) error {
				return t.UpdateLoadBalancer(func(l *lb.LoadBalancer) error { l.Tags = []string{}; return nil })
			},
			"batch": func(t *lb.Tree) error {
				return t.ReplaceMembers("lb1-pool", []lb.Member{member(9, 1), member(3, 2), member(5, 1)}, false)
			},
			"policies": func(t *lb.Tree) error {
				return errors.Join(t.AddL7Policy(policy("zz", 1)), t.AddL7Policy(policy("aa", 1)), t.AddL7Policy(policy("mm", 2)))
			},
			"pool": func(t *lb.Tree) error {
				return t.AddPool(lb.Pool{ID: "a-pool", Enabled: true, Protocol: lb.ProtocolHTTP, Algorithm: lb.RoundRobin}, "")
			},
			"monitor": func(t *lb.Tree) error { return t.DeleteHealthMonitor("lb1-hm") },
		} {
			for range 2 { // the second finds some of it done
				got, err := s.ChangeTree(t.Context(), "lb1", "ann", func(t *lb.Tree) error {
					t.AcceptPending = true
					return f(t)
				})
				if err != nil {
					t.Logf("%s: %v", name, err)
					continue
				}
				want, err := s.Tree(t.Context(), "lb1")
				ok(t, err)
				if d := cmp.Diff(want, got); d != "" {
					t.Errorf("%s: %s", name, d)
				}
			}
		}
	})
}
