package haproxy

import (
	"fmt"
	"slices"
	"strings"

	"colonnade/internal/amphora"
)

// Class says how a change gets into the running process.
type Class int

// Classes of changes, the cheapest first.
const (
	Nothing Class = iota // the configuration is the same
	Runtime              // the runtime API can do it
	Reload               // structure changes: a new worker
)

func (c Class) String() string { return [...]string{"nothing", "runtime", "reload"}[c] }

// Command is one line for the runtime socket, with what a success answers.
type Command struct {
	Line string
	// Payload follows the line; it may be secret, so it stands in no error.
	Payload string
	// Answers are texts of which a success contains one; none: a success is silent.
	Answers []string
}

// Change is what takes HAProxy from one document to the next.
type Change struct {
	Class    Class
	Commands []Command // for Runtime, in order
}

// Diff decides how HAProxy gets from old to next; both have passed Check. It compares what is rendered: when the
// files are alike but for servers, the members' differences become commands, anything else is a reload.
func Diff(old, next amphora.Desired, s Settings) (Change, error) {
	before, err := Render(old, s)
	if err != nil {
		return Change{}, err
	}
	after, err := Render(next, s)
	if err != nil {
		return Change{}, err
	}
	secrets := secretCommands(old, next)
	if before == after {
		if len(secrets) > 0 {
			return Change{Class: Runtime, Commands: secrets}, nil
		}
		return Change{}, nil
	}
	before, _ = Render(withoutMembers(old), s)
	after, _ = Render(withoutMembers(next), s)
	if before != after {
		return Change{Class: Reload}, nil
	}
	change := Change{Class: Runtime, Commands: secrets}
	was := map[string]amphora.Pool{}
	for _, p := range old.Pools {
		was[p.ID] = p
	}
	for _, l := range next.Listeners {
		used := l.PoolIDs()
		for _, p := range next.Pools {
			if !slices.Contains(used, p.ID) {
				continue
			}
			commands, ok := memberCommands(next, l, was[p.ID], p)
			if !ok {
				return Change{Class: Reload}, nil
			}
			change.Commands = append(change.Commands, commands...)
		}
	}
	return change, nil
}

func withoutMembers(d amphora.Desired) amphora.Desired {
	pools := make([]amphora.Pool, len(d.Pools))
	for i, p := range d.Pools {
		p.Members = nil
		pools[i] = p
	}
	d.Pools = pools
	return d
}

// memberCommands returns false when a member changes in a way that the runtime API cannot express.
func memberCommands(d amphora.Desired, l amphora.Listener, old, next amphora.Pool) ([]Command, bool) {
	var out []Command
	was := map[string]amphora.Member{}
	for _, m := range old.Members {
		was[m.ID] = m
	}
	stays := map[string]bool{}
	for _, m := range next.Members {
		stays[m.ID] = true
	}
	name := backendName(next.ID, l.ID)
	// Removed first: an added member may take a removed one's place.
	for _, m := range old.Members {
		if !stays[m.ID] {
			out = append(out,
				Command{Line: fmt.Sprintf("set server %s/%s state maint", name, m.ID)},
				Command{Line: fmt.Sprintf("del server %s/%s", name, m.ID), Answers: []string{"Server deleted."}})
		}
	}
	for _, m := range next.Members {
		before, known := was[m.ID]
		if !known {
			out = append(out, addCommands(d, l, next, m)...)
			continue
		}
		if before.ServerID != m.ServerID || fixedOptions(l, old, before) != fixedOptions(l, next, m) {
			return nil, false
		}
		server := name + "/" + m.ID
		if before.Address != m.Address || before.Port != m.Port {
			out = append(out, Command{
				Line:    fmt.Sprintf("set server %s addr %s port %d", server, canonical(m.Address), m.Port),
				Answers: []string{"changed from", "no need to change"},
			})
		}
		if before.Weight != m.Weight {
			out = append(out, weightCommand(server, m))
		}
		if before.Enabled != m.Enabled {
			out = append(out, Command{Line: "set server " + server + " state " + stateWord(m)})
		}
	}
	return out, true
}

// fixedOptions are the parameters that a running server cannot change.
func fixedOptions(l amphora.Listener, p amphora.Pool, m amphora.Member) string {
	m.Weight = 0
	return serverOptions(l, p, m)
}

func addCommands(d amphora.Desired, l amphora.Listener, p amphora.Pool, m amphora.Member) []Command {
	name := backendName(p.ID, l.ID)
	server := name + "/" + m.ID
	out := []Command{
		{
			Line:    fmt.Sprintf("add server %s %s id %d%s", server, hostPort(m.Address, m.Port), m.ServerID, serverOptions(l, p, m)),
			Answers: []string{"New server registered."},
		},
		// 2.6 counts an added server's weight as 1 until it is set once more.
		weightCommand(server, m),
	}
	if dynamicCookie(mode(l), p) {
		// Cookies of added servers are made when the key is set, and only then.
		out = append(out, Command{Line: "set dynamic-cookie-key backend " + name + " " + cookieKey(d, p.ID)})
	}
	if p.Monitor != nil {
		out = append(out, Command{Line: "enable health " + server})
	}
	if m.Enabled {
		out = append(out, Command{Line: "set server " + server + " state ready"})
	}
	return out
}

func weightCommand(server string, m amphora.Member) Command {
	return Command{Line: fmt.Sprintf("set server %s weight %d", server, m.Weight)}
}

func stateWord(m amphora.Member) string {
	if m.Enabled {
		return "ready"
	}
	return "maint"
}

// accepted reports whether an answer is a success of the command.
func (c Command) accepted(answer string) bool {
	answer = strings.TrimSpace(answer)
	if len(c.Answers) == 0 {
		return answer == ""
	}
	for _, a := range c.Answers {
		if strings.Contains(answer, a) {
			return true
		}
	}
	return false
}
