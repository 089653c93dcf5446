package haproxy

// Internals that tests in haproxy_test look at.
var (
	ServerState = serverState
	ParseStat   = parseStat
	ObjectAt    = objectAt
)

// Workers is what parseProcesses reads.
func Workers(shown string) (reloads, current int, failed bool, former []int) {
	p := parseProcesses(shown)
	return p.reloads, p.current, p.failed, p.former
}

// SecretFiles are the files that a document needs beside the configuration.
var SecretFiles = secretFiles
