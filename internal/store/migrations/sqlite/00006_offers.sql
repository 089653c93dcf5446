-- +goose Up
-- What operators offer tenants to choose by name, and what each offer means.
CREATE TABLE flavor_profile (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    provider_name TEXT NOT NULL,
    data TEXT NOT NULL,
    created_at TIMESTAMP NOT NULL
);
CREATE TABLE flavor (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    description TEXT NOT NULL,
    enabled BOOLEAN NOT NULL,
    profile_id TEXT NOT NULL REFERENCES flavor_profile (id),
    created_at TIMESTAMP NOT NULL
);
CREATE INDEX flavor_of_profile ON flavor (profile_id);
CREATE TABLE availability_zone_profile (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    provider_name TEXT NOT NULL,
    data TEXT NOT NULL,
    created_at TIMESTAMP NOT NULL
);
-- An availability zone is known by its name, so that is its id, too.
CREATE TABLE availability_zone (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    description TEXT NOT NULL,
    enabled BOOLEAN NOT NULL,
    profile_id TEXT NOT NULL REFERENCES availability_zone_profile (id),
    created_at TIMESTAMP NOT NULL
);
CREATE INDEX availability_zone_of_profile ON availability_zone (profile_id);

-- A DELETED load balancer keeps the name of an offer that may be gone, so these are no references.
ALTER TABLE load_balancer ADD COLUMN flavor_id TEXT;
ALTER TABLE load_balancer ADD COLUMN availability_zone TEXT;
ALTER TABLE load_balancer ADD COLUMN topology TEXT NOT NULL DEFAULT 'ACTIVE_ACTIVE';
CREATE INDEX load_balancer_flavor ON load_balancer (flavor_id);
CREATE INDEX load_balancer_zone ON load_balancer (availability_zone);

ALTER TABLE cluster ADD COLUMN affinity TEXT NOT NULL DEFAULT 'source_ip' CHECK (affinity IN ('source_ip', 'source_ip_port'));
ALTER TABLE cluster ADD COLUMN sharing TEXT NOT NULL DEFAULT 'project' CHECK (sharing IN ('project', 'dedicated', 'all'));
ALTER TABLE cluster ADD COLUMN compute_flavor TEXT NOT NULL DEFAULT '';
ALTER TABLE cluster ADD COLUMN image_tag TEXT NOT NULL DEFAULT '';
ALTER TABLE distributor ADD COLUMN sharing TEXT NOT NULL DEFAULT 'project' CHECK (sharing IN ('project', 'dedicated', 'all'));
