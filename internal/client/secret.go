package client

import (
	"context"
	"encoding/base64"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// Secret is something that a tenant keeps in the key manager; what it is is not among its fields.
type Secret struct {
	Ref          string            `json:"secret_ref"`
	Name         string            `json:"name"`
	Status       string            `json:"status"`
	Type         string            `json:"secret_type"`
	ContentTypes map[string]string `json:"content_types"`
	Expiration   *string           `json:"expiration"`
	Created      string            `json:"created"`
}

// SecretContainer names secrets that belong together.
type SecretContainer struct {
	Ref     string        `json:"container_ref"`
	Name    string        `json:"name"`
	Type    string        `json:"type"`
	Status  string        `json:"status"`
	Secrets []NamedSecret `json:"secret_refs"`
	Created string        `json:"created"`
}

// NamedSecret is what a secret is in a container.
type NamedSecret struct {
	Name string `json:"name"`
	Ref  string `json:"secret_ref"`
}

// keyManager is the address of the key manager beside the load-balancer API.
func (c *Client) keyManager(path string) string {
	root := c.url
	for _, suffix := range []string{"/v2.0", "/v2", "/load-balancer"} {
		root = strings.TrimSuffix(root, suffix)
	}
	return root + "/key-manager/v1" + path
}

// byRef is the address of what a reference names, at the API that is asked.
func (c *Client) byRef(ref, kind string) string {
	return c.keyManager("/" + kind + "/" + url.PathEscape(ref[strings.LastIndexByte(ref, '/')+1:]))
}

// StoreSecret keeps a payload and returns its reference.
func (c *Client) StoreSecret(ctx context.Context, name, kind string, payload []byte) (string, error) {
	in := map[string]any{
		"name": name, "secret_type": kind, "payload": base64.StdEncoding.EncodeToString(payload), "payload_content_type": "application/octet-stream",
		"payload_content_encoding": "base64",
	}
	var out Secret
	err := c.do(ctx, http.MethodPost, c.keyManager("/secrets"), nil, in, &out)
	return out.Ref, err
}

// Secrets lists a project's secrets.
func (c *Client) Secrets(ctx context.Context) ([]Secret, error) {
	var all []Secret
	for {
		var page struct {
			Secrets []Secret `json:"secrets"`
			Total   int      `json:"total"`
		}
		query := url.Values{"limit": {"100"}, "offset": {strconv.Itoa(len(all))}}
		if err := c.do(ctx, http.MethodGet, c.keyManager("/secrets"), query, nil, &page); err != nil {
			return nil, err
		}
		all = append(all, page.Secrets...)
		if len(page.Secrets) == 0 || len(all) >= page.Total {
			return all, nil
		}
	}
}

// DeleteSecret removes a secret.
func (c *Client) DeleteSecret(ctx context.Context, ref string) error {
	return c.do(ctx, http.MethodDelete, c.byRef(ref, "secrets"), nil, nil, nil)
}

// CreateSecretContainer makes a container and returns its reference.
func (c *Client) CreateSecretContainer(ctx context.Context, name, kind string, secrets []NamedSecret) (string, error) {
	var out SecretContainer
	err := c.do(ctx, http.MethodPost, c.keyManager("/containers"), nil, map[string]any{"name": name, "type": kind, "secret_refs": secrets}, &out)
	return out.Ref, err
}

// SecretContainers lists a project's containers.
func (c *Client) SecretContainers(ctx context.Context) ([]SecretContainer, error) {
	var all []SecretContainer
	for {
		var page struct {
			Containers []SecretContainer `json:"containers"`
			Total      int               `json:"total"`
		}
		query := url.Values{"limit": {"100"}, "offset": {strconv.Itoa(len(all))}}
		if err := c.do(ctx, http.MethodGet, c.keyManager("/containers"), query, nil, &page); err != nil {
			return nil, err
		}
		all = append(all, page.Containers...)
		if len(page.Containers) == 0 || len(all) >= page.Total {
			return all, nil
		}
	}
}

// DeleteSecretContainer removes a container, not what it names.
func (c *Client) DeleteSecretContainer(ctx context.Context, ref string) error {
	return c.do(ctx, http.MethodDelete, c.byRef(ref, "containers"), nil, nil, nil)
}
