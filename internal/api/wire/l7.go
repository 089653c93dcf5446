package wire

// L7PolicyFields are those that both POST and PUT take.
type L7PolicyFields struct {
	Name             Opt[string]   `json:"name,omitzero" maxLength:"255"`
	Description      Opt[string]   `json:"description,omitzero" maxLength:"255"`
	AdminStateUp     Opt[bool]     `json:"admin_state_up,omitzero"`
	RedirectPoolID   Opt[string]   `json:"redirect_pool_id,omitzero" format:"uuid"`
	RedirectURL      Opt[string]   `json:"redirect_url,omitzero" maxLength:"255"`
	RedirectPrefix   Opt[string]   `json:"redirect_prefix,omitzero" maxLength:"255"`
	RedirectHTTPCode Opt[int]      `json:"redirect_http_code,omitzero" enum:"301,302,303,307,308"`
	Position         Opt[int]      `json:"position,omitzero" minimum:"1" maximum:"2147483647"`
	Tags             Opt[[]string] `json:"tags,omitzero" itemsMaxLength:"255"`
}

// L7PolicyCreate is what POST /lbaas/l7policies takes under "l7policy"; listener_id is mandatory there, but not in a
// policy inside a listener. RedirectPool is for the latter.
type L7PolicyCreate struct {
	ListenerID   Opt[string]         `json:"listener_id,omitzero" format:"uuid"`
	Action       Opt[string]         `json:"action" enum:"REDIRECT_PREFIX,REDIRECT_TO_POOL,REDIRECT_TO_URL,REJECT"`
	ProjectID    Opt[string]         `json:"project_id,omitzero" maxLength:"36"`
	TenantID     Opt[string]         `json:"tenant_id,omitzero" maxLength:"36"`
	RedirectPool Opt[PoolCreate]     `json:"redirect_pool,omitzero"`
	Rules        Opt[[]L7RuleCreate] `json:"rules,omitzero"`
	L7PolicyFields
}

// L7PolicyUpdate is what PUT takes.
type L7PolicyUpdate struct {
	Action Opt[string] `json:"action,omitzero" enum:"REDIRECT_PREFIX,REDIRECT_TO_POOL,REDIRECT_TO_URL,REJECT"`
	L7PolicyFields
}

// L7RuleFields are those that both POST and PUT take.
type L7RuleFields struct {
	Key          Opt[string]   `json:"key,omitzero" maxLength:"255"`
	Invert       Opt[bool]     `json:"invert,omitzero"`
	AdminStateUp Opt[bool]     `json:"admin_state_up,omitzero"`
	Tags         Opt[[]string] `json:"tags,omitzero" itemsMaxLength:"255"`
}

// L7RuleCreate is what POST …/rules takes under "rule".
type L7RuleCreate struct {
	Type        Opt[string] `json:"type" enum:"COOKIE,FILE_TYPE,HEADER,HOST_NAME,PATH,SSL_CONN_HAS_CERT,SSL_DN_FIELD,SSL_VERIFY_RESULT"`
	CompareType Opt[string] `json:"compare_type" enum:"CONTAINS,ENDS_WITH,EQUAL_TO,REGEX,STARTS_WITH"`
	Value       Opt[string] `json:"value" maxLength:"255"`
	ProjectID   Opt[string] `json:"project_id,omitzero" maxLength:"36"`
	TenantID    Opt[string] `json:"tenant_id,omitzero" maxLength:"36"`
	L7RuleFields
}

// L7RuleUpdate is what PUT takes.
type L7RuleUpdate struct {
	Type        Opt[string] `json:"type,omitzero" enum:"COOKIE,FILE_TYPE,HEADER,HOST_NAME,PATH,SSL_CONN_HAS_CERT,SSL_DN_FIELD,SSL_VERIFY_RESULT"`
	CompareType Opt[string] `json:"compare_type,omitzero" enum:"CONTAINS,ENDS_WITH,EQUAL_TO,REGEX,STARTS_WITH"`
	Value       Opt[string] `json:"value,omitzero" maxLength:"255"`
	L7RuleFields
}

// L7PolicyCommon are the fields of an L7 policy but its rules.
type L7PolicyCommon struct {
	Common
	Description      string  `json:"description"`
	Action           string  `json:"action"`
	ListenerID       string  `json:"listener_id"`
	RedirectPoolID   *string `json:"redirect_pool_id"`
	RedirectURL      *string `json:"redirect_url"`
	RedirectPrefix   *string `json:"redirect_prefix"`
	RedirectHTTPCode *int    `json:"redirect_http_code"`
	Position         int     `json:"position"`
}

// L7Policy is an L7 policy with its rules by id.
type L7Policy struct {
	L7PolicyCommon
	Rules []Ref `json:"rules"`
}

// L7PolicyTree is an L7 policy inside a whole load balancer.
type L7PolicyTree struct {
	L7PolicyCommon
	Rules []L7Rule `json:"rules"`
}

// L7Rule is an L7 rule; it is the one object without a name.
type L7Rule struct {
	ID           string   `json:"id"`
	ProjectID    string   `json:"project_id"`
	TenantID     string   `json:"tenant_id"`
	AdminStateUp bool     `json:"admin_state_up"`
	Tags         []string `json:"tags"`
	CreatedAt    *string  `json:"created_at"` // ISO 8601 without zone, UTC
	UpdatedAt    *string  `json:"updated_at"`
	Status
	Type        string  `json:"type"`
	CompareType string  `json:"compare_type"`
	Key         *string `json:"key"`
	Value       string  `json:"value"`
	Invert      bool    `json:"invert"`
}
