// Package traffic makes and watches the traffic with which the demo, the tests and the benchmarks show what a load
// balancer does: small servers, flows that must not break, a steady stream of new connections, and a frame counter. It
// works inside network namespaces through linuxnet and knows nothing of the control plane.
package traffic

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"time"
)

// Answer is what a web member says to every request.
type Answer struct {
	Member string `json:"member"`
	Peer   string `json:"peer"`   // address and port the request came from: an amphora's back-end address
	Client string `json:"client"` // X-Forwarded-For, when the load balancer inserts it
}

// ServeWeb answers every HTTP request on ln with an Answer until ctx ends.
func ServeWeb(ctx context.Context, ln net.Listener, member string) error {
	srv := &http.Server{
		ReadHeaderTimeout: 10 * time.Second,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(Answer{Member: member, Peer: r.RemoteAddr, Client: r.Header.Get("X-Forwarded-For")})
		}),
	}
	stop := context.AfterFunc(ctx, func() { _ = srv.Close() })
	defer stop()
	if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// ServeEcho sends back every line on ln's connections until ctx ends. The first line of a connection is "hello"; the
// answer to it names the peer, which is the amphora the connection went through.
func ServeEcho(ctx context.Context, ln net.Listener) error {
	stop := context.AfterFunc(ctx, func() { _ = ln.Close() })
	defer stop()
	for {
		c, err := ln.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		go echo(ctx, c)
	}
}

func echo(ctx context.Context, c net.Conn) {
	defer func() { _ = c.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	defer stop()
	r := bufio.NewReader(c)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		if line == "hello\n" {
			line = c.RemoteAddr().String() + "\n"
		}
		if _, err := c.Write([]byte(line)); err != nil {
			return
		}
	}
}
