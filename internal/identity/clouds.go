package identity

import (
	"encoding/json"
	"fmt"

	"colonnade/internal/atomicfile"
)

// CloudName is the name that the written clouds.yaml gives this service.
const CloudName = "colonnade"

// Cloud is how to log in.
type Cloud struct {
	AuthURL, Username, Password, Project, Region string
}

// WriteClouds writes a clouds.yaml with one cloud, readable by its owner alone.
func WriteClouds(file string, c Cloud) error {
	quoted := func(s string) string { b, _ := json.Marshal(s); return string(b) } // YAML takes it, and a string is always written
	text := fmt.Sprintf(`# Written at each start of the control plane. Use it with
#   OS_CLIENT_CONFIG_FILE=%s OS_CLOUD=%s openstack loadbalancer list
clouds:
  %s:
    auth:
      auth_url: %s
      username: %s
      password: %s
      project_name: %s
      user_domain_id: %s
      project_domain_id: %s
    region_name: %s
    interface: public
    identity_api_version: 3
`, file, CloudName, CloudName, quoted(c.AuthURL), quoted(c.Username), quoted(c.Password), quoted(c.Project), DomainID, DomainID, quoted(c.Region))
	return atomicfile.Write(file, []byte(text), 0o600)
}
