-- +goose Up
-- Whose object it is, what kind, and of what the API was asked for: who, from where, by which call, with which outcome.
ALTER TABLE event ADD COLUMN project_id TEXT NOT NULL DEFAULT '';
ALTER TABLE event ADD COLUMN object_kind TEXT NOT NULL DEFAULT '';
ALTER TABLE event ADD COLUMN actor_project_id TEXT NOT NULL DEFAULT '';
ALTER TABLE event ADD COLUMN roles TEXT;
ALTER TABLE event ADD COLUMN address TEXT NOT NULL DEFAULT '';
ALTER TABLE event ADD COLUMN operation TEXT NOT NULL DEFAULT '';
ALTER TABLE event ADD COLUMN request_id TEXT NOT NULL DEFAULT '';
ALTER TABLE event ADD COLUMN outcome INTEGER NOT NULL DEFAULT 0;
ALTER TABLE event ADD COLUMN changes TEXT;
UPDATE event SET project_id = COALESCE((SELECT l.project_id FROM load_balancer AS l WHERE l.id = event.load_balancer_id), '');

CREATE INDEX event_project ON event (project_id, id);
CREATE INDEX event_object ON event (object_id, id);
