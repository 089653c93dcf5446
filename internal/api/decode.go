package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/google/uuid"

	"colonnade/internal/lb"
)

// maxDepth bounds the nesting of a body; the deepest request (a load balancer with pools and members) has 7.
const maxDepth = 16

// decodeBody reads {"<root>": {…}} (or […]) strictly into dst, by the tags that package wire describes. argument is
// the name clients know the body by in fault texts.
func decodeBody(body []byte, argument, root string, dst any) error {
	if len(bytes.TrimSpace(body)) == 0 {
		return lb.Faultf(lb.KindInvalid, "Missing argument: \"%s\"", argument)
	}
	v, err := parseJSON(body)
	if err != nil {
		return lb.Faultf(lb.KindInvalid, "Request body is not valid JSON: %s", err)
	}
	object, ok := v.(map[string]any)
	if !ok {
		return lb.Faultf(lb.KindInvalid, "Request body is not a JSON object.")
	}
	if err := unknown(argument, object, []string{root}); err != nil {
		return err
	}
	inner, ok := object[root]
	if !ok || inner == nil {
		return lb.InvalidField(root, "None", "Mandatory field missing.")
	}
	return assign(argument+"."+root, root, inner, reflect.ValueOf(dst).Elem(), "")
}

// parseJSON reads one JSON value, and nothing after it, without duplicate names.
func parseJSON(body []byte) (any, error) {
	if !utf8.Valid(body) {
		return nil, errors.New("not UTF-8")
	}
	if halfPair(body) {
		return nil, errors.New("an escape is half a surrogate pair")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	v, err := parseValue(d, 0)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the value")
	}
	return v, nil
}

// halfPair finds \uD800…\uDFFF escapes without their other half, which encoding/json would put U+FFFD for.
func halfPair(body []byte) bool {
	surrogate := func(i int) rune { // the half at i, or 0
		if i+6 > len(body) || body[i] != '\\' || body[i+1] != 'u' {
			return 0
		}
		n, err := strconv.ParseUint(string(body[i+2:i+6]), 16, 16)
		if err != nil || !utf16.IsSurrogate(rune(n)) {
			return 0
		}
		return rune(n)
	}
	for i := 0; i < len(body); i++ {
		if body[i] != '\\' { // outside of strings there is none in valid JSON
			continue
		}
		if first := surrogate(i); first != 0 {
			if utf16.DecodeRune(first, surrogate(i+6)) == utf8.RuneError {
				return true
			}
			i += 10
		}
		i++
	}
	return false
}

func parseValue(d *json.Decoder, depth int) (any, error) {
	if depth > maxDepth {
		return nil, errors.New("nested too deeply")
	}
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch t {
	case json.Delim('{'):
		object := map[string]any{}
		for d.More() {
			name, err := d.Token()
			if err != nil {
				return nil, err
			}
			if _, twice := object[name.(string)]; twice {
				return nil, fmt.Errorf("%q is given twice", name)
			}
			if object[name.(string)], err = parseValue(d, depth+1); err != nil {
				return nil, err
			}
		}
		_, err := d.Token()
		return object, err
	case json.Delim('['):
		list := []any{}
		for d.More() {
			v, err := parseValue(d, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err := d.Token()
		return list, err
	}
	return t, nil
}

func unknown(argument string, object map[string]any, known []string) error {
	var names []string
	for name := range object {
		if !slices.Contains(known, name) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	slices.Sort(names)
	plural := ""
	if len(names) > 1 {
		plural = "s"
	}
	return lb.Faultf(lb.KindInvalid, "Unknown attribute%s for argument %s: %s", plural, argument, strings.Join(names, ", "))
}

// fieldsOf lists the fields of a struct with its embedded structs'.
func fieldsOf(t reflect.Type) []reflect.StructField {
	return slices.DeleteFunc(reflect.VisibleFields(t), func(f reflect.StructField) bool { return f.Anonymous })
}

func jsonName(f reflect.StructField) (name string, mandatory bool) {
	name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name, !strings.Contains(options, "omitzero")
}

// assign sets dst from a parsed value, within the bounds of tag.
func assign(argument, field string, v any, dst reflect.Value, tag reflect.StructTag) error {
	switch dst.Kind() {
	case reflect.Struct:
		if set := dst.FieldByName("Set"); set.IsValid() { // wire.Opt
			set.SetBool(true)
			if v == nil {
				dst.FieldByName("Null").SetBool(true)
				return nil
			}
			return assign(argument, field, v, dst.FieldByName("V"), tag)
		}
		return assignStruct(argument, field, v, dst)
	case reflect.Slice:
		list, ok := v.([]any)
		if !ok {
			return lb.InvalidField(field, show(v), "Value should be a list")
		}
		out := reflect.MakeSlice(dst.Type(), len(list), len(list))
		for i, item := range list {
			err := assign(argument, field, item, out.Index(i), itemTag(tag))
			if err == nil {
				continue
			}
			// A list of values is shown whole.
			reason, ofItem := strings.CutPrefix(err.Error(), lb.InvalidField(field, show(item), "").Error())
			if ofItem && dst.Type().Elem().Kind() == reflect.String {
				return lb.InvalidField(field, show(v), reason)
			}
			return err
		}
		dst.Set(out)
	case reflect.Map:
		object, ok := v.(map[string]any)
		if !ok {
			return lb.InvalidField(field, show(v), "Value should be an object")
		}
		if dst.Type().Elem().Kind() == reflect.Interface {
			dst.Set(reflect.ValueOf(object).Convert(dst.Type()))
			return nil
		}
		out := reflect.MakeMap(dst.Type())
		for name, item := range object {
			value := reflect.New(dst.Type().Elem()).Elem()
			if err := assign(argument, field, item, value, itemTag(tag)); err != nil {
				return err
			}
			out.SetMapIndex(reflect.ValueOf(name), value)
		}
		dst.Set(out)
	case reflect.String:
		return assignString(field, v, dst, tag)
	case reflect.Int:
		return assignInt(field, v, dst, tag)
	case reflect.Float64:
		f, err := strconv.ParseFloat(show(v), 64)
		if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
			return lb.InvalidField(field, show(v), "Value should be a number")
		}
		if err := checkEnum(field, strconv.FormatFloat(f, 'f', 1, 64), tag); err != nil || f != math.Round(f*10)/10 {
			return lb.InvalidField(field, show(v), "Value should be one of: "+strings.ReplaceAll(tag.Get("enum"), ",", ", "))
		}
		dst.SetFloat(f)
	case reflect.Bool:
		b, ok := v.(bool)
		if s, isString := v.(string); isString {
			b, ok = parseBool(s)
		}
		if !ok {
			return lb.InvalidField(field, show(v), "Value should be a boolean")
		}
		dst.SetBool(b)
	default:
		return fmt.Errorf("decode %s: no rule for %s", field, dst.Type())
	}
	return nil
}

func assignStruct(argument, field string, v any, dst reflect.Value) error {
	object, ok := v.(map[string]any)
	if !ok {
		return lb.InvalidField(field, show(v), "Value should be an object")
	}
	fields := fieldsOf(dst.Type())
	known := make([]string, len(fields))
	for i, f := range fields {
		known[i], _ = jsonName(f)
	}
	if err := unknown(argument, object, known); err != nil {
		return err
	}
	for _, f := range fields {
		name, mandatory := jsonName(f)
		value, there := object[name]
		if mandatory && (!there || value == nil) {
			return lb.InvalidField(name, "None", "Mandatory field missing.")
		}
		if !there {
			continue
		}
		if err := assign(argument+"."+name, name, value, dst.FieldByIndex(f.Index), f.Tag); err != nil {
			return err
		}
	}
	return nil
}

func assignString(field string, v any, dst reflect.Value, tag reflect.StructTag) error {
	s, ok := v.(string)
	if !ok {
		return lb.InvalidField(field, show(v), "Value should be string")
	}
	if strings.ContainsRune(s, 0) {
		return lb.InvalidField(field, strings.ReplaceAll(s, "\x00", `\0`), "Value should not contain NUL")
	}
	if least, err := strconv.Atoi(tag.Get("minLength")); err == nil && utf8.RuneCountInString(s) < least {
		return lb.InvalidField(field, s, fmt.Sprintf("Value should have a minimum character requirement of %d", least))
	}
	if most, err := strconv.Atoi(tag.Get("maxLength")); err == nil && utf8.RuneCountInString(s) > most {
		return lb.InvalidField(field, s, fmt.Sprintf("Value should have a maximum character requirement of %d", most))
	}
	switch tag.Get("format") {
	case "uuid":
		// Not uuid.Parse alone: it takes braces and urn: too. Upstream takes an id without hyphens, and so do we.
		id, err := uuid.Parse(s)
		if err != nil || (len(s) != 36 && len(s) != 32) {
			return lb.InvalidField(field, s, "Value should be UUID format")
		}
		s = id.String()
	case "ip":
		if a, err := netip.ParseAddr(s); err != nil || a.Zone() != "" {
			return lb.InvalidField(field, s, "Value should be IPv4 or IPv6 format")
		}
	case "cidr":
		c, err := lb.NormalizeCIDR(s)
		if err != nil {
			return lb.InvalidField(field, s, "Value should be IPv4 or IPv6 CIDR format")
		}
		s = c
	}
	if err := checkEnum(field, s, tag); err != nil {
		return err
	}
	dst.SetString(s)
	return nil
}

func assignInt(field string, v any, dst reflect.Value, tag reflect.StructTag) error {
	_, isBool := v.(bool)
	n, err := strconv.Atoi(strings.TrimSpace(show(v)))
	if err != nil || isBool {
		return lb.InvalidField(field, show(v), "Value should be an integer")
	}
	if least, err := strconv.Atoi(tag.Get("minimum")); err == nil && n < least {
		return lb.InvalidField(field, show(v), fmt.Sprintf("Value should be greater or equal to %d", least))
	}
	if most, err := strconv.Atoi(tag.Get("maximum")); err == nil && n > most {
		return lb.InvalidField(field, show(v), fmt.Sprintf("Value should be lower or equal to %d", most))
	}
	if n > math.MaxInt32 {
		return lb.InvalidField(field, show(v), fmt.Sprintf("Value should be lower or equal to %d", math.MaxInt32))
	}
	if err := checkEnum(field, strconv.Itoa(n), tag); err != nil {
		return err
	}
	dst.SetInt(int64(n))
	return nil
}

func checkEnum(field, s string, tag reflect.StructTag) error {
	enum := tag.Get("enum")
	if enum == "" || slices.Contains(strings.Split(enum, ","), s) {
		return nil
	}
	return lb.InvalidField(field, s, "Value should be one of: "+strings.ReplaceAll(enum, ",", ", "))
}

// itemTag makes the bounds of a list's elements of those that the list's field gives for them.
func itemTag(tag reflect.StructTag) reflect.StructTag {
	var b strings.Builder
	for from, to := range map[string]string{"itemsMaxLength": "maxLength", "itemsFormat": "format"} {
		if v := tag.Get(from); v != "" {
			fmt.Fprintf(&b, "%s:%q ", to, v)
		}
	}
	return reflect.StructTag(strings.TrimSpace(b.String()))
}

func parseBool(s string) (value, ok bool) {
	switch strings.ToLower(strings.TrimSpace(s)) {
	case "true", "t", "yes", "y", "on", "1":
		return true, true
	case "false", "f", "no", "n", "off", "0":
		return false, true
	}
	return false, false
}

// show writes a value as fault texts quote it.
func show(v any) string {
	switch v := v.(type) {
	case nil:
		return "None"
	case string:
		return v
	case json.Number:
		return v.String()
	case []any:
		items := make([]string, len(v))
		for i, item := range v {
			items[i] = show(item)
			if s, isString := item.(string); isString {
				items[i] = "'" + s + "'"
			}
		}
		return "[" + strings.Join(items, ", ") + "]"
	default:
		b, err := json.Marshal(v)
		if err != nil {
			return "?"
		}
		return string(b)
	}
}
