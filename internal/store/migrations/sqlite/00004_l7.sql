-- +goose Up
CREATE TABLE l7policy (
    id TEXT PRIMARY KEY,
    listener_id TEXT NOT NULL REFERENCES listener (id),
    project_id TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    provisioning_status TEXT NOT NULL CHECK (provisioning_status IN ('ACTIVE', 'PENDING_CREATE', 'PENDING_UPDATE', 'PENDING_DELETE', 'ERROR')),
    operating_status TEXT NOT NULL,
    status_reason TEXT NOT NULL,
    enabled BOOLEAN NOT NULL,
    action TEXT NOT NULL,
    redirect_pool_id TEXT REFERENCES pool (id),
    redirect_url TEXT,
    redirect_prefix TEXT,
    redirect_http_code INTEGER,
    -- 1…n of its listener; not unique, because a move writes one row after the other.
    position INTEGER NOT NULL CHECK (position >= 1),
    tags TEXT,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP
);
CREATE INDEX l7policy_listener ON l7policy (listener_id, position);
CREATE INDEX l7policy_redirect_pool ON l7policy (redirect_pool_id);
CREATE INDEX l7policy_project ON l7policy (project_id);
CREATE TABLE l7rule (
    id TEXT PRIMARY KEY,
    l7policy_id TEXT NOT NULL REFERENCES l7policy (id),
    project_id TEXT NOT NULL,
    provisioning_status TEXT NOT NULL CHECK (provisioning_status IN ('ACTIVE', 'PENDING_CREATE', 'PENDING_UPDATE', 'PENDING_DELETE', 'ERROR')),
    operating_status TEXT NOT NULL,
    status_reason TEXT NOT NULL,
    enabled BOOLEAN NOT NULL,
    type TEXT NOT NULL,
    compare_type TEXT NOT NULL,
    key TEXT,
    value TEXT NOT NULL,
    invert BOOLEAN NOT NULL,
    tags TEXT,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP
);
CREATE INDEX l7rule_policy ON l7rule (l7policy_id);
CREATE INDEX l7rule_project ON l7rule (project_id);
