CREATE TABLE amphora (
    id text NOT NULL,
    load_balancer_id text NOT NULL,
    cluster_id text NOT NULL,
    role text NOT NULL,
    status text NOT NULL,
    status_reason text NOT NULL,
    compute_id text,
    lb_network_ip text,
    vrrp_port_id text,
    vrrp_ip text,
    frontend_mac text,
    position bigint NOT NULL,
    out_of_service boolean NOT NULL,
    draining_since timestamp with time zone,
    failover_requested_at timestamp with time zone,
    boot_deadline timestamp with time zone,
    applied_revision bigint NOT NULL,
    applied_table bigint NOT NULL,
    cert_expiration timestamp with time zone,
    heartbeat_key text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone,
    CONSTRAINT amphora_pkey PRIMARY KEY (id),
    CONSTRAINT amphora_load_balancer_id_fkey FOREIGN KEY (load_balancer_id) REFERENCES load_balancer(id),
    CONSTRAINT amphora_position_check CHECK (("position" >= '-1'::integer)),
    CONSTRAINT amphora_status_check CHECK ((status = ANY (ARRAY['PENDING_CREATE'::text, 'BOOTING'::text, 'READY'::text, 'ALLOCATED'::text, 'ERROR'::text, 'PENDING_DELETE'::text, 'DELETED'::text])))
);

CREATE INDEX amphora_created ON amphora USING btree (created_at, id);

CREATE INDEX amphora_load_balancer ON amphora USING btree (load_balancer_id);

CREATE TABLE amphora_port (
    port_id text NOT NULL,
    amphora_id text NOT NULL,
    network_id text NOT NULL,
    subnet_id text NOT NULL,
    CONSTRAINT amphora_port_pkey PRIMARY KEY (port_id),
    CONSTRAINT amphora_port_amphora_id_fkey FOREIGN KEY (amphora_id) REFERENCES amphora(id) ON DELETE CASCADE
);

CREATE INDEX amphora_port_amphora ON amphora_port USING btree (amphora_id);

CREATE TABLE application_credential (
    id text NOT NULL,
    user_id text NOT NULL,
    project_id text NOT NULL,
    name text NOT NULL,
    description text NOT NULL,
    secret_hash text NOT NULL,
    roles text NOT NULL,
    expires_at timestamp with time zone,
    unrestricted boolean NOT NULL,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT application_credential_pkey PRIMARY KEY (id),
    CONSTRAINT application_credential_user_id_name_key UNIQUE (user_id, name)
);

CREATE TABLE availability_zone (
    id text NOT NULL,
    name text NOT NULL,
    description text NOT NULL,
    enabled boolean NOT NULL,
    profile_id text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT availability_zone_pkey PRIMARY KEY (id),
    CONSTRAINT availability_zone_name_key UNIQUE (name),
    CONSTRAINT availability_zone_profile_id_fkey FOREIGN KEY (profile_id) REFERENCES availability_zone_profile(id)
);

CREATE INDEX availability_zone_of_profile ON availability_zone USING btree (profile_id);

CREATE TABLE availability_zone_profile (
    id text NOT NULL,
    name text NOT NULL,
    provider_name text NOT NULL,
    data text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT availability_zone_profile_pkey PRIMARY KEY (id)
);

CREATE TABLE cluster (
    id text NOT NULL,
    load_balancer_id text NOT NULL,
    project_id text NOT NULL,
    cluster_name text NOT NULL,
    cluster_type text NOT NULL,
    desired_size bigint NOT NULL,
    min_size bigint NOT NULL,
    standby_size bigint NOT NULL,
    cooldown bigint NOT NULL,
    distributor_id text,
    distributor_port_id text,
    provisioning_status text NOT NULL,
    operating_status text NOT NULL,
    standby_ready bigint NOT NULL,
    enabled boolean NOT NULL,
    forwarding_table text NOT NULL,
    probe_key text NOT NULL,
    last_elective_at timestamp with time zone,
    failover_requested_at timestamp with time zone,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone,
    affinity text NOT NULL DEFAULT 'source_ip'::text,
    sharing text NOT NULL DEFAULT 'project'::text,
    compute_flavor text NOT NULL DEFAULT ''::text,
    image_tag text NOT NULL DEFAULT ''::text,
    CONSTRAINT cluster_pkey PRIMARY KEY (id),
    CONSTRAINT cluster_affinity_check CHECK ((affinity = ANY (ARRAY['source_ip'::text, 'source_ip_port'::text]))),
    CONSTRAINT cluster_desired_size_check CHECK ((desired_size >= 0)),
    CONSTRAINT cluster_distributor_id_fkey FOREIGN KEY (distributor_id) REFERENCES distributor(id),
    CONSTRAINT cluster_load_balancer_id_fkey FOREIGN KEY (load_balancer_id) REFERENCES load_balancer(id),
    CONSTRAINT cluster_load_balancer_id_key UNIQUE (load_balancer_id),
    CONSTRAINT cluster_min_size_check CHECK ((min_size >= 0)),
    CONSTRAINT cluster_sharing_check CHECK ((sharing = ANY (ARRAY['project'::text, 'dedicated'::text, 'all'::text]))),
    CONSTRAINT cluster_standby_size_check CHECK ((standby_size >= 0))
);

CREATE INDEX cluster_created ON cluster USING btree (created_at, id);

CREATE INDEX cluster_distributor ON cluster USING btree (distributor_id);

CREATE TABLE deployment (
    only_one integer NOT NULL,
    id text NOT NULL,
    description text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT deployment_pkey PRIMARY KEY (only_one),
    CONSTRAINT deployment_only_one_check CHECK ((only_one = 1))
);

CREATE TABLE distributor (
    id text NOT NULL,
    project_id text NOT NULL,
    status text NOT NULL,
    status_reason text NOT NULL,
    compute_id text,
    lb_network_ip text,
    boot_deadline timestamp with time zone,
    cert_expiration timestamp with time zone,
    heartbeat_key text NOT NULL,
    epoch bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone,
    sharing text NOT NULL DEFAULT 'project'::text,
    CONSTRAINT distributor_pkey PRIMARY KEY (id),
    CONSTRAINT distributor_epoch_check CHECK ((epoch >= 0)),
    CONSTRAINT distributor_sharing_check CHECK ((sharing = ANY (ARRAY['project'::text, 'dedicated'::text, 'all'::text]))),
    CONSTRAINT distributor_status_check CHECK ((status = ANY (ARRAY['PENDING_CREATE'::text, 'BOOTING'::text, 'READY'::text, 'ALLOCATED'::text, 'ERROR'::text, 'PENDING_DELETE'::text])))
);

CREATE INDEX distributor_project ON distributor USING btree (project_id);

CREATE TABLE event (
    id bigint NOT NULL GENERATED BY DEFAULT AS IDENTITY,
    at timestamp with time zone NOT NULL,
    load_balancer_id text NOT NULL,
    object_id text NOT NULL,
    actor text NOT NULL,
    action text NOT NULL,
    reason text NOT NULL,
    project_id text NOT NULL DEFAULT ''::text,
    object_kind text NOT NULL DEFAULT ''::text,
    actor_project_id text NOT NULL DEFAULT ''::text,
    roles text,
    address text NOT NULL DEFAULT ''::text,
    operation text NOT NULL DEFAULT ''::text,
    request_id text NOT NULL DEFAULT ''::text,
    outcome integer NOT NULL DEFAULT 0,
    changes text,
    CONSTRAINT event_pkey PRIMARY KEY (id)
);

CREATE INDEX event_load_balancer ON event USING btree (load_balancer_id, id);

CREATE INDEX event_object ON event USING btree (object_id, id);

CREATE INDEX event_project ON event USING btree (project_id, id);

CREATE TABLE flavor (
    id text NOT NULL,
    name text NOT NULL,
    description text NOT NULL,
    enabled boolean NOT NULL,
    profile_id text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT flavor_pkey PRIMARY KEY (id),
    CONSTRAINT flavor_name_key UNIQUE (name),
    CONSTRAINT flavor_profile_id_fkey FOREIGN KEY (profile_id) REFERENCES flavor_profile(id)
);

CREATE INDEX flavor_of_profile ON flavor USING btree (profile_id);

CREATE TABLE flavor_profile (
    id text NOT NULL,
    name text NOT NULL,
    provider_name text NOT NULL,
    data text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT flavor_profile_pkey PRIMARY KEY (id)
);

CREATE TABLE floating_ip (
    id text NOT NULL,
    project_id text NOT NULL,
    description text NOT NULL,
    port_id text,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    CONSTRAINT floating_ip_pkey PRIMARY KEY (id),
    CONSTRAINT floating_ip_id_fkey FOREIGN KEY (id) REFERENCES port(id),
    CONSTRAINT floating_ip_port_id_fkey FOREIGN KEY (port_id) REFERENCES port(id)
);

CREATE UNIQUE INDEX floating_ip_port ON floating_ip USING btree (port_id);

CREATE TABLE health_monitor (
    id text NOT NULL,
    pool_id text NOT NULL,
    project_id text NOT NULL,
    name text NOT NULL,
    provisioning_status text NOT NULL,
    operating_status text NOT NULL,
    status_reason text NOT NULL,
    enabled boolean NOT NULL,
    type text NOT NULL,
    delay bigint NOT NULL,
    timeout bigint NOT NULL,
    rise_threshold bigint NOT NULL,
    fall_threshold bigint NOT NULL,
    http_method text,
    url_path text,
    expected_codes text,
    http_version text,
    domain_name text,
    tags text,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone,
    CONSTRAINT health_monitor_pkey PRIMARY KEY (id),
    CONSTRAINT health_monitor_pool_id_fkey FOREIGN KEY (pool_id) REFERENCES pool(id),
    CONSTRAINT health_monitor_pool_id_key UNIQUE (pool_id),
    CONSTRAINT health_monitor_provisioning_status_check CHECK ((provisioning_status = ANY (ARRAY['ACTIVE'::text, 'PENDING_CREATE'::text, 'PENDING_UPDATE'::text, 'PENDING_DELETE'::text, 'ERROR'::text])))
);

CREATE INDEX health_monitor_created ON health_monitor USING btree (created_at, id);

CREATE INDEX health_monitor_project ON health_monitor USING btree (project_id, created_at, id);

CREATE TABLE instance_health (
    instance_id text NOT NULL,
    kind text NOT NULL,
    state text NOT NULL,
    since timestamp with time zone NOT NULL,
    last_seen timestamp with time zone NOT NULL,
    boot_id text NOT NULL,
    report text NOT NULL,
    CONSTRAINT instance_health_pkey PRIMARY KEY (instance_id),
    CONSTRAINT instance_health_kind_check CHECK ((kind = ANY (ARRAY['amphora'::text, 'distributor'::text])))
);

CREATE TABLE l7policy (
    id text NOT NULL,
    listener_id text NOT NULL,
    project_id text NOT NULL,
    name text NOT NULL,
    description text NOT NULL,
    provisioning_status text NOT NULL,
    operating_status text NOT NULL,
    status_reason text NOT NULL,
    enabled boolean NOT NULL,
    action text NOT NULL,
    redirect_pool_id text,
    redirect_url text,
    redirect_prefix text,
    redirect_http_code bigint,
    position bigint NOT NULL,
    tags text,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone,
    CONSTRAINT l7policy_pkey PRIMARY KEY (id),
    CONSTRAINT l7policy_listener_id_fkey FOREIGN KEY (listener_id) REFERENCES listener(id),
    CONSTRAINT l7policy_position_check CHECK (("position" >= 1)),
    CONSTRAINT l7policy_provisioning_status_check CHECK ((provisioning_status = ANY (ARRAY['ACTIVE'::text, 'PENDING_CREATE'::text, 'PENDING_UPDATE'::text, 'PENDING_DELETE'::text, 'ERROR'::text]))),
    CONSTRAINT l7policy_redirect_pool_id_fkey FOREIGN KEY (redirect_pool_id) REFERENCES pool(id)
);

CREATE INDEX l7policy_listener ON l7policy USING btree (listener_id, "position");

CREATE INDEX l7policy_project ON l7policy USING btree (project_id);

CREATE INDEX l7policy_redirect_pool ON l7policy USING btree (redirect_pool_id);

CREATE TABLE l7rule (
    id text NOT NULL,
    l7policy_id text NOT NULL,
    project_id text NOT NULL,
    provisioning_status text NOT NULL,
    operating_status text NOT NULL,
    status_reason text NOT NULL,
    enabled boolean NOT NULL,
    type text NOT NULL,
    compare_type text NOT NULL,
    key text,
    value text NOT NULL,
    invert boolean NOT NULL,
    tags text,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone,
    CONSTRAINT l7rule_pkey PRIMARY KEY (id),
    CONSTRAINT l7rule_l7policy_id_fkey FOREIGN KEY (l7policy_id) REFERENCES l7policy(id),
    CONSTRAINT l7rule_provisioning_status_check CHECK ((provisioning_status = ANY (ARRAY['ACTIVE'::text, 'PENDING_CREATE'::text, 'PENDING_UPDATE'::text, 'PENDING_DELETE'::text, 'ERROR'::text])))
);

CREATE INDEX l7rule_policy ON l7rule USING btree (l7policy_id);

CREATE INDEX l7rule_project ON l7rule USING btree (project_id);

CREATE TABLE listener (
    id text NOT NULL,
    load_balancer_id text NOT NULL,
    project_id text NOT NULL,
    name text NOT NULL,
    description text NOT NULL,
    provisioning_status text NOT NULL,
    operating_status text NOT NULL,
    status_reason text NOT NULL,
    enabled boolean NOT NULL,
    protocol text NOT NULL,
    protocol_port bigint NOT NULL,
    connection_limit bigint NOT NULL,
    default_pool_id text,
    insert_headers text,
    allowed_cidrs text,
    timeout_client_data bigint NOT NULL,
    timeout_member_connect bigint NOT NULL,
    timeout_member_data bigint NOT NULL,
    timeout_tcp_inspect bigint NOT NULL,
    tags text,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone,
    tls_certificate_id text,
    sni_container_refs text,
    client_ca_tls_certificate_id text,
    client_authentication text NOT NULL DEFAULT 'NONE'::text,
    client_crl_container_id text,
    tls_ciphers text,
    tls_versions text,
    alpn_protocols text,
    hsts_max_age bigint,
    hsts_include_subdomains boolean NOT NULL DEFAULT false,
    hsts_preload boolean NOT NULL DEFAULT false,
    CONSTRAINT listener_pkey PRIMARY KEY (id),
    CONSTRAINT listener_default_pool_id_fkey FOREIGN KEY (default_pool_id) REFERENCES pool(id),
    CONSTRAINT listener_load_balancer_id_fkey FOREIGN KEY (load_balancer_id) REFERENCES load_balancer(id),
    CONSTRAINT listener_protocol_port_check CHECK (((protocol_port >= 1) AND (protocol_port <= 65535))),
    CONSTRAINT listener_provisioning_status_check CHECK ((provisioning_status = ANY (ARRAY['ACTIVE'::text, 'PENDING_CREATE'::text, 'PENDING_UPDATE'::text, 'PENDING_DELETE'::text, 'ERROR'::text])))
);

CREATE INDEX listener_created ON listener USING btree (created_at, id);

CREATE INDEX listener_default_pool ON listener USING btree (default_pool_id);

CREATE UNIQUE INDEX listener_port ON listener USING btree (load_balancer_id, (
CASE
    WHEN (protocol = ANY (ARRAY['UDP'::text, 'SCTP'::text])) THEN protocol
    ELSE 'TCP'::text
END), protocol_port);

CREATE INDEX listener_project ON listener USING btree (project_id, created_at, id);

CREATE TABLE listener_statistics (
    listener_id text NOT NULL,
    amphora_id text NOT NULL,
    is_full boolean NOT NULL,
    bytes_in bigint NOT NULL,
    bytes_out bigint NOT NULL,
    active_connections bigint NOT NULL,
    total_connections bigint NOT NULL,
    request_errors bigint NOT NULL,
    CONSTRAINT listener_statistics_pkey PRIMARY KEY (listener_id, amphora_id),
    CONSTRAINT listener_statistics_amphora_id_fkey FOREIGN KEY (amphora_id) REFERENCES amphora(id) ON DELETE CASCADE,
    CONSTRAINT listener_statistics_listener_id_fkey FOREIGN KEY (listener_id) REFERENCES listener(id) ON DELETE CASCADE
);

CREATE INDEX listener_statistics_amphora ON listener_statistics USING btree (amphora_id);

CREATE TABLE load_balancer (
    id text NOT NULL,
    project_id text NOT NULL,
    name text NOT NULL,
    description text NOT NULL,
    provisioning_status text NOT NULL,
    operating_status text NOT NULL,
    status_reason text NOT NULL,
    enabled boolean NOT NULL,
    provider text NOT NULL,
    vip_address text NOT NULL,
    vip_port_id text NOT NULL,
    vip_subnet_id text NOT NULL,
    vip_network_id text NOT NULL,
    vip_port_owned boolean NOT NULL,
    tags text,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone,
    revision bigint NOT NULL,
    epoch bigint NOT NULL,
    pending_since timestamp with time zone,
    flavor_id text,
    availability_zone text,
    topology text NOT NULL DEFAULT 'ACTIVE_ACTIVE'::text,
    amphora_pool text,
    vip_qos_policy_id text,
    vip_sg_ids text,
    vip_vnic_type text NOT NULL DEFAULT ''::text,
    additional_vips text,
    CONSTRAINT load_balancer_pkey PRIMARY KEY (id),
    CONSTRAINT load_balancer_epoch_check CHECK ((epoch >= 0)),
    CONSTRAINT load_balancer_provisioning_status_check CHECK ((provisioning_status = ANY (ARRAY['ACTIVE'::text, 'PENDING_CREATE'::text, 'PENDING_UPDATE'::text, 'PENDING_DELETE'::text, 'ERROR'::text, 'DELETED'::text]))),
    CONSTRAINT load_balancer_revision_check CHECK ((revision >= 1))
);

CREATE INDEX load_balancer_created ON load_balancer USING btree (created_at, id);

CREATE INDEX load_balancer_flavor ON load_balancer USING btree (flavor_id);

CREATE INDEX load_balancer_project ON load_balancer USING btree (project_id, created_at, id);

CREATE UNIQUE INDEX load_balancer_vip_port ON load_balancer USING btree ((
CASE
    WHEN ((vip_port_id <> ''::text) AND (provisioning_status <> 'DELETED'::text)) THEN vip_port_id
    ELSE NULL::text
END));

CREATE INDEX load_balancer_zone ON load_balancer USING btree (availability_zone);

CREATE TABLE member (
    id text NOT NULL,
    pool_id text NOT NULL,
    project_id text NOT NULL,
    name text NOT NULL,
    provisioning_status text NOT NULL,
    operating_status text NOT NULL,
    status_reason text NOT NULL,
    enabled boolean NOT NULL,
    ip_address text NOT NULL,
    protocol_port bigint NOT NULL,
    weight bigint NOT NULL,
    backup boolean NOT NULL,
    subnet_id text,
    monitor_address text,
    monitor_port bigint,
    server_id bigint NOT NULL,
    tags text,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone,
    vnic_type text NOT NULL DEFAULT ''::text,
    CONSTRAINT member_pkey PRIMARY KEY (id),
    CONSTRAINT member_pool_id_fkey FOREIGN KEY (pool_id) REFERENCES pool(id),
    CONSTRAINT member_pool_id_ip_address_protocol_port_key UNIQUE (pool_id, ip_address, protocol_port),
    CONSTRAINT member_pool_id_server_id_key UNIQUE (pool_id, server_id),
    CONSTRAINT member_protocol_port_check CHECK (((protocol_port >= 1) AND (protocol_port <= 65535))),
    CONSTRAINT member_provisioning_status_check CHECK ((provisioning_status = ANY (ARRAY['ACTIVE'::text, 'PENDING_CREATE'::text, 'PENDING_UPDATE'::text, 'PENDING_DELETE'::text, 'ERROR'::text]))),
    CONSTRAINT member_server_id_check CHECK ((server_id >= 1)),
    CONSTRAINT member_weight_check CHECK (((weight >= 0) AND (weight <= 256)))
);

CREATE INDEX member_project ON member USING btree (project_id);

CREATE TABLE network (
    id text NOT NULL,
    name text NOT NULL,
    project_id text NOT NULL,
    mtu bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    description text NOT NULL DEFAULT ''::text,
    shared boolean NOT NULL DEFAULT false,
    external boolean NOT NULL DEFAULT false,
    isolated boolean NOT NULL DEFAULT false,
    CONSTRAINT network_pkey PRIMARY KEY (id)
);

CREATE TABLE pool (
    id text NOT NULL,
    load_balancer_id text NOT NULL,
    project_id text NOT NULL,
    name text NOT NULL,
    description text NOT NULL,
    provisioning_status text NOT NULL,
    operating_status text NOT NULL,
    status_reason text NOT NULL,
    enabled boolean NOT NULL,
    protocol text NOT NULL,
    lb_algorithm text NOT NULL,
    session_persistence text,
    tags text,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone,
    last_server_id bigint NOT NULL,
    tls_enabled boolean NOT NULL DEFAULT false,
    tls_certificate_id text,
    ca_tls_certificate_id text,
    crl_container_id text,
    tls_ciphers text,
    tls_versions text,
    alpn_protocols text,
    CONSTRAINT pool_pkey PRIMARY KEY (id),
    CONSTRAINT pool_load_balancer_id_fkey FOREIGN KEY (load_balancer_id) REFERENCES load_balancer(id),
    CONSTRAINT pool_provisioning_status_check CHECK ((provisioning_status = ANY (ARRAY['ACTIVE'::text, 'PENDING_CREATE'::text, 'PENDING_UPDATE'::text, 'PENDING_DELETE'::text, 'ERROR'::text])))
);

CREATE INDEX pool_created ON pool USING btree (created_at, id);

CREATE INDEX pool_load_balancer ON pool USING btree (load_balancer_id);

CREATE INDEX pool_project ON pool USING btree (project_id, created_at, id);

CREATE TABLE port (
    id text NOT NULL,
    network_id text NOT NULL,
    subnet_id text NOT NULL,
    mac_address text NOT NULL,
    ip_address text NOT NULL,
    purpose text NOT NULL,
    owner_id text NOT NULL,
    project_id text NOT NULL,
    name text NOT NULL DEFAULT ''::text,
    namespace text NOT NULL DEFAULT ''::text,
    interface text NOT NULL DEFAULT ''::text,
    description text NOT NULL DEFAULT ''::text,
    device_id text NOT NULL DEFAULT ''::text,
    device_owner text NOT NULL DEFAULT ''::text,
    tenant_made boolean NOT NULL DEFAULT false,
    CONSTRAINT port_pkey PRIMARY KEY (id),
    CONSTRAINT port_mac_address_key UNIQUE (mac_address),
    CONSTRAINT port_network_id_fkey FOREIGN KEY (network_id) REFERENCES network(id),
    CONSTRAINT port_network_id_ip_address_key UNIQUE (network_id, ip_address),
    CONSTRAINT port_subnet_id_fkey FOREIGN KEY (subnet_id) REFERENCES subnet(id)
);

CREATE INDEX port_owner ON port USING btree (owner_id);

CREATE TABLE quota (
    id text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone,
    load_balancer integer,
    listener integer,
    pool integer,
    member integer,
    health_monitor integer,
    l7_policy integer,
    l7_rule integer,
    CONSTRAINT quota_pkey PRIMARY KEY (id),
    CONSTRAINT quota_health_monitor_check CHECK ((health_monitor >= '-1'::integer)),
    CONSTRAINT quota_l7_policy_check CHECK ((l7_policy >= '-1'::integer)),
    CONSTRAINT quota_l7_rule_check CHECK ((l7_rule >= '-1'::integer)),
    CONSTRAINT quota_listener_check CHECK ((listener >= '-1'::integer)),
    CONSTRAINT quota_load_balancer_check CHECK ((load_balancer >= '-1'::integer)),
    CONSTRAINT quota_member_check CHECK ((member >= '-1'::integer)),
    CONSTRAINT quota_pool_check CHECK ((pool >= '-1'::integer))
);

CREATE TABLE revocation (
    what text NOT NULL,
    until timestamp with time zone NOT NULL,
    CONSTRAINT revocation_pkey PRIMARY KEY (what)
);

CREATE TABLE secret (
    id text NOT NULL,
    project_id text NOT NULL,
    creator_id text NOT NULL,
    name text NOT NULL,
    secret_type text NOT NULL,
    algorithm text,
    bit_length bigint,
    mode text,
    content_type text,
    payload bytea,
    expiration timestamp with time zone,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone,
    CONSTRAINT secret_pkey PRIMARY KEY (id)
);

CREATE INDEX secret_project ON secret USING btree (project_id, created_at, id);

CREATE TABLE secret_container (
    id text NOT NULL,
    project_id text NOT NULL,
    creator_id text NOT NULL,
    name text NOT NULL,
    container_type text NOT NULL,
    secret_refs text,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone,
    CONSTRAINT secret_container_pkey PRIMARY KEY (id)
);

CREATE INDEX secret_container_project ON secret_container USING btree (project_id, created_at, id);

CREATE TABLE security_group (
    id text NOT NULL,
    project_id text NOT NULL,
    name text NOT NULL,
    description text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    CONSTRAINT security_group_pkey PRIMARY KEY (id)
);

CREATE INDEX security_group_project ON security_group USING btree (project_id);

CREATE TABLE signing_key (
    id text NOT NULL,
    secret bytea NOT NULL,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT signing_key_pkey PRIMARY KEY (id)
);

CREATE TABLE subnet (
    id text NOT NULL,
    network_id text NOT NULL,
    name text NOT NULL,
    cidr text NOT NULL,
    gateway_ip text,
    allocation_start text NOT NULL,
    allocation_end text NOT NULL,
    description text NOT NULL DEFAULT ''::text,
    no_dhcp boolean NOT NULL DEFAULT false,
    amphora_pool text,
    CONSTRAINT subnet_pkey PRIMARY KEY (id),
    CONSTRAINT subnet_network_id_fkey FOREIGN KEY (network_id) REFERENCES network(id)
);

CREATE INDEX subnet_network ON subnet USING btree (network_id);

CREATE TABLE work_queue (
    kind text NOT NULL,
    key text NOT NULL,
    generation bigint NOT NULL,
    attempt bigint NOT NULL,
    due_at bigint NOT NULL,
    lease_until bigint NOT NULL,
    lease_id text NOT NULL,
    last_error text NOT NULL,
    request_id text NOT NULL DEFAULT ''::text,
    look_at bigint NOT NULL GENERATED ALWAYS AS 
CASE
    WHEN (lease_id <> ''::text) THEN lease_until
    ELSE due_at
END STORED,
    CONSTRAINT work_queue_pkey PRIMARY KEY (kind, key)
);

CREATE INDEX work_queue_key ON work_queue USING btree (key);

CREATE INDEX work_queue_look ON work_queue USING btree (kind, look_at);
