package store

import (
	"math"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/uptrace/bun/dialect/pgdialect"
	"github.com/uptrace/bun/dialect/sqlitedialect"
	"github.com/uptrace/bun/schema"
)

func TestLift(t *testing.T) {
	tests := []struct {
		name, in, sqlite, postgres string
		args                       []any // nil: the statement stays as it is
	}{
		{
			name: "values of a condition", in: `SELECT "o"."id" FROM "t" AS "o" WHERE (o.id = 'a''b') AND (n IN (1, 5000000000)) LIMIT 10`,
			sqlite:   `SELECT "o"."id" FROM "t" AS "o" WHERE (o.id = ?) AND (n IN (?, ?)) LIMIT 10`,
			postgres: `SELECT "o"."id" FROM "t" AS "o" WHERE (o.id = $1) AND (n IN ($2::int4, $3::int8)) LIMIT 10`,
			args:     []any{"a'b", int64(1), int64(5000000000)},
		},
		{
			name: "an insert", in: `INSERT INTO "t" ("a", "b", "c") VALUES ('', -3, DEFAULT), ('?; --', TRUE, 0.5) RETURNING "id"`,
			sqlite:   `INSERT INTO "t" ("a", "b", "c") VALUES (?, -?, DEFAULT), (?, TRUE, 0.5) RETURNING "id"`,
			postgres: `INSERT INTO "t" ("a", "b", "c") VALUES ($1, -$2::int4, DEFAULT), ($3, TRUE, 0.5) RETURNING "id"`,
			args:     []any{"", int64(3), "?; --"},
		},
		{
			name: "what is no value", in: `UPDATE t1 SET a = a + 1, b = 'x'::text WHERE c LIKE '%!_' ESCAPE '!' AND d = X'00' AND e > INTERVAL '1 day'`,
			sqlite:   `UPDATE t1 SET a = a + ?, b = ?::text WHERE c LIKE ? ESCAPE '!' AND d = X'00' AND e > INTERVAL '1 day'`,
			postgres: `UPDATE t1 SET a = a + $1::int4, b = $2::text WHERE c LIKE $3 ESCAPE '!' AND d = X'00' AND e > INTERVAL '1 day'`,
			args:     []any{int64(1), "x", "%!_"},
		},
		{
			name: "columns by their place", in: `SELECT a, b FROM t ORDER BY 1, COALESCE(b, '', 2), 2 LIMIT 3`,
			sqlite:   `SELECT a, b FROM t ORDER BY 1, COALESCE(b, ?, ?), 2 LIMIT 3`,
			postgres: `SELECT a, b FROM t ORDER BY 1, COALESCE(b, $1, $2::int4), 2 LIMIT 3`,
			args:     []any{"", int64(2)},
		},
		{
			name: "an order inside", in: `SELECT (SELECT string_agg(c.id, ',' ORDER BY c.at) FROM c WHERE c.o = 5) FROM t WHERE n = 6`,
			sqlite:   `SELECT (SELECT string_agg(c.id, ? ORDER BY c.at) FROM c WHERE c.o = ?) FROM t WHERE n = ?`,
			postgres: `SELECT (SELECT string_agg(c.id, $1 ORDER BY c.at) FROM c WHERE c.o = $2::int4) FROM t WHERE n = $3::int4`,
			args:     []any{",", int64(5), int64(6)},
		},
		{
			name: "more than 63 bits", in: `SELECT 18446744073709551615, 1e3`,
			sqlite: `SELECT 18446744073709551615, 1e3`, postgres: `SELECT 18446744073709551615, 1e3`, args: []any{},
		},
		{name: "groups", in: `SELECT 'x', count(*) FROM t GROUP BY lower('x')`},
		{name: "a comment", in: `SELECT 1 -- '`},
		{name: "parameters", in: `SELECT $1, 'x'`},
		{name: "two statements", in: `SELECT 1; SELECT 2`},
		{name: "escapes", in: `SELECT E'\'', 'x'`},
		{name: "no end", in: `SELECT 'x''`},
		{name: "a definition", in: `CREATE TABLE t (a TEXT DEFAULT 'x')`},
		{name: "too many", in: `SELECT 1` + strings.Repeat(`, 1`, mostLifted)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for numbered, want := range map[bool]string{false: tt.sqlite, true: tt.postgres} {
				got, args, ok := lift(tt.in, numbered)
				if ok != (tt.args != nil) {
					t.Fatalf("lifted: %v %q", ok, got)
				}
				values := []any{}
				for i, a := range args {
					if a.Ordinal != i+1 {
						t.Fatalf("value %d has the number %d", i, a.Ordinal)
					}
					values = append(values, a.Value)
				}
				if d := cmp.Diff(want, got); d != "" {
					t.Error(d)
				}
				if d := cmp.Diff(tt.args, values); ok && d != "" {
					t.Error(d)
				}
			}
		})
	}
}

// FuzzLift writes values into statements as bun does: whatever they are, the same values come out, and the same text.
func FuzzLift(f *testing.F) {
	f.Add("a", "b", int64(1))
	f.Add("it's", `\'; DROP TABLE t --`, int64(-1))
	f.Add("''", "$1 ? ::int4", int64(math.MaxInt32))
	for _, d := range []schema.Dialect{sqlitedialect.New(), pgdialect.New()} {
		f.Add(string(d.AppendString(nil, "'")), "ORDER BY 'x'", int64(7))
	}
	f.Fuzz(func(t *testing.T, a, b string, n int64) {
		if strings.ContainsRune(a+b, 0) || !utf8.ValidString(a+" "+b) || n < math.MinInt32 || n > math.MaxInt32 {
			t.Skip("no text that a statement may have, or a number of another type")
		}
		for numbered, d := range map[bool]schema.Dialect{false: sqlitedialect.New(), true: pgdialect.New()} {
			statement := func(a, b string, n int64) (text string, values []any) {
				query := schema.NewQueryGen(d).FormatQuery("SELECT o.x FROM t AS o WHERE o.a = ? AND o.b IN (?, ?) AND (o.c LIKE ? ESCAPE '!') ORDER BY COALESCE(o.a, ?, o.n + ?) LIMIT 5",
					a, b, a, b, a, n)
				text, args, ok := lift(query, numbered)
				if !ok {
					t.Fatalf("not lifted: %s", query)
				}
				for _, v := range args {
					values = append(values, v.Value)
				}
				return text, values
			}
			abs := max(n, -n)
			text, values := statement(a, b, n)
			if d := cmp.Diff([]any{a, b, a, b, a, abs}, values); d != "" {
				t.Error(d)
			}
			like, _ := statement("x", "y", min(max(n, -1), 1))
			if text != like {
				t.Errorf("%q and %q", text, like)
			}
		}
	})
}
