package agent_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"testing"
	"time"

	"colonnade/internal/agentconf"
	"colonnade/internal/agentrest"
	"colonnade/internal/distributor"
	"colonnade/internal/distributor/agent"
	"colonnade/internal/distributor/distributortest"
	"colonnade/internal/distributor/probe"
	"colonnade/internal/lb"
)

const (
	lb1      = "11111111-1111-4111-8111-111111111111"
	lb2      = "22222222-2222-4222-8222-222222222222"
	probeKey = distributortest.ProbeKey
	vipMAC   = distributortest.MAC
)

// The amphorae and the tables of the tests are those of the conformance suite.
var (
	amp   = distributortest.Amphora
	mac   = distributortest.AmphoraMAC
	table = distributortest.Table
)

func stamp(epoch, revision, serial int64) lb.Stamp {
	return lb.Stamp{Epoch: epoch, Revision: revision, Serial: serial}
}

func plug(s lb.Stamp) distributor.VIPPlug { return distributortest.Plug(s) }

func register(s lb.Stamp, t distributor.Table) distributor.Registrations {
	t.Version = s.Revision
	return distributor.Registrations{Stamp: s, LBID: lb1, Table: t}
}

// machine is what an agent works with in these tests, in memory; it outlives agents as the kernel does.
type machine struct {
	t   *testing.T
	dir string

	mu        sync.Mutex
	ports     map[string]distributor.VIPPlug
	installed map[string]distributor.PortConfig
	tables    map[string]distributor.EffectiveTable
	refuse    map[string]error // by operation
	deaf      map[string]bool  // amphora MACs that do not answer probes
	wires     []*memoryWire
}

func newMachine(t *testing.T) *machine {
	return &machine{
		t: t, dir: t.TempDir(), ports: map[string]distributor.VIPPlug{}, installed: map[string]distributor.PortConfig{},
		tables: map[string]distributor.EffectiveTable{}, refuse: map[string]error{}, deaf: map[string]bool{},
	}
}

// start opens an agent as its process would; end closes it and leaves everything else.
func (m *machine) start() (a *agent.Agent, end func()) {
	m.t.Helper()
	conf := agentconf.Config{Kind: "distributor", ID: "d1", Place: agentconf.Place{Dir: m.dir}}
	a, err := agent.Open(conf, agent.Parts{Ports: memoryPorts{m}, Dataplane: memoryDataplane{m}, OpenWire: m.openWire, Now: time.Now},
		slog.New(slog.DiscardHandler))
	if err != nil {
		m.t.Fatal(err)
	}
	return a, func() {
		if err := a.Close(); err != nil {
			m.t.Error(err)
		}
	}
}

// call makes one REST call and decodes the answer into out, if given.
func call(t *testing.T, a *agent.Agent, method, path string, body, out any) (status int, raw string) {
	t.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	agentrest.Handler(agent.Routes(a), slog.New(slog.DiscardHandler)).ServeHTTP(w, httptest.NewRequest(method, path, bytes.NewReader(b)))
	if out != nil {
		if err := json.Unmarshal(w.Body.Bytes(), out); err != nil {
			t.Fatalf("%s %s: %v in %q", method, path, err, w.Body)
		}
	}
	return w.Code, w.Body.String()
}

// must calls and wants 200 or 204.
func must(t *testing.T, a *agent.Agent, method, path string, body any) (s distributor.LBStatus) {
	t.Helper()
	status, raw := call(t, a, method, path, body, nil)
	if status/100 != 2 {
		t.Fatalf("%s %s: %d %s", method, path, status, raw)
	}
	if raw != "" {
		if err := json.Unmarshal([]byte(raw), &s); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

const (
	vipPath   = "/v1/loadbalancers/" + lb1 + "/vip"
	tablePath = "/v1/loadbalancers/" + lb1 + "/amphorae"
	lbPath    = "/v1/loadbalancers/" + lb1
)

func put(t *testing.T, a *agent.Agent, path string, body any) distributor.LBStatus {
	t.Helper()
	return must(t, a, http.MethodPut, path, body)
}

func (m *machine) fails(op string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.refuse[op]
}

func (m *machine) setRefuse(op string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.refuse[op] = err
}

func (m *machine) setDeaf(deaf bool, amphorae ...int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, n := range amphorae {
		m.deaf[mac(n)] = deaf
	}
}

// targets are who gets packets of the load balancer now, by position.
func (m *machine) targets() [][6]byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.tables[lb1].MACs
}

type memoryPorts struct{ m *machine }

func (p memoryPorts) Ensure(plug distributor.VIPPlug, install func(distributor.PortConfig, bool) error) (distributor.PortConfig, bool, error) {
	port := distributor.PortConfig{NamespacePath: "/memory/" + plug.LBID, Interface: agent.PortName, VIPs: []string{plug.VIPAddress}}
	if err := p.m.fails("plug"); err != nil {
		return port, false, err
	}
	p.m.mu.Lock()
	moved := p.m.ports[plug.LBID].MACAddress != plug.MACAddress
	p.m.mu.Unlock()
	if err := install(port, moved); err != nil {
		return port, moved, err
	}
	p.m.mu.Lock()
	defer p.m.mu.Unlock()
	p.m.ports[plug.LBID] = plug
	return port, moved, nil
}

func (p memoryPorts) Remove(lbID string) error {
	p.m.mu.Lock()
	defer p.m.mu.Unlock()
	delete(p.m.ports, lbID)
	return nil
}

type memoryDataplane struct{ m *machine }

func (memoryDataplane) Name() string { return "memory" }

func (d memoryDataplane) Install(lbID string, port distributor.PortConfig) error {
	if err := d.m.fails("install"); err != nil {
		return err
	}
	d.m.mu.Lock()
	defer d.m.mu.Unlock()
	d.m.installed[lbID] = port
	return nil
}

func (d memoryDataplane) SetTable(lbID string, t distributor.EffectiveTable) error {
	if err := d.m.fails("table"); err != nil {
		return err
	}
	d.m.mu.Lock()
	defer d.m.mu.Unlock()
	if _, ok := d.m.installed[lbID]; !ok {
		return errors.New("table before the program")
	}
	d.m.tables[lbID] = t
	return nil
}

func (d memoryDataplane) Statistics(lbID string) (distributor.Statistics, error) {
	return distributor.Statistics{LBID: lbID, ForwardedPkts: 3, ForwardedByte: 180, Dropped: map[string]uint64{"no_owner": 1}}, nil
}

func (d memoryDataplane) Remove(lbID string) error {
	d.m.mu.Lock()
	defer d.m.mu.Unlock()
	delete(d.m.installed, lbID)
	delete(d.m.tables, lbID)
	return nil
}

func (memoryDataplane) Close() error { return nil }

func (m *machine) openWire(distributor.PortConfig) (agent.Wire, error) {
	w := &memoryWire{m: m, frames: make(chan []byte, 64), closed: make(chan struct{})}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.wires = append(m.wires, w)
	return w, nil
}

// memoryWire answers probes for every amphora that is not deaf.
type memoryWire struct {
	m      *machine
	frames chan []byte
	closed chan struct{}
	once   sync.Once
}

func (w *memoryWire) Receive(buf []byte, deadline time.Time) (int, error) {
	select {
	case f := <-w.frames:
		return copy(buf, f), nil
	default:
	}
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	select {
	case f := <-w.frames:
		return copy(buf, f), nil
	case <-w.closed:
		return 0, os.ErrClosed
	case <-timer.C:
		return 0, os.ErrDeadlineExceeded
	}
}

func (w *memoryWire) Send(frame []byte) error {
	key, err := probe.ParseKey(probeKey)
	if err != nil {
		return err
	}
	f, err := probe.Unmarshal(frame, key, key.Tag(lb1))
	if err != nil {
		w.m.t.Error("a probe that no amphora would answer: ", err)
		return nil
	}
	w.m.mu.Lock()
	deaf := w.m.deaf[hexMAC(f.Destination)]
	w.m.mu.Unlock()
	if deaf {
		return nil
	}
	f.Source, f.Destination, f.Type = f.Destination, f.Source, probe.Answer
	w.frames <- f.Marshal(key)
	return nil
}

// say sends a frame of an amphora's own accord.
func (w *memoryWire) say(n int, kind probe.Type, sequence uint64) {
	key, err := probe.ParseKey(probeKey)
	if err != nil {
		w.m.t.Fatal(err)
	}
	f := probe.Frame{Source: parseMAC(mac(n)), Destination: parseMAC(vipMAC), Type: kind, Tag: key.Tag(lb1), Sequence: sequence}
	w.frames <- f.Marshal(key)
}

func (w *memoryWire) Close() error {
	w.once.Do(func() { close(w.closed) })
	return nil
}

func compile(t *testing.T, tb distributor.Table) *distributor.Compiled {
	t.Helper()
	c, err := distributor.Compile(tb)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
