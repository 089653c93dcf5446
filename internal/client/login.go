package client

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"
)

// Credentials say where to log in, as whom and for which project: with a password, or with an application credential.
type Credentials struct {
	AuthURL       string // of an Identity v3 service, with /v3 or without
	UserID        string
	Username      string
	Password      string
	UserDomain    Domain
	ProjectID     string
	ProjectName   string
	ProjectDomain Domain
	// The application credential: by id, or by name of the user above.
	CredentialID, CredentialName, CredentialSecret string

	Region    string // "" is any
	Interface string // "" is public
	CACert    string // file of authorities beside the system's
}

// Domain is one by id or, without an id, by name; of neither it is "default".
type Domain struct{ ID, Name string }

// object is how requests name a domain.
func (d Domain) object() map[string]string {
	if d.ID == "" && d.Name != "" {
		return map[string]string{"name": d.Name}
	}
	return map[string]string{"id": cmp.Or(d.ID, "default")}
}

// httpTimeout is how long one call may take; the API answers within 30 s.
const httpTimeout = 45 * time.Second

// Login gets a token and finds the Load Balancer API in the catalog.
func Login(ctx context.Context, c Credentials) (*Client, error) {
	h, err := c.http()
	if err != nil {
		return nil, err
	}
	base := strings.TrimRight(c.AuthURL, "/")
	if u, err := url.Parse(base); err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, fmt.Errorf("auth URL %q is no http or https URL", c.AuthURL)
	}
	if !strings.HasSuffix(base, "/v3") {
		base += "/v3"
	}
	body, err := json.Marshal(c.request())
	if err != nil {
		return nil, fmt.Errorf("log in: %w", err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/auth/tokens", bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("log in: %w", err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json")
	resp, err := h.Do(r)
	if err != nil {
		return nil, fmt.Errorf("log in: %w", err)
	}
	defer func() { _ = resp.Body.Close() }() // read to the end or given up
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("log in: %w", err)
	}
	token := resp.Header.Get("X-Subject-Token")
	if resp.StatusCode != http.StatusCreated || token == "" {
		return nil, fmt.Errorf("log in at %s: %w", base, errorOf(resp, b))
	}
	at, err := c.endpoint(b)
	if err != nil {
		return nil, err
	}
	api, err := New(at, token, "")
	if err != nil {
		return nil, fmt.Errorf("the catalog's load balancer endpoint: %w", err)
	}
	api.http = h
	return api, nil
}

func (c Credentials) http() (*http.Client, error) {
	h := &http.Client{Timeout: httpTimeout}
	if c.CACert == "" {
		return h, nil
	}
	pem, err := os.ReadFile(c.CACert)
	if err != nil {
		return nil, fmt.Errorf("read authorities: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		return nil, fmt.Errorf("read the system's authorities: %w", err)
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("read authorities: %s has no certificate", c.CACert)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	h.Transport = transport
	return h, nil
}

// request is the body that asks for a token.
func (c Credentials) request() any {
	user := map[string]any{}
	if c.UserID != "" {
		user["id"] = c.UserID
	} else if c.Username != "" {
		user["name"], user["domain"] = c.Username, c.UserDomain.object()
	}
	if c.CredentialID != "" || c.CredentialName != "" {
		credential := map[string]any{"secret": c.CredentialSecret}
		if c.CredentialID != "" {
			credential["id"] = c.CredentialID
		} else {
			credential["name"], credential["user"] = c.CredentialName, user
		}
		return map[string]any{"auth": map[string]any{"identity": map[string]any{
			"methods": []string{"application_credential"}, "application_credential": credential,
		}}} // its project is the credential's
	}
	user["password"] = c.Password
	auth := map[string]any{"identity": map[string]any{"methods": []string{"password"}, "password": map[string]any{"user": user}}}
	switch {
	case c.ProjectID != "":
		auth["scope"] = map[string]any{"project": map[string]any{"id": c.ProjectID}}
	case c.ProjectName != "":
		auth["scope"] = map[string]any{"project": map[string]any{"name": c.ProjectName, "domain": c.ProjectDomain.object()}}
	}
	return map[string]any{"auth": auth}
}

// endpoint finds the address of the Load Balancer API in an answer to a login.
func (c Credentials) endpoint(answer []byte) (string, error) {
	var in struct {
		Token struct {
			Catalog []struct {
				Type      string `json:"type"`
				Endpoints []struct {
					Interface string `json:"interface"`
					Region    string `json:"region"`
					URL       string `json:"url"`
				} `json:"endpoints"`
			} `json:"catalog"`
		} `json:"token"`
	}
	if err := json.Unmarshal(answer, &in); err != nil {
		return "", fmt.Errorf("read the answer to the login: %w", err)
	}
	face := strings.TrimSuffix(cmp.Or(c.Interface, "public"), "URL") // "publicURL" is an old word for it
	for _, kind := range []string{"load-balancer", "load_balancer"} {
		for _, service := range in.Token.Catalog {
			if service.Type != kind {
				continue
			}
			for _, e := range service.Endpoints {
				if e.Interface == face && (c.Region == "" || e.Region == c.Region) {
					return e.URL, nil
				}
			}
		}
	}
	if len(in.Token.Catalog) == 0 {
		return "", errors.New("the login names no project, so the answer names no endpoints")
	}
	return "", fmt.Errorf("the catalog has no %s load-balancer endpoint in region %q", face, c.Region)
}

// Environment are the credentials in variables OS_…; false when there is no OS_AUTH_URL.
func Environment(getenv func(string) string) (Credentials, bool) {
	first := func(names ...string) string {
		i := slices.IndexFunc(names, func(n string) bool { return getenv("OS_"+n) != "" })
		if i < 0 {
			return ""
		}
		return getenv("OS_" + names[i])
	}
	c := Credentials{
		AuthURL: first("AUTH_URL"), UserID: first("USER_ID"), Username: first("USERNAME"), Password: first("PASSWORD"),
		UserDomain: Domain{first("USER_DOMAIN_ID"), first("USER_DOMAIN_NAME")},
		ProjectID:  first("PROJECT_ID", "TENANT_ID"), ProjectName: first("PROJECT_NAME", "TENANT_NAME"),
		ProjectDomain: Domain{first("PROJECT_DOMAIN_ID"), first("PROJECT_DOMAIN_NAME")},
		CredentialID:  first("APPLICATION_CREDENTIAL_ID"), CredentialName: first("APPLICATION_CREDENTIAL_NAME"),
		CredentialSecret: first("APPLICATION_CREDENTIAL_SECRET"),
		Region:           first("REGION_NAME"), Interface: first("INTERFACE", "ENDPOINT_TYPE"), CACert: first("CACERT"),
	}
	return c, c.AuthURL != ""
}
