package config_test

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/pelletier/go-toml/v2"

	"colonnade/internal/config"
)

const sample = "../../deploy/colonnade.toml"

func TestSampleSaysTheDefaults(t *testing.T) {
	got, err := config.Load(sample)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(config.Default(), got, cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
}

// A key that the sample lacks would be one that nobody finds.
func TestSampleHasEveryKey(t *testing.T) {
	text, err := os.ReadFile(sample)
	if err != nil {
		t.Fatal(err)
	}
	var has map[string]map[string]any
	if err := toml.Unmarshal(text, &has); err != nil {
		t.Fatal(err)
	}
	want := map[string]map[string]bool{}
	for section := range reflect.TypeFor[config.Config]().Fields() {
		keys := map[string]bool{}
		for key := range section.Type.Fields() {
			name, _, _ := strings.Cut(key.Tag.Get("toml"), ",")
			keys[name] = true
		}
		want[section.Tag.Get("toml")] = keys
	}
	got := map[string]map[string]bool{}
	for section, values := range has {
		got[section] = map[string]bool{}
		for key := range values {
			got[section][key] = true
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for key := range reflect.TypeFor[config.Subnet]().Fields() {
		if name := key.Tag.Get("toml"); !strings.Contains(string(text), "\n# "+name+" = ") {
			t.Errorf("no line shows network.networks.%s", name)
		}
	}
}
