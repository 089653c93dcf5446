// Package report prints the figures of a benchmark as a table and writes them as JSON to build/bench.
package report

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"text/tabwriter"
)

// Figure is one measured value.
type Figure struct {
	Target   string   `json:"target"` // T1 …
	Measure  string   `json:"measure"`
	Value    float64  `json:"value"`
	Unit     string   `json:"unit"`
	Runs     int      `json:"runs"`
	Baseline *float64 `json:"baseline,omitempty"`
	Ratio    *float64 `json:"ratio,omitempty"`
	// Goal is what is aimed at, in words.
	Goal string `json:"goal,omitempty"`
}

// Write prints the figures to out and writes them to build/bench/<name>.json below the working directory.
func Write(out io.Writer, name string, figures []Figure) error {
	tw := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(tw, "target\tmeasure\tvalue\tunit\truns\tgoal\t")
	for _, f := range figures {
		_, _ = fmt.Fprintf(tw, "%s\t%s\t%.4g\t%s\t%d\t%s\t\n", f.Target, f.Measure, f.Value, f.Unit, f.Runs, f.Goal)
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	raw, err := json.MarshalIndent(figures, "", "  ")
	if err != nil {
		return err
	}
	path := filepath.Join("build", "bench", name+".json")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, append(raw, '\n'), 0o644)
}

// Quantile is the nearest-rank quantile of the values; q in 0…1. NaN when there are none.
func Quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[max(0, int(math.Ceil(q*float64(len(sorted))))-1)]
}
