-- +goose Up
-- What signs the tokens of the embedded identity service, and what of them was revoked before its end.
CREATE TABLE signing_key (
    id TEXT PRIMARY KEY,
    secret BYTEA NOT NULL,
    created_at TIMESTAMPTZ NOT NULL
);
CREATE TABLE revocation (
    what TEXT PRIMARY KEY,
    until TIMESTAMPTZ NOT NULL
);
-- Users and projects are of the configuration, so nothing is referred to.
CREATE TABLE application_credential (
    id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL,
    project_id TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    secret_hash TEXT NOT NULL,
    roles TEXT NOT NULL,
    expires_at TIMESTAMPTZ,
    unrestricted BOOLEAN NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    UNIQUE (user_id, name)
);
