package lb

import (
	"slices"
	"time"
)

// Actions of an L7 policy.
const (
	ActionReject         = "REJECT"
	ActionRedirectPool   = "REDIRECT_TO_POOL"
	ActionRedirectURL    = "REDIRECT_TO_URL"
	ActionRedirectPrefix = "REDIRECT_PREFIX"
)

// Types of an L7 rule: what of a request it looks at.
const (
	RuleHostName     = "HOST_NAME"
	RulePath         = "PATH"
	RuleFileType     = "FILE_TYPE"
	RuleHeader       = "HEADER"
	RuleCookie       = "COOKIE"
	RuleHasCert      = "SSL_CONN_HAS_CERT"
	RuleVerifyResult = "SSL_VERIFY_RESULT"
	RuleDNField      = "SSL_DN_FIELD"
)

// Comparisons of an L7 rule.
const (
	CompareRegex      = "REGEX"
	CompareStartsWith = "STARTS_WITH"
	CompareEndsWith   = "ENDS_WITH"
	CompareContains   = "CONTAINS"
	CompareEqualTo    = "EQUAL_TO"
)

// MostL7Rules is how many rules a policy may have, as in Octavia.
const MostL7Rules = 50

// DefaultRedirectCode is the status of a redirect when the request names none.
const DefaultRedirectCode = 302

// L7Policy says what a listener does with requests that match all of its rules.
type L7Policy struct {
	ID                 string             `bun:"id,pk"`
	ListenerID         string             `bun:"listener_id"`
	ProjectID          string             `bun:"project_id"`
	Name               string             `bun:"name"`
	Description        string             `bun:"description"`
	ProvisioningStatus ProvisioningStatus `bun:"provisioning_status"`
	OperatingStatus    OperatingStatus    `bun:"operating_status"`
	StatusReason       string             `bun:"status_reason"`
	Enabled            bool               `bun:"enabled"`
	Action             string             `bun:"action"`
	RedirectPoolID     string             `bun:"redirect_pool_id,nullzero"` // with REDIRECT_TO_POOL alone
	RedirectURL        string             `bun:"redirect_url,nullzero"`     // with REDIRECT_TO_URL alone
	RedirectPrefix     string             `bun:"redirect_prefix,nullzero"`  // with REDIRECT_PREFIX alone
	RedirectHTTPCode   int                `bun:"redirect_http_code,nullzero"`
	// Position is the policy's place among its listener's: they are 1…n without gaps, those being deleted included.
	Position  int       `bun:"position"`
	Tags      []string  `bun:"tags,type:text"`
	CreatedAt time.Time `bun:"created_at"`
	UpdatedAt time.Time `bun:"updated_at,nullzero"`

	Rules []L7Rule `bun:"-"`
}

// L7Rule is one condition of a policy.
type L7Rule struct {
	ID                 string             `bun:"id,pk"`
	PolicyID           string             `bun:"l7policy_id"`
	ProjectID          string             `bun:"project_id"`
	ProvisioningStatus ProvisioningStatus `bun:"provisioning_status"`
	OperatingStatus    OperatingStatus    `bun:"operating_status"`
	StatusReason       string             `bun:"status_reason"`
	Enabled            bool               `bun:"enabled"`
	Type               string             `bun:"type"`
	CompareType        string             `bun:"compare_type"`
	Key                string             `bun:"key,nullzero"` // name of a header, cookie or DN field
	Value              string             `bun:"value"`
	Invert             bool               `bun:"invert"`
	Tags               []string           `bun:"tags,type:text"`
	CreatedAt          time.Time          `bun:"created_at"`
	UpdatedAt          time.Time          `bun:"updated_at,nullzero"`
}

// uses reports whether the policy makes its listener a user of the pool: while it is enabled and has a rule.
func (p *L7Policy) uses(poolID string) bool {
	return p.RedirectPoolID == poolID && p.Enabled && len(p.Rules) > 0
}

// usesPool reports whether the listener may send to the pool.
func (l *Listener) usesPool(id string) bool {
	return id != "" && (l.DefaultPoolID == id || slices.ContainsFunc(l.L7Policies, func(p L7Policy) bool { return p.uses(id) }))
}

// PoolIDs are the ids of the pools that the listener may send to: its default pool and the redirect pools of its enabled
// policies with rules, each once.
func (l *Listener) PoolIDs() []string {
	var ids []string
	seen := map[string]bool{"": true}
	add := func(id string) {
		if !seen[id] {
			seen[id] = true
			ids = append(ids, id)
		}
	}
	add(l.DefaultPoolID)
	for i := range l.L7Policies {
		if p := &l.L7Policies[i]; p.uses(p.RedirectPoolID) {
			add(p.RedirectPoolID)
		}
	}
	return ids
}
