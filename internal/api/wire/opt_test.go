package wire_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"colonnade/internal/api/wire"
)

// object has optional fields of the kinds that requests have.
type object struct {
	Text  wire.Opt[string]            `json:"text,omitzero"`
	Whole wire.Opt[int]               `json:"whole,omitzero"`
	Truth wire.Opt[bool]              `json:"truth,omitzero"`
	Part  wire.Opt[float64]           `json:"part,omitzero"`
	Texts wire.Opt[[]string]          `json:"texts,omitzero"`
	Map   wire.Opt[map[string]string] `json:"map,omitzero"`
}

func TestOptHasThreeStates(t *testing.T) {
	for in, want := range map[string]wire.Opt[string]{
		`{}`: {}, `{"text":null}`: wire.Null[string](), `{"text":""}`: wire.Some(""), `{"text":"a"}`: wire.Some("a"),
	} {
		var o object
		if err := json.Unmarshal([]byte(in), &o); err != nil || o.Text != want {
			t.Errorf("%s: %+v, %v; want %+v", in, o.Text, err, want)
		}
		if b, err := json.Marshal(o); err != nil || string(b) != in {
			t.Errorf("%s is written as %s, %v", in, b, err)
		}
		given := in == `{"text":""}` || in == `{"text":"a"}`
		if o.Text.Given() != given || o.Text.IsZero() != (in == `{}`) {
			t.Errorf("%s: given %v, zero %v", in, o.Text.Given(), o.Text.IsZero())
		}
		to := "was"
		o.Text.Into(&to, "default")
		if got := map[string]string{`{}`: "was", `{"text":null}`: "default", `{"text":""}`: "", `{"text":"a"}`: "a"}[in]; to != got {
			t.Errorf("%s into: %q, want %q", in, to, got)
		}
	}
}

func FuzzOpt(f *testing.F) {
	for _, s := range []string{`{}`, `{"text":null,"whole":1,"truth":true,"part":1.1,"texts":["a"],"map":{"a":"b"}}`, `{"texts":null,"map":null,"whole":null}`, `{"text":1}`, `{"texts":[]}`, `null`, `[`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var o, again object
		if json.Unmarshal(b, &o) != nil {
			return
		}
		out, err := json.Marshal(o)
		if err == nil {
			err = json.Unmarshal(out, &again)
		}
		if diff := cmp.Diff(o, again); err != nil || diff != "" {
			t.Errorf("%s written as %s: %v\n%s", b, out, err, diff)
		}
	})
}
