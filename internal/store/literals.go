package store

import (
	"database/sql/driver"
	"strconv"
	"strings"
)

// mostLifted is how many values one statement may have as parameters; a longer one is hardly ever asked again.
const mostLifted = 400

// liftAfter are the words that a value may follow. After any other word a text in quotes may be more than a value
// (INTERVAL '1 day', ESCAPE '!'), and a number a column's place (ORDER BY 1). After LIMIT SQLite wants to know the number
// when it plans, and plans anew for each.
var liftAfter = map[string]bool{
	"SELECT": true, "WHERE": true, "AND": true, "OR": true, "NOT": true, "IN": true, "LIKE": true, "CASE": true, "WHEN": true,
	"THEN": true, "ELSE": true, "BETWEEN": true, "ON": true, "HAVING": true, "VALUES": true,
}

// lifter takes the values out of one statement.
type lifter struct {
	in       string
	numbered bool // parameters are $1::int4, as PostgreSQL has them, else ?
	out      strings.Builder
	copied   int // in up to here is in out
	args     []driver.NamedValue
	takes    bool // what comes next may be a value
	depth    int  // of parentheses
	order    int  // depth of the ORDER BY that we are in, -1
}

// lift replaces the texts and numbers of a statement by parameters, so that statements that differ in them alone are
// one: bun writes values into the text, and a database would parse and plan each anew. What a value may mean is not
// changed by that: a number keeps the type that PostgreSQL gives it, a text has none before it is used. ok is false for
// statements that are better left as they are.
func lift(query string, numbered bool) (text string, args []driver.NamedValue, ok bool) {
	verb, _, _ := strings.Cut(query, " ")
	switch verb {
	case "SELECT", "INSERT", "UPDATE", "DELETE", "WITH", "SAVEPOINT", "RELEASE", "ROLLBACK":
	default:
		return "", nil, false
	}
	l := &lifter{in: query, numbered: numbered, order: -1}
	l.out.Grow(len(query))
	for i := 0; i < len(query); {
		next := l.token(i)
		if next < 0 || len(l.args) > mostLifted {
			return "", nil, false
		}
		i = next
	}
	l.copy(len(query))
	return l.out.String(), l.args, true
}

func (l *lifter) copy(to int) {
	l.out.WriteString(l.in[l.copied:to])
	l.copied = to
}

// token reads the token at i and returns where the next one begins, -1 when the statement has to stay as it is.
func (l *lifter) token(i int) int {
	c := l.in[i]
	switch {
	case c == ' ' || c == '\n' || c == '\t':
		return i + 1
	case c == '\'':
		return l.quoted(i)
	case c == '"':
		end := strings.IndexByte(l.in[i+1:], '"')
		if end < 0 {
			return -1
		}
		l.takes = false
		return i + end + 2
	case c >= '0' && c <= '9':
		return l.number(i)
	case isWord(c):
		return l.word(i)
	case c == '(':
		l.depth++
		l.takes = true
	case c == ')':
		if l.depth == l.order {
			l.order = -1
		}
		l.depth--
		l.takes = false
	case c == '-' && strings.HasPrefix(l.in[i:], "--"), c == '/' && strings.HasPrefix(l.in[i:], "/*"):
		return -1 // a comment
	case c == ':' && strings.HasPrefix(l.in[i:], "::"):
		l.takes = false
		return i + 2
	case strings.IndexByte("=<>!,+-*/|%", c) >= 0:
		l.takes = true
	case c == '.':
		l.takes = false
	default:
		return -1 // parameters ($1, ?, :name), several statements, and what else is not in ours
	}
	return i + 1
}

// isWord reports whether c may be in a word; other alphabets' letters stand only in quotes.
func isWord(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c >= '0' && c <= '9'
}

func (l *lifter) word(i int) int {
	end := i
	for end < len(l.in) && isWord(l.in[end]) {
		end++
	}
	switch word := l.in[i:end]; word {
	case "GROUP", "DISTINCT":
		return -1 // PostgreSQL compares expressions there, and two parameters are never the same
	case "E", "e", "U", "u":
		if end < len(l.in) && (l.in[end] == '\'' || l.in[end] == '&') {
			return -1 // a text with escapes
		}
		l.takes = false
	case "BY":
		l.order, l.takes = l.depth, false
	default:
		if l.order == l.depth && (word == "LIMIT" || word == "FOR") {
			l.order = -1
		}
		l.takes = liftAfter[word]
	}
	return end
}

// quoted lifts a text, in which a quote is doubled.
func (l *lifter) quoted(i int) int {
	end, doubled := i+1, false
	for {
		n := strings.IndexByte(l.in[end:], '\'')
		if n < 0 {
			return -1
		}
		end += n + 1
		if end == len(l.in) || l.in[end] != '\'' {
			break
		}
		end, doubled = end+1, true
	}
	if l.takes {
		value := l.in[i+1 : end-1]
		if doubled {
			value = strings.ReplaceAll(value, "''", "'")
		}
		l.put(i, end, value, "")
	}
	l.takes = false
	return end
}

// number lifts a whole number. PostgreSQL's smallest type for it is the one that it would have where it stood.
func (l *lifter) number(i int) int {
	end := i
	for end < len(l.in) && (isWord(l.in[end]) || l.in[end] == '.') {
		end++
	}
	n, err := strconv.ParseInt(l.in[i:end], 10, 64)
	if err == nil && l.takes && l.order != l.depth {
		kind := "::int4"
		if n != int64(int32(n)) {
			kind = "::int8"
		}
		l.put(i, end, n, kind)
	}
	l.takes = false
	return end
}

func (l *lifter) put(from, to int, value driver.Value, kind string) {
	l.copy(from)
	l.copied = to
	l.args = append(l.args, driver.NamedValue{Ordinal: len(l.args) + 1, Value: value})
	if !l.numbered {
		l.out.WriteByte('?')
		return
	}
	l.out.WriteByte('$')
	l.out.WriteString(strconv.Itoa(len(l.args)))
	l.out.WriteString(kind)
}
