package haproxy

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"fmt"
	"math"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"text/template"

	"colonnade/internal/amphora"
	"colonnade/internal/lb"
)

// Settings are what the rendered file needs beside the document.
type Settings struct {
	// AmphoraID seeds the order of members (S26).
	AmphoraID string
	// MaxConn is the process's limit; see MaxConnFor.
	MaxConn int
}

// Most connections of one process: two descriptors each have to fit in the hard NOFILE limit, which cannot be raised
// (measured: 20000 allows less than 9900).
const (
	mostConnections = 9000
	spareFiles      = 200
)

// MaxConnFor is the process limit that a hard NOFILE limit allows.
func MaxConnFor(nofile uint64) int {
	if nofile > 2*mostConnections+spareFiles {
		return mostConnections
	}
	return max(10, (int(nofile)-spareFiles)/2)
}

// Defaults of timeouts that a document leaves 0, ms; longest what HAProxy can count, some 24 days.
const (
	defaultConnect = 5000
	defaultData    = 50000
	longest        = math.MaxInt32
)

//go:embed haproxy.cfg.tmpl
var templateText string

var configTemplate = template.Must(template.New("haproxy.cfg").Parse(templateText))

type frontend struct {
	ID, Mode, Backend      string
	Binds, Lines           []string
	Policies               []policy // after all else: whose lines they are, is what stands above them
	MaxConn, ClientTimeout int
}

type backend struct {
	Name, PoolID, Mode, MonitorID string
	ConnectTimeout, ServerTimeout int
	Lines, Monitor, Servers       []string
}

type configuration struct {
	MaxConn   int
	Tables    bool // some pool keeps a stick table
	TLS       bool // some listener ends TLS
	Frontends []frontend
	Backends  []backend
}

// Render writes HAProxy's configuration for a document. One that Check refuses is refused with the same problems.
func Render(d amphora.Desired, s Settings) (string, error) {
	if problems := Check(d); len(problems) > 0 {
		return "", &amphora.RefusedError{Problems: problems}
	}
	c := configuration{MaxConn: s.MaxConn}
	for _, l := range d.Listeners {
		f := renderFrontend(d, l, s)
		f.Policies = renderPolicies(l)
		for _, id := range l.PoolIDs() {
			i := slices.IndexFunc(d.Pools, func(p amphora.Pool) bool { return p.ID == id })
			b := renderBackend(d, l, d.Pools[i], s)
			if id == l.DefaultPoolID {
				f.Backend = b.Name
			}
			c.Backends = append(c.Backends, b)
			c.Tables = c.Tables || usesTable(d.Pools[i])
		}
		c.Frontends = append(c.Frontends, f)
		c.TLS = c.TLS || l.TLS != nil
	}
	var out bytes.Buffer
	if err := configTemplate.Execute(&out, c); err != nil {
		return "", fmt.Errorf("render haproxy configuration: %w", err)
	}
	return out.String(), nil
}

func renderFrontend(d amphora.Desired, l amphora.Listener, s Settings) frontend {
	f := frontend{ID: l.ID, Mode: mode(l), ClientTimeout: orDefault(l.TimeoutClientData, defaultData)}
	for _, v := range d.VIPs {
		f.Binds = append(f.Binds, hostPort(v.Address, l.Port)+bindOptions(l))
	}
	limit := l.ConnectionLimit
	if limit < 0 {
		limit = d.DefaultConnectionLimit
	}
	if limit <= 0 || limit > s.MaxConn {
		limit = s.MaxConn
	}
	f.MaxConn = limit
	if l.TimeoutTCPInspect > 0 {
		f.Lines = append(f.Lines, fmt.Sprintf("tcp-request inspect-delay %dms", min(l.TimeoutTCPInspect, longest)))
	}
	f.Lines = append(f.Lines, headerLines(l)...)
	f.Lines = append(f.Lines, tlsLines(l.TLS)...)
	if l.Protocol == lb.ProtocolPrometheus {
		f.Lines = append(f.Lines, "http-request use-service prometheus-exporter if { path /metrics }", "http-request return status 404")
	}
	return f
}

// backendName: timeouts and mode are the listener's, so a pool has a backend for each listener that uses it.
func backendName(poolID, listenerID string) string { return poolID + ":" + listenerID }

func renderBackend(d amphora.Desired, l amphora.Listener, p amphora.Pool, s Settings) backend {
	b := backend{
		Name: backendName(p.ID, l.ID), PoolID: p.ID, Mode: mode(l),
		ConnectTimeout: orDefault(l.TimeoutMemberConnect, defaultConnect),
		ServerTimeout:  orDefault(l.TimeoutMemberData, defaultData),
	}
	switch p.Algorithm {
	case lb.RoundRobin:
		b.Lines = append(b.Lines, "balance roundrobin")
	case lb.LeastConnections:
		b.Lines = append(b.Lines, "balance leastconn")
	case lb.SourceIP:
		// Consistent: by the stored server ids alone, so every amphora decides alike (S33) and servers come and go alive.
		b.Lines = append(b.Lines, "balance source", "hash-type consistent")
	}
	if b.Mode == "http" {
		b.Lines = append(b.Lines, "http-reuse safe")
	}
	b.Lines = append(b.Lines, persistence(d, b.Mode, p)...)
	if m := p.Monitor; m != nil {
		b.MonitorID = m.ID
		b.Monitor = monitorLines(*m)
	}
	for _, m := range memberOrder(p, s) {
		b.Servers = append(b.Servers, serverLine(l, p, m))
	}
	return b
}

func usesTable(p amphora.Pool) bool {
	return p.SessionPersistence != nil && p.SessionPersistence.Type != lb.PersistHTTPCookie
}

func persistence(d amphora.Desired, mode string, p amphora.Pool) []string {
	if p.SessionPersistence == nil {
		return nil
	}
	switch p.SessionPersistence.Type {
	case lb.PersistSourceIP:
		return []string{"stick-table type ipv6 size 10k expire 1h peers self", "stick on src"}
	case lb.PersistHTTPCookie:
		if mode != "http" { // accepted by the API and without meaning, as upstream
			return nil
		}
		return []string{"cookie SRV insert indirect nocache dynamic", "dynamic-cookie-key " + cookieKey(d, p.ID)}
	default: // APP_COOKIE; Check knows no other
		if mode != "http" {
			return nil
		}
		name := quote(p.SessionPersistence.CookieName)
		return []string{
			"stick-table type string len 64 size 10k expire 1h peers self",
			"stick store-response res.cook(" + name + ")",
			"stick match req.cook(" + name + ")",
		}
	}
}

// dynamicCookie reports whether servers of this backend need their cookies made anew when they are added.
func dynamicCookie(mode string, p amphora.Pool) bool {
	return mode == "http" && p.SessionPersistence != nil && p.SessionPersistence.Type == lb.PersistHTTPCookie
}

// cookieKey is equal on every amphora of the load balancer and unknown to clients, who see hashes of member addresses.
func cookieKey(d amphora.Desired, poolID string) string {
	sum := sha256.Sum256([]byte("cookie " + d.ProbeKey + " " + poolID))
	return hex.EncodeToString(sum[:16])
}

func monitorLines(m amphora.Monitor) []string {
	lines := []string{fmt.Sprintf("timeout check %ds", m.Timeout)}
	if m.Type == lb.MonitorTCP || m.Type == lb.MonitorTLSHello {
		return lines
	}
	send := "http-check send meth " + orText(m.HTTPMethod, "GET") + " uri " + quote(orText(m.URLPath, "/"))
	if m.HTTPVersion != "" {
		send += " ver HTTP/" + m.HTTPVersion
	}
	if m.DomainName != "" {
		send += " hdr Host " + quote(m.DomainName)
	}
	codes := strings.Join(strings.Fields(orText(m.ExpectedCodes, "200")), "")
	return append(lines, "option httpchk", send, "http-check expect status "+codes)
}

// memberOrder shuffles by the amphora's id, so that a cluster does not act in step (S26). With SOURCE_IP the order
// stays, because all have to decide alike (S33).
func memberOrder(p amphora.Pool, s Settings) []amphora.Member {
	order := slices.Clone(p.Members)
	if p.Algorithm == lb.SourceIP {
		slices.SortFunc(order, func(a, b amphora.Member) int { return a.ServerID - b.ServerID })
		return order
	}
	rank := func(m amphora.Member) string {
		sum := sha256.Sum256([]byte(s.AmphoraID + " " + m.ID))
		return string(sum[:])
	}
	slices.SortFunc(order, func(a, b amphora.Member) int { return strings.Compare(rank(a), rank(b)) })
	return order
}

func serverLine(l amphora.Listener, p amphora.Pool, m amphora.Member) string {
	line := m.ID + " " + hostPort(m.Address, m.Port) + " id " + strconv.Itoa(m.ServerID) + serverOptions(l, p, m)
	if !m.Enabled {
		line += " disabled"
	}
	return line
}

// serverOptions are the parameters that the file and the runtime API's "add server" share.
func serverOptions(l amphora.Listener, p amphora.Pool, m amphora.Member) string {
	o := fmt.Sprintf(" weight %d", m.Weight)
	if m.Backup {
		o += " backup"
	}
	switch p.Protocol {
	case lb.ProtocolProxy:
		o += " send-proxy"
	case lb.ProtocolProxyV2:
		o += " send-proxy-v2"
		if l.TLS != nil {
			o += "-ssl-cn"
		}
	}
	o += memberTLS(mode(l), p.TLS)
	if p.Monitor == nil {
		return o
	}
	o += " check"
	if p.Monitor.Type == lb.MonitorHTTPS || p.Monitor.Type == lb.MonitorTLSHello {
		o += " check-ssl"
		if p.TLS == nil { // a pool that speaks TLS has said whom it trusts
			o += " verify none"
		}
	}
	o += fmt.Sprintf(" inter %ds fall %d rise %d", p.Monitor.Delay, p.Monitor.MaxRetriesDown, p.Monitor.MaxRetries)
	if m.MonitorAddress != "" {
		o += " addr " + canonical(m.MonitorAddress)
	}
	if m.MonitorPort != 0 {
		o += fmt.Sprintf(" port %d", m.MonitorPort)
	}
	return o
}

func mode(l amphora.Listener) string {
	switch l.Protocol {
	case lb.ProtocolHTTP, lb.ProtocolTerminatedHTTPS, lb.ProtocolPrometheus:
		return "http"
	}
	return "tcp"
}

// quote makes one word of s for HAProxy's parser. Grammars keep control characters out before.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

func canonical(addr string) string { return netip.MustParseAddr(addr).String() }

func hostPort(addr string, port int) string {
	return net.JoinHostPort(canonical(addr), strconv.Itoa(port))
}

func orDefault(ms, standard int) int {
	if ms == 0 {
		return standard
	}
	return min(ms, longest)
}

func orText(s, standard string) string {
	if s == "" {
		return standard
	}
	return s
}
