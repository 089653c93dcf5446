-- +goose Up
-- TLS of a listener. References are to secrets of the key manager; lists are JSON texts.
ALTER TABLE listener ADD COLUMN tls_certificate_id TEXT;
ALTER TABLE listener ADD COLUMN sni_container_refs TEXT;
ALTER TABLE listener ADD COLUMN client_ca_tls_certificate_id TEXT;
ALTER TABLE listener ADD COLUMN client_authentication TEXT NOT NULL DEFAULT 'NONE';
ALTER TABLE listener ADD COLUMN client_crl_container_id TEXT;
ALTER TABLE listener ADD COLUMN tls_ciphers TEXT;
ALTER TABLE listener ADD COLUMN tls_versions TEXT;
ALTER TABLE listener ADD COLUMN alpn_protocols TEXT;
ALTER TABLE listener ADD COLUMN hsts_max_age BIGINT;
ALTER TABLE listener ADD COLUMN hsts_include_subdomains BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE listener ADD COLUMN hsts_preload BOOLEAN NOT NULL DEFAULT FALSE;

-- TLS of a pool to its members.
ALTER TABLE pool ADD COLUMN tls_enabled BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE pool ADD COLUMN tls_certificate_id TEXT;
ALTER TABLE pool ADD COLUMN ca_tls_certificate_id TEXT;
ALTER TABLE pool ADD COLUMN crl_container_id TEXT;
ALTER TABLE pool ADD COLUMN tls_ciphers TEXT;
ALTER TABLE pool ADD COLUMN tls_versions TEXT;
ALTER TABLE pool ADD COLUMN alpn_protocols TEXT;

-- Secrets of tenants. payload is sealed, and NULL until there is one; content_type is that of what is sealed.
CREATE TABLE secret (
    id TEXT PRIMARY KEY,
    project_id TEXT NOT NULL,
    creator_id TEXT NOT NULL,
    name TEXT NOT NULL,
    secret_type TEXT NOT NULL,
    algorithm TEXT,
    bit_length BIGINT,
    mode TEXT,
    content_type TEXT,
    payload BYTEA,
    expiration TIMESTAMPTZ,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ
);
CREATE INDEX secret_project ON secret (project_id, created_at, id);

-- Groups of secrets. secret_refs is a JSON list of names and ids of secrets.
CREATE TABLE secret_container (
    id TEXT PRIMARY KEY,
    project_id TEXT NOT NULL,
    creator_id TEXT NOT NULL,
    name TEXT NOT NULL,
    container_type TEXT NOT NULL,
    secret_refs TEXT,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ
);
CREATE INDEX secret_container_project ON secret_container (project_id, created_at, id);
