// Command api measures T9 and T12: how fast the API answers, with 1 and with 16 clients at a time, over SQLite and over a
// PostgreSQL that it starts itself, with a thousand load balancers. The control plane is a process of its own, `colonnade
// up` with the no-op drivers: first without worker and cluster manager, as Octavia's API was measured, then with them.
// This process, the control plane and PostgreSQL share the machine's cores.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"colonnade/internal/testenv/postgres"
	"colonnade/test/bench/report"
)

// options are the command line's.
type options struct {
	binary, databases, only, profile string
	balancers                        int
	lasts                            time.Duration
}

func main() {
	var o options
	flag.StringVar(&o.binary, "binary", "bin/colonnade", "the program to measure")
	flag.StringVar(&o.databases, "databases", "sqlite,postgres", "on which databases")
	flag.IntVar(&o.balancers, "load-balancers", 1000, "how many there are")
	flag.DurationVar(&o.lasts, "time", 3*time.Second, "how long each measure lasts")
	flag.StringVar(&o.only, "only", "", "measure only those whose name contains this")
	flag.StringVar(&o.profile, "profile", "", "write a CPU profile of the control plane, for each measure, into this directory")
	flag.Parse()
	if err := o.run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench-api:", err)
		os.Exit(1)
	}
}

func (o options) run() error {
	load, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "%d cores, shared by clients, control plane and database; load average before: %s", runtime.NumCPU(), load)
	var figures []report.Figure
	for database := range strings.SplitSeq(o.databases, ",") {
		for _, alone := range []bool{true, false} {
			some, err := o.measure(database, alone)
			if err != nil {
				return fmt.Errorf("%s: %w", database, err)
			}
			figures = append(figures, some...)
		}
	}
	return report.Write(os.Stdout, "api", figures)
}

// measure starts a control plane, fills it and asks it.
func (o options) measure(database string, alone bool) (figures []report.Figure, err error) {
	var wanted []measured
	clientsOf := map[string][]int{}
	for _, c := range cases(alone) {
		for _, clients := range []int{1, 16} {
			if strings.Contains(name(database, c, clients), o.only) {
				clientsOf[c.name] = append(clientsOf[c.name], clients)
			}
		}
		if len(clientsOf[c.name]) > 0 {
			wanted = append(wanted, c)
		}
	}
	if len(wanted) == 0 {
		return nil, nil
	}
	dsn := ""
	if database == "postgres" {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		pg, err := postgres.Start(ctx)
		if err != nil {
			return nil, err
		}
		defer pg.Stop()
		dsn = pg.DSN("postgres")
	}
	s, err := start(o.binary, dsn, alone)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	b := newBench(s.url, s.token)
	if alone {
		fmt.Fprintf(os.Stderr, "%s: making %d load balancers\n", database, o.balancers)
		if err := b.fill(o.balancers); err != nil {
			return nil, err
		}
	}
	for _, clients := range []int{1, 16} {
		for _, c := range wanted {
			if !contains(clientsOf[c.name], clients) {
				continue
			}
			some, err := o.one(b, s, c, clients, name(database, c, clients))
			if err != nil {
				return nil, err
			}
			figures = append(figures, some...)
		}
	}
	return figures, nil
}

func contains(list []int, n int) bool {
	for _, l := range list {
		if l == n {
			return true
		}
	}
	return false
}

func name(database string, c measured, clients int) string {
	return fmt.Sprintf("%s_%s_%d_clients", database, c.name, clients)
}

// one measures one thing.
func (o options) one(b *bench, s *server, c measured, clients int, name string) ([]report.Figure, error) {
	profiled := make(chan error, 1)
	if o.profile != "" {
		go func() { profiled <- profile(s, filepath.Join(o.profile, name+".prof"), o.lasts) }()
	} else {
		profiled <- nil
	}
	r, err := b.run(c, clients, o.lasts, s.pid())
	if err = errors.Join(err, <-profiled); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	var figures []report.Figure
	figure := func(suffix string, value float64, unit, goal string) *report.Figure {
		figures = append(figures, report.Figure{Target: c.target, Measure: name + suffix, Value: value, Unit: unit, Runs: len(r.took), Goal: goal})
		return &figures[len(figures)-1]
	}
	goal := ""
	if clients == 16 || c.target == "T12" {
		goal = c.goal
	}
	figure("_p50", report.Quantile(r.took, 0.5), "ms", "")
	figure("_p99", report.Quantile(r.took, 0.99), "ms", goal)
	rate := float64(len(r.took)) / r.every.Seconds()
	f := figure("_rate", rate, "1/s", "")
	if clients == 16 && c.octavia > 0 {
		ratio := rate / c.octavia
		f.Baseline, f.Ratio, f.Goal = &c.octavia, &ratio, "≥ 20 × Octavia's"
	}
	// Of the control plane alone; hardly depends on what else the machine does.
	each := r.cpu.Seconds() * 1000 / float64(len(r.took))
	figure("_cpu", each, "ms", "")
	fmt.Fprintf(os.Stderr, "%s: p50 %.2f ms, p99 %.2f ms, %.0f/s, %.2f ms of CPU each\n", name,
		report.Quantile(r.took, 0.5), report.Quantile(r.took, 0.99), rate, each)
	if len(r.ended) > 0 {
		figure("_"+c.end+"_p50", report.Quantile(r.ended, 0.5), "ms", "")
		figure("_"+c.end+"_max", report.Quantile(r.ended, 1), "ms", c.endGoal)
		figure("_"+c.end+"_rate", float64(len(r.ended))/r.untilEnd.Seconds(), "1/s", "")
		fmt.Fprintf(os.Stderr, "%s: %s after p50 %.0f ms, at most %.0f ms, %.0f/s\n", name, c.end,
			report.Quantile(r.ended, 0.5), report.Quantile(r.ended, 1), float64(len(r.ended))/r.untilEnd.Seconds())
	}
	return figures, nil
}

// profile fetches a CPU profile of the control plane.
func profile(s *server, file string, lasts time.Duration) error {
	resp, err := http.Get(fmt.Sprintf("%s/debug/pprof/profile?seconds=%d", s.metrics, max(1, int(lasts.Seconds()))))
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	return os.WriteFile(file, raw, 0o644)
}
