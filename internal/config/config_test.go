package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"colonnade/internal/config"
)

func load(t *testing.T, text string) (config.Config, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "colonnade.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return config.Load(path)
}

func TestDefaultsAreValid(t *testing.T) {
	if err := config.Default().Check(); err != nil {
		t.Error(err)
	}
}

func TestFileGoesOverDefaults(t *testing.T) {
	got, err := load(t, "[cluster]\ndesired_size = 4\ncooldown = \"5s\"\n[[network.networks]]\nname = \"web\"\ncidr = \"198.18.1.0/24\"\n")
	if err != nil {
		t.Fatal(err)
	}
	want := config.Default()
	want.Cluster.DesiredSize = 4
	want.Cluster.Cooldown = config.Duration(5 * time.Second)
	want.Network.Networks = []config.Subnet{{Name: "web", CIDR: "198.18.1.0/24"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestWrongFilesSayWhy(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"unknown key", "[cluster]\ndesired = 4\n", "unknown key"},
		{"not TOML", "[cluster\n", "configuration"},
		{"S7 size below one", "[cluster]\ndesired_size = 0\n", "cluster.desired_size 0: want 1 to 32"},
		{"min above desired", "[cluster]\nmin_size = 4\n", "cluster.min_size 4: want 1 to desired_size (3)"},
		{"other driver", "[compute]\ndriver = \"nova\"\n", `compute.driver "nova": only "netns" and "noop" are built in`},
		{"no-op network alone", "[network]\ndriver = \"noop\"\n", `network.driver "noop" with compute.driver "netns": "noop" has to be both or neither`},
		{"no-op compute alone", "[compute]\ndriver = \"noop\"\n", `network.driver "bridge" with compute.driver "noop": "noop" has to be both or neither`},
		{"pending for ever with drivers that work", "[noop]\nstay_pending = true\n", `noop.stay_pending: needs the drivers "noop"`},
		{"networks of nothing", noopDrivers + "[[network.networks]]\nname=\"a\"\ncidr=\"198.18.1.0/24\"\n", `network.networks: driver "noop" makes none`},
		{"host bits", "[network]\nmanagement_cidr = \"198.19.0.1/18\"\n", `network.management_cidr "198.19.0.1/18"`},
		{"duration", "[cluster]\ncooldown = \"soon\"\n", "duration"},
		{"network twice", "[[network.networks]]\nname=\"a\"\ncidr=\"198.18.1.0/24\"\n[[network.networks]]\nname=\"a\"\ncidr=\"198.18.2.0/24\"\n", `name "a"`},
		{"wrong type is placed", "[cluster]\n\ndesired_size = \"three\"\n", "line 3, column 16"},
		{"duration without a unit", "[cluster]\ncooldown = 5\n", "cluster.cooldown: want a duration with its unit"},
		{"metrics", "[metrics]\nlisten = \"9877\"\n", `metrics.listen "9877": want address:port`},
		{"a sweep without end", "[housekeeping]\nevery = \"0s\"\n", "housekeeping.every: want a duration with its unit"},
		{"everything an orphan", "[housekeeping]\nmin_age = \"10ms\"\n", "housekeeping.min_age: want 1s or more"},
		{"no health role", "[health]\nheartbeat_ports = []\n", "health.heartbeat_ports: want at least one port"},
		{"one port for two", "[health]\nheartbeat_ports = [9444, 9444]\n", "9444 is no port, or named twice"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := load(t, c.text)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q in it", err, c.want)
			}
		})
	}
}

const noopDrivers = "[compute]\ndriver = \"noop\"\n[network]\ndriver = \"noop\"\n"

func TestNoopDriversTogetherAreGood(t *testing.T) {
	c, err := load(t, noopDrivers+"[noop]\nstay_pending = true\n")
	if err != nil || !c.IsNoop() || !c.Noop.StayPending {
		t.Errorf("got %+v, %v", c, err)
	}
}

func TestEveryProblemIsNamedAtOnce(t *testing.T) {
	_, err := load(t, "[cluster]\ndesired = 4\ndesired_size = 0\n\n[databas]\ndsn = \"x\"\n[log]\nlevel = \"loud\"\n")
	if err == nil {
		t.Fatal("no error")
	}
	_, got, _ := strings.Cut(err.Error(), "\n") // after the file's name
	want := `line 2: unknown key cluster.desired
line 5: unknown key databas
cluster.desired_size 0: want 1 to 32
cluster.min_size 1: want 1 to desired_size (0)
log.level "loud": want debug, info, warn or error`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	want := config.Default()
	want.Network.Networks = []config.Subnet{{Name: "web", CIDR: "198.18.1.0/24"}}
	want.Database.DSN = "/somewhere/colonnade.db"
	want.API.TrustedProxies = []string{"198.18.0.1", "2001:db8::/32"}
	var text strings.Builder
	if err := want.Write(&text); err != nil {
		t.Fatal(err)
	}
	got, err := load(t, text.String())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
}

func TestProxiesAndAddressAreChecked(t *testing.T) {
	c := config.Default()
	c.API.TrustedProxies = []string{"198.18.0.1", "198.18.0.0/24", "2001:db8::/32"}
	c.API.BaseURI = "https://lb.example:9876/load-balancing"
	if err := c.Check(); err != nil || len(c.API.Proxies()) != 3 || c.API.Proxies()[0].String() != "198.18.0.1/32" {
		t.Errorf("%v, %v", err, c.API.Proxies())
	}
	c.API.TrustedProxies, c.API.BaseURI, c.API.PaginationMaxLimit, c.Quotas.Pool = []string{"198.18.0.1/24", "everybody"}, "lb.example", 0, -2
	const want = `api.trusted_proxies: "198.18.0.1/24": want an address or a network, like 198.18.0.1 or 198.18.0.0/24
api.trusted_proxies: "everybody": want an address or a network, like 198.18.0.1 or 198.18.0.0/24
api.base_uri "lb.example": want an address like https://lb.example:9876, or nothing
api.pagination_max_limit 0: want 1 or more
quotas.pool -2: want -1 (any number) to 2000000000`
	if err := c.Check(); err == nil || err.Error() != want {
		t.Errorf("%v", err)
	}
}

func TestPasswordsAreNotShown(t *testing.T) {
	for _, c := range []struct{ dsn, want string }{
		{"postgres://me:secret@db/colonnade?sslmode=disable", "postgres://me:xxxxx@db/colonnade?sslmode=disable"},
		{"postgres://db/colonnade?user=me&password=secret", "postgres://db/colonnade?password=xxxxx&user=me"},
		{"host=db password='se cret' user=me", "host=db password=xxxxx user=me"},
		{"/var/lib/colonnade/colonnade.db", "/var/lib/colonnade/colonnade.db"},
	} {
		var text strings.Builder
		conf := config.Default()
		conf.Database.DSN = c.dsn
		if err := conf.Write(&text); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(text.String(), "dsn = '"+c.want+"'") || strings.Contains(text.String(), "cret") {
			t.Errorf("%s is shown as:\n%s", c.dsn, text.String())
		}
	}
}

func TestMissingFileIsNamed(t *testing.T) {
	_, err := config.Load("/nonexistent/colonnade.toml")
	if err == nil || !strings.Contains(err.Error(), "/nonexistent/colonnade.toml does not exist") {
		t.Errorf("got %v", err)
	}
}
