package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"colonnade/internal/lb"
)

// Query selects from a list. Names in Filters and Sort are the API's (admin_state_up, loadbalancer_id, address, …);
// unknown ones are an lb.KindInvalid fault.
type Query struct {
	// Filters maps a name to values any of which may match. The names tags (all), tags-any, not-tags (not all) and
	// not-tags-any work on everything that has tags.
	Filters   map[string][]string
	ProjectID string    // "" for all
	Limit     int       // 0 for all
	Marker    string    // id of the last row of the page before; an unknown one is lb.KindInvalid
	Sort      []SortKey // created_at and id are appended
	// Since and Until bound when it happened, for events: from Since on, before Until; zero is no bound.
	Since, Until time.Time
	// AfterID leaves out events up to this id.
	AfterID int64
}

// SortKey orders a list.
type SortKey struct {
	Name string
	Desc bool
}

// columnType says how a filter's text becomes a value.
type columnType int

const (
	text columnType = iota
	number
	truth
	moment
)

// column is one that lists may filter and sort by. Missing values sort as the least of their type; a row that was never
// changed sorts by its creation.
type column struct {
	expr string
	kind columnType
	null bool
}

// resource describes one list.
type resource struct {
	table   string
	columns map[string]column
	project string // expression that is the project's id
	join    string
	hidden  string // condition for the rows that nobody sees
	tags    bool
	more    []string // columns beside those of the table
	moment  string   // expression that Since and Until bound; "" where they do not
}

// columns builds the map from words "name", "name=column", with ":n" for numbers, ":b" for booleans, ":t" for times and
// "?" for those that may be NULL.
func columns(words string) map[string]column {
	m := map[string]column{}
	for w := range strings.FieldsSeq(words) {
		c := column{}
		w, c.null = strings.CutSuffix(w, "?")
		w, kind, _ := strings.Cut(w, ":")
		c.kind = map[string]columnType{"": text, "n": number, "b": truth, "t": moment}[kind]
		name, expr, renamed := strings.Cut(w, "=")
		if !renamed {
			expr = name
		}
		c.expr = "o." + expr
		m[name] = c
	}
	return m
}

// common are the columns that every object of the tenants' API has.
const common = "id project_id name provisioning_status operating_status admin_state_up=enabled:b created_at:t updated_at:t? "

var (
	loadBalancers = resource{
		table: "load_balancer", project: "o.project_id", hidden: "o.provisioning_status = 'DELETED'", tags: true,
		more: []string{
			relatedIDs("listener_ids", "id", "listener", "c.load_balancer_id = o.id"),
			relatedIDs("pool_ids", "id", "pool", "c.load_balancer_id = o.id"),
		},
		columns: columns(common + "description provider vip_address vip_port_id vip_subnet_id vip_network_id vip_qos_policy_id? flavor_id? availability_zone?"),
	}
	listeners = resource{
		table: "listener", project: "o.project_id", tags: true,
		more: []string{relatedIDsBy("c.position", "policy_ids", "id", "l7policy", "c.listener_id = o.id")},
		columns: columns(common + `description loadbalancer_id=load_balancer_id protocol protocol_port:n connection_limit:n default_pool_id?
 timeout_client_data:n timeout_member_connect:n timeout_member_data:n timeout_tcp_inspect:n default_tls_container_ref=tls_certificate_id?
 client_ca_tls_container_ref=client_ca_tls_certificate_id? client_authentication client_crl_container_ref=client_crl_container_id? tls_ciphers?
 hsts_max_age:n? hsts_include_subdomains:b hsts_preload:b`),
	}
	l7policies = resource{
		table: "l7policy", project: "o.project_id", tags: true,
		more:    []string{relatedIDs("rule_ids", "id", "l7rule", "c.l7policy_id = o.id")},
		columns: columns(common + `description listener_id action redirect_pool_id? redirect_url? redirect_prefix? redirect_http_code:n? position:n`),
	}
	l7rules = resource{
		table: "l7rule", project: "o.project_id", tags: true,
		columns: columns(`id project_id provisioning_status operating_status admin_state_up=enabled:b created_at:t updated_at:t?
 l7policy_id type compare_type key? value invert:b`),
	}
	pools = resource{
		table: "pool", project: "o.project_id", tags: true,
		more: []string{
			// As lb.Tree.PoolListeners has it.
			relatedIDs("listener_ids", "id", "listener", `(c.default_pool_id = o.id OR c.id IN (SELECT p.listener_id FROM l7policy AS p
 WHERE p.redirect_pool_id = o.id AND p.enabled AND EXISTS (SELECT 1 FROM l7rule AS r WHERE r.l7policy_id = p.id)))`),
			relatedIDs("member_ids", "id", "member", "c.pool_id = o.id"),
			"(SELECT c.id FROM health_monitor AS c WHERE c.pool_id = o.id) AS health_monitor_id",
		},
		columns: and(columns(common+`description loadbalancer_id=load_balancer_id protocol lb_algorithm tls_enabled:b tls_container_ref=tls_certificate_id?
 ca_tls_container_ref=ca_tls_certificate_id? crl_container_ref=crl_container_id? tls_ciphers?`), "healthmonitor_id",
			column{expr: "(SELECT h.id FROM health_monitor AS h WHERE h.pool_id = o.id)", null: true}),
	}
	members = resource{
		table: "member", project: "o.project_id", tags: true,
		columns: columns(common + "pool_id address=ip_address protocol_port:n weight:n backup:b subnet_id? monitor_address? monitor_port:n?"),
	}
	healthMonitors = resource{
		table: "health_monitor", project: "o.project_id", tags: true,
		columns: columns(common + `pool_id type delay:n timeout:n max_retries=rise_threshold:n max_retries_down=fall_threshold:n
 http_method? url_path? expected_codes? http_version? domain_name?`),
	}
	offers = map[lb.OfferKind]resource{
		lb.OfferFlavor: {table: "flavor", columns: columns("id name description enabled:b flavor_profile_id=profile_id created_at:t")},
		lb.OfferZone:   {table: "availability_zone", columns: columns("id name description enabled:b availability_zone_profile_id=profile_id created_at:t")},
	}
	offerProfiles = map[lb.OfferKind]resource{
		lb.OfferFlavor: {table: "flavor_profile", columns: columns("id name provider_name flavor_data=data created_at:t")},
		lb.OfferZone:   {table: "availability_zone_profile", columns: columns("id name provider_name availability_zone_data=data created_at:t")},
	}
	amphorae = resource{
		table: "amphora", project: "l.project_id", join: "JOIN load_balancer AS l ON l.id = o.load_balancer_id", hidden: "o.status = 'DELETED'",
		more: []string{"l.project_id AS of_project"},
		columns: columns(`id loadbalancer_id=load_balancer_id cluster_id compute_id? lb_network_ip? vrrp_ip? vrrp_port_id? role status
 position:n cert_expiration:t? created_at:t updated_at:t?`),
	}
	clusters = resource{
		table: "cluster", project: "o.project_id",
		more: []string{relatedIDs("amphora_ids", "id", "amphora", "c.load_balancer_id = o.load_balancer_id AND c.status <> 'DELETED'")},
		columns: columns(`id project_id name=cluster_name cluster_type loadbalancer_id=load_balancer_id distributor_id? desired_size:n min_size:n
 provisioning_status operating_status admin_state_up=enabled:b created_at:t updated_at:t?`),
	}
	distributors = resource{
		table: "distributor", project: "o.project_id", more: []string{servedByDistributor},
		columns: columns("id project_id status compute_id? lb_network_ip? created_at:t updated_at:t?"),
	}
)

// and adds a column that is no column of the table.
func and(m map[string]column, name string, c column) map[string]column {
	m[name] = c
	return m
}

// servedByDistributor are the load balancers of a distributor.
var servedByDistributor = relatedIDs("load_balancer_ids", "load_balancer_id", "cluster", "c.distributor_id = o.id")

// list scans one page of a resource into rows, a pointer to a slice of rows.
func (r resource) list(ctx context.Context, tx bun.IDB, q Query, rows any) error {
	keys, err := r.order(q.Sort)
	if err != nil {
		return err
	}
	sel := tx.NewSelect().Model(rows).ModelTableExpr("? AS o", bun.Ident(r.table)).ColumnExpr("?TableColumns")
	for _, c := range r.more {
		sel = sel.ColumnExpr(c)
	}
	if len(q.Sort) == 0 {
		// An index has this order, so nothing is read but the page.
		sel, err = r.choose(sel, q, keys)
	} else {
		// The page is chosen before much is read of its rows.
		var chosen *bun.SelectQuery
		if chosen, err = r.choose(tx.NewSelect().TableExpr(r.table+" AS o").ColumnExpr("o.id"), q, keys); err == nil {
			sel = r.joined(sel).Where("o.id IN (?)", chosen)
			sel = inOrder(sel, keys)
		}
	}
	if err != nil {
		return err
	}
	if err := sel.Scan(ctx); err != nil || q.Marker == "" || reflect.ValueOf(rows).Elem().Len() > 0 {
		return err
	}
	// Nothing comes after the marker, or it is none.
	known, err := tx.NewSelect().TableExpr(r.table+" AS o").Where("o.id = ?", q.Marker).Exists(ctx)
	if err == nil && !known {
		err = lb.InvalidField("marker", q.Marker, "It names no row.")
	}
	return err
}

func inOrder(sel *bun.SelectQuery, keys []orderKey) *bun.SelectQuery {
	for _, k := range keys {
		sel = sel.OrderExpr(k.expr + k.direction())
	}
	return sel
}

func (r resource) joined(sel *bun.SelectQuery) *bun.SelectQuery {
	if r.join != "" {
		sel = sel.Join(r.join)
	}
	return sel
}

// choose narrows a selection to the page that a query asks for.
func (r resource) choose(sel *bun.SelectQuery, q Query, keys []orderKey) (*bun.SelectQuery, error) {
	sel = r.joined(sel)
	if r.hidden != "" {
		sel = sel.Where("NOT (" + r.hidden + ")")
	}
	if q.ProjectID != "" {
		sel = sel.Where(r.project+" = ?", q.ProjectID)
	}
	for _, name := range slices.Sorted(maps.Keys(q.Filters)) {
		var err error
		if sel, err = r.filter(sel, name, q.Filters[name]); err != nil {
			return nil, err
		}
	}
	if r.moment != "" && !q.Since.IsZero() {
		sel = sel.Where(r.moment+" >= ?", q.Since)
	}
	if r.moment != "" && !q.Until.IsZero() {
		sel = sel.Where(r.moment+" < ?", q.Until)
	}
	if r.moment != "" && q.AfterID > 0 {
		sel = sel.Where("o.id > ?", q.AfterID)
	}
	if q.Marker != "" {
		sel = r.after(sel, keys, q.Marker)
	}
	if q.Limit > 0 {
		sel = sel.Limit(int64(q.Limit))
	}
	return inOrder(sel, keys), nil
}

func (r resource) filter(sel *bun.SelectQuery, name string, values []string) (*bun.SelectQuery, error) {
	if r.tags && strings.Contains(name, "tags") {
		return filterTags(sel, name, values)
	}
	if name == "project_id" {
		return sel.Where(r.project+" IN (?)", bun.List(values)), nil
	}
	c, ok := r.columns[name]
	if !ok {
		return nil, lb.Faultf(lb.KindInvalid, "Unknown attribute for filter: %s", name)
	}
	parsed := make([]any, 0, len(values))
	for _, v := range values {
		p, err := c.parse(name, v)
		if err != nil {
			return nil, err
		}
		parsed = append(parsed, p)
	}
	if len(parsed) == 0 {
		return sel.Where("1 = 0"), nil
	}
	return sel.Where(c.expr+" IN (?)", bun.List(parsed)), nil
}

var errNoTime = errors.New("before the first year")

func (c column) parse(name, v string) (any, error) {
	var parsed any = v
	var err error
	switch c.kind {
	case number:
		parsed, err = strconv.ParseInt(v, 10, 64)
	case truth:
		parsed, err = strconv.ParseBool(strings.ToLower(v))
	case moment:
		var t time.Time
		if t, err = time.Parse("2006-01-02T15:04:05", v); err != nil { // fractions are understood
			t, err = time.Parse(time.RFC3339, v)
		}
		if err == nil && t.UTC().Year() < 1 {
			err = errNoTime // PostgreSQL knows no year 0
		}
		parsed = t
	case text:
	}
	if err != nil {
		return nil, lb.InvalidField(name, v, "It is not of this attribute's type.")
	}
	return parsed, nil
}

// filterTags looks for whole tags in the JSON text, where each stands between quotes.
func filterTags(sel *bun.SelectQuery, name string, values []string) (*bun.SelectQuery, error) {
	var tags []string
	for _, v := range values {
		tags = append(tags, strings.Split(v, ",")...)
	}
	conds := make([]string, 0, len(tags))
	args := make([]any, 0, len(tags))
	for _, tag := range tags {
		quoted, err := json.Marshal(tag)
		if err != nil {
			return nil, err
		}
		like := strings.NewReplacer(`!`, `!!`, `%`, `!%`, `_`, `!_`).Replace(string(quoted))
		// LIKE of SQLite does not tell upper from lower case; a filter does.
		conds = append(conds, "(o.tags LIKE ? ESCAPE '!' AND replace(o.tags, ?, '') <> o.tags)")
		args = append(args, "%"+like+"%", string(quoted))
	}
	all, some := strings.Join(conds, " AND "), strings.Join(conds, " OR ")
	form := map[string]string{"tags": all, "tags-any": some, "not-tags": "NOT COALESCE(" + all + ", FALSE)", "not-tags-any": "NOT COALESCE(" + some + ", FALSE)"}
	if form[name] == "" {
		return nil, lb.Faultf(lb.KindInvalid, "Unknown attribute for filter: %s", name)
	}
	return sel.Where("("+form[name]+")", args...), nil
}

type orderKey struct {
	expr string
	desc bool
}

func (k orderKey) direction() string {
	if k.desc {
		return " DESC"
	}
	return " ASC"
}

func (r resource) order(sort []SortKey) ([]orderKey, error) {
	var keys []orderKey
	for _, s := range append(slices.Clone(sort), SortKey{Name: "created_at"}, SortKey{Name: "id"}) {
		c, ok := r.columns[s.Name]
		if !ok {
			return nil, lb.Faultf(lb.KindInvalid, "Unknown attribute for sort key: %s", s.Name)
		}
		expr := c.expr
		if c.null {
			least := map[columnType]string{text: "''", number: "-1", truth: "FALSE", moment: "o.created_at"}[c.kind]
			expr = fmt.Sprintf("COALESCE(%s, %s)", c.expr, least)
		}
		if !slices.ContainsFunc(keys, func(k orderKey) bool { return k.expr == expr }) {
			keys = append(keys, orderKey{expr, s.Desc})
		}
	}
	return keys, nil
}

// after selects the rows that come after the marker's in the order of keys; what the marker's row holds is asked of the
// database, which compares it as it sorts it.
func (r resource) after(sel *bun.SelectQuery, keys []orderKey, marker string) *bun.SelectQuery {
	value := func(k orderKey) string {
		return fmt.Sprintf("(SELECT %s FROM %s AS m WHERE m.id = ?)", strings.ReplaceAll(k.expr, "o.", "m."), r.table)
	}
	var alternatives []string
	var args []any
	for i, k := range keys {
		var conds []string
		for _, equal := range keys[:i] {
			conds = append(conds, equal.expr+" = "+value(equal))
			args = append(args, marker)
		}
		than := " > "
		if k.desc {
			than = " < "
		}
		conds = append(conds, k.expr+than+value(k))
		args = append(args, marker)
		alternatives = append(alternatives, "("+strings.Join(conds, " AND ")+")")
	}
	// The first key alone says where in an index to begin.
	from := " >= "
	if keys[0].desc {
		from = " <= "
	}
	sel = sel.Where(keys[0].expr+from+value(keys[0]), marker)
	return sel.Where("("+strings.Join(alternatives, " OR ")+")", args...)
}
