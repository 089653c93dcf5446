package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"colonnade/internal/api"
	"colonnade/internal/config"
	"colonnade/internal/identity"
	v3 "colonnade/internal/identity/v3"
)

// catalog is what beside itself the embedded identity service tells clients of.
var catalog = []v3.Service{
	{Type: "load-balancer", Name: "octavia", Path: "/load-balancer"},
	{Type: "network", Name: "neutron", Path: "/network"},
	{Type: "key-manager", Name: "barbican", Path: "/key-manager"},
}

// openIdentity gives the API who asks whom clients are, and where they log in.
func (p *controlPlane) openIdentity(deps *api.Deps) error {
	token, err := identity.NewToken(p.token)
	if err != nil {
		return err
	}
	c := p.conf.Identity
	if c.Driver == config.IdentityKeystone {
		if deps.Identity, err = newKeystone(c.Keystone, token); err != nil {
			return err
		}
		deps.AuthURL = c.Keystone.AuthURL
	} else {
		accounts, err := p.newAccounts(token)
		if err != nil {
			return err
		}
		deps.Identity, deps.Accounts = accounts, &v3.Options{Accounts: accounts, Region: c.Region, Services: catalog}
	}
	if c.EnforceNewDefaults {
		deps.Identity = identity.NewDefaults(deps.Identity)
	}
	return nil
}

// newAccounts makes the service that knows the users of the configuration and the administrator.
func (p *controlPlane) newAccounts(token *identity.Token) (*identity.Embedded, error) {
	c := p.conf.Identity
	directory, err := identity.NewDirectory(c.Projects, c.Users)
	if err != nil {
		return nil, err
	}
	password, err := identity.EnsurePassword(string(p.dir))
	if err != nil {
		return nil, err
	}
	if directory, err = directory.WithAdmin(password); err != nil {
		return nil, err
	}
	return identity.NewEmbedded(identity.Options{
		Directory: directory, Storage: p.store, APIToken: token, Validity: time.Duration(c.TokenValidity),
		Open: c.Driver == config.IdentityNoAuth, Now: time.Now,
	})
}

func newKeystone(c config.Keystone, token *identity.Token) (*identity.Keystone, error) {
	password := c.Password
	if c.PasswordFile != "" {
		b, err := os.ReadFile(c.PasswordFile)
		if err != nil {
			return nil, fmt.Errorf("read identity.keystone.password_file: %w", err)
		}
		password = strings.TrimRight(string(b), "\r\n")
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = nil // tokens go to nobody else
	transport.MaxIdleConnsPerHost = 16
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("read identity.keystone.ca_file: %w", err)
		}
		pool, err := x509.SystemCertPool()
		if err != nil {
			return nil, fmt.Errorf("read the system's authorities: %w", err)
		}
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("read identity.keystone.ca_file: %s has no certificate", c.CAFile)
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	return identity.NewKeystone(identity.KeystoneOptions{
		URL: c.AuthURL, Username: c.Username, Password: password, UserDomain: c.UserDomainName,
		Project: c.ProjectName, ProjectDomain: c.ProjectDomainName,
		HTTP:    &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
		Timeout: time.Duration(c.Timeout), CacheTime: time.Duration(c.CacheTime), APIToken: token, Now: time.Now,
	})
}

// writeClouds writes how clients of OpenStack log in as the administrator.
func (p *controlPlane) writeClouds(ctx context.Context, listens string) error {
	if p.conf.Identity.Driver == config.IdentityKeystone {
		return nil // its operator gives out such files
	}
	base := strings.TrimRight(p.conf.API.BaseURI, "/")
	if base == "" {
		base = "http://" + reachable(listens)
	}
	password, err := identity.EnsurePassword(string(p.dir))
	if err != nil {
		return err
	}
	file := p.dir.path(cloudsFile)
	if err := identity.WriteClouds(file, identity.Cloud{
		AuthURL: base + v3.Prefix, Username: identity.AdminName, Password: password, Project: identity.DefaultProject,
		Region: p.conf.Identity.Region,
	}); err != nil {
		return err
	}
	p.log.InfoContext(ctx, "clouds.yaml written: OS_CLIENT_CONFIG_FILE is its path, OS_CLOUD is colonnade", "path", file)
	return nil
}
