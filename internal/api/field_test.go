package api_test

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"colonnade/internal/api/wire"
)

// fieldTable is every field of a request, by resource (as in Octavia's API reference): name, kind with bounds, and where it
// is taken: C in a create, U in an update, ! mandatory, S! mandatory in a create of its own. Then what null does in an
// update: "=json" is the value it sets, "=400" that it is refused. Last a word about strings that are no plain text:
// grammar when the field refuses them, absent when this deployment
// has no such option at all, nonsense when no plain text makes sense beside what the object is.
const fieldTable = `
loadbalancer
  name                        text(255)            CU  =""
  description                 text(255)            CU  =""
  admin_state_up              truth                CU  =false
  project_id                  text(36)             C   grammar
  tenant_id                   text(36)             C   grammar
  vip_address                 address              C
  vip_port_id                 uuid                 C
  vip_subnet_id               uuid                 C
  vip_network_id              uuid                 C
  vip_qos_policy_id           uuid                 CU  =null
  vip_sg_ids                  uuids                CU  =[]
  additional_vips             [additional_vip]     C
  listeners                   [listener]           C
  pools                       [pool]               C
  provider                    text(64)             C   grammar
  flavor_id                   uuid                 C
  availability_zone           text(255)            C   grammar
  tags                        texts(255)           CU  =["t"]
  amphora_address_pool        texts(64)            C   grammar

additional_vip
  subnet_id                   uuid                 C!
  ip_address                  address              C

listener
  loadbalancer_id             uuid                 C S!
  protocol                    word(HTTP,HTTPS,SCTP,PROMETHEUS,TCP,TERMINATED_HTTPS,UDP) C!
  protocol_port               whole(1,65535)       C!
  project_id                  text(36)             C
  tenant_id                   text(36)             C
  default_pool                pool                 C
  l7policies                  [l7policy]           C
  name                        text(255)            CU  =""
  description                 text(255)            CU  =""
  admin_state_up              truth                CU  =false
  connection_limit            whole(-1,)           CU  =-1
  default_pool_id             uuid                 CU  =null
  insert_headers              map(255)             CU  ={}
  timeout_client_data         whole(0,2073600000)  CU  =50000
  timeout_member_connect      whole(0,2073600000)  CU  =5000
  timeout_member_data         whole(0,2073600000)  CU  =50000
  timeout_tcp_inspect         whole(0,2073600000)  CU  =0
  allowed_cidrs               cidrs                CU  =null
  tags                        texts(255)           CU  =["t"]
  default_tls_container_ref   text(255)            CU  =null nonsense
  sni_container_refs          texts(255)           CU  =[]   nonsense
  client_ca_tls_container_ref text(255)            CU  =null nonsense
  client_authentication       word(NONE,OPTIONAL,MANDATORY) CU ="NONE"
  client_crl_container_ref    text(255)            CU  =null nonsense
  tls_ciphers                 text(2048)           CU  =null grammar
  tls_versions                texts(32)            CU  =null nonsense
  alpn_protocols              texts(32)            CU  =null nonsense
  hsts_max_age                whole(0,)            CU  =null
  hsts_include_subdomains     truth                CU  =false
  hsts_preload                truth                CU  =false

l7policy
  listener_id                 uuid                 C S!
  action                      word(REDIRECT_PREFIX,REDIRECT_TO_POOL,REDIRECT_TO_URL,REJECT) C!U =400
  project_id                  text(36)             C
  tenant_id                   text(36)             C
  redirect_pool               pool                 C
  rules                       [rule]               C
  name                        text(255)            CU  =""
  description                 text(255)            CU  =""
  admin_state_up              truth                CU  =false
  redirect_pool_id            uuid                 CU  =null
  redirect_url                text(255)            CU  =null grammar
  redirect_prefix             text(255)            CU  =null grammar
  redirect_http_code          code(301,302,303,307,308) CU =null
  position                    whole(1,2147483647)  CU  =1
  tags                        texts(255)           CU  =["t"]

rule
  type                        word(COOKIE,FILE_TYPE,HEADER,HOST_NAME,PATH,SSL_CONN_HAS_CERT,SSL_DN_FIELD,SSL_VERIFY_RESULT) C!U =400
  compare_type                word(CONTAINS,ENDS_WITH,EQUAL_TO,REGEX,STARTS_WITH) C!U =400
  value                       text(255)            C!U =400 grammar
  project_id                  text(36)             C
  tenant_id                   text(36)             C
  key                         text(255)            CU  =400 grammar
  invert                      truth                CU  =false
  admin_state_up              truth                CU  =false
  tags                        texts(255)           CU  =["t"]

session_persistence
  type                        word(SOURCE_IP,HTTP_COOKIE,APP_COOKIE) C
  cookie_name                 text(255)            C   grammar
  persistence_timeout         whole(,)             C
  persistence_granularity     address              C

pool
  loadbalancer_id             uuid                 C
  listener_id                 uuid                 C
  protocol                    word(HTTP,HTTPS,PROXY,PROXYV2,SCTP,TCP,UDP) C S!
  lb_algorithm                word(LEAST_CONNECTIONS,ROUND_ROBIN,SOURCE_IP,SOURCE_IP_PORT) CU S! =400
  project_id                  text(36)             C
  tenant_id                   text(36)             C
  members                     [member]             C
  healthmonitor               healthmonitor        C
  name                        text(255)            CU  =""
  description                 text(255)            CU  =""
  admin_state_up              truth                CU  =false
  session_persistence         session_persistence  CU  =null
  tags                        texts(255)           CU  =["t"]
  tls_enabled                 truth                CU  =false
  tls_container_ref           text(255)            CU  =null nonsense
  ca_tls_container_ref        text(255)            CU  =null nonsense
  crl_container_ref           text(255)            CU  =null nonsense
  tls_ciphers                 text(2048)           CU  =null grammar
  tls_versions                texts(32)            CU  =null nonsense
  alpn_protocols              texts(32)            CU  =null nonsense

member
  address                     address              C!
  protocol_port               whole(1,65535)       C!
  subnet_id                   uuid                 C
  project_id                  text(36)             C
  tenant_id                   text(36)             C
  request_sriov               truth                C
  name                        text(255)            CU  =""
  admin_state_up              truth                CU  =false
  weight                      whole(0,256)         CU  =1
  backup                      truth                CU  =false
  monitor_address             address              CU  =null
  monitor_port                whole(1,65535)       CU  =null
  tags                        texts(255)           CU  =["t"]

healthmonitor
  pool_id                     uuid                 C S!
  type                        word(HTTP,HTTPS,PING,SCTP,TCP,TLS-HELLO,UDP-CONNECT) C!
  delay                       whole(0,)            C!U =400
  timeout                     whole(0,)            C!U =400
  max_retries                 whole(1,10)          C!U =400
  project_id                  text(36)             C
  tenant_id                   text(36)             C
  name                        text(255)            CU  =""
  admin_state_up              truth                CU  =false
  max_retries_down            whole(1,10)          CU  =3
  http_method                 word(CONNECT,DELETE,GET,HEAD,OPTIONS,PATCH,POST,PUT,TRACE) CU ="GET"
  url_path                    text(2048)           CU  ="/"   grammar
  expected_codes              text(64)             CU  ="200" grammar
  http_version                number(1.0,1.1)      CU  =null
  domain_name                 text(1,255)          CU  =null  grammar
  tags                        texts(255)           CU  =["t"]

flavor
  name                        text(1,255)          C!U =400
  description                 text(255)            CU  =""
  enabled                     truth                CU  =true
  flavor_profile_id           uuid                 C!

flavorprofile
  name                        text(1,255)          C!U =400
  provider_name               text(255)            C!U =400 grammar
  flavor_data                 text(4096)           C!U =400 grammar

availability_zone
  name                        text(1,255)          C!
  description                 text(255)            CU  =""
  enabled                     truth                CU  =true
  availability_zone_profile_id uuid                C!

availability_zone_profile
  name                        text(1,255)          C!U =400
  provider_name               text(255)            C!U =400 grammar
  availability_zone_data      text(4096)           C!U =400 grammar
`

// field is one line of the table.
type field struct {
	name, kind  string
	args        []string // bounds of the kind
	create      bool
	update      bool
	mandatory   bool // in any create
	alone       bool // mandatory in a create of its own
	nulled      string
	grammar     bool
	absent      bool
	nonsense    bool
	nested      string // resource of a nested object
	list        bool   // of nested objects
	least, most string // for whole, and characters of text
}

// parseFields reads the table.
func parseFields(t testing.TB) map[string][]field {
	t.Helper()
	out := map[string][]field{}
	resource := ""
	for line := range strings.Lines(fieldTable) {
		words := strings.Fields(line)
		switch {
		case len(words) == 0:
			continue
		case len(words) == 1:
			resource = words[0]
			continue
		}
		f := field{name: words[0]}
		f.kind, f.args = words[1], nil
		if kind, args, ok := strings.Cut(strings.TrimSuffix(words[1], ")"), "("); ok {
			f.kind, f.args = kind, strings.Split(args, ",")
		}
		switch f.kind {
		case "whole":
			f.least, f.most = f.args[0], f.args[1]
		case "text", "texts", "map":
			f.most = f.args[len(f.args)-1]
			if len(f.args) == 2 {
				f.least = f.args[0]
			}
		case "address", "uuid", "uuids", "cidrs", "truth", "word", "number", "code":
		default:
			f.nested = strings.Trim(f.kind, "[]")
			f.list = f.nested != f.kind
			f.kind = "nested"
		}
		for _, w := range words[2:] {
			switch {
			case w == "S!":
				f.alone = true
			case w == "grammar":
				f.grammar = true
			case w == "absent":
				f.absent = true
			case w == "nonsense":
				f.nonsense = true
			case strings.HasPrefix(w, "="):
				f.nulled = w[1:]
			default:
				f.create, f.update, f.mandatory = strings.Contains(w, "C"), strings.Contains(w, "U"), strings.Contains(w, "C!")
			}
		}
		out[resource] = append(out[resource], f)
	}
	return out
}

// describe writes a field as the tags of package wire would have it.
func (f field) describe(creating bool) string {
	goType := map[string]string{
		"text": "string", "uuid": "string", "address": "string", "word": "string", "whole": "int", "truth": "bool", "number": "float64", "code": "int",
		"texts": "[]string", "uuids": "[]string", "cidrs": "[]string", "map": "map[string]string", "nested": "struct",
	}[f.kind]
	if f.list {
		goType = "[]struct"
	}
	tags := map[string]string{}
	switch f.kind {
	case "whole":
		tags["minimum"], tags["maximum"] = f.least, f.most
	case "text":
		tags["minLength"], tags["maxLength"] = f.least, f.most
	case "texts", "map":
		tags["itemsMaxLength"] = f.most
	case "uuids":
		tags["itemsFormat"] = "uuid"
	case "cidrs":
		tags["itemsFormat"] = "cidr"
	case "uuid":
		tags["format"] = "uuid"
	case "address":
		tags["format"] = "ip"
	case "word", "number", "code":
		tags["enum"] = strings.Join(f.args, ",")
	}
	return describe(f.name, goType, creating && f.mandatory, tags)
}

func describe(name, goType string, mandatory bool, tags map[string]string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s mandatory=%v", name, goType, mandatory)
	for _, tag := range slices.Sorted(maps.Keys(tags)) {
		if tags[tag] != "" {
			fmt.Fprintf(&b, " %s=%s", tag, tags[tag])
		}
	}
	return b.String()
}

// described writes the fields of a request's type.
func described(request reflect.Type) []string {
	var out []string
	for _, f := range reflect.VisibleFields(request) {
		if f.Anonymous {
			continue
		}
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		v, _ := f.Type.FieldByName("V")
		goType := v.Type.String()
		switch {
		case v.Type.Kind() == reflect.Struct:
			goType = "struct"
		case v.Type.Kind() == reflect.Slice && v.Type.Elem().Kind() == reflect.Struct:
			goType = "[]struct"
		}
		tags := map[string]string{}
		for _, tag := range []string{"minimum", "maximum", "minLength", "maxLength", "enum", "format", "itemsMaxLength", "itemsFormat"} {
			tags[tag] = f.Tag.Get(tag)
		}
		out = append(out, describe(name, goType, !strings.Contains(options, "omitzero"), tags))
	}
	slices.Sort(out)
	return out
}

// The table of wrong inputs is complete and has the bounds that requests are decoded by.
func TestFieldTableIsThatOfTheRequests(t *testing.T) {
	table := parseFields(t)
	for _, c := range []struct {
		resource       string
		create, update reflect.Type
	}{
		{"loadbalancer", reflect.TypeFor[wire.LoadBalancerCreate](), reflect.TypeFor[wire.LoadBalancerUpdate]()},
		{"additional_vip", reflect.TypeFor[wire.AdditionalVIP](), nil},
		{"listener", reflect.TypeFor[wire.ListenerCreate](), reflect.TypeFor[wire.ListenerUpdate]()},
		{"l7policy", reflect.TypeFor[wire.L7PolicyCreate](), reflect.TypeFor[wire.L7PolicyUpdate]()},
		{"rule", reflect.TypeFor[wire.L7RuleCreate](), reflect.TypeFor[wire.L7RuleUpdate]()},
		{"session_persistence", reflect.TypeFor[wire.SessionPersistence](), nil},
		{"pool", reflect.TypeFor[wire.PoolCreate](), reflect.TypeFor[wire.PoolUpdate]()},
		{"member", reflect.TypeFor[wire.MemberCreate](), reflect.TypeFor[wire.MemberUpdate]()},
		{"healthmonitor", reflect.TypeFor[wire.HealthMonitorCreate](), reflect.TypeFor[wire.HealthMonitorUpdate]()},
		{"flavor", reflect.TypeFor[wire.FlavorCreate](), reflect.TypeFor[wire.FlavorUpdate]()},
		{"flavorprofile", reflect.TypeFor[wire.FlavorProfileCreate](), reflect.TypeFor[wire.FlavorProfileUpdate]()},
		{"availability_zone", reflect.TypeFor[wire.AvailabilityZoneCreate](), reflect.TypeFor[wire.AvailabilityZoneUpdate]()},
		{"availability_zone_profile", reflect.TypeFor[wire.AvailabilityZoneProfileCreate](), reflect.TypeFor[wire.AvailabilityZoneProfileUpdate]()},
	} {
		for _, request := range []reflect.Type{c.create, c.update} {
			if request == nil {
				continue
			}
			var want []string
			for _, f := range table[c.resource] {
				if request == c.create && f.create || request == c.update && f.update {
					want = append(want, f.describe(request == c.create))
				}
			}
			slices.Sort(want)
			if diff := cmp.Diff(want, described(request)); diff != "" {
				t.Errorf("%s (-table +wire):\n%s", request.Name(), diff)
			}
		}
	}
}

func number(t testing.TB, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
