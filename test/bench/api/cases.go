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

const subnetID = "22222222-2222-4222-8222-222222222222" // the no-op network has any

// bench asks one API.
type bench struct {
	url, token string
	http       *http.Client
	ids        []string // of load balancers
	n          atomic.Int64
}

func newBench(url, token string) *bench {
	return &bench{url: url + "/v2.0/lbaas/", token: token, http: &http.Client{
		Timeout: time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: 64},
	}}
}

// ask makes a request and reads the answer whole.
func (b *bench) ask(method, path, body string) (int, []byte, error) {
	r, err := http.NewRequest(method, b.url+path, strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	r.Header.Set("X-Auth-Token", b.token)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	resp, err := b.http.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	return resp.StatusCode, answer, err
}

// do is ask, and any other answer is an error.
func (b *bench) do(method, path, body string, want int) ([]byte, error) {
	status, answer, err := b.ask(method, path, body)
	if err == nil && status != want {
		err = fmt.Errorf("%s %s: %d %.300s", method, path, status, answer)
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

// until asks for a load balancer every few milliseconds until it is so, for at most a minute.
func (b *bench) until(id string, so func(status int, provisioning string) bool) error {
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		status, answer, err := b.ask("GET", "loadbalancers/"+id, "")
		if err != nil {
			return err
		}
		var out struct {
			LoadBalancer struct {
				Provisioning string `json:"provisioning_status"`
			}
		}
		_ = json.Unmarshal(answer, &out)
		switch now := out.LoadBalancer.Provisioning; {
		case so(status, now):
			return nil
		case now == "ERROR", time.Now().After(deadline):
			return fmt.Errorf("load balancer %s is %d %s", id, status, now)
		}
	}
}

func active(status int, provisioning string) bool { return status == 200 && provisioning == "ACTIVE" }
func gone(status int, _ string) bool              { return status == 404 }

// call is one client's: do makes its i-th call, end waits for what the call began, where that is measured too.
type call struct {
	do  func(i int) error
	end func(i int) error
}

// measured is one thing to measure: prepare makes what one client needs for so many calls.
type measured struct {
	name, target, goal string
	most               int     // calls of one client; 0 as many as there is time for
	octavia            float64 // calls a second of Octavia's API, at 16 clients
	end, endGoal       string  // what end waits for
	prepare            func(b *bench, client, calls int) (call, error)
}

// cases are what to measure: of the API alone, or with worker and cluster manager.
func cases(alone bool) []measured {
	if !alone {
		return []measured{create("create_with_workers", true), cascade("cascade_delete_60_pools_with_workers", true)}
	}
	// get asks for what differs by client and call.
	get := func(path func(b *bench, client, i int) string) func(*bench, int, int) (call, error) {
		return func(b *bench, client, _ int) (call, error) {
			return call{do: func(i int) error { _, err := b.do("GET", path(b, client, i), "", 200); return err }}, nil
		}
	}
	list := func(limit int) func(*bench, int, int) (call, error) {
		return get(func(*bench, int, int) string { return fmt.Sprintf("loadbalancers?limit=%d", limit) })
	}
	return []measured{
		{name: "show", target: "T9", goal: "≤ 5 ms", octavia: 225, prepare: get(func(b *bench, client, i int) string {
			return "loadbalancers/" + b.ids[(client*61+i)%len(b.ids)]
		})},
		{name: "list_10", target: "T9", octavia: 148, prepare: list(10)},
		// Each client another page, so that no answer is shared.
		{name: "list_10_apart", target: "T9", octavia: 148, prepare: get(func(b *bench, client, i int) string {
			return "loadbalancers?limit=10&marker=" + b.ids[(client*61+i)%(len(b.ids)-10)]
		})},
		{name: "list_500", target: "T9", octavia: 9, prepare: list(500)},
		{name: "list_500_apart", target: "T9", octavia: 9, prepare: get(func(b *bench, client, i int) string {
			return "loadbalancers?limit=500&marker=" + b.ids[(client*31+i)%max(1, len(b.ids)-500)]
		})},
		{name: "list_1000", target: "T9", goal: "≤ 40 ms", prepare: list(1000)},
		{name: "list_filtered", target: "T9", prepare: get(func(*bench, int, int) string { return "loadbalancers?name=lb-7&admin_state_up=true" })},
		create("create", false),
		{name: "update", target: "T9", prepare: func(b *bench, client, _ int) (call, error) {
			return call{do: func(i int) error {
				_, err := b.do("PUT", "loadbalancers/"+b.ids[client], fmt.Sprintf(`{"loadbalancer":{"name":"u%d"}}`, i), 200)
				return err
			}}, nil
		}},
		{name: "batch_160_members", target: "T9", most: 60, prepare: func(b *bench, _, _ int) (call, error) {
			_, pool, err := b.create(1, 160)
			return call{do: func(i int) error { return b.batch(pool, i) }}, err
		}},
		cascade("cascade_delete_60_pools", false),
	}
}

// create makes load balancers; with workers each becomes ACTIVE.
func create(name string, workers bool) measured {
	m := measured{name: name, target: "T9", goal: "≤ 20 ms"}
	if workers {
		m.end, m.most = "active", 10 // so that none has to wait for longer than it may be pending
	}
	m.prepare = func(b *bench, _, _ int) (call, error) {
		var ids []string
		c := call{do: func(int) error {
			id, _, err := b.create(0, 0)
			ids = append(ids, id)
			return err
		}}
		if workers {
			c.end = func(i int) error { return b.until(ids[i], active) }
		}
		return c, nil
	}
	return m
}

// cascade deletes whole load balancers; with workers each is ACTIVE before and gone in the end.
func cascade(name string, workers bool) measured {
	m := measured{name: name, target: "T12", goal: "≤ 1000 ms", most: 6}
	if workers {
		m.most, m.end, m.endGoal = 2, "gone", "≤ 5000 ms"
	}
	m.prepare = func(b *bench, _, calls int) (call, error) {
		var ids []string
		for range calls {
			id, _, err := b.create(60, 2)
			if err == nil && workers {
				err = b.until(id, active)
			}
			if err != nil {
				return call{}, err
			}
			ids = append(ids, id)
		}
		c := call{do: func(i int) error {
			_, err := b.do("DELETE", "loadbalancers/"+ids[i]+"?cascade=true", "", 204)
			return err
		}}
		if workers {
			c.end = func(i int) error { return b.until(ids[i], gone) }
		}
		return c, nil
	}
	return m
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

// result is what a run took: each call and each end, in ms since the call began; all calls; until the last end; and the
// control plane's CPU time.
type result struct {
	took, ended          []float64
	every, untilEnd, cpu time.Duration
}

// run lets clients make their calls one after another, all clients at a time.
func (b *bench) run(m measured, clients int, lasts time.Duration, pid int) (r result, err error) {
	calls := make([]call, clients)
	for i := range calls {
		if calls[i], err = m.prepare(b, i, m.most); err != nil {
			return r, err
		}
	}
	used, err := cpuTime(pid)
	if err != nil {
		return r, err
	}
	var mu sync.Mutex
	var all, ends sync.WaitGroup
	began := time.Now()
	since := func(at time.Time) float64 { return float64(time.Since(at).Microseconds()) / 1000 }
	for _, c := range calls {
		all.Go(func() {
			var mine []float64
			var failed error
			var starts []time.Time
			for i := 0; failed == nil && (m.most == 0 || i < m.most) && time.Since(began) < lasts; i++ {
				starts = append(starts, time.Now())
				failed = c.do(i)
				mine = append(mine, since(starts[i]))
			}
			mu.Lock()
			defer mu.Unlock()
			r.took, err = append(r.took, mine...), errors.Join(err, failed)
			if c.end == nil || failed != nil {
				return
			}
			ends.Go(func() { // in order: what was begun first ends first, more or less
				var failed error
				for i, at := range starts {
					if failed == nil {
						failed = c.end(i)
					}
					took := since(at)
					mu.Lock()
					r.ended = append(r.ended, took)
					mu.Unlock()
				}
				mu.Lock()
				defer mu.Unlock()
				err = errors.Join(err, failed)
			})
		})
	}
	all.Wait()
	r.every = time.Since(began)
	ends.Wait()
	r.untilEnd = time.Since(began)
	now, cpuErr := cpuTime(pid)
	r.cpu = now - used
	return r, errors.Join(err, cpuErr)
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
