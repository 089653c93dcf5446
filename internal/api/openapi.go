package api

import (
	"bytes"
	_ "embed" // the examples
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"colonnade/internal/api/wire"
)

// OpenAPI writes the API's document, as it is served at /openapi.json and kept in docs/reference.
func OpenAPI() ([]byte, error) {
	document := (&server{}).routes(http.NewServeMux()).OpenAPI()
	boundItems(document.Components.Schemas)
	for _, path := range document.Paths {
		if op := path.Get; op != nil && strings.HasPrefix(op.OperationID, "list-") {
			addFilters(op)
		}
	}
	if err := addExamples(document); err != nil {
		return nil, fmt.Errorf("write openapi document: %w", err)
	}
	return written(document)
}

// written is a document as it is served and kept.
func written(document *huma.OpenAPI) ([]byte, error) {
	b, err := document.MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("write openapi document: %w", err)
	}
	var out bytes.Buffer
	if err := json.Indent(&out, b, "", "  "); err != nil {
		return nil, fmt.Errorf("write openapi document: %w", err)
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

// requests are the types whose tags bound the elements of lists and maps, which huma knows nothing of.
var requests = []reflect.Type{
	reflect.TypeFor[wire.LoadBalancerCreate](), reflect.TypeFor[wire.LoadBalancerUpdate](),
	reflect.TypeFor[wire.ListenerCreate](), reflect.TypeFor[wire.ListenerUpdate](),
	reflect.TypeFor[wire.PoolCreate](), reflect.TypeFor[wire.PoolUpdate](),
	reflect.TypeFor[wire.MemberCreate](), reflect.TypeFor[wire.MemberUpdate](),
	reflect.TypeFor[wire.HealthMonitorCreate](), reflect.TypeFor[wire.HealthMonitorUpdate](),
	reflect.TypeFor[wire.L7PolicyCreate](), reflect.TypeFor[wire.L7PolicyUpdate](),
	reflect.TypeFor[wire.L7RuleCreate](), reflect.TypeFor[wire.L7RuleUpdate](),
}

func boundItems(registry huma.Registry) {
	for _, request := range requests {
		schema := registry.Map()[request.Name()]
		for _, f := range fieldsOf(request) {
			name, _ := jsonName(f)
			tag := itemTag(f.Tag)
			property := schema.Properties[name]
			items := property.Items
			if additional, ok := property.AdditionalProperties.(*huma.Schema); ok {
				items = additional
			}
			if items == nil || tag == "" {
				continue
			}
			items.Format = tag.Get("format")
			if most, err := strconv.Atoi(tag.Get("maxLength")); err == nil {
				items.MaxLength = &most
			}
		}
	}
}

// commonFilters are what every list of tenants' objects is filtered by.
const commonFilters = "id name provisioning_status operating_status admin_state_up created_at updated_at tags tags-any not-tags not-tags-any "

// filters are the names that lists filter by, by operation; all but those of tags sort, too.
var filters = map[string]string{
	"list-load-balancers": commonFilters + "description provider vip_address vip_port_id vip_subnet_id vip_network_id vip_qos_policy_id flavor_id availability_zone",
	"list-listeners": commonFilters + "description loadbalancer_id protocol protocol_port connection_limit default_pool_id " +
		"timeout_client_data timeout_member_connect timeout_member_data timeout_tcp_inspect",
	"list-pools":           commonFilters + "description loadbalancer_id protocol lb_algorithm healthmonitor_id",
	"list-members":         commonFilters + "address protocol_port weight backup subnet_id monitor_address monitor_port",
	"list-health-monitors": commonFilters + "pool_id type delay timeout max_retries max_retries_down http_method url_path expected_codes http_version domain_name",
	"list-quotas":          "loadbalancer load_balancer listener pool member healthmonitor health_monitor l7policy l7rule created_at updated_at",
	"list-events":          "id loadbalancer_id object_kind object_id actor actor_project_id address action operation request_id outcome created_at",
	"list-l7policies":      commonFilters + "description listener_id action redirect_pool_id redirect_url redirect_prefix redirect_http_code position",
	"list-l7rules": "id provisioning_status operating_status admin_state_up created_at updated_at tags tags-any not-tags not-tags-any " +
		"type compare_type key value invert",
	"list-amphorae": "id loadbalancer_id cluster_id compute_id lb_network_ip vrrp_ip vrrp_port_id role status position cert_expiration created_at updated_at",
	"list-clusters": "id name cluster_type loadbalancer_id distributor_id desired_size min_size " +
		"provisioning_status operating_status admin_state_up created_at updated_at",
	"list-flavors":                    "id name description enabled flavor_profile_id",
	"list-flavor-profiles":            "id name provider_name flavor_data",
	"list-availability-zones":         "name description enabled availability_zone_profile_id",
	"list-availability-zone-profiles": "id name provider_name availability_zone_data",
	"list-distributors":               "id status compute_id lb_network_ip created_at updated_at",
}

func addFilters(op *huma.Operation) {
	for name := range strings.FieldsSeq(filters[op.OperationID]) {
		p := &huma.Param{Name: name, In: "query", Description: "Only those with this value.", Schema: &huma.Schema{Type: huma.TypeString}}
		if strings.Contains(name, "tags") {
			p.Description = map[string]string{
				"tags": "Only those with all of these tags.", "tags-any": "Only those with any of these tags.",
				"not-tags": "Not those with all of these tags.", "not-tags-any": "Not those with any of these tags.",
			}[name]
			p.Schema = &huma.Schema{Type: huma.TypeArray, Items: &huma.Schema{Type: huma.TypeString}}
			p.Style, p.Explode = "form", new(false)
		}
		op.Parameters = append(op.Parameters, p)
	}
}

// examplesJSON are requests and answers by operation; a test makes them and compares them with what is answered.
//
//go:embed examples.json
var examplesJSON []byte

// example is one request with its answer.
type example struct {
	Request  any `json:"request,omitempty"`
	Response any `json:"response,omitempty"`
}

func addExamples(document *huma.OpenAPI) error {
	var examples map[string]example
	if err := json.Unmarshal(examplesJSON, &examples); err != nil {
		return fmt.Errorf("read examples: %w", err)
	}
	for _, path := range document.Paths {
		for _, op := range []*huma.Operation{path.Get, path.Post, path.Put} {
			if op == nil {
				continue
			}
			e := examples[op.OperationID]
			if e.Request != nil {
				op.RequestBody.Content["application/json"].Example = e.Request
			}
			for _, c := range op.Responses[strconv.Itoa(op.DefaultStatus)].Content {
				c.Example = e.Response
			}
		}
	}
	return nil
}
