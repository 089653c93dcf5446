package haproxy

import (
	"bufio"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"colonnade/internal/amphora"
)

// Object is what a line of the configuration was rendered from; the zero Object is the document as a whole.
type Object struct {
	Type, ID string
}

var (
	// A complaint begins with its severity; the position is "[file:line]", whichever way it is worded.
	complaint = regexp.MustCompile(`^\[(?:ALERT|WARNING)\]\s+\(\d+\)\s*:\s*(.*)$`)
	position  = regexp.MustCompile(`\[[^\]\s]*:(\d+)\]`)
	anyUUID   = regexp.MustCompile(`[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}`)
	// HAProxy closes with summaries that say nothing new.
	summary = regexp.MustCompile(`Error\(s\) found in configuration file|Fatal errors found in configuration|Some warnings were found`)
)

// commented are the objects whose lines a comment announces.
var commented = []string{objListener, objPolicy, objPool, objMonitor}

// objectAt finds the object whose lines contain the given line (counted from 1): the comment above a section or monitor
// names it, a server's line is its member's, that of a condition its rule's.
func objectAt(config string, line int) Object {
	var at Object
	for i, text := range strings.Split(config, "\n") {
		words := strings.Fields(text)
		switch {
		case len(words) == 3 && words[0] == "#" && slices.Contains(commented, words[1]):
			at = Object{words[1], words[2]}
		case len(words) > 2 && words[0] == "server" && uuidGrammar.MatchString(words[1]):
			at = Object{objMember, words[1]}
		}
		if i+1 == line {
			if len(words) > 2 && words[0] == "acl" && uuidGrammar.MatchString(words[1]) {
				return Object{objRule, words[1]} // of one line; the next is the policy's again
			}
			return at
		}
	}
	return Object{}
}

// problemsOf maps what "haproxy -c" said to the objects that rendered the lines it complains about.
func problemsOf(output, config string) []amphora.Problem {
	var out []amphora.Problem
	seen := map[amphora.Problem]bool{}
	scanner := bufio.NewScanner(strings.NewReader(output))
	for scanner.Scan() {
		m := complaint.FindStringSubmatch(scanner.Text())
		if m == nil || summary.MatchString(m[1]) {
			continue
		}
		at := Object{}
		if p := position.FindStringSubmatch(m[1]); p != nil {
			at = objectAt(config, atoi(p[1]))
		} else {
			at = objectNamed(m[1], config)
		}
		p := amphora.Problem{ObjectType: at.Type, ObjectID: at.ID, Reason: m[1]}
		if !seen[p] {
			seen[p] = true
			out = append(out, p)
		}
	}
	if len(out) == 0 {
		out = append(out, amphora.Problem{Reason: "haproxy refuses the configuration: " + strconv.Quote(strings.TrimSpace(output))})
	}
	return out
}

// objectNamed finds the most particular object that a complaint without a position names.
func objectNamed(text, config string) Object {
	var best Object
	rank := map[string]int{objListener: 1, objPool: 2, objMember: 3}
	for _, id := range anyUUID.FindAllString(text, -1) {
		for _, kind := range []string{objListener, objPool} {
			if strings.Contains(config, "# "+kind+" "+id+"\n") && rank[kind] > rank[best.Type] {
				best = Object{kind, id}
			}
		}
		if strings.Contains(config, "    server "+id+" ") {
			best = Object{objMember, id}
		}
	}
	return best
}
