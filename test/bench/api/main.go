// Command api measures T9 and T12: how fast the API answers, with 1 and with 16 clients at a time, over a SQLite
// database of its own with a thousand load balancers. The API is a process of its own, the one handler of `colonnade
// up` without workers, so changes coalesce (accept_while_pending).
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"colonnade/test/bench/report"
)

func main() {
	serveDir := flag.String("serve", "", "be the API over the database in this directory (the measuring process starts it)")
	profile := flag.String("cpuprofile", "", "with -serve or without: where the API writes its CPU profile")
	balancers := flag.Int("load-balancers", 1000, "how many there are")
	lasts := flag.Duration("time", 3*time.Second, "how long each measure lasts")
	only := flag.String("only", "", "measure only those whose name contains this")
	flag.Parse()
	var err error
	if *serveDir != "" {
		err = serve(*serveDir, *profile)
	} else {
		err = measure(*balancers, *lasts, *only, *profile)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench-api:", err)
		os.Exit(1)
	}
}

// measure starts the API, fills it and asks it.
func measure(balancers int, lasts time.Duration, only, profile string) (err error) {
	dir, err := os.MkdirTemp("", "colonnade-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if profile != "" {
		if profile, err = filepath.Abs(profile); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute)
	defer cancel()
	server := exec.CommandContext(ctx, self, "-serve", dir, "-cpuprofile", profile)
	server.Stderr = os.Stderr
	stop, err := server.StdinPipe() // the server ends when it is closed
	if err != nil {
		return err
	}
	out, err := server.StdoutPipe()
	if err != nil {
		return err
	}
	if err := server.Start(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop.Close(), server.Wait()) }()
	url, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return fmt.Errorf("start api: %w", err)
	}
	b := newBench("http://" + strings.TrimSpace(url))
	fmt.Fprintf(os.Stderr, "making %d load balancers\n", balancers)
	if err := b.fill(balancers); err != nil {
		return err
	}
	var figures []report.Figure
	for _, clients := range []int{1, 16} {
		for _, c := range b.cases() {
			name := fmt.Sprintf("%s_%d_clients", c.name, clients)
			if !strings.Contains(name, only) {
				continue
			}
			took, every, cpu, err := b.run(c, clients, lasts, server.Process.Pid)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			each := cpu.Seconds() * 1000 / float64(len(took))
			goal := ""
			if clients == 16 || c.target == "T12" {
				goal = c.goal
			}
			figure := func(suffix string, value float64, unit, goal string) {
				figures = append(figures, report.Figure{Target: c.target, Measure: name + suffix, Value: value, Unit: unit, Runs: len(took), Goal: goal})
			}
			figure("_p50", report.Quantile(took, 0.5), "ms", "")
			figure("_p99", report.Quantile(took, 0.99), "ms", goal)
			figure("_rate", float64(len(took))/every.Seconds(), "1/s", "")
			figure("_cpu", each, "ms", "") // of the API alone; hardly depends on what else the machine does
			fmt.Fprintf(os.Stderr, "%s: p50 %.2f ms, p99 %.2f ms, %.0f/s, %.2f ms of CPU each\n", name,
				report.Quantile(took, 0.5), report.Quantile(took, 0.99), float64(len(took))/every.Seconds(), each)
		}
	}
	return report.Write(os.Stdout, "api", figures)
}
