package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

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
		{"other driver", "[compute]\ndriver = \"nova\"\n", `compute.driver "nova": only "netns" is built in`},
		{"host bits", "[network]\nmanagement_cidr = \"198.19.0.1/18\"\n", `network.management_cidr "198.19.0.1/18"`},
		{"duration", "[cluster]\ncooldown = \"soon\"\n", "duration"},
		{"network twice", "[[network.networks]]\nname=\"a\"\ncidr=\"198.18.1.0/24\"\n[[network.networks]]\nname=\"a\"\ncidr=\"198.18.2.0/24\"\n", `name "a"`},
		{"several at once", "[log]\nlevel=\"loud\"\nformat=\"xml\"\n", "log.level \"loud\""},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := load(t, c.text)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q in it", err, c.want)
			}
		})
	}
}

func TestMissingFileIsNamed(t *testing.T) {
	_, err := config.Load("/nonexistent/colonnade.toml")
	if err == nil || !strings.Contains(err.Error(), "/nonexistent/colonnade.toml does not exist") {
		t.Errorf("got %v", err)
	}
}
