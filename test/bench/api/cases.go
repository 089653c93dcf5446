package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// bench asks one API.
type bench struct {
	url  string
	http *http.Client
	ids  []string // of load balancers
	n    atomic.Int64
}

func newBench(url string) *bench {
	return &bench{url: url + "/v2.0/lbaas/", http: &http.Client{
		Timeout: time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: 32},
	}}
}

// do makes a request and reads the answer whole.
func (b *bench) do(method, path, body string, want int) ([]byte, error) {
	r, err := http.NewRequest(method, b.url+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("X-Auth-Token", token)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	resp, err := b.http.Do(r)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != want {
		err = fmt.Errorf("%s %s: %d %.300s", method, path, resp.StatusCode, answer)
	}
	return answer, err
}

// create makes a load balancer with these pools and returns its id and its first pool's.
func (b *bench) create(pools, members int) (id, pool string, err error) {
	var list []string
	for i := range pools {
		var ms []string
		for j := range members {
			ms = append(ms, fmt.Sprintf(`{"address":"198.18.%d.%d","protocol_port":80}`, i, j+2))
		}
		list = append(list, fmt.Sprintf(`{"name":"p%d","protocol":"HTTP","lb_algorithm":"ROUND_ROBIN","members":[%s]}`, i, strings.Join(ms, ",")))
	}
	listener := ""
	if pools > 0 {
		listener = `{"protocol":"HTTP","protocol_port":80,"default_pool":{"name":"p0"}}`
	}
	answer, err := b.do("POST", "loadbalancers", fmt.Sprintf(`{"loadbalancer":{"name":"lb-%d","vip_subnet_id":%q,"listeners":[%s],"pools":[%s]}}`,
		b.n.Add(1), subnetID, listener, strings.Join(list, ",")), 201)
	if err != nil {
		return "", "", err
	}
	var out struct {
		LoadBalancer struct {
			ID    string
			Pools []struct{ ID string }
		}
	}
	if err := json.Unmarshal(answer, &out); err != nil {
		return "", "", err
	}
	if pools > 0 {
		pool = out.LoadBalancer.Pools[0].ID
	}
	return out.LoadBalancer.ID, pool, nil
}

// fill makes n load balancers with a listener, a pool and two members each.
func (b *bench) fill(n int) error {
	for len(b.ids) < n {
		id, _, err := b.create(1, 2)
		if err != nil {
			return err
		}
		b.ids = append(b.ids, id)
	}
	return nil
}

// measured is one thing to measure: prepare makes what one client needs for so many calls, call makes the i-th.
type measured struct {
	name, target, goal string
	most               int // calls of one client; 0 as many as there is time for
	prepare            func(client, calls int) (call func(i int) error, err error)
}

func (b *bench) cases() []measured {
	get := func(path string) func(int, int) (func(int) error, error) {
		return func(int, int) (func(int) error, error) {
			return func(int) error { _, err := b.do("GET", path, "", 200); return err }, nil
		}
	}
	out := []measured{{name: "show", target: "T9", goal: "≤ 5 ms", prepare: func(client, _ int) (func(int) error, error) {
		return func(i int) error {
			_, err := b.do("GET", "loadbalancers/"+b.ids[(client*61+i)%len(b.ids)], "", 200)
			return err
		}, nil
	}}}
	for _, limit := range []int{10, 500, 1000} {
		goal := ""
		if limit == 1000 {
			goal = "≤ 40 ms"
		}
		out = append(out, measured{name: fmt.Sprintf("list_%d", limit), target: "T9", goal: goal, prepare: get(fmt.Sprintf("loadbalancers?limit=%d", limit))})
	}
	return append(
		out,
		measured{name: "list_filtered", target: "T9", prepare: get("loadbalancers?name=lb-7&admin_state_up=true")},
		measured{name: "create", target: "T9", goal: "≤ 20 ms", prepare: func(int, int) (func(int) error, error) {
			return func(int) error { _, _, err := b.create(0, 0); return err }, nil
		}},
		measured{name: "update", target: "T9", prepare: func(client, _ int) (func(int) error, error) {
			return func(i int) error {
				_, err := b.do("PUT", "loadbalancers/"+b.ids[client], fmt.Sprintf(`{"loadbalancer":{"name":"u%d"}}`, i), 200)
				return err
			}, nil
		}},
		measured{name: "batch_160_members", target: "T9", most: 60, prepare: func(int, int) (func(int) error, error) {
			_, pool, err := b.create(1, 160)
			return func(i int) error { return b.batch(pool, i) }, err
		}},
		measured{name: "cascade_delete_60_pools", target: "T12", goal: "≤ 1000 ms", most: 6, prepare: func(_, calls int) (func(int) error, error) {
			var ids []string
			for range calls {
				id, _, err := b.create(60, 2)
				if err != nil {
					return nil, err
				}
				ids = append(ids, id)
			}
			return func(i int) error {
				_, err := b.do("DELETE", "loadbalancers/"+ids[i]+"?cascade=true", "", 204)
				return err
			}, nil
		}},
	)
}

// batch changes the weight of all 160 members of a pool.
func (b *bench) batch(pool string, i int) error {
	ms := make([]string, 160)
	for j := range ms {
		ms[j] = fmt.Sprintf(`{"address":"198.18.0.%d","protocol_port":80,"weight":%d}`, j+2, i%2+1)
	}
	_, err := b.do("PUT", "pools/"+pool+"/members", `{"members":[`+strings.Join(ms, ",")+`]}`, 202)
	return err
}

// run lets clients make their calls one after another, all clients at a time, and returns how long each call took, in
// ms, how long all of it, and what CPU time it cost the API.
func (b *bench) run(m measured, clients int, lasts time.Duration, pid int) (took []float64, every, cpu time.Duration, err error) {
	calls := make([]func(int) error, clients)
	for i := range calls {
		if calls[i], err = m.prepare(i, m.most); err != nil {
			return nil, 0, 0, err
		}
	}
	used, err := cpuTime(pid)
	if err != nil {
		return nil, 0, 0, err
	}
	var mu sync.Mutex
	var all sync.WaitGroup
	began := time.Now()
	for _, call := range calls {
		all.Go(func() {
			var mine []float64
			var failed error
			for i := 0; failed == nil && (m.most == 0 || i < m.most) && time.Since(began) < lasts; i++ {
				at := time.Now()
				failed = call(i)
				mine = append(mine, float64(time.Since(at).Microseconds())/1000)
			}
			mu.Lock()
			defer mu.Unlock()
			took, err = append(took, mine...), errors.Join(err, failed)
		})
	}
	all.Wait()
	every = time.Since(began)
	now, cpuErr := cpuTime(pid)
	return took, every, now - used, errors.Join(err, cpuErr)
}

// cpuTime is what a process has used so far.
func cpuTime(pid int) (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:])) // from the third on
	var user, system int64
	if _, err := fmt.Sscan(fields[11]+" "+fields[12], &user, &system); err != nil {
		return 0, err
	}
	const tick = 10 * time.Millisecond // USER_HZ is 100 on every Linux there is
	return time.Duration(user+system) * tick, nil
}
