package metrics

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"colonnade/internal/lb"
	"colonnade/internal/store"
)

// scrapeTimeout bounds the one query of a scrape.
const scrapeTimeout = 2 * time.Second

// Database shows what the database counts, by one query at each scrape: what counts returns (store.Counts).
func (m *Metrics) Database(counts func(ctx context.Context) ([]store.Count, error)) {
	m.registry.MustRegister(database{counts})
}

type database struct {
	counts func(ctx context.Context) ([]store.Count, error)
}

func description(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

var (
	databaseUp = description("colonnade_database_up", "Whether the database answered this scrape's query.")
	late       = description("colonnade_work_oldest_due_seconds", "How long the oldest waiting work of a kind has been due.", "kind")
	// objects are the counts by what the store calls them.
	objects = map[string]*prometheus.Desc{
		"load_balancer": description("colonnade_load_balancers", "Load balancers by provisioning status.", "provisioning_status"),
		"amphora":       description("colonnade_amphorae", "Amphorae by status.", "status"),
		"distributor":   description("colonnade_distributors", "Distributors by status.", "status"),
		"cluster":       description("colonnade_clusters", "Clusters by operating status.", "operating_status"),
		"work_held":     description("colonnade_work_held", "Work that is being done, by kind.", "kind"),
		"work_waiting":  description("colonnade_work_waiting", "Work that waits or is due later, by kind.", "kind"),
	}
	// always are shown though nothing is in that state: an alarm needs a number.
	always = map[string][]string{
		"amphora":      {string(lb.AmphoraAllocated), string(lb.AmphoraReady), string(lb.AmphoraBooting)},
		"cluster":      {string(lb.Online), string(lb.Degraded), string(lb.OperatingDown)},
		"work_held":    {lb.WorkWorker, lb.WorkACM, lb.WorkDistributor},
		"work_waiting": {lb.WorkWorker, lb.WorkACM, lb.WorkDistributor},
	}
)

// Describe lists the metrics.
func (d database) Describe(out chan<- *prometheus.Desc) {
	out <- databaseUp
	out <- late
	for _, o := range objects {
		out <- o
	}
}

// Collect asks the database. When it does not answer, that is shown and the rest left out.
func (d database) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	counts, err := d.counts(ctx)
	if err != nil {
		gauge(databaseUp, 0)
		return
	}
	gauge(databaseUp, 1)
	shown := map[[2]string]bool{}
	for _, c := range counts {
		if objects[c.Object] == nil {
			continue
		}
		shown[[2]string{c.Object, c.State}] = true
		gauge(objects[c.Object], float64(c.Number), c.State)
		if c.Object == "work_waiting" {
			gauge(late, c.Late().Seconds(), c.State)
		}
	}
	for object, states := range always {
		for _, state := range states {
			if shown[[2]string{object, state}] {
				continue
			}
			gauge(objects[object], 0, state)
			if object == "work_waiting" {
				gauge(late, 0, state)
			}
		}
	}
}
