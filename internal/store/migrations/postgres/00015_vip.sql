-- +goose Up
-- More of a load balancer's VIPs; lists are JSON text.
ALTER TABLE load_balancer ADD COLUMN vip_qos_policy_id TEXT;
ALTER TABLE load_balancer ADD COLUMN vip_sg_ids TEXT;
ALTER TABLE load_balancer ADD COLUMN vip_vnic_type TEXT NOT NULL DEFAULT '';
ALTER TABLE load_balancer ADD COLUMN additional_vips TEXT;
ALTER TABLE member ADD COLUMN vnic_type TEXT NOT NULL DEFAULT '';
