package main

import (
	"os"
	"sync"
	"time"

	"colonnade/internal/cert"
)

// controllerCertificate is the certificate this control plane shows to agents, issued anew at two thirds of its life.
type controllerCertificate struct {
	authority *cert.Authority
	now       func() time.Time

	mu      sync.Mutex
	current cert.Bundle
	renewAt time.Time
}

// bundle returns a certificate with at least a third of its life left.
func (c *controllerCertificate) bundle() (cert.Bundle, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if now.Before(c.renewAt) {
		return c.current, nil
	}
	host, err := os.Hostname()
	if err != nil {
		return cert.Bundle{}, err
	}
	b, err := c.authority.Issue(cert.Identity{Role: cert.RoleController, ID: host}, nil, cert.LeafValidity)
	if err != nil {
		return cert.Bundle{}, err
	}
	c.current, c.renewAt = b, now.Add(cert.LeafValidity*2/3)
	return b, nil
}
