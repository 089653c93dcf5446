CREATE TABLE amphora (
    id TEXT PRIMARY KEY,
    load_balancer_id TEXT NOT NULL REFERENCES load_balancer (id),
    cluster_id TEXT NOT NULL,
    role TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('PENDING_CREATE', 'BOOTING', 'READY', 'ALLOCATED', 'ERROR', 'PENDING_DELETE', 'DELETED')),
    status_reason TEXT NOT NULL,
    compute_id TEXT,
    lb_network_ip TEXT,
    vrrp_port_id TEXT,
    vrrp_ip TEXT,
    frontend_mac TEXT,
    position INTEGER NOT NULL CHECK (position >= -1),
    out_of_service BOOLEAN NOT NULL,
    draining_since TIMESTAMP,
    failover_requested_at TIMESTAMP,
    boot_deadline TIMESTAMP,
    applied_revision INTEGER NOT NULL,
    applied_table INTEGER NOT NULL,
    cert_expiration TIMESTAMP,
    heartbeat_key TEXT NOT NULL,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP
);

CREATE INDEX amphora_created ON amphora (created_at, id);

CREATE INDEX amphora_load_balancer ON amphora (load_balancer_id);

CREATE TABLE amphora_port (
    port_id TEXT PRIMARY KEY,
    amphora_id TEXT NOT NULL REFERENCES amphora (id) ON DELETE CASCADE,
    network_id TEXT NOT NULL,
    subnet_id TEXT NOT NULL
);

CREATE INDEX amphora_port_amphora ON amphora_port (amphora_id);

CREATE TABLE application_credential (
    id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL,
    project_id TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    secret_hash TEXT NOT NULL,
    roles TEXT NOT NULL,
    expires_at TIMESTAMP,
    unrestricted BOOLEAN NOT NULL,
    created_at TIMESTAMP NOT NULL,
    UNIQUE (user_id, name)
);

CREATE TABLE availability_zone (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    description TEXT NOT NULL,
    enabled BOOLEAN NOT NULL,
    profile_id TEXT NOT NULL REFERENCES availability_zone_profile (id),
    created_at TIMESTAMP NOT NULL
);

CREATE INDEX availability_zone_of_profile ON availability_zone (profile_id);

CREATE TABLE availability_zone_profile (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    provider_name TEXT NOT NULL,
    data TEXT NOT NULL,
    created_at TIMESTAMP NOT NULL
);

CREATE TABLE cluster (
    id TEXT PRIMARY KEY,
    load_balancer_id TEXT NOT NULL UNIQUE REFERENCES load_balancer (id),
    project_id TEXT NOT NULL,
    cluster_name TEXT NOT NULL,
    cluster_type TEXT NOT NULL,
    desired_size INTEGER NOT NULL CHECK (desired_size >= 0),
    min_size INTEGER NOT NULL CHECK (min_size >= 0),
    standby_size INTEGER NOT NULL CHECK (standby_size >= 0),
    cooldown INTEGER NOT NULL,
    distributor_id TEXT REFERENCES distributor (id),
    distributor_port_id TEXT,
    provisioning_status TEXT NOT NULL,
    operating_status TEXT NOT NULL,
    standby_ready INTEGER NOT NULL,
    enabled BOOLEAN NOT NULL,
    forwarding_table TEXT NOT NULL,
    probe_key TEXT NOT NULL,
    last_elective_at TIMESTAMP,
    failover_requested_at TIMESTAMP,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP
, affinity TEXT NOT NULL DEFAULT 'source_ip' CHECK (affinity IN ('source_ip', 'source_ip_port')), sharing TEXT NOT NULL DEFAULT 'project' CHECK (sharing IN ('project', 'dedicated', 'all')), compute_flavor TEXT NOT NULL DEFAULT '', image_tag TEXT NOT NULL DEFAULT '');

CREATE INDEX cluster_created ON cluster (created_at, id);

CREATE INDEX cluster_distributor ON cluster (distributor_id);

CREATE TABLE deployment (
    only_one INTEGER PRIMARY KEY CHECK (only_one = 1),
    id TEXT NOT NULL,
    description TEXT NOT NULL,
    created_at TIMESTAMP NOT NULL
);

CREATE TABLE distributor (
    id TEXT PRIMARY KEY,
    project_id TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('PENDING_CREATE', 'BOOTING', 'READY', 'ALLOCATED', 'ERROR', 'PENDING_DELETE')),
    status_reason TEXT NOT NULL,
    compute_id TEXT,
    lb_network_ip TEXT,
    boot_deadline TIMESTAMP,
    cert_expiration TIMESTAMP,
    heartbeat_key TEXT NOT NULL,
    epoch INTEGER NOT NULL CHECK (epoch >= 0),
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP
, sharing TEXT NOT NULL DEFAULT 'project' CHECK (sharing IN ('project', 'dedicated', 'all')));

CREATE INDEX distributor_project ON distributor (project_id);

CREATE TABLE event (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at TIMESTAMP NOT NULL,
    load_balancer_id TEXT NOT NULL,
    object_id TEXT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    reason TEXT NOT NULL
, project_id TEXT NOT NULL DEFAULT '', object_kind TEXT NOT NULL DEFAULT '', actor_project_id TEXT NOT NULL DEFAULT '', roles TEXT, address TEXT NOT NULL DEFAULT '', operation TEXT NOT NULL DEFAULT '', request_id TEXT NOT NULL DEFAULT '', outcome INTEGER NOT NULL DEFAULT 0, changes TEXT);

CREATE INDEX event_load_balancer ON event (load_balancer_id, id);

CREATE INDEX event_object ON event (object_id, id);

CREATE INDEX event_project ON event (project_id, id);

CREATE TABLE flavor (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    description TEXT NOT NULL,
    enabled BOOLEAN NOT NULL,
    profile_id TEXT NOT NULL REFERENCES flavor_profile (id),
    created_at TIMESTAMP NOT NULL
);

CREATE INDEX flavor_of_profile ON flavor (profile_id);

CREATE TABLE flavor_profile (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    provider_name TEXT NOT NULL,
    data TEXT NOT NULL,
    created_at TIMESTAMP NOT NULL
);

CREATE TABLE floating_ip (
    id TEXT PRIMARY KEY REFERENCES port (id),
    project_id TEXT NOT NULL,
    description TEXT NOT NULL,
    port_id TEXT REFERENCES port (id),
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL
);

CREATE UNIQUE INDEX floating_ip_port ON floating_ip (port_id);

CREATE TABLE health_monitor (
    id TEXT PRIMARY KEY,
    pool_id TEXT NOT NULL UNIQUE REFERENCES pool (id),
    project_id TEXT NOT NULL,
    name TEXT NOT NULL,
    provisioning_status TEXT NOT NULL CHECK (provisioning_status IN ('ACTIVE', 'PENDING_CREATE', 'PENDING_UPDATE', 'PENDING_DELETE', 'ERROR')),
    operating_status TEXT NOT NULL,
    status_reason TEXT NOT NULL,
    enabled BOOLEAN NOT NULL,
    type TEXT NOT NULL,
    delay INTEGER NOT NULL,
    timeout INTEGER NOT NULL,
    rise_threshold INTEGER NOT NULL,
    fall_threshold INTEGER NOT NULL,
    http_method TEXT,
    url_path TEXT,
    expected_codes TEXT,
    http_version TEXT,
    domain_name TEXT,
    tags TEXT,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP
);

CREATE INDEX health_monitor_created ON health_monitor (created_at, id);

CREATE INDEX health_monitor_project ON health_monitor (project_id, created_at, id);

CREATE TABLE instance_health (
    instance_id TEXT PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('amphora', 'distributor')),
    state TEXT NOT NULL,
    since TIMESTAMP NOT NULL,
    last_seen TIMESTAMP NOT NULL,
    boot_id TEXT NOT NULL,
    report TEXT NOT NULL
);

CREATE TABLE l7policy (
    id TEXT PRIMARY KEY,
    listener_id TEXT NOT NULL REFERENCES listener (id),
    project_id TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    provisioning_status TEXT NOT NULL CHECK (provisioning_status IN ('ACTIVE', 'PENDING_CREATE', 'PENDING_UPDATE', 'PENDING_DELETE', 'ERROR')),
    operating_status TEXT NOT NULL,
    status_reason TEXT NOT NULL,
    enabled BOOLEAN NOT NULL,
    action TEXT NOT NULL,
    redirect_pool_id TEXT REFERENCES pool (id),
    redirect_url TEXT,
    redirect_prefix TEXT,
    redirect_http_code INTEGER,
    -- 1…n of its listener; not unique, because a move writes one row after the other.
    position INTEGER NOT NULL CHECK (position >= 1),
    tags TEXT,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP
);

CREATE INDEX l7policy_listener ON l7policy (listener_id, position);

CREATE INDEX l7policy_project ON l7policy (project_id);

CREATE INDEX l7policy_redirect_pool ON l7policy (redirect_pool_id);

CREATE TABLE l7rule (
    id TEXT PRIMARY KEY,
    l7policy_id TEXT NOT NULL REFERENCES l7policy (id),
    project_id TEXT NOT NULL,
    provisioning_status TEXT NOT NULL CHECK (provisioning_status IN ('ACTIVE', 'PENDING_CREATE', 'PENDING_UPDATE', 'PENDING_DELETE', 'ERROR')),
    operating_status TEXT NOT NULL,
    status_reason TEXT NOT NULL,
    enabled BOOLEAN NOT NULL,
    type TEXT NOT NULL,
    compare_type TEXT NOT NULL,
    key TEXT,
    value TEXT NOT NULL,
    invert BOOLEAN NOT NULL,
    tags TEXT,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP
);

CREATE INDEX l7rule_policy ON l7rule (l7policy_id);

CREATE INDEX l7rule_project ON l7rule (project_id);

CREATE TABLE listener (
    id TEXT PRIMARY KEY,
    load_balancer_id TEXT NOT NULL REFERENCES load_balancer (id),
    project_id TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    provisioning_status TEXT NOT NULL CHECK (provisioning_status IN ('ACTIVE', 'PENDING_CREATE', 'PENDING_UPDATE', 'PENDING_DELETE', 'ERROR')),
    operating_status TEXT NOT NULL,
    status_reason TEXT NOT NULL,
    enabled BOOLEAN NOT NULL,
    protocol TEXT NOT NULL,
    protocol_port INTEGER NOT NULL CHECK (protocol_port BETWEEN 1 AND 65535),
    connection_limit INTEGER NOT NULL,
    default_pool_id TEXT REFERENCES pool (id),
    insert_headers TEXT,
    allowed_cidrs TEXT,
    timeout_client_data INTEGER NOT NULL,
    timeout_member_connect INTEGER NOT NULL,
    timeout_member_data INTEGER NOT NULL,
    timeout_tcp_inspect INTEGER NOT NULL,
    tags TEXT,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP
, tls_certificate_id TEXT, sni_container_refs TEXT, client_ca_tls_certificate_id TEXT, client_authentication TEXT NOT NULL DEFAULT 'NONE', client_crl_container_id TEXT, tls_ciphers TEXT, tls_versions TEXT, alpn_protocols TEXT, hsts_max_age INTEGER, hsts_include_subdomains BOOLEAN NOT NULL DEFAULT FALSE, hsts_preload BOOLEAN NOT NULL DEFAULT FALSE);

CREATE INDEX listener_created ON listener (created_at, id);

CREATE INDEX listener_default_pool ON listener (default_pool_id);

CREATE UNIQUE INDEX listener_port ON listener (load_balancer_id, (CASE WHEN protocol IN ('UDP', 'SCTP') THEN protocol ELSE 'TCP' END), protocol_port);

CREATE INDEX listener_project ON listener (project_id, created_at, id);

CREATE TABLE listener_statistics (
    listener_id TEXT NOT NULL REFERENCES listener (id) ON DELETE CASCADE,
    amphora_id TEXT NOT NULL REFERENCES amphora (id) ON DELETE CASCADE,
    is_full BOOLEAN NOT NULL,
    bytes_in INTEGER NOT NULL,
    bytes_out INTEGER NOT NULL,
    active_connections INTEGER NOT NULL,
    total_connections INTEGER NOT NULL,
    request_errors INTEGER NOT NULL,
    PRIMARY KEY (listener_id, amphora_id)
);

CREATE INDEX listener_statistics_amphora ON listener_statistics (amphora_id);

CREATE TABLE load_balancer (
    id TEXT PRIMARY KEY,
    project_id TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    provisioning_status TEXT NOT NULL CHECK (provisioning_status IN ('ACTIVE', 'PENDING_CREATE', 'PENDING_UPDATE', 'PENDING_DELETE', 'ERROR', 'DELETED')),
    operating_status TEXT NOT NULL,
    status_reason TEXT NOT NULL,
    enabled BOOLEAN NOT NULL,
    provider TEXT NOT NULL,
    vip_address TEXT NOT NULL,
    vip_port_id TEXT NOT NULL,
    vip_subnet_id TEXT NOT NULL,
    vip_network_id TEXT NOT NULL,
    vip_port_owned BOOLEAN NOT NULL,
    tags TEXT,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP,
    revision INTEGER NOT NULL CHECK (revision >= 1),
    epoch INTEGER NOT NULL CHECK (epoch >= 0),
    pending_since TIMESTAMP
, flavor_id TEXT, availability_zone TEXT, topology TEXT NOT NULL DEFAULT 'ACTIVE_ACTIVE', amphora_pool TEXT, vip_qos_policy_id TEXT, vip_sg_ids TEXT, vip_vnic_type TEXT NOT NULL DEFAULT '', additional_vips TEXT);

CREATE INDEX load_balancer_created ON load_balancer (created_at, id);

CREATE INDEX load_balancer_flavor ON load_balancer (flavor_id);

CREATE INDEX load_balancer_project ON load_balancer (project_id, created_at, id);

CREATE UNIQUE INDEX load_balancer_vip_port ON load_balancer (CASE WHEN vip_port_id <> '' AND provisioning_status <> 'DELETED' THEN vip_port_id END);

CREATE INDEX load_balancer_zone ON load_balancer (availability_zone);

CREATE TABLE member (
    id TEXT PRIMARY KEY,
    pool_id TEXT NOT NULL REFERENCES pool (id),
    project_id TEXT NOT NULL,
    name TEXT NOT NULL,
    provisioning_status TEXT NOT NULL CHECK (provisioning_status IN ('ACTIVE', 'PENDING_CREATE', 'PENDING_UPDATE', 'PENDING_DELETE', 'ERROR')),
    operating_status TEXT NOT NULL,
    status_reason TEXT NOT NULL,
    enabled BOOLEAN NOT NULL,
    ip_address TEXT NOT NULL,
    protocol_port INTEGER NOT NULL CHECK (protocol_port BETWEEN 1 AND 65535),
    weight INTEGER NOT NULL CHECK (weight BETWEEN 0 AND 256),
    backup BOOLEAN NOT NULL,
    subnet_id TEXT,
    monitor_address TEXT,
    monitor_port INTEGER,
    server_id INTEGER NOT NULL CHECK (server_id >= 1),
    tags TEXT,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP, vnic_type TEXT NOT NULL DEFAULT '',
    UNIQUE (pool_id, ip_address, protocol_port),
    UNIQUE (pool_id, server_id)
);

CREATE INDEX member_project ON member (project_id);

CREATE TABLE network (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    project_id TEXT NOT NULL,
    mtu INTEGER NOT NULL,
    created_at TIMESTAMP NOT NULL
, description TEXT NOT NULL DEFAULT '', shared BOOLEAN NOT NULL DEFAULT FALSE, external BOOLEAN NOT NULL DEFAULT FALSE, isolated BOOLEAN NOT NULL DEFAULT FALSE);

CREATE TABLE pool (
    id TEXT PRIMARY KEY,
    load_balancer_id TEXT NOT NULL REFERENCES load_balancer (id),
    project_id TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    provisioning_status TEXT NOT NULL CHECK (provisioning_status IN ('ACTIVE', 'PENDING_CREATE', 'PENDING_UPDATE', 'PENDING_DELETE', 'ERROR')),
    operating_status TEXT NOT NULL,
    status_reason TEXT NOT NULL,
    enabled BOOLEAN NOT NULL,
    protocol TEXT NOT NULL,
    lb_algorithm TEXT NOT NULL,
    session_persistence TEXT,
    tags TEXT,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP,
    last_server_id INTEGER NOT NULL
, tls_enabled BOOLEAN NOT NULL DEFAULT FALSE, tls_certificate_id TEXT, ca_tls_certificate_id TEXT, crl_container_id TEXT, tls_ciphers TEXT, tls_versions TEXT, alpn_protocols TEXT);

CREATE INDEX pool_created ON pool (created_at, id);

CREATE INDEX pool_load_balancer ON pool (load_balancer_id);

CREATE INDEX pool_project ON pool (project_id, created_at, id);

CREATE TABLE port (
    id TEXT PRIMARY KEY,
    network_id TEXT NOT NULL REFERENCES network (id),
    subnet_id TEXT NOT NULL REFERENCES subnet (id),
    mac_address TEXT NOT NULL UNIQUE,
    ip_address TEXT NOT NULL,
    purpose TEXT NOT NULL,
    owner_id TEXT NOT NULL,
    project_id TEXT NOT NULL, name TEXT NOT NULL DEFAULT '', namespace TEXT NOT NULL DEFAULT '', interface TEXT NOT NULL DEFAULT '', description TEXT NOT NULL DEFAULT '', device_id TEXT NOT NULL DEFAULT '', device_owner TEXT NOT NULL DEFAULT '', tenant_made BOOLEAN NOT NULL DEFAULT FALSE,
    UNIQUE (network_id, ip_address)
);

CREATE INDEX port_owner ON port (owner_id);

CREATE TABLE quota (
    id TEXT PRIMARY KEY,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP,
    load_balancer INTEGER CHECK (load_balancer >= -1),
    listener INTEGER CHECK (listener >= -1),
    pool INTEGER CHECK (pool >= -1),
    member INTEGER CHECK (member >= -1),
    health_monitor INTEGER CHECK (health_monitor >= -1),
    l7_policy INTEGER CHECK (l7_policy >= -1),
    l7_rule INTEGER CHECK (l7_rule >= -1)
);

CREATE TABLE revocation (
    what TEXT PRIMARY KEY,
    until TIMESTAMP NOT NULL
);

CREATE TABLE secret (
    id TEXT PRIMARY KEY,
    project_id TEXT NOT NULL,
    creator_id TEXT NOT NULL,
    name TEXT NOT NULL,
    secret_type TEXT NOT NULL,
    algorithm TEXT,
    bit_length INTEGER,
    mode TEXT,
    content_type TEXT,
    payload BLOB,
    expiration TIMESTAMP,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP
);

CREATE INDEX secret_project ON secret (project_id, created_at, id);

CREATE TABLE secret_container (
    id TEXT PRIMARY KEY,
    project_id TEXT NOT NULL,
    creator_id TEXT NOT NULL,
    name TEXT NOT NULL,
    container_type TEXT NOT NULL,
    secret_refs TEXT,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP
);

CREATE INDEX secret_container_project ON secret_container (project_id, created_at, id);

CREATE TABLE security_group (
    id TEXT PRIMARY KEY,
    project_id TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL
);

CREATE INDEX security_group_project ON security_group (project_id);

CREATE TABLE signing_key (
    id TEXT PRIMARY KEY,
    secret BLOB NOT NULL,
    created_at TIMESTAMP NOT NULL
);

CREATE TABLE subnet (
    id TEXT PRIMARY KEY,
    network_id TEXT NOT NULL REFERENCES network (id),
    name TEXT NOT NULL,
    cidr TEXT NOT NULL,
    gateway_ip TEXT,
    allocation_start TEXT NOT NULL,
    allocation_end TEXT NOT NULL
, description TEXT NOT NULL DEFAULT '', no_dhcp BOOLEAN NOT NULL DEFAULT FALSE, amphora_pool TEXT);

CREATE INDEX subnet_network ON subnet (network_id);

CREATE TABLE work_queue (
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    generation INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    lease_until INTEGER NOT NULL,
    lease_id TEXT NOT NULL,
    last_error TEXT NOT NULL, request_id TEXT NOT NULL DEFAULT '', look_at INTEGER NOT NULL GENERATED ALWAYS AS (CASE WHEN lease_id <> '' THEN lease_until ELSE due_at END) VIRTUAL,
    PRIMARY KEY (kind, key)
);

CREATE INDEX work_queue_key ON work_queue (key);

CREATE INDEX work_queue_look ON work_queue (kind, look_at);
