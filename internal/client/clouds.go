package client

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"gopkg.in/yaml.v3"
)

// cloudsFiles are where a clouds.yaml is looked for, the first that is there counts.
func cloudsFiles(getenv func(string) string) []string {
	if file := getenv("OS_CLIENT_CONFIG_FILE"); file != "" {
		return []string{file}
	}
	files := []string{"clouds.yaml"}
	if dir, err := os.UserConfigDir(); err == nil {
		files = append(files, filepath.Join(dir, "openstack", "clouds.yaml"))
	}
	return append(files, "/etc/openstack/clouds.yaml")
}

// Cloud reads a cloud's credentials from clouds.yaml.
func Cloud(name string, getenv func(string) string) (Credentials, error) {
	files := cloudsFiles(getenv)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return Credentials{}, fmt.Errorf("read clouds: %w", err)
		}
		c, err := parseCloud(text, name)
		if err != nil {
			return c, fmt.Errorf("read clouds: %s: %w", file, err)
		}
		return c, nil
	}
	return Credentials{}, fmt.Errorf("read cloud %q: no file %v", name, files)
}

// maxClouds bounds a file.
const maxClouds = 1 << 20

// parseCloud reads one cloud; what this program does not know it leaves out, as others do.
func parseCloud(text []byte, name string) (Credentials, error) {
	if len(text) > maxClouds {
		return Credentials{}, errors.New("too large")
	}
	var in struct {
		Clouds map[string]struct {
			AuthType string `yaml:"auth_type"`
			Auth     struct {
				AuthURL           string `yaml:"auth_url"`
				UserID            string `yaml:"user_id"`
				Username          string `yaml:"username"`
				Password          string `yaml:"password"`
				DomainID          string `yaml:"domain_id"`
				DomainName        string `yaml:"domain_name"`
				UserDomainID      string `yaml:"user_domain_id"`
				UserDomainName    string `yaml:"user_domain_name"`
				ProjectID         string `yaml:"project_id"`
				ProjectName       string `yaml:"project_name"`
				ProjectDomainID   string `yaml:"project_domain_id"`
				ProjectDomainName string `yaml:"project_domain_name"`
				CredentialID      string `yaml:"application_credential_id"`
				CredentialName    string `yaml:"application_credential_name"`
				CredentialSecret  string `yaml:"application_credential_secret"`
			} `yaml:"auth"`
			RegionName string `yaml:"region_name"`
			Interface  string `yaml:"interface"`
			CACert     string `yaml:"cacert"`
		} `yaml:"clouds"`
	}
	if err := yaml.Unmarshal(text, &in); err != nil {
		return Credentials{}, errors.New("it is no YAML of the expected form") // the cause may quote a password
	}
	cloud, ok := in.Clouds[name]
	if !ok {
		return Credentials{}, fmt.Errorf("there is no cloud %q", name)
	}
	a := cloud.Auth
	switch cloud.AuthType {
	case "", "password", "v3password", "v3applicationcredential":
	default:
		return Credentials{}, fmt.Errorf("cloud %q: auth_type %q is not supported: use password or v3applicationcredential", name, cloud.AuthType)
	}
	if a.AuthURL == "" {
		return Credentials{}, fmt.Errorf("cloud %q has no auth_url", name)
	}
	return Credentials{
		AuthURL: a.AuthURL, UserID: a.UserID, Username: a.Username, Password: a.Password,
		UserDomain: Domain{cmp.Or(a.UserDomainID, a.DomainID), cmp.Or(a.UserDomainName, a.DomainName)},
		ProjectID:  a.ProjectID, ProjectName: a.ProjectName,
		ProjectDomain: Domain{cmp.Or(a.ProjectDomainID, a.DomainID), cmp.Or(a.ProjectDomainName, a.DomainName)},
		CredentialID:  a.CredentialID, CredentialName: a.CredentialName, CredentialSecret: a.CredentialSecret,
		Region: cloud.RegionName, Interface: cloud.Interface, CACert: cloud.CACert,
	}, nil
}
