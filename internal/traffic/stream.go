package traffic

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"
)

// Request is one request of a stream: one new connection, one GET.
type Request struct {
	Source  netip.Addr
	At      time.Time // when it started
	Took    time.Duration
	Failure string // "" or why: "refused", "reset", "timeout", "status 503", …
	Answer  Answer
}

// requestTimeout bounds one request. A SYN that is lost is sent again after one second.
const requestTimeout = 5 * time.Second

// Get makes one request over a connection of its own.
func Get(ctx context.Context, dial Dial, source netip.Addr, url string) Request {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, addr string) (net.Conn, error) {
			return dial(ctx, source, addr)
		},
	}}
	r := Request{Source: source, At: time.Now()}
	r.Answer, r.Failure = get(ctx, client, url)
	r.Took = time.Since(r.At)
	return r
}

func get(ctx context.Context, client *http.Client, url string) (Answer, string) {
	var answer Answer
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return answer, err.Error()
	}
	res, err := client.Do(req)
	if err != nil {
		return answer, failure(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<16))
	if err != nil {
		return answer, failure(err)
	}
	if res.StatusCode != http.StatusOK {
		return answer, fmt.Sprintf("status %d", res.StatusCode)
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return answer, "answer is not of a member"
	}
	return answer, ""
}

func failure(err error) string {
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "reset"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "closed"
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded),
		errors.As(err, &timeout) && timeout.Timeout():
		return "timeout"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "unreachable"
	default:
		return err.Error()
	}
}

// Stream sends requests at a steady rate from sources in turn, each on a connection of its own and none waiting for
// another, until ctx ends; then it waits for those under way. Requests come back in no order.
func Stream(ctx context.Context, dial Dial, sources []netip.Addr, url string, every time.Duration, done func(Request)) {
	var wg sync.WaitGroup
	defer wg.Wait()
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		wg.Add(1)
		go func() {
			defer wg.Done()
			// A request under way when the stream ends is let finish: it is no failure of the load balancer.
			done(Get(context.WithoutCancel(ctx), dial, sources[i%len(sources)], url))
		}()
	}
}
