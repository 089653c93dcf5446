-- +goose Up
-- A project's own limits; NULL is the deployment's default, -1 none. id is the project's.
CREATE TABLE quota (
    id TEXT PRIMARY KEY,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ,
    load_balancer INTEGER CHECK (load_balancer >= -1),
    listener INTEGER CHECK (listener >= -1),
    pool INTEGER CHECK (pool >= -1),
    member INTEGER CHECK (member >= -1),
    health_monitor INTEGER CHECK (health_monitor >= -1),
    l7_policy INTEGER CHECK (l7_policy >= -1),
    l7_rule INTEGER CHECK (l7_rule >= -1)
);

-- What a project has is counted by these.
CREATE INDEX listener_project ON listener (project_id);
CREATE INDEX pool_project ON pool (project_id);
CREATE INDEX member_project ON member (project_id);
CREATE INDEX health_monitor_project ON health_monitor (project_id);
