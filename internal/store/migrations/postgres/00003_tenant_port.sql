-- +goose Up
-- Of a tenant's machine: what it is called, and the network namespace and device it is plugged in as; '' when not.
ALTER TABLE port ADD COLUMN name TEXT NOT NULL DEFAULT '';
ALTER TABLE port ADD COLUMN namespace TEXT NOT NULL DEFAULT '';
ALTER TABLE port ADD COLUMN interface TEXT NOT NULL DEFAULT '';
