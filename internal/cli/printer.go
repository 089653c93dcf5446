package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode"

	"charm.land/lipgloss/v2"
)

// printer is what all commands print through: tables for people, JSON for programs.
type printer struct {
	out  io.Writer
	json bool
}

// field is one field of an object, as it stands in JSON.
type field struct {
	name  string
	value json.RawMessage
}

// fieldsOf takes an object apart, in the order of its JSON.
func fieldsOf(v any) ([]field, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(b))
	if _, err := d.Token(); err != nil {
		return nil, err
	}
	var out []field
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, err
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, err
		}
		out = append(out, field{fmt.Sprint(name), value})
	}
	return out, nil
}

// cell writes a value for people: ids of references, plain strings, "-" for nothing.
func cell(value json.RawMessage) string {
	var s string
	var refs []struct {
		ID *string `json:"id"`
	}
	var words []string
	switch {
	case string(value) == "null" || len(value) == 0:
		return "-"
	case json.Unmarshal(value, &s) == nil:
		return printable(s)
	case json.Unmarshal(value, &words) == nil:
		return printable(strings.Join(words, ", "))
	case json.Unmarshal(value, &refs) == nil:
		ids := make([]string, 0, len(refs))
		for _, r := range refs {
			if r.ID == nil {
				return printable(string(value))
			}
			ids = append(ids, *r.ID)
		}
		return printable(strings.Join(ids, ", "))
	}
	return printable(string(value))
}

// printable takes out what a tenant's text could do to a terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}

// show prints one object: a line a field.
func (p *printer) show(v any) error {
	if p.json {
		return p.writeJSON(v)
	}
	fields, err := fieldsOf(v)
	if err != nil {
		return err
	}
	rows := make([][]string, len(fields))
	for i, f := range fields {
		rows[i] = []string{f.name, cell(f.value)}
	}
	return p.align(rows)
}

// list prints objects: a line each, with the named columns.
func list[T any](p *printer, items []T, columns ...string) error {
	if p.json {
		return p.writeJSON(items)
	}
	head := make([]string, len(columns))
	for i, c := range columns {
		head[i] = strings.ToUpper(c)
	}
	rows := [][]string{head}
	for _, item := range items {
		fields, err := fieldsOf(item)
		if err != nil {
			return err
		}
		row := make([]string, len(columns))
		for i, c := range columns {
			row[i] = "-"
			for _, f := range fields {
				if f.name == c {
					row[i] = cell(f.value)
				}
			}
		}
		rows = append(rows, row)
	}
	return p.align(rows)
}

func (p *printer) writeJSON(v any) error {
	e := json.NewEncoder(p.out)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// align prints rows in columns; widths are those of the terminal, where some characters take two cells.
func (p *printer) align(rows [][]string) error {
	var widths []int
	for _, row := range rows {
		for i, s := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], lipgloss.Width(s))
		}
	}
	var b strings.Builder
	for _, row := range rows {
		var line strings.Builder
		for i, s := range row {
			line.WriteString(s)
			if i < len(row)-1 {
				line.WriteString(strings.Repeat(" ", widths[i]-lipgloss.Width(s)+2))
			}
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	_, err := io.WriteString(p.out, b.String())
	return err
}

// line prints one line for people; nothing with -o json.
func (p *printer) line(format string, args ...any) error {
	if p.json {
		return nil
	}
	_, err := fmt.Fprintf(p.out, format+"\n", args...)
	return err
}
