package cli

import (
	"context"
	"fmt"
	"os"
	"strings"

	"colonnade/internal/client"
)

type secretCommands struct {
	Connection
	Store  secretStore  `cmd:"" help:"Keep a certificate with its key, a PKCS12 bundle or another file, and print its reference."`
	List   secretList   `cmd:"" help:"List secrets and containers."`
	Delete secretDelete `cmd:"" help:"Delete a secret or a container."`
}

type secretStore struct {
	Name          string `help:"Name."`
	File          string `type:"existingfile" xor:"what" required:"" help:"PKCS12 bundle without a pass phrase, or an authority or revocation list as PEM."`
	Certificate   string `type:"existingfile" xor:"what" required:"" help:"Certificate as PEM; needs --private-key."`
	PrivateKey    string `type:"existingfile" help:"Its key as PEM."`
	Intermediates string `type:"existingfile" help:"The chain that leads to its authority, as PEM."`
}

func (n *secretStore) Run(ctx context.Context, c *Connection) error {
	return c.run(func(api *client.Client, p *printer) error {
		ref, err := n.store(ctx, api)
		if err != nil {
			return err
		}
		return p.line("%s", ref)
	})
}

func (n *secretStore) store(ctx context.Context, api *client.Client) (string, error) {
	keep := func(file, kind, part string) (string, error) {
		payload, err := os.ReadFile(file)
		if err != nil {
			return "", fmt.Errorf("read %s: %w", file, err)
		}
		name := n.Name
		if part != "" && name != "" {
			name += " " + part
		}
		return api.StoreSecret(ctx, name, kind, payload)
	}
	if n.File != "" {
		return keep(n.File, "opaque", "")
	}
	if n.PrivateKey == "" {
		return "", fmt.Errorf("--certificate needs --private-key")
	}
	var parts []client.NamedSecret
	for _, one := range []struct{ file, kind, name string }{
		{n.Certificate, "certificate", "certificate"}, {n.PrivateKey, "private", "private_key"}, {n.Intermediates, "certificate", "intermediates"},
	} {
		if one.file == "" {
			continue
		}
		ref, err := keep(one.file, one.kind, one.name)
		if err != nil {
			return "", err
		}
		parts = append(parts, client.NamedSecret{Name: one.name, Ref: ref})
	}
	return api.CreateSecretContainer(ctx, n.Name, "certificate", parts)
}

type secretList struct{}

// secretLine is a secret or a container in a list.
type secretLine struct {
	Ref     string `json:"ref"`
	Name    string `json:"name"`
	Type    string `json:"type"`
	Created string `json:"created"`
}

func (n *secretList) Run(ctx context.Context, c *Connection) error {
	return c.run(func(api *client.Client, p *printer) error {
		secrets, err := api.Secrets(ctx)
		if err != nil {
			return err
		}
		containers, err := api.SecretContainers(ctx)
		if err != nil {
			return err
		}
		lines := []secretLine{}
		for _, one := range containers {
			lines = append(lines, secretLine{one.Ref, one.Name, one.Type + " container", one.Created})
		}
		for _, one := range secrets {
			lines = append(lines, secretLine{one.Ref, one.Name, one.Type, one.Created})
		}
		return list(p, lines, "ref", "name", "type", "created")
	})
}

type secretDelete struct {
	Ref string `arg:"" help:"Its reference."`
}

func (n *secretDelete) Run(ctx context.Context, c *Connection) error {
	return c.run(func(api *client.Client, p *printer) error {
		remove := api.DeleteSecret
		if strings.Contains(n.Ref, "/containers/") {
			remove = api.DeleteSecretContainer
		}
		if err := remove(ctx, n.Ref); err != nil {
			return err
		}
		return p.line("%s deleted", n.Ref)
	})
}
