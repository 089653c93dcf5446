// Command create measures T8: from the POST of a complete load balancer (3 active amphorae and a standby) to the first
// 200 through its VIP, on a control plane of its own inside a lab.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"colonnade/internal/stage"
	"colonnade/internal/testenv"
	"colonnade/test/bench/report"
)

func main() {
	runs := flag.Int("runs", 20, "load balancers to create, one after another")
	binary := flag.String("binary", "bin/colonnade", "the program to measure")
	flag.Parse()
	os.Exit(testenv.RunInLab(func() int {
		if err := measure(*runs, *binary); err != nil {
			fmt.Fprintln(os.Stderr, "bench-create:", err)
			return 1
		}
		return 0
	}))
}

func measure(runs int, binary string) (err error) {
	binary, err = filepath.Abs(binary)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "colonnade-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Minute)
	defer cancel()
	s, err := stage.Open(ctx, stage.Options{Binary: binary, Dir: dir})
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := s.Close(ctx); err == nil {
			err = closeErr
		}
	}()
	sv, err := s.Tenancy(ctx, "bench", 0)
	if err != nil {
		return err
	}
	internet, err := s.Internet(ctx, "clients", 10)
	if err != nil {
		return err
	}
	var first, active, whole []float64
	for i := range runs {
		if err := sv.Create(ctx, "bench"); err != nil {
			return err
		}
		r, err := sv.FirstAnswer(ctx, internet)
		if err != nil {
			return err
		}
		first = append(first, r.At.Add(r.Took).Sub(sv.Asked).Seconds())
		if _, err := s.Client().WaitSettled(ctx, sv.ID, nil); err != nil {
			return err
		}
		active = append(active, time.Since(sv.Asked).Seconds())
		if _, err := sv.WaitWhole(ctx, ""); err != nil {
			return err
		}
		whole = append(whole, time.Since(sv.Asked).Seconds())
		if err := s.Client().DeleteLoadBalancer(ctx, sv.ID, true); err != nil {
			return err
		}
		if err := s.Client().WaitGone(ctx, sv.ID, nil); err != nil {
			return err
		}
		fmt.Fprintf(os.Stderr, "run %d of %d: first 200 %.3f s, ACTIVE %.3f s, whole %.3f s\n", i+1, runs, first[i], active[i], whole[i])
	}
	figure := func(measure string, values []float64, q float64, goal string) report.Figure {
		return report.Figure{Target: "T8", Measure: measure, Value: report.Quantile(values, q), Unit: "s", Runs: runs, Goal: goal}
	}
	return report.Write(os.Stdout, "create", []report.Figure{
		figure("create_to_first_200_p50", first, 0.5, "≤ 1 s"),
		figure("create_to_first_200_p99", first, 0.99, "≤ 2 s"),
		figure("create_to_active_p50", active, 0.5, ""),
		figure("create_to_active_p99", active, 0.99, ""),
		figure("create_to_whole_cluster_p50", whole, 0.5, ""),
		figure("create_to_whole_cluster_p99", whole, 0.99, ""),
	})
}
