package config

import (
	"net/netip"
	"net/url"
	"time"

	"colonnade/internal/identity"
)

// Names of the drivers of identity.
const (
	IdentityEmbedded = "embedded"
	IdentityKeystone = "keystone"
	IdentityNoAuth   = "noauth"
)

// Identity says who may use the API.
type Identity struct {
	Driver string `toml:"driver"` // IdentityEmbedded, IdentityKeystone or IdentityNoAuth
	// EnforceNewDefaults lets Keystone's own roles alone count: admin, member, reader, service.
	EnforceNewDefaults bool               `toml:"enforce_new_defaults"`
	Region             string             `toml:"region"`         // in the catalog
	TokenValidity      Duration           `toml:"token_validity"` // of tokens that the embedded driver gives out
	Projects           []identity.Project `toml:"projects"`
	Users              []identity.User    `toml:"users"`
	Keystone           Keystone           `toml:"keystone"`
}

// Keystone is the identity service that the driver of that name asks, and as whom.
type Keystone struct {
	AuthURL           string   `toml:"auth_url"` // "https://keystone.example.com/identity/v3"
	Username          string   `toml:"username"`
	Password          string   `toml:"password"`
	PasswordFile      string   `toml:"password_file"` // in place of the password
	UserDomainName    string   `toml:"user_domain_name"`
	ProjectName       string   `toml:"project_name"`
	ProjectDomainName string   `toml:"project_domain_name"`
	CAFile            string   `toml:"ca_file"` // of authorities beside the system's
	Timeout           Duration `toml:"timeout"` // of one call
	CacheTime         Duration `toml:"cache_time"`
}

func defaultIdentity() Identity {
	return Identity{
		Driver: IdentityEmbedded, Region: "RegionOne", TokenValidity: Duration(4 * time.Hour),
		Keystone: Keystone{
			Username: "octavia", ProjectName: "service", UserDomainName: "Default", ProjectDomainName: "Default",
			Timeout: Duration(10 * time.Second), CacheTime: Duration(time.Minute),
		},
	}
}

// minTokenValidity and the others bound times of identity.
const (
	minTokenValidity = time.Minute
	maxTokenValidity = 30 * 24 * time.Hour
	maxCacheTime     = time.Hour
)

func (c Config) checkIdentity(wrong func(format string, args ...any)) {
	i := c.Identity
	if i.Region == "" {
		wrong("identity.region: want a name")
	}
	if d := time.Duration(i.TokenValidity); d < minTokenValidity || d > maxTokenValidity {
		wrong("identity.token_validity: want %s to %s", minTokenValidity, maxTokenValidity)
	}
	if _, err := identity.NewDirectory(i.Projects, i.Users); err != nil {
		wrong("%w", err)
	}
	switch i.Driver {
	case IdentityEmbedded:
	case IdentityKeystone:
		i.Keystone.check(wrong)
	case IdentityNoAuth:
		if listen, err := netip.ParseAddrPort(c.API.Listen); err == nil && !listen.Addr().IsLoopback() {
			wrong("identity.driver \"noauth\" with api.listen %q: everybody is the administrator, so it must be a loopback address", c.API.Listen)
		}
	default:
		wrong("identity.driver %q: want \"embedded\", \"keystone\" or \"noauth\"", i.Driver)
	}
	if i.Driver != IdentityEmbedded && len(i.Users) > 0 {
		wrong("identity.users: are for the driver \"embedded\"")
	}
	if i.Driver == IdentityKeystone && len(i.Projects) > 0 {
		wrong("identity.projects: are Keystone's")
	}
}

func isHTTP(u *url.URL) bool {
	return (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.RawQuery == "" && u.Fragment == "" && u.User == nil
}

func (k Keystone) check(wrong func(format string, args ...any)) {
	if u, err := url.Parse(k.AuthURL); err != nil || !isHTTP(u) {
		wrong("identity.keystone.auth_url %q: want the URL of Keystone, like https://keystone.example.com/identity/v3", k.AuthURL)
	}
	if k.Username == "" || k.UserDomainName == "" || k.ProjectName == "" || k.ProjectDomainName == "" {
		wrong("identity.keystone: username, user_domain_name, project_name and project_domain_name are needed")
	}
	if (k.Password == "") == (k.PasswordFile == "") {
		wrong("identity.keystone: want password or password_file")
	}
	if d := time.Duration(k.Timeout); d < 100*time.Millisecond || d > 20*time.Second { // a request has 30 s
		wrong("identity.keystone.timeout: want 100ms to 20s")
	}
	if d := time.Duration(k.CacheTime); d < 0 || d > maxCacheTime || d > 0 && d < time.Millisecond {
		wrong("identity.keystone.cache_time: want 0s to %s", maxCacheTime)
	}
}

// withoutSecrets hides what lets somebody in: passwords, and their hashes.
func (i Identity) withoutSecrets() Identity {
	if i.Keystone.Password != "" {
		i.Keystone.Password = hidden
	}
	users := make([]identity.User, len(i.Users))
	for n, u := range i.Users {
		u.PasswordHash = identity.Locked
		users[n] = u
	}
	i.Users = users
	return i
}
