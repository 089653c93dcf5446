-- +goose Up
-- isolated: no route of the host leads into it, as into networks that tenants make.
ALTER TABLE network ADD COLUMN description TEXT NOT NULL DEFAULT '';
ALTER TABLE network ADD COLUMN shared BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE network ADD COLUMN external BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE network ADD COLUMN isolated BOOLEAN NOT NULL DEFAULT FALSE;

-- amphora_pool: JSON list of the ranges that amphorae's own addresses come from.
ALTER TABLE subnet ADD COLUMN description TEXT NOT NULL DEFAULT '';
ALTER TABLE subnet ADD COLUMN no_dhcp BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE subnet ADD COLUMN amphora_pool TEXT;
ALTER TABLE load_balancer ADD COLUMN amphora_pool TEXT;

-- tenant_made: it outlives the load balancer that uses it as the VIP's port.
ALTER TABLE port ADD COLUMN description TEXT NOT NULL DEFAULT '';
ALTER TABLE port ADD COLUMN device_id TEXT NOT NULL DEFAULT '';
ALTER TABLE port ADD COLUMN device_owner TEXT NOT NULL DEFAULT '';
ALTER TABLE port ADD COLUMN tenant_made BOOLEAN NOT NULL DEFAULT FALSE;

-- The address is that of the port with the same id, on the external network; port_id is the port that it stands for.
CREATE TABLE floating_ip (
    id TEXT PRIMARY KEY REFERENCES port (id),
    project_id TEXT NOT NULL,
    description TEXT NOT NULL,
    port_id TEXT REFERENCES port (id),
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL
);
CREATE UNIQUE INDEX floating_ip_port ON floating_ip (port_id);

CREATE TABLE security_group (
    id TEXT PRIMARY KEY,
    project_id TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX security_group_project ON security_group (project_id);
