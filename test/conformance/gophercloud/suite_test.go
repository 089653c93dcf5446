// Package gophercloud_test calls a running server by gophercloud, the library below Terraform's OpenStack provider, the
// Kubernetes cloud provider and the Cluster API provider: every function of its load-balancer packages, and the
// sequences of calls by which those programs make, change and take away load balancers.
package gophercloud_test

import (
	"context"
	"net/http"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/loadbalancers"
	"github.com/gophercloud/gophercloud/v2/pagination"

	"colonnade/test/conformance/server"
)

func TestMain(m *testing.M) { os.Exit(server.Main(m)) }

// suite is a test with a server of its own.
type suite struct {
	*testing.T
	server *server.Server
	lb     *gophercloud.ServiceClient
	subnet string
}

func newSuite(t *testing.T) *suite {
	t.Parallel()
	s := server.Start(t, "")
	return &suite{T: t, server: s, lb: client(s, "load-balancer"), subnet: uuid.NewString()}
}

// client is a client of a service by the administrator's token.
func client(s *server.Server, service string) *gophercloud.ServiceClient {
	provider := &gophercloud.ProviderClient{TokenID: s.Token, HTTPClient: http.Client{Timeout: time.Minute}}
	return &gophercloud.ServiceClient{ProviderClient: provider, Endpoint: s.URL + "/", ResourceBase: s.URL + "/v2.0/", Type: service}
}

func (s *suite) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// run runs part of the suite, in order.
func (s *suite) run(name string, part func(*suite)) {
	s.Helper()
	if !s.Run(name, func(t *testing.T) {
		part(&suite{T: t, server: s.server, lb: s.lb, subnet: s.subnet})
	}) {
		s.FailNow() // the next part goes on where this one ended
	}
}

// same compares what a client sees with what it should.
func same[T comparable](s *suite, what string, got, want T) {
	s.Helper()
	if got != want {
		s.Errorf("%s is %v, not %v", what, got, want)
	}
}

// status is the status of an answer that is an error, else 0.
func status(err error) int {
	for _, code := range []int{400, 403, 404, 409, 501} {
		if gophercloud.ResponseCodeIs(err, code) {
			return code
		}
	}
	if err != nil {
		return -1
	}
	return 0
}

// all reads a list, page by page.
func all[T any](s *suite, pager pagination.Pager, extract func(pagination.Page) ([]T, error)) []T {
	s.Helper()
	var found []T
	s.must(pager.EachPage(s.Context(), func(_ context.Context, page pagination.Page) (bool, error) {
		some, err := extract(page)
		found = append(found, some...)
		return true, err
	}))
	return found
}

// ids are the ids of what was listed.
func ids[T any](found []T, id func(T) string) []string {
	out := make([]string, 0, len(found))
	for _, f := range found {
		out = append(out, id(f))
	}
	slices.Sort(out)
	return out
}

// until asks again until done, as all clients do.
func (s *suite) until(what string, done func() bool) {
	s.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !done() {
		if time.Now().After(deadline) {
			s.Fatalf("%s takes too long", what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// active waits until a load balancer is ACTIVE.
func (s *suite) active(id string) *loadbalancers.LoadBalancer {
	s.Helper()
	var l *loadbalancers.LoadBalancer
	s.until("ACTIVE", func() bool {
		var err error
		l, err = loadbalancers.Get(s.Context(), s.lb, id).Extract()
		s.must(err)
		if l.ProvisioningStatus == "ERROR" {
			s.Fatal("the load balancer is in ERROR")
		}
		return l.ProvisioningStatus == "ACTIVE"
	})
	return l
}

// gone waits until a load balancer is gone.
func (s *suite) gone(id string) {
	s.Helper()
	s.until("deletion", func() bool {
		err := loadbalancers.Get(s.Context(), s.lb, id).Err
		if err != nil && status(err) != 404 {
			s.Fatal(err)
		}
		return err != nil
	})
}

func ptr[T any](v T) *T { return &v }
