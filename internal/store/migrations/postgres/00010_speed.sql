-- +goose Up
-- Lists in their default order, of a project and of all.
DROP INDEX load_balancer_project;
DROP INDEX listener_project;
DROP INDEX pool_project;
DROP INDEX health_monitor_project;
CREATE INDEX load_balancer_project ON load_balancer (project_id, created_at, id);
CREATE INDEX listener_project ON listener (project_id, created_at, id);
CREATE INDEX pool_project ON pool (project_id, created_at, id);
CREATE INDEX health_monitor_project ON health_monitor (project_id, created_at, id);
CREATE INDEX load_balancer_created ON load_balancer (created_at, id);
CREATE INDEX listener_created ON listener (created_at, id);
CREATE INDEX pool_created ON pool (created_at, id);
CREATE INDEX health_monitor_created ON health_monitor (created_at, id);
CREATE INDEX amphora_created ON amphora (created_at, id);
CREATE INDEX cluster_created ON cluster (created_at, id);

-- When somebody should look at the work: when it is due, or when the lease on it runs out.
ALTER TABLE work_queue ADD COLUMN look_at BIGINT NOT NULL GENERATED ALWAYS AS (CASE WHEN lease_id <> '' THEN lease_until ELSE due_at END) STORED;
CREATE INDEX work_queue_look ON work_queue (kind, look_at);
