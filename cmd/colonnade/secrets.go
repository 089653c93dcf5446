package main

import (
	"time"

	"colonnade/internal/api"
	"colonnade/internal/secret"
	"colonnade/internal/worker"
)

// secretKeyFile holds the key that tenants' secrets are sealed with, unless the configuration names another file.
const secretKeyFile = "secret-key"

// openVault reads the key of secrets; one in the state directory is made at the first start.
func (p *controlPlane) openVault() error {
	file, own := p.conf.KeyManager.KeyFile, false
	if file == "" {
		file, own = p.dir.path(secretKeyFile), true
	}
	key, err := secret.OpenKey(file, own)
	if err != nil {
		return err
	}
	p.vault = &secret.Vault{Store: p.store, Key: key, Now: time.Now}
	return nil
}

// certificates says what references the API takes: amphorae that do nothing need nothing.
func certificates(p *controlPlane) api.Certificates {
	if p.conf.IsNoop() {
		return secret.Anything{}
	}
	return p.vault
}

// secrets is where the worker gets certificates for amphorae.
func secrets(p *controlPlane) worker.Secrets {
	if p.conf.IsNoop() {
		return nil
	}
	return p.vault
}
