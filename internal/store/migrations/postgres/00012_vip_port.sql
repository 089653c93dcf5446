-- +goose Up
-- The same rule without a condition of the index: SQLite compares such a condition with the values of a prepared
-- statement, and so parses the statement again whenever the values change.
DROP INDEX load_balancer_vip_port;
CREATE UNIQUE INDEX load_balancer_vip_port ON load_balancer ((CASE WHEN vip_port_id <> '' AND provisioning_status <> 'DELETED' THEN vip_port_id END));
