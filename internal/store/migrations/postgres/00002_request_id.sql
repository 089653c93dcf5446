-- +goose Up
-- The API request that enqueued the work; '' when none did.
ALTER TABLE work_queue ADD COLUMN request_id TEXT NOT NULL DEFAULT '';
