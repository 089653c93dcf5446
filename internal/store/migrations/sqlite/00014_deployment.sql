-- +goose Up
-- Whose database this is: the one state directory that works with it.
CREATE TABLE deployment (
    only_one INTEGER PRIMARY KEY CHECK (only_one = 1),
    id TEXT NOT NULL,
    description TEXT NOT NULL,
    created_at TIMESTAMP NOT NULL
);
