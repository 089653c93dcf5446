package lb

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// The regular expressions of rules are HAProxy's, which are PCRE2's; Octavia checks them as Python's. What is taken here
// is what both take, so that a rule which is accepted also runs: Go's own (RE2) knows neither look-around nor references.

// maxRegexDepth bounds nested groups; PCRE2 has 250.
const maxRegexDepth = 100

// maxRepeat is the most of a counted repetition in PCRE2.
const maxRepeat = 65535

// variable is the width of what matches texts of different lengths.
const variable = -1

// checkRegex returns what is wrong with a regular expression.
func checkRegex(s string) error {
	p := &regexParser{s: s}
	if _, err := p.alternatives(0, false); err != nil {
		return fmt.Errorf("%w at position %d", err, p.i)
	}
	if p.i < len(s) {
		return fmt.Errorf("unbalanced parenthesis at position %d", p.i)
	}
	for _, n := range p.references {
		if n > p.groups {
			return fmt.Errorf("invalid group reference %d", n)
		}
	}
	for _, name := range p.named {
		if !slices.Contains(p.names, name) {
			return fmt.Errorf("unknown group name %q", name)
		}
	}
	return nil
}

type regexParser struct {
	s          string
	i          int // what comes next, in bytes
	groups     int
	names      []string // of groups
	references []int    // by number
	named      []string // by name
}

func (p *regexParser) more() bool { return p.i < len(p.s) }

func (p *regexParser) peek(text string) bool { return strings.HasPrefix(p.s[p.i:], text) }

// take goes over a text if it comes next.
func (p *regexParser) take(text string) bool {
	if !p.peek(text) {
		return false
	}
	p.i += len(text)
	return true
}

// upTo takes all before end, and end.
func (p *regexParser) upTo(end string) (string, bool) {
	text, _, found := strings.Cut(p.s[p.i:], end)
	if found {
		p.i += len(text) + len(end)
	}
	return text, found
}

// alternatives takes everything to the end or a closing parenthesis and returns its width in bytes. Of a look-behind each
// alternative has a width of its own, which must be fixed.
func (p *regexParser) alternatives(depth int, behind bool) (width int, err error) {
	if depth > maxRegexDepth {
		return 0, errors.New("too many nested groups")
	}
	for n := 0; ; n++ {
		one, err := p.sequence(depth)
		if err != nil {
			return 0, err
		}
		if behind && one == variable {
			return 0, errors.New("look-behind requires fixed-width pattern")
		}
		if n == 0 {
			width = one
		} else if one != width {
			width = variable
		}
		if !p.take("|") {
			return width, nil
		}
	}
}

func (p *regexParser) sequence(depth int) (width int, err error) {
	for p.more() && !p.peek("|") && !p.peek(")") {
		one, repeatable, err := p.item(depth)
		if err != nil {
			return 0, err
		}
		if one, err = p.repetition(one, repeatable); err != nil {
			return 0, err
		}
		if width == variable || one == variable {
			width = variable
		} else {
			width += one
		}
	}
	return width, nil
}

// item takes one thing that may be repeated, unless it is a place (^, $, \b, …) or sets options.
func (p *regexParser) item(depth int) (width int, repeatable bool, err error) {
	switch c := p.s[p.i]; c {
	case '(':
		p.i++
		return p.group(depth + 1)
	case '[':
		p.i++
		return 1, true, p.class()
	case '\\':
		p.i++
		return p.escape()
	case '^', '$':
		p.i++
		return 0, false, nil
	case '*', '+', '?':
		return 0, false, errors.New("nothing to repeat")
	case '{':
		if _, _, counted := p.counts(); counted {
			return 0, false, errors.New("nothing to repeat")
		}
	}
	_, size := utf8.DecodeRuneInString(p.s[p.i:])
	p.i += size
	if size > 1 { // PCRE2 sees bytes: a repetition would be the last one's alone
		if p.more() && (strings.ContainsRune("*+?", rune(p.s[p.i])) || p.peek("{")) {
			return 0, false, errors.New("only ASCII characters may be repeated")
		}
	}
	return size, true, nil
}

// counts reads "{n}", "{n,}" or "{n,m}" without taking it; anything else that begins with a brace is plain text.
func (p *regexParser) counts() (text string, most int, ok bool) {
	inside, _, closed := strings.Cut(p.s[p.i+1:], "}")
	least, upper, ranged := strings.Cut(inside, ",")
	if !closed || !wholeNumber.MatchString(least) || upper != "" && !wholeNumber.MatchString(upper) {
		return "", 0, false
	}
	switch {
	case !ranged:
		upper = least
	case upper == "":
		upper = strconv.Itoa(maxRepeat)
	}
	low, err := strconv.Atoi(least)
	high, err2 := strconv.Atoi(upper)
	if err != nil || err2 != nil || low > high {
		high = maxRepeat + 1 // refused by who asks
	}
	return inside, high, true
}

func (p *regexParser) repetition(width int, repeatable bool) (int, error) {
	if !p.more() {
		return width, nil
	}
	switch c := p.s[p.i]; c {
	case '*', '+', '?':
		p.i++
		width = variableUnlessNothing(width)
	case '{':
		text, most, counted := p.counts()
		if !counted {
			return width, nil
		}
		if most > maxRepeat {
			return 0, errors.New("repetition out of range")
		}
		p.i += len(text) + 2
		switch {
		case strings.Contains(text, ","):
			width = variableUnlessNothing(width)
		case width > 0:
			if width *= most; width > maxRepeat {
				width = variable
			}
		}
	default:
		return width, nil
	}
	if !repeatable {
		return 0, errors.New("nothing to repeat")
	}
	if p.more() && (p.s[p.i] == '?' || p.s[p.i] == '+') {
		p.i++
	}
	if !p.more() {
		return width, nil
	}
	if _, _, counted := p.countsHere(); counted || strings.IndexByte("*+?", p.s[p.i]) >= 0 {
		return 0, errors.New("multiple repeat")
	}
	return width, nil
}

func (p *regexParser) countsHere() (string, int, bool) {
	if !p.peek("{") {
		return "", 0, false
	}
	return p.counts()
}

func variableUnlessNothing(width int) int {
	if width == 0 {
		return 0
	}
	return variable
}

// group takes what follows an opening parenthesis, up to the closing one.
func (p *regexParser) group(depth int) (width int, repeatable bool, err error) {
	nothing, behind, repeatable := false, false, true // nothing: it looks and takes no text
	switch {
	case p.peek("*"):
		return 0, false, errors.New("nothing to repeat")
	case !p.take("?"):
		p.groups++
	case p.take("#"):
		if _, closed := p.upTo(")"); !closed {
			return 0, false, errors.New("missing ), unterminated comment")
		}
		return 0, false, nil
	case p.take(":"), p.take(">"):
	case p.take("="), p.take("!"):
		nothing = true
	case p.take("<="), p.take("<!"):
		nothing, behind = true, true
	case p.take("P="):
		name, closed := p.upTo(")")
		if !closed || !groupName(name) {
			return 0, false, errors.New("bad group name")
		}
		p.named = append(p.named, name)
		return variable, true, nil
	case p.take("P<"):
		name, closed := p.upTo(">")
		if !closed || !groupName(name) || slices.Contains(p.names, name) {
			return 0, false, errors.New("bad or repeated group name")
		}
		p.names = append(p.names, name)
		p.groups++
	case p.take("("):
		return p.condition(depth)
	default:
		return p.options(depth)
	}
	width, err = p.alternatives(depth, behind)
	if err != nil {
		return 0, false, err
	}
	if nothing {
		width = 0
	}
	return width, repeatable, p.close()
}

func (p *regexParser) close() error {
	if !p.take(")") {
		return errors.New("missing ), unterminated subpattern")
	}
	return nil
}

// groupName reports whether a name is one for both engines.
func groupName(s string) bool {
	if s == "" || len(s) > 32 || s[0] >= '0' && s[0] <= '9' {
		return false
	}
	return strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_") == ""
}

// condition is "(?(1)yes|no)".
func (p *regexParser) condition(depth int) (width int, repeatable bool, err error) {
	what, closed := p.upTo(")")
	n, number := strconv.Atoi(what)
	switch {
	case !closed || what == "":
		return 0, false, errors.New("bad group name")
	case number == nil && n > 0:
		p.references = append(p.references, n)
	case groupName(what) && what != "R" && what != "DEFINE" && !strings.HasPrefix(what, "R"):
		p.named = append(p.named, what)
	default:
		return 0, false, errors.New("bad group name")
	}
	for n := 0; ; n++ {
		if n == 2 {
			return 0, false, errors.New("conditional backref with more than two branches")
		}
		if _, err := p.sequence(depth); err != nil {
			return 0, false, err
		}
		if !p.take("|") {
			return variable, true, p.close()
		}
	}
}

// options is "(?i)" at the very beginning, or "(?i:…)" and "(?i-s:…)" anywhere.
func (p *regexParser) options(depth int) (width int, repeatable bool, err error) {
	start := p.i
	for p.more() && strings.IndexByte("ims-", p.s[p.i]) >= 0 {
		p.i++
	}
	set := p.s[start:p.i]
	on, off, minus := strings.Cut(set, "-")
	switch {
	case set == "" || strings.Contains(off, "-") || minus && off == "" || strings.ContainsAny(off, on) && on != "":
		return 0, false, errors.New("unknown extension")
	case p.take(":"):
		if width, err = p.alternatives(depth, false); err != nil {
			return 0, false, err
		}
		return width, true, p.close()
	case start == 2 && !minus: // Python has them nowhere else
		return 0, false, p.close()
	}
	return 0, false, errors.New("unknown extension")
}

// escape takes what follows a backslash outside of a class.
func (p *regexParser) escape() (width int, repeatable bool, err error) {
	if !p.more() {
		return 0, false, errors.New("bad escape (end of pattern)")
	}
	c := p.s[p.i]
	p.i++
	switch {
	case strings.IndexByte("dDsSwWafnrtv", c) >= 0:
		return 1, true, nil
	case strings.IndexByte("AbBZ", c) >= 0:
		return 0, false, nil
	case c == 'x':
		return 1, true, p.hex()
	case c == '0':
		p.octal(2)
		return 1, true, nil
	case c >= '1' && c <= '9':
		n := int(c - '0')
		if p.more() && p.s[p.i] >= '0' && p.s[p.i] <= '9' { // PCRE2 and Python part ways from here on
			return 0, false, errors.New("bad escape: a reference has one digit")
		}
		p.references = append(p.references, n)
		return variable, true, nil
	case c >= utf8.RuneSelf || isWord(c):
		return 0, false, fmt.Errorf("bad escape \\%c", rune(c))
	}
	return 1, true, nil
}

func isWord(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

func (p *regexParser) hex() error {
	if len(p.s)-p.i < 2 || strings.Trim(p.s[p.i:p.i+2], "0123456789abcdefABCDEF") != "" {
		return errors.New("incomplete escape \\x")
	}
	p.i += 2
	return nil
}

func (p *regexParser) octal(most int) {
	for range most {
		if p.more() && p.s[p.i] >= '0' && p.s[p.i] <= '7' {
			p.i++
		}
	}
}

var posixClasses = []string{
	"alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space", "upper", "word", "xdigit",
}

// class takes a character class up to its closing bracket.
func (p *regexParser) class() error {
	p.i--
	_, named, err := p.posixName()
	if p.i++; named || err != nil {
		return errors.New("a named class stands only within a character set")
	}
	p.take("^")
	for first := true; ; first = false {
		if !p.more() {
			return errors.New("unterminated character set")
		}
		if !first && p.take("]") {
			return nil
		}
		low, err := p.member()
		if err != nil {
			return err
		}
		if !p.peek("-") || p.peek("-]") {
			continue
		}
		p.i++
		if !p.more() {
			return errors.New("unterminated character set")
		}
		high, err := p.member()
		if err != nil {
			return err
		}
		if low < 0 || high < 0 || low > high {
			return errors.New("bad character range")
		}
	}
}

// member takes one member of a class: a byte, or -1 for a set such as \d.
func (p *regexParser) member() (int, error) {
	if size, named, err := p.posixName(); named || err != nil {
		p.i += size
		return -1, err
	}
	c := p.s[p.i]
	if c >= utf8.RuneSelf {
		return 0, errors.New("only ASCII characters may stand in a character set")
	}
	p.i++
	if c != '\\' {
		return int(c), nil
	}
	if !p.more() {
		return 0, errors.New("bad escape (end of pattern)")
	}
	c = p.s[p.i]
	p.i++
	if i := strings.IndexByte("abfnrtv", c); i >= 0 {
		return int("\a\b\f\n\r\t\v"[i]), nil
	}
	switch {
	case strings.IndexByte("dDsSwW", c) >= 0:
		return -1, nil
	case c == 'x':
		if err := p.hex(); err != nil {
			return 0, err
		}
		n, err := strconv.ParseUint(p.s[p.i-2:p.i], 16, 8)
		return int(n), err
	case c >= utf8.RuneSelf || isWord(c):
		return 0, fmt.Errorf("bad escape \\%c", rune(c))
	}
	return int(c), nil
}

// posixName recognises "[:name:]" and its likes, of which only the known names are any good, without taking it.
func (p *regexParser) posixName() (size int, named bool, err error) {
	if !p.peek("[:") && !p.peek("[.") && !p.peek("[=") {
		return 0, false, nil
	}
	kind := p.s[p.i+1 : p.i+2]
	name, _, closed := strings.Cut(p.s[p.i+2:], kind+"]")
	switch {
	case !closed || strings.ContainsAny(name, `]\`): // plain text
		return 0, false, nil
	case kind != ":" || !slices.Contains(posixClasses, strings.TrimPrefix(name, "^")):
		return 0, false, fmt.Errorf("unknown class [%s%s%s]", kind, name, kind)
	}
	return len(name) + 4, true, nil
}
